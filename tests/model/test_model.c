/* One network seen twice, as noise prediction and as score; its vector-Jacobian product; and what
 * it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "model/model_fixture.h"

enum { T = 50, N = 5, BATCH = 4, DIMS_MAX = 8 * 8 * 2 };

/* A model with inputs at N times. */
typedef struct setting {
    tw_config *config;
    tw_model *m;
    tw_model_score *score;
    const tw_score *view;
    int64_t dims;
    float x[N * DIMS_MAX], v[N * DIMS_MAX];
    double t[N];
    int64_t index[N];
} setting;

static void set_up(setting *s, const char *text, tw_shape sample)
{
    *s = (setting){0};
    s->m = make_model(&s->config, text, sample);
    s->dims = s->m->dims;
    ok(tw_model_score_create(&s->score, s->m, BATCH, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    s->view = tw_model_score_view(s->score);
    fill_normal(s->x, 0, N * s->dims);
    fill_normal(s->v, 1, N * s->dims);
    for (int i = 0; i < N; i++) {
        s->t[i] = (double)((i * 17 + 3) % s->m->process->steps);
        s->index[i] = 100 + i;
    }
}

static void tear_down(setting *s)
{
    tw_model_score_destroy(&s->score);
    destroy_model(&s->m, &s->config);
}

static const char *const ddpm = "[process]\nkind = ddpm\ntimesteps = 50\n";

static const char *with(char out[512], const char *network, const char *objective)
{
    snprintf(out, 512, "%s%s", network, objective);
    return out;
}

/* ᾱ_t of the linear schedule, by its definition: β from 1e-4 to 0.02 in units of 1000 steps. */
static double alphabar(int64_t t)
{
    double product = 1;
    for (int64_t s = 0; s <= t; s++)
        product *= 1 - (1e-4 + (0.02 - 1e-4) * (double)s / (T - 1)) * 1000 / T;
    return product;
}

static void the_score_is_the_noise_divided_by_minus_sigma(void **state)
{
    (void)state;
    static const struct {
        const char *network;
        tw_shape sample;
    } cases[] = {{MLP, {.rank = 1, .dims = {3}}}, {UNET, {.rank = 3, .dims = {8, 4, 2}}}};
    static float noise[N * DIMS_MAX], score[N * DIMS_MAX];
    char text[512];
    setting s;
    for (int c = 0; c < 2; c++) {
        set_up(&s, with(text, cases[c].network, ddpm), cases[c].sample);
        ok(tw_model_score_quantity(s.score, TW_MODEL_NOISE, N, s.x, s.t, s.index, noise));
        ok(s.view->eval(s.view->self, N, s.x, s.t, s.index, score));
        double size = 0;
        for (int64_t i = 0; i < N; i++) {
            const double sigma = sqrt(1 - alphabar((int64_t)s.t[i]));
            for (int64_t k = i * s.dims; k < (i + 1) * s.dims; k++) {
                assert_true(fabs((double)score[k] + (double)noise[k] / sigma) <=
                            2e-7 * fabs((double)score[k]));
                size += fabs((double)noise[k]);
            }
        }
        assert_true(size / (double)(N * s.dims) > 0.05); /* there is something to compare */
        tear_down(&s);
    }
}

static void the_one_step_denoiser_has_one_time_and_its_own_sigma(void **state)
{
    (void)state;
    static float noise[N * DIMS_MAX], score[N * DIMS_MAX];
    char text[512];
    setting s;
    set_up(&s, with(text, MLP, "[process]\nkind = single\nscale = 0.01\nsigma = 2\n"), TW_SHAPE(2));
    assert_int_equal(s.m->process->steps, 1);
    assert_true(tw_process_alpha(s.m->process, 0) == 0.01 &&
                tw_process_sigma(s.m->process, 0) == 2);
    ok(tw_model_score_quantity(s.score, TW_MODEL_NOISE, N, s.x, s.t, s.index, noise));
    ok(s.view->eval(s.view->self, N, s.x, s.t, s.index, score));
    for (int64_t k = 0; k < N * s.dims; k++) assert_true(score[k] == -0.5f * noise[k]);
    tear_down(&s);
}

static void a_score_does_not_depend_on_what_it_is_computed_with(void **state)
{
    (void)state;
    static float all[N * DIMS_MAX], one[DIMS_MAX];
    char text[512];
    setting s;
    set_up(&s, with(text, UNET, ddpm), TW_SHAPE(8, 8, 2));
    ok(s.view->eval(s.view->self, N, s.x, s.t, s.index, all));
    for (int64_t i = 0; i < N; i++) {
        ok(s.view->eval(s.view->self, 1, s.x + i * s.dims, s.t + i, s.index + i, one));
        assert_memory_equal(one, all + i * s.dims, (size_t)s.dims * sizeof *one);
    }
    ok(s.view->eval(s.view->self, 0, s.x, s.t, s.index, one)); /* of nothing, nothing */
    tear_down(&s);
}

/* vᵀ s(x) at x + h d of sample i, in double. */
static double along(const setting *s, int64_t i, const float *d, double h)
{
    static float x[DIMS_MAX], out[DIMS_MAX];
    double sum = 0;
    for (int64_t k = 0; k < s->dims; k++)
        x[k] = (float)((double)s->x[i * s->dims + k] + h * (double)d[k]);
    ok(s->view->eval(s->view->self, 1, x, s->t + i, s->index + i, out));
    for (int64_t k = 0; k < s->dims; k++) sum += (double)s->v[i * s->dims + k] * (double)out[k];
    return sum;
}

/* Central differences with step h have an error of h² from the third derivative and 6e-8 / h from
 * rounding; h = 0.01 keeps both of order 1e-5, relative to the size of vᵀ s. */
static void vector_jacobian_products_are_slopes_of_the_score(void **state)
{
    (void)state;
    static const struct {
        const char *network;
        tw_shape sample;
    } cases[] = {{MLP, {.rank = 1, .dims = {3}}}, {UNET, {.rank = 3, .dims = {8, 8, 2}}}};
    static float score[N * DIMS_MAX], again[N * DIMS_MAX], vjp[N * DIMS_MAX], d[DIMS_MAX];
    const double h = 0.01;
    char text[512];
    setting s;
    for (int c = 0; c < 2; c++) {
        set_up(&s, with(text, cases[c].network, ddpm), cases[c].sample);
        ok(s.view->eval(s.view->self, N, s.x, s.t, s.index, score));
        ok(s.view->vjp(s.view->self, N, s.x, s.t, s.index, s.v, again, vjp));
        for (int64_t k = 0; k < N * s.dims; k++)
            assert_true(fabsf(again[k] - score[k]) <= 1e-5f * (1 + fabsf(score[k])));
        ok(s.view->vjp(s.view->self, N, s.x, s.t, s.index, s.v, NULL, again));
        assert_memory_equal(again, vjp, (size_t)(N * s.dims) * sizeof *vjp);
        for (int64_t i = 0; i < N; i++) {
            double slope = 0, size = 0;
            fill_normal(d, 10 + i, s.dims);
            for (int64_t k = 0; k < s.dims; k++)
                slope += (double)vjp[i * s.dims + k] * (double)d[k];
            for (int64_t k = 0; k < s.dims; k++)
                size += fabs((double)vjp[i * s.dims + k] * (double)d[k]);
            const double wanted = (along(&s, i, d, h) - along(&s, i, d, -h)) / (2 * h);
            if (fabs(slope - wanted) > 2e-3 * size)
                fail_msg("case %d, sample %d: %g met, %g wanted", c, (int)i, slope, wanted);
            assert_true(size > 0.01);
        }
        tear_down(&s);
    }
}

static void times_that_are_no_index_are_refused(void **state)
{
    (void)state;
    static const double bad[] = {-1, T, 0.5, NAN, INFINITY};
    static float out[N * DIMS_MAX];
    char text[512];
    setting s;
    set_up(&s, with(text, MLP, ddpm), TW_SHAPE(2));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        s.t[N - 1] = bad[i];
        assert_int_equal(s.view->eval(s.view->self, N, s.x, s.t, s.index, out), TW_EDATA);
        assert_int_equal(s.view->vjp(s.view->self, N, s.x, s.t, s.index, s.v, NULL, out), TW_EDATA);
        assert_non_null(strstr(tw_error_message(), "expected an index of 0 to 49"));
    }
    tear_down(&s);
}

static void changed_parameters_count_after_a_refresh(void **state)
{
    (void)state;
    static float before[N * DIMS_MAX], after[N * DIMS_MAX], vjp[N * DIMS_MAX],
        changed[N * DIMS_MAX];
    char text[512];
    setting s;
    set_up(&s, with(text, UNET, ddpm), TW_SHAPE(8, 8, 2));
    ok(s.view->vjp(s.view->self, N, s.x, s.t, s.index, s.v, before, vjp));
    for (int64_t k = 0; k < s.m->params->trainable; k++) s.m->params->value[k] *= 1.1f;
    tw_model_score_refresh(s.score);
    ok(s.view->vjp(s.view->self, N, s.x, s.t, s.index, s.v, after, changed));
    assert_memory_not_equal(before, after, sizeof before);
    ok(s.view->eval(s.view->self, N, s.x, s.t, s.index, before));
    for (int64_t k = 0; k < N * s.dims; k++)
        assert_true(fabsf(before[k] - after[k]) <= 1e-5f * (1 + fabsf(after[k])));
    tear_down(&s);
}

static void models_that_do_not_fit_are_refused_by_the_key(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
        tw_shape sample;
    } cases[] = {
        {MLP, "network.kind: mlp wants points", {.rank = 3, .dims = {8, 8, 1}}},
        {UNET,
         "network.kind: a U-Net is for signals, images and volumes",
         {.rank = 1, .dims = {2}}},
        {UNET, "the sides of [9, 8, 1] are no multiples of 2", {.rank = 3, .dims = {9, 8, 1}}},
        {MLP "[process]\nschedule = quartic\n",
         "process.schedule: there is no \"quartic\"",
         {.rank = 1, .dims = {2}}},
        {MLP "[process]\ntimesteps = 10\n",
         "process.schedule: beta[",
         {.rank = 1, .dims = {2}}}, /* 0.02 · 100 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_config *config = NULL;
        tw_model *m = NULL;
        ok(tw_config_create(&config));
        ok(tw_config_parse(config, cases[i].text, (int64_t)strlen(cases[i].text), "test"));
        ok(tw_model_configure(&m, config));
        ok(tw_config_finish(config));
        assert_int_equal(tw_model_create(m, cases[i].sample, 1), TW_ECONFIG);
        if (!strstr(tw_error_message(), cases[i].message))
            fail_msg("%s: not '%s'", tw_error_message(), cases[i].message);
        destroy_model(&m, &config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_score_is_the_noise_divided_by_minus_sigma),
        cmocka_unit_test(the_one_step_denoiser_has_one_time_and_its_own_sigma),
        cmocka_unit_test(a_score_does_not_depend_on_what_it_is_computed_with),
        cmocka_unit_test(vector_jacobian_products_are_slopes_of_the_score),
        cmocka_unit_test(times_that_are_no_index_are_refused),
        cmocka_unit_test(changed_parameters_count_after_a_refresh),
        cmocka_unit_test(models_that_do_not_fit_are_refused_by_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
