/* Classifiers of samples with noise, against a slow reference in double: one hidden layer of tanh,
 * z = W2 tanh(W1 c x_t + b1) + b2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "objective/objective_fixture.h"

enum { DIMS = 3, WIDTH = 5, K = 4 };

#define NET                                                                                        \
    "[network]\nkind = mlp_classifier\nwidth = 5\ndepth = 1\ntime_dim = 0\nactivation = tanh\n"    \
    "classes = 4\n"
#define CLASSIFY "[objective]\nkind = classify\n"
#define VP "[process]\nkind = vp\n"
#define EDM "[process]\nkind = edm\n[prediction]\nkind = edm\n"

static const int32_t label[N] = {0, 1, 2, 3, 3, 2, 1, 0, 2, 2, 1, 3};

/* The reference's parameters, or their gradient. */
typedef struct reference {
    double w1[WIDTH][DIMS], b1[WIDTH], w2[K][WIDTH], b2[K];
} reference;

static void load(double *out, const tw_params *p, const float *from, const char *name)
{
    const tw_param_view *v = tw_params_find(p, name);
    assert_non_null(v);
    for (int64_t k = 0; k < v->count; k++) out[k] = (double)from[v->offset + k];
}

static void load_all(reference *r, const tw_params *p, const float *from)
{
    load(&r->w1[0][0], p, from, "hidden.0.linear.weight");
    load(r->b1, p, from, "hidden.0.linear.bias");
    load(&r->w2[0][0], p, from, "out.weight");
    load(r->b2, p, from, "out.bias");
}

/* −log softmax(z / T)[y]; adds `weight` times its gradient by the parameters to g, and that by c x
 * to gx. @return the loss; *best: the largest logit */
static double backward(const reference *r, const double *cx, int y, double temperature,
                       double weight, reference *g, double *gx, int *best)
{
    double h[WIDTH], z[K], top = -INFINITY, sum = 0, gh[WIDTH] = {0};
    for (int j = 0; j < WIDTH; j++) {
        h[j] = r->b1[j];
        for (int d = 0; d < DIMS; d++) h[j] += r->w1[j][d] * cx[d];
        h[j] = tanh(h[j]);
    }
    for (int k = 0; k < K; k++) {
        z[k] = r->b2[k];
        for (int j = 0; j < WIDTH; j++) z[k] += r->w2[k][j] * h[j];
        z[k] /= temperature;
        if (z[k] > top) *best = k;
        top = fmax(top, z[k]);
    }
    for (int k = 0; k < K; k++) sum += exp(z[k] - top);
    for (int k = 0; k < K; k++) {
        const double gz = (exp(z[k] - top) / sum - (k == y)) * weight / temperature;
        g->b2[k] += gz;
        for (int j = 0; j < WIDTH; j++) {
            g->w2[k][j] += gz * h[j];
            gh[j] += gz * r->w2[k][j] * (1 - h[j] * h[j]);
        }
    }
    for (int j = 0; j < WIDTH; j++) {
        g->b1[j] += gh[j];
        for (int d = 0; d < DIMS; d++) {
            g->w1[j][d] += gh[j] * cx[d];
            gx[d] += gh[j] * r->w1[j][d];
        }
    }
    return top + log(sum) - z[y];
}

static void near(double met, double wanted)
{
    if (!(fabs(met - wanted) <= 2e-6 * (1 + fabs(wanted))))
        fail_msg("met %.9g, wanted %.9g", met, wanted);
}

/* One step of this process: loss, hits, and all parameters' gradients. */
static void hold_step(const char *text)
{
    rig r;
    double t[N], wanted = 0;
    float z[N * DIMS], xt[N * DIMS];
    reference p, g = {0}, met;
    const double *time, *loss;
    ok(make_rig(&r, text, TW_SHAPE(DIMS), NULL));
    move_parameters(&r);
    const tw_objective_step step = {
        .seed = 5, .step = 3, .count = N, .weight = 1.0 / N, .label = label};
    tw_objective_refresh(r.objective);
    const double sum = tw_objective_run(r.objective, &step, r.x0);
    tw_objective_last(r.objective, &time, &loss);
    tw_objective_perturb(r.objective, &step, N, r.x0, t, z, xt);
    const bool *hit = tw_objective_hits(r.objective);
    load_all(&p, r.m->params, r.m->params->value);
    for (int i = 0; i < N; i++) {
        int best = -1;
        double cx[DIMS], gx[DIMS] = {0};
        for (int d = 0; d < DIMS; d++)
            cx[d] = tw_model_view_at(r.m, t[i]).input * (double)xt[i * DIMS + d];
        const double one = backward(&p, cx, label[i], 1, 1.0 / N, &g, gx, &best);
        near(loss[i], one);
        assert_int_equal(hit[i], best == label[i]);
        wanted += one / N;
    }
    near(sum, wanted);
    load_all(&met, r.m->params, r.gradient);
    for (size_t k = 0; k < sizeof g / sizeof(double); k++)
        near(((const double *)&met)[k], ((const double *)&g)[k]);
    release(&r);
}

static void loss_hits_and_gradient_are_those_of_the_reference(void **state)
{
    (void)state;
    hold_step(NET CLASSIFY VP);
    hold_step(NET CLASSIFY EDM);
}

/* What guides: log p(y | x) and its gradient by x, at a temperature, in batches that are not full.
 */
static void a_classifier_as_a_factor_is_that_of_the_reference(void **state)
{
    (void)state;
    static const char *const texts[] = {NET CLASSIFY VP, NET CLASSIFY EDM};
    for (int c = 0; c < 2; c++) {
        rig r;
        reference p, unused = {0};
        tw_model_factor *f = NULL;
        float gradient[N * DIMS];
        double t[N], log_p[N];
        ok(make_rig(&r, texts[c], TW_SHAPE(DIMS), NULL));
        move_parameters(&r);
        ok(tw_model_factor_create(&f, r.m, "digest", 5, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
        const tw_log_factor *view = tw_model_factor_view(f);
        assert_true(view->classifier && view->classes == K && view->dims == DIMS);
        for (int i = 0; i < N; i++) t[i] = 0.05 + 0.07 * i;
        ok(view->eval(view->self, N, r.x0, t, label, 1.5, gradient, log_p));
        load_all(&p, r.m->params, r.m->params->value);
        for (int i = 0; i < N; i++) {
            int best;
            const double scale = tw_model_view_at(r.m, t[i]).input;
            double cx[DIMS], gx[DIMS] = {0};
            for (int d = 0; d < DIMS; d++) cx[d] = scale * (double)r.x0[i * DIMS + d];
            near(log_p[i], -backward(&p, cx, label[i], 1.5, 1, &unused, gx, &best));
            for (int d = 0; d < DIMS; d++) near((double)gradient[i * DIMS + d], -scale * gx[d]);
        }
        tw_model_factor_destroy(&f);
        release(&r);
    }
}

/* −E, and its gradient: the model's own score. */
static void an_energy_as_a_factor_has_the_score_for_its_gradient(void **state)
{
    (void)state;
    tw_config *config;
    tw_model_factor *f = NULL;
    tw_model_score *s = NULL;
    float x[N * DIMS], score[N * DIMS], gradient[N * DIMS];
    double t[N], energy[N], factor[N];
    int64_t index[N];
    tw_model *m = make_model(&config, MLP VP "[prediction]\nkind = energy\n", TW_SHAPE(DIMS));
    ok(tw_model_factor_create(&f, m, "digest", 4, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    ok(tw_model_score_create(&s, m, 4, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    fill_normal(x, 3, N * DIMS);
    for (int i = 0; i < N; i++) {
        t[i] = 0.1 + 0.07 * i;
        index[i] = i;
    }
    const tw_log_factor *view = tw_model_factor_view(f);
    const tw_score *own = tw_model_score_view(s);
    ok(view->eval(view->self, N, x, t, NULL, 2, gradient, factor));
    ok(own->eval_energy(own->self, N, x, t, index, score, energy));
    for (int i = 0; i < N; i++) near(factor[i], -energy[i] / 2);
    for (int k = 0; k < N * DIMS; k++) near((double)gradient[k], (double)score[k] / 2);
    tw_model_factor_destroy(&f);
    tw_model_score_destroy(&s);
    destroy_model(&m, &config);
}

static void what_does_not_go_together_is_refused_with_what_would(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {MLP "classes = 4\n" CLASSIFY VP, "mlp_classifier"},
        {NET VP, "objective.kind = classify"},
        {NET "label_dropout = 0.1\n" CLASSIFY VP, "network.label_dropout"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        rig r;
        assert_int_equal(make_rig(&r, bad[k].text, TW_SHAPE(DIMS), NULL), TW_ECONFIG);
        if (!strstr(tw_error_message(), bad[k].says))
            fail_msg("'%s' does not say %s", tw_error_message(), bad[k].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_hits_and_gradient_are_those_of_the_reference),
        cmocka_unit_test(a_classifier_as_a_factor_is_that_of_the_reference),
        cmocka_unit_test(an_energy_as_a_factor_has_the_score_for_its_gradient),
        cmocka_unit_test(what_does_not_go_together_is_refused_with_what_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
