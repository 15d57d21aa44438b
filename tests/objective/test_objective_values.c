/* What objectives are equal to: closed forms of linear scores, the published bound computed slowly
 * in double, each other in expectation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <stdio.h>

#include "objective/objective_fixture.h"

#define SINGLE "[network]\nkind = mlp\n[process]\nkind = single\nsigma = 0.5\n[prediction]\nkind = "
#define CLEAN(objective) SINGLE "score\n[objective]\nclean = yes\nkind = " objective "\n"

/* ---- score matching of linear scores ---- */

/* s = W x + b, of which everything is known. */
static tw_status fits(const void *config, tw_shape sample)
{
    (void)config;
    return sample.rank == 1 ? TW_OK : TW_ECONFIG;
}

static tw_value *linear(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const int64_t d = in->sample.dims[0];
    (void)config;
    return tw_cast(g,
                   tw_linear(g, tw_cast(g, in->x, TW_ACT),
                             tw_param(g, "w", TW_SHAPE(d, d), tw_init_fan_in(d)),
                             tw_param(g, "b", TW_SHAPE(d), tw_init_fan_in(d))),
                   TW_F32);
}

static const tw_net net_linear = {.kind = {"linear"}, .check = fits, .build = linear};

enum { D = 2 };

static float *parameter(rig *r, const char *name)
{
    return r->m->params->value + tw_params_find(r->m->params, name)->offset;
}

/* Data that are correlated and off the origin. */
static void make_data(rig *r)
{
    for (int i = 0; i < N; i++) {
        const float a = r->x0[D * i], b = r->x0[D * i + 1];
        r->x0[D * i] = 0.5f + a;
        r->x0[D * i + 1] = -0.2f + 0.6f * a + 0.5f * b;
    }
}

static void moments(const rig *r, double mean[D], double s[D][D])
{
    memset(mean, 0, D * sizeof *mean);
    memset(s, 0, D * D * sizeof **s);
    for (int i = 0; i < N; i++)
        for (int d = 0; d < D; d++) mean[d] += (double)r->x0[D * i + d] / N;
    for (int i = 0; i < N; i++)
        for (int d = 0; d < D; d++)
            for (int e = 0; e < D; e++)
                s[d][e] +=
                    ((double)r->x0[D * i + d] - mean[d]) * ((double)r->x0[D * i + e] - mean[e]) / N;
}

static void exact_of_a_linear_score_is_its_closed_form(void **state)
{
    static rig r;
    double want = 0;
    (void)state;
    ok(make_rig(&r, CLEAN("exact"), TW_SHAPE(D), &net_linear));
    make_data(&r);
    const float *w = parameter(&r, "w"), *b = parameter(&r, "b");
    for (int i = 0; i < N; i++)
        for (int d = 0; d < D; d++) {
            const double s = (double)w[D * d] * (double)r.x0[D * i] +
                             (double)w[D * d + 1] * (double)r.x0[D * i + 1] + (double)b[d];
            want += ((double)w[D * d + d] + 0.5 * s * s) / N;
        }
    assert_true(fabs(run_step(&r, 0) - want) <= 1e-6 * (1 + fabs(want)));
    release(&r);
}

/* At W = −Σ⁻¹, b = Σ⁻¹ μ the gradient is zero, and the loss is −½ tr Σ⁻¹. */
static void the_optimum_of_exact_is_the_score_of_the_gaussian(void **state)
{
    static rig r;
    double mean[D], s[D][D];
    (void)state;
    ok(make_rig(&r, CLEAN("exact"), TW_SHAPE(D), &net_linear));
    make_data(&r);
    moments(&r, mean, s);
    const double det = s[0][0] * s[1][1] - s[0][1] * s[1][0];
    const double inverse[D][D] = {{s[1][1] / det, -s[0][1] / det}, {-s[1][0] / det, s[0][0] / det}};
    for (int d = 0; d < D; d++) {
        parameter(&r, "b")[d] = (float)(inverse[d][0] * mean[0] + inverse[d][1] * mean[1]);
        for (int e = 0; e < D; e++) parameter(&r, "w")[D * d + e] = -(float)inverse[d][e];
    }
    const double loss = run_step(&r, 0), want = -0.5 * (inverse[0][0] + inverse[1][1]);
    assert_true(fabs(loss - want) <= 1e-5 * fabs(want));
    for (int64_t i = 0; i < r.trainable; i++) assert_true(fabsf(r.gradient[i]) < 2e-5f);
    release(&r);
}

/* Over many probes the mean is the exact loss within five standard errors; with the norm itself and
 * Rademacher probes, whose squares are all 1, the spread is least. */
static void sliced_agrees_with_exact_in_expectation(void **state)
{
    enum { REPEATS = 400 };
    static const char *const probes[] = {"rademacher", "gaussian", "sphere"};
    static rig r;
    char text[512];
    (void)state;
    ok(make_rig(&r,
                "[network]\nkind = mlp\nwidth = 8\ndepth = 1\n[process]\nkind = single\n"
                "[prediction]\nkind = score\n[objective]\nclean = yes\nkind = exact\n",
                TW_SHAPE(3), NULL));
    move_parameters(&r);
    const double want = run_step(&r, 0);
    release(&r);
    for (int k = 0; k < 6; k++) {
        double sum = 0, squares = 0;
        snprintf(text, sizeof text,
                 "[network]\nkind = mlp\nwidth = 8\ndepth = 1\n[process]\nkind = single\n"
                 "[prediction]\nkind = score\n[objective]\nclean = yes\nkind = sliced\n"
                 "probe = %s\nvariance_reduced = %s\nprojections = %d\n",
                 probes[k / 2], k % 2 ? "yes" : "no", 1 + k % 3);
        ok(make_rig(&r, text, TW_SHAPE(3), NULL));
        move_parameters(&r);
        for (int i = 0; i < REPEATS; i++) {
            const double loss = run_step(&r, i);
            sum += loss / REPEATS;
            squares += loss * loss / REPEATS;
        }
        const double error = sqrt(fmax(squares - sum * sum, 0) / REPEATS);
        if (!(fabs(sum - want) <= 5 * error + 1e-5))
            fail_msg("%s: %g +- %g met, %g wanted", text, sum, error, want);
        release(&r);
    }
}

/* ---- EDM ---- */

/* Karras et al. 2022, table 1, with c_skip, c_out and c_in written out. */
static void edm_is_the_published_loss(void **state)
{
    static rig r;
    double t[N], want = 0;
    float z[2 * N], xt[2 * N], f[2 * N];
    const int64_t index[N] = {0};
    tw_model_score *score = NULL;
    (void)state;
    ok(make_rig(&r,
                MLP "[process]\nkind = edm\n[objective]\nweighting = edm\ntimes = lognormal\n"
                    "reduce = sum\n",
                TW_SHAPE(2), NULL));
    move_parameters(&r);
    const double met = run_step(&r, 3);
    const tw_objective_step step = {.seed = 5, .step = 3, .count = N, .weight = 1};
    tw_objective_perturb(r.objective, &step, N, r.x0, t, z, xt);
    ok(tw_model_score_create(&score, r.m, N, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    ok(tw_model_score_quantity(score, TW_MODEL_OUTPUT, N, xt, t, index, f));
    for (int i = 0; i < 2 * N; i++) {
        const double sigma = t[i / 2], s = 0.5, sum = sigma * sigma + s * s;
        const double d = s * s / sum * (double)xt[i] + sigma * s / sqrt(sum) * (double)f[i];
        want += sum / (sigma * s * sigma * s) * pow(d - (double)r.x0[i], 2) / N;
    }
    if (!(fabs(met - want) <= 1e-4 * want)) fail_msg("%g met, %g wanted", met, want);
    tw_model_score_destroy(&score);
    release(&r);
}

/* ---- the variational bound ---- */

/* T = 4: β = 0.1 … 0.5. */
enum { T = 4 };
#define FOUR "[process]\ntimesteps = 4\nbeta_min = 0.0004\nbeta_max = 0.002\n"

static double bar(int t)
{
    double product = 1;
    for (int k = 0; k <= t; k++) product *= 1 - (0.1 + 0.4 * k / (T - 1));
    return t < 0 ? 1 : product;
}

static double beta_of(int t)
{
    return 0.1 + 0.4 * t / (T - 1);
}

static double posterior_variance(int t)
{
    return beta_of(t) * (1 - bar(t - 1)) / (1 - bar(t));
}

static double cdf(double u)
{
    return 0.5 * (1 + tanh(sqrt(2 / M_PI) * (u + 0.044715 * u * u * u)));
}

static double log_level(double x, double mean, double log_std)
{
    const double inv = exp(-log_std), above = cdf((x - mean + 1.0 / 255) * inv),
                 below = cdf((x - mean - 1.0 / 255) * inv);
    const double p = x < -0.999 ? above : x > 0.999 ? 1 - below : above - below;
    return log(fmax(p, 1e-12));
}

/* One dimension's term in nats, as improved-diffusion writes it. v: NAN where variances are fixed.
 */
static double term(int t, double x0, double xt, double mean_x0, double v, bool large, bool levels)
{
    const double small = log(posterior_variance(t > 0 ? t : 1));
    const double log_variance = !isnan(v) ? 0.5 * (v + 1) * log(beta_of(t)) + 0.5 * (1 - v) * small
                                : large && t > 0 ? log(beta_of(t))
                                                 : small;
    if (t == 0 && levels) return -log_level(x0, mean_x0, 0.5 * log_variance);
    if (t == 0)
        return 0.5 * (log(2 * M_PI) + log_variance + pow(x0 - mean_x0, 2) / exp(log_variance));
    const double c1 = beta_of(t) * sqrt(bar(t - 1)) / (1 - bar(t)),
                 c2 = (1 - bar(t - 1)) * sqrt(1 - beta_of(t)) / (1 - bar(t));
    const double of_q = c1 * x0 + c2 * xt, of_p = c1 * mean_x0 + c2 * xt;
    return 0.5 * (-1 + log_variance - small + exp(small - log_variance) +
                  pow(of_q - of_p, 2) * exp(-log_variance));
}

typedef struct looked {
    double t[N];
    float z[X_MAX], xt[X_MAX], x0[X_MAX], f[X_MAX], v[X_MAX], score[X_MAX];
    int64_t index[N];
} looked;

/* What the model says of the objective's samples of step 3. */
static void look(rig *r, looked *l)
{
    const tw_objective_step step = {.seed = 5, .step = 3, .count = N, .weight = 1};
    tw_model_score *score = NULL;
    tw_objective_perturb(r->objective, &step, N, r->x0, l->t, l->z, l->xt);
    ok(tw_model_score_create(&score, r->m, N, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    ok(tw_model_score_quantity(score, TW_MODEL_X0, N, l->xt, l->t, l->index, l->x0));
    ok(tw_model_score_quantity(score, TW_MODEL_OUTPUT, N, l->xt, l->t, l->index, l->f));
    const tw_score *s = tw_model_score_view(score);
    if (s->eval_variance) ok(s->eval_variance(s->self, N, l->xt, l->t, l->index, l->score, l->v));
    tw_model_score_destroy(&score);
}

static double bound(const rig *r, const looked *l, bool large)
{
    const int64_t dims = r->m->dims;
    const bool learned = r->m->variance == TW_VARIANCE_LEARNED_RANGE;
    double sum = 0;
    for (int64_t i = 0; i < N * dims; i++)
        sum += term((int)l->t[i / dims], (double)r->x0[i], (double)l->xt[i], (double)l->x0[i],
                    learned ? (double)l->v[i] : NAN, large, r->m->sample.rank == 3);
    return sum / (N * (double)dims * M_LN2);
}

static void the_bound_is_the_published_one(void **state)
{
    static const char *const predictions[] = {"epsilon", "x0", "v", "mean"};
    static rig r;
    static looked l;
    char text[1024];
    (void)state;
    for (int k = 0; k < 16; k++) {
        const bool image = k % 4 == 0, learned = k / 4 % 2, large = k / 8;
        snprintf(text, sizeof text,
                 "%s" FOUR "[prediction]\nkind = %s\nvariance = %s\n[objective]\nkind = "
                 "variational\nfixed_variance = %s\nrescaled = %s\ndecoder = %s\n",
                 image ? UNET "dropout = 0\n" : MLP, predictions[(k + k / 4) % 4],
                 learned ? "learned_range" : "fixed", large ? "large" : "small",
                 k % 3 ? "yes" : "no", image ? "discretised" : "gaussian");
        ok(make_rig(&r, text, image ? TW_SHAPE(8, 8, 2) : TW_SHAPE(3), NULL));
        move_parameters(&r);
        if (image) make_levels(&r, 100);
        const double met = run_step(&r, 3);
        look(&r, &l);
        const double want = (k % 3 ? T : 1) * bound(&r, &l, large);
        if (!(fabs(met - want) <= 2e-5 * (1 + fabs(want))))
            fail_msg("%s: %.9g met, %.9g wanted", text, met, want);
        release(&r);
    }
}

/* The last bias: its entries of the mean have the gradient of the squared error alone, 2 (F − F*) /
 * D, however much the bound weighs; the loss is the sum of both. */
static void the_mean_of_the_hybrid_learns_by_the_squared_error(void **state)
{
    static rig r;
    static looked l;
    (void)state;
    ok(make_rig(&r,
                MLP FOUR "[prediction]\nvariance = learned_range\n[objective]\nkind = hybrid\n"
                         "vlb_weight = 10\ndecoder = gaussian\n",
                TW_SHAPE(3), NULL));
    move_parameters(&r);
    const double met = run_step(&r, 3);
    look(&r, &l);
    double want[3] = {0}, simple = 0, variance = 0;
    for (int i = 0; i < 3 * N; i++) { /* epsilon: F* = z */
        const double error = (double)l.f[i] - (double)l.z[i];
        want[i % 3] += 2 * error / (3 * N);
        simple += error * error / (3 * N);
    }
    const float *bias = r.gradient + tw_params_find(r.m->params, "out.bias")->offset;
    for (int d = 0; d < 3; d++) {
        assert_true(fabs((double)bias[d] - want[d]) <= 1e-6);
        variance += fabs((double)bias[3 + d]);
    }
    assert_true(variance > 1e-3);
    const double both = simple + 10 * T * bound(&r, &l, false);
    assert_true(fabs(met - both) <= 1e-5 * fabs(both));
    release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_of_a_linear_score_is_its_closed_form),
        cmocka_unit_test(the_optimum_of_exact_is_the_score_of_the_gaussian),
        cmocka_unit_test(sliced_agrees_with_exact_in_expectation),
        cmocka_unit_test(edm_is_the_published_loss),
        cmocka_unit_test(the_bound_is_the_published_one),
        cmocka_unit_test(the_mean_of_the_hybrid_learns_by_the_squared_error),
    };
    omp_set_num_threads(1); /* thousands of tiny steps */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
