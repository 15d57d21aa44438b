/* What a network is told of the time, in training and in sampling: networks that return it, held
 * against numbers from the formulas of the papers, not against each other. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model_fixture.h"
#include "tweedie/objective.h"
#include "tweedie/sample.h"

enum { N = 16, D = 2, STEPS = 8, TOLD_MAX = 64 };

/* ---- networks that return what they are told ---- */

static tw_status accept_any(const void *config, tw_shape sample)
{
    (void)config, (void)sample;
    return TW_OK;
}

/* `told` [N, 1] as an output; of an energy E = -told (x_1 + … + x_D), whose negative slope it is.
 * The parameter is there since a network has some. */
static tw_value *answer(tw_graph *g, const tw_net_inputs *in, tw_value *told)
{
    if (!told) return NULL;
    const int64_t n = in->x->shape.dims[0];
    told = tw_add(g, told, tw_param(g, "none", TW_SHAPE(1), (tw_init){.kind = TW_INIT_ZEROS}));
    if (in->outputs == 1)
        return tw_affine(g, tw_sum_to(g, tw_mul(g, in->x, told), TW_SHAPE(n, 1)), -1, 0);
    return tw_broadcast(g, told, in->x->shape);
}

static tw_value *tell_t(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    (void)config;
    return answer(g, in, tw_reshape(g, in->t, TW_SHAPE(in->t->shape.dims[0], 1)));
}

static tw_value *tell_log_sigma(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    (void)config;
    return answer(g, in, tw_reshape(g, in->log_sigma, TW_SHAPE(in->t->shape.dims[0], 1)));
}

/* Row i of the table is i (set_up). */
static tw_value *tell_index(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    (void)config;
    return answer(g, in,
                  tw_embed_table(
                      g,
                      tw_constant(g, "table", TW_SHAPE(STEPS, 1), (tw_init){.kind = TW_INIT_ZEROS}),
                      in->index));
}

static const tw_net nets[] = {
    {.kind = {"t", "returns t"}, .check = accept_any, .build = tell_t},
    {.kind = {"log_sigma", "returns ln sigma"}, .check = accept_any, .build = tell_log_sigma},
    {.kind = {"index", "returns the index"}, .check = accept_any, .build = tell_index},
};

/* ---- the formulas ---- */

enum { B0 = 0, B1 = 1 };
static const double beta[] = {0.1, 20}; /* of VP: Song et al. 2021, appendix C */

static double vp_m(double t)
{
    return -0.25 * t * t * (beta[B1] - beta[B0]) - 0.5 * t * beta[B0];
}

/* 1 - Π (1 - β_s), β from 5e-6 to 1e-3 in units of 1000 steps. */
static double ddpm_variance(double t)
{
    double product = 1;
    for (int64_t s = 0; s <= (int64_t)t; s++)
        product *= 1 - (5e-6 + (1e-3 - 5e-6) * (double)s / (STEPS - 1)) * 1000 / STEPS;
    return 1 - product;
}

typedef struct point {
    double t, alpha, sigma; /* t as the network is told it where the prediction leaves it alone */
} point;

static point at_ddpm(double t)
{
    return (point){t, sqrt(1 - ddpm_variance(t)), sqrt(ddpm_variance(t))};
}

static point at_ladder(double t) /* 0.01 … 1 in a geometric series; the papers count from 1 */
{
    return (point){STEPS - 1 - t, 1, 0.01 * pow(100, t / (STEPS - 1))};
}

static point at_single(double t)
{
    return (point){t, 0.5, 0.25};
}

static point at_vp(double t)
{
    return (point){999 * t, exp(vp_m(t)), sqrt(1 - exp(2 * vp_m(t)))};
}

static point at_subvp(double t)
{
    return (point){999 * t, exp(vp_m(t)), 1 - exp(2 * vp_m(t))};
}

static point at_ve(double t)
{
    return (point){999 * t, 1, 0.01 * pow(5000, t)};
}

static point at_edm(double t)
{
    return (point){log(t) / 4, 1, t};
}

static point at_flow(double t)
{
    return (point){999 * t, 1 - t, t};
}

static const struct law {
    const char *process, *keys;
    bool discrete;
    point (*at)(double t);
} laws[] = {
    {"ddpm", "timesteps = 8\nbeta_min = 5e-6\nbeta_max = 1e-3\n", true, at_ddpm},
    {"ladder", "levels = 8\nsigma_min = 0.01\nsigma_max = 1\n", true, at_ladder},
    {"single", "scale = 0.5\nsigma = 0.25\n", true, at_single},
    {"vp", "beta_min = 0.1\nbeta_max = 20\n", false, at_vp},
    {"subvp", "beta_min = 0.1\nbeta_max = 20\n", false, at_subvp},
    {"ve", "sigma_min = 0.01\nsigma_max = 50\n", false, at_ve},
    {"edm", "sigma_min = 0.002\nsigma_max = 80\n", false, at_edm},
    {"flow", "", false, at_flow},
};
enum { LAWS = sizeof laws / sizeof *laws };

/* M - 1 less the index of the u_j next to r (Karras et al. 2022, table 1, iDDPM; C1 = 0.001,
 * C2 = 0.008, M = 1000): u_M = 0, u_{j-1}² = (u_j² + 1) / max(ᾱ_{j-1} / ᾱ_j, C1) - 1. */
static double iddpm_index(double r)
{
    enum { M = 1000 };
    double u = 0, best = r;
    int nearest = M;
    for (int j = M; j > 0; j--) {
        const double here = sin(M_PI_2 * j / (M * 1.008)),
                     below = sin(M_PI_2 * (j - 1) / (M * 1.008));
        u = sqrt((u * u + 1) / fmax(below * below / (here * here), 0.001) - 1);
        if (fabs(r - u) < best) best = fabs(r - u), nearest = j - 1;
    }
    return M - 1 - nearest;
}

/* What net `which` must return at time t. The preconditionings of EDM tell a function of σ / α
 * everywhere (the same table). */
static double told_by(const struct law *law, const char *prediction, int which, double t)
{
    const point q = law->at(t);
    const double r = q.sigma / q.alpha;
    if (which == 1) return log(q.sigma);
    if (which == 2) return q.t;
    if (strcmp(prediction, "edm") == 0) return log(r) / 4;
    if (strcmp(prediction, "edm_ve") == 0) return log(r / 2);
    if (strcmp(prediction, "edm_vp") == 0)
        return 999 * (sqrt(0.01 + 2 * 19.9 * log1p(r * r)) - 0.1) / 19.9;
    if (strcmp(prediction, "edm_iddpm") == 0) return iddpm_index(r);
    return q.t;
}

/* ---- a model ---- */

typedef struct rig {
    tw_config *config;
    tw_model *m;
    tw_objective_config oc;
    tw_sampler_config sc;
    tw_objective *objective;
    tw_model_score *score;
    tw_sampler *sampler;
    double t[TOLD_MAX], met[TOLD_MAX]; /* of a sampler: its times, and what the network returned */
    int count;
} rig;

static void tear_down(rig *s)
{
    tw_sampler_destroy(&s->sampler);
    tw_model_score_destroy(&s->score);
    tw_objective_destroy(&s->objective);
    tw_sampler_config_free(&s->sc);
    tw_objective_config_free(&s->oc);
    tw_model_destroy(&s->m);
    tw_config_destroy(&s->config);
}

/* @return false where the prediction does not go with the process */
static bool set_up(rig *s, const struct law *law, const char *prediction, int which,
                   const char *sample)
{
    static char text[1024];
    *s = (rig){0};
    snprintf(text, sizeof text,
             "[network]\nkind = mlp\n[objective]\nweighting = simple\n[process]\nkind = %s\n%s"
             "[prediction]\nkind = %s\n[sample]\n%s",
             law->process, law->keys, prediction, sample);
    ok(tw_config_create(&s->config));
    ok(tw_config_parse(s->config, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&s->m, s->config));
    ok(tw_objective_bind(&s->oc, s->config));
    ok(tw_sampler_bind(&s->sc, s->config, s->m->process->kind->sampler));
    ok(tw_config_finish(s->config));
    s->m->net = &nets[which];
    if (tw_model_create(s->m, TW_SHAPE(D), 1) != TW_OK) {
        if (!strstr(tw_error_message(), "prediction.kind")) fail_msg("%s", tw_error_message());
        tear_down(s);
        return false;
    }
    for (int i = 0; i < s->m->params->view_count; i++) {
        const tw_param_view *v = &s->m->params->views[i];
        if (strcmp(v->name, "table") == 0)
            for (int64_t k = 0; k < v->count; k++) s->m->params->value[v->offset + k] = (float)k;
    }
    return true;
}

/* The index means something where there are levels. */
static bool has_net(const struct law *law, int which)
{
    return which < 2 || law->discrete;
}

/* ---- in training ---- */

/* a and b of E[a x_0 + b z | x_t], which the output stands for. */
static void target_of(const rig *s, const struct law *law, double t, double *a, double *b)
{
    const char *name = s->m->prediction->kind.name;
    const point q = law->at(t);
    if (strcmp(name, "epsilon") == 0)
        *a = 0, *b = 1;
    else if (strcmp(name, "x0") == 0)
        *a = 1, *b = 0;
    else if (strcmp(name, "score_sigma") == 0)
        *a = 0, *b = -1;
    else if (strcmp(name, "score") == 0 || strcmp(name, "energy") == 0)
        *a = 0, *b = -1 / q.sigma;
    else if (strcmp(name, "v") == 0)
        *a = -q.sigma, *b = q.alpha;
    else if (strcmp(name, "velocity") == 0 && strcmp(law->process, "flow") == 0)
        *a = -1, *b = 1;
    else /* others are held elsewhere (test_predictions): the time is what counts here */
        s->m->prediction->target(s->m->predicted.config, s->m->process, t, a, b);
}

/* The loss of one sample with an output of `told` everywhere, and what rounding may make of it: the
 * output and the target are off by 2^-23 of what they are sums of, so their difference by 2^-22 of
 * S = |told| + |a x_0| + |b z|, its square by 2^-21 S², and the sum in float adds less than that.
 */
static double loss_of(double told, double a, double b, const float *x0, const float *z, double *off)
{
    double sum = 0, most = 0;
    for (int d = 0; d < D; d++) {
        const double of_x0 = a * (double)x0[d], of_z = b * (double)z[d];
        sum += pow(told - of_x0 - of_z, 2) / D;
        most = fmax(most, fabs(told) + fabs(of_x0) + fabs(of_z));
    }
    *off = ldexp(most * most, -20);
    return sum;
}

static void train_once(rig *s, const struct law *law, int which)
{
    static const tw_objective_options options = {
        .batch = N, .global_batch = N, .precision = TW_PRECISION_F32};
    const tw_objective_step step = {.seed = 5, .step = 3, .count = N, .weight = 1.0 / N};
    const double *t, *loss;
    double again[N], a, b, off;
    float x0[N * D], z[N * D], xt[N * D];
    fill_normal(x0, 0, N * D);
    ok(tw_objective_create(&s->objective, s->m, &s->oc, &options));
    tw_objective_perturb(s->objective, &step, N, x0, again, z, xt);
    (void)tw_objective_run(s->objective, &step, x0);
    tw_objective_last(s->objective, &t, &loss);
    for (int i = 0; i < N; i++) {
        const char *name = s->m->prediction->kind.name;
        const double told = told_by(law, name, which, t[i]);
        target_of(s, law, t[i], &a, &b);
        const double wanted = loss_of(told, a, b, x0 + i * D, z + i * D, &off);
        if (!(fabs(loss[i] - wanted) <= off))
            fail_msg("%s, %s: at time %g the net '%s' should get %.9g: loss %.9g, not %.9g",
                     law->process, name, t[i], nets[which].kind.name, told, loss[i], wanted);
    }
}

static void training_tells_the_published_time(void **state)
{
    (void)state;
    static rig s;
    int met = 0;
    for (int l = 0; l < LAWS; l++)
        for (int p = 0; p < tw_prediction_kinds.count; p++)
            for (int which = 0; which < 3; which++) {
                const char *prediction = tw_prediction_kinds.table[p]->name;
                if (!has_net(&laws[l], which) || !set_up(&s, &laws[l], prediction, which, ""))
                    continue;
                train_once(&s, &laws[l], which);
                tear_down(&s);
                met++;
            }
    assert_true(met >= 2 * 8 * 8); /* nearly all go together */
}

/* ---- in sampling ---- */

/* The model's score, and what the network returned for it: the output itself is asked for. */
static tw_status listen(void *self, int64_t n, const float *x, const double *t,
                        const int64_t *index, float *score)
{
    rig *s = self;
    static float out[N * D];
    const tw_score *view = tw_model_score_view(s->score);
    assert_true(n <= N);
    ok(view->eval(view->self, n, x, t, index, score));
    ok(tw_model_score_quantity(s->score, TW_MODEL_OUTPUT, n, x, t, index, out));
    for (int64_t i = 1; i < n * D; i++) assert_true(out[i] == out[0]);
    /* the score is of the same output: s = (F stands for a x_0 + b z), by Tweedie's formula */
    const tw_model_view q = tw_model_view_at(s->m, t[0]);
    for (int64_t i = 0; i < n * D; i++) {
        const double of_x = q.score_x * (double)x[i], of_f = q.score_f * (double)out[0];
        assert_true(fabs((double)score[i] - of_x - of_f) <=
                    ldexp(fabs(of_x) + fabs(of_f), -21) + 1e-30);
    }
    assert_true(s->count < TOLD_MAX);
    s->t[s->count] = t[0];
    s->met[s->count++] = (double)out[0];
    return TW_OK;
}

/* All that the network is told, one evaluation after the other. */
static void sample_once(rig *s)
{
    const tw_sampler_options options = {.batch = N};
    static float x[N * D];
    ok(tw_model_score_create(&s->score, s->m, N, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    const tw_score heard = {.self = s, .dims = D, .eval = listen};
    ok(tw_sampler_create(&s->sampler, &s->sc, s->m->process, &heard, &options));
    ok(tw_sampler_run(s->sampler, 0, N, x));
}

/* Of float: the value is rounded once. */
static void expect_told(const rig *s, int k, double wanted)
{
    if (k >= s->count) fail_msg("only %d evaluations", s->count);
    if (!(fabs(s->met[k] - wanted) <= ldexp(fabs(wanted), -22) + 1e-12))
        fail_msg("%s, %s: evaluation %d at %.9g was told %.9g, not %.9g",
                 s->m->process->kind->kind.name, s->m->prediction->kind.name, k, s->t[k], s->met[k],
                 wanted);
}

static void sampling_tells_the_published_times_in_their_order(void **state)
{
    (void)state;
    static rig s;

    /* DDPM: T − 1 … 0; DDIM of every second step the same */
    assert_true(set_up(&s, &laws[0], "epsilon", 0, "kind = ancestral\n"));
    sample_once(&s);
    assert_int_equal(s.count, STEPS);
    for (int k = 0; k < STEPS; k++) expect_told(&s, k, STEPS - 1 - k);
    tear_down(&s);
    assert_true(set_up(&s, &laws[0], "epsilon", 2, "kind = ddim\ntimesteps = ddim4\n"));
    sample_once(&s);
    assert_int_equal(s.count, STEPS / 2);
    for (int k = 0; k < STEPS / 2; k++) expect_told(&s, k, STEPS - 2 - 2 * k);
    tear_down(&s);

    /* NCSN: label 0 is the largest level, three steps at each, and the last level again to denoise
     */
    assert_true(set_up(&s, &laws[1], "score", 2,
                       "kind = annealed_langevin\ncorrector_steps = 3\ndenoise = yes\n"));
    sample_once(&s);
    assert_int_equal(s.count, 3 * STEPS + 1);
    for (int k = 0; k < 3 * STEPS; k++) expect_told(&s, k, k / 3);
    expect_told(&s, 3 * STEPS, STEPS - 1);
    tear_down(&s);

    /* VP by Euler–Maruyama: 999 t from 1 to 1e-3; VE's networks of log σ by reverse diffusion */
    assert_true(
        set_up(&s, &laws[3], "epsilon", 0, "kind = euler_maruyama\nsteps = 10\ndenoise = no\n"));
    sample_once(&s);
    for (int k = 0; k < 9; k++) expect_told(&s, k, 999 * (1 - 0.999 * k / 9));
    tear_down(&s);
    assert_true(set_up(&s, &laws[5], "score_sigma", 1,
                       "kind = pc\ncorrector = none\nsteps = 10\nepsilon = 1e-5\ndenoise = no\n"));
    sample_once(&s);
    for (int k = 0; k < 9; k++)
        expect_told(&s, k, log(0.01) + log(5000) * (1 - (1 - 1e-5) * k / 9));
    tear_down(&s);

    /* EDM: ln(σ_i) / 4, σ_i = (80^{1/7} + i/4 (0.002^{1/7} − 80^{1/7}))^7, each but the first twice
     */
    assert_true(set_up(&s, &laws[6], "edm", 0, "kind = heun\nsteps = 5\n"));
    sample_once(&s);
    assert_int_equal(s.count, 2 * 5 - 1);
    for (int k = 0; k < 9; k++) {
        const double first = pow(80, 1.0 / 7), last = pow(0.002, 1.0 / 7);
        const int level = (k + 1) / 2;
        expect_told(&s, k, log(pow(first + level / 4.0 * (last - first), 7)) / 4);
    }
    tear_down(&s);
}

/* Whatever the sampler visits, its network is told what the formula says of that time: each process
 * with its own sampler, each prediction. */
static void every_sampler_of_a_process_tells_the_formula_s_time(void **state)
{
    (void)state;
    static rig s;
    for (int l = 0; l < LAWS; l++)
        for (int p = 0; p < tw_prediction_kinds.count; p++)
            for (int which = 0; which < 3; which++) {
                const char *prediction = tw_prediction_kinds.table[p]->name,
                           *few = strcmp(laws[l].process, "flow") == 0
                                      ? "solver = rk4\node_steps = 3\n"
                                  : laws[l].discrete ? "corrector_steps = 1\n"
                                                     : "steps = 5\n";
                if (!has_net(&laws[l], which) || strcmp(prediction, "score") == 0) continue;
                if (!set_up(&s, &laws[l], prediction, which,
                            strcmp(laws[l].process, "ladder") != 0 && laws[l].discrete ? "" : few))
                    continue;
                sample_once(&s);
                assert_true(s.count > 0);
                for (int k = 0; k < s.count; k++)
                    expect_told(&s, k, told_by(&laws[l], prediction, which, s.t[k]));
                tear_down(&s);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_tells_the_published_time),
        cmocka_unit_test(sampling_tells_the_published_times_in_their_order),
        cmocka_unit_test(every_sampler_of_a_process_tells_the_formula_s_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
