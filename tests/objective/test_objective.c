/* The objective: times and noise are functions of the position alone, x_t has the moments of q(x_t
 * | x_0), and loss and gradients are those of the mean over the batch however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "model/model_fixture.h"
#include "tweedie/objective.h"

enum { N = 12, DIMS_MAX = 8 * 8 * 2 };

typedef struct setting {
    tw_config *config;
    tw_model *m;
    tw_objective_config oc;
    tw_objective *objective;
    float x0[N * DIMS_MAX];
    double sum;
    float *gradient;
} setting;

static void set_up(setting *s, const char *text, tw_shape sample, int64_t batch)
{
    const tw_objective_options options = {.batch = batch,
                                          .global_batch = N,
                                          .precision = TW_PRECISION_F32,
                                          .gradients = true,
                                          .accumulate = batch < N};
    *s = (setting){0};
    s->m = make_model(&s->config, text, sample);
    ok(tw_objective_bind(&s->oc, s->config));
    ok(tw_config_finish(s->config));
    ok(tw_params_use_gradient(s->m->params, NULL));
    ok(tw_objective_create(&s->objective, s->m, &s->oc, &options));
    tw_objective_refresh(s->objective);
    fill_normal(s->x0, 0, N * s->m->dims);
    s->gradient = s->m->params->gradient;
}

static void tear_down(setting *s)
{
    tw_objective_destroy(&s->objective);
    tw_objective_config_free(&s->oc);
    destroy_model(&s->m, &s->config);
}

static tw_objective_step step_of(int64_t position, int64_t count)
{
    return (tw_objective_step){
        .seed = 5, .step = 3, .position = position, .count = count, .weight = 1.0 / N};
}

static void perturbing_does_not_depend_on_how_the_batch_is_cut(void **state)
{
    (void)state;
    static float x0[N * DIMS_MAX], z[N * DIMS_MAX], xt[N * DIMS_MAX], z_part[N * DIMS_MAX],
        xt_part[N * DIMS_MAX];
    double t[N], t_part[N];
    static setting s;
    set_up(&s, UNET, TW_SHAPE(8, 8, 2), N);
    const tw_model *m = s.m;
    fill_normal(x0, 0, N * m->dims);
    const tw_objective_step whole = step_of(40, N);
    tw_objective_perturb(s.objective, &whole, N, x0, t, z, xt);
    for (int64_t part = 1; part < N; part++)
        for (int64_t first = 0; first < N; first += part) {
            const int64_t n = N - first < part ? N - first : part,
                          bytes = n * m->dims * (int64_t)sizeof *z;
            const tw_objective_step step = step_of(40 + first, n);
            tw_objective_perturb(s.objective, &step, n, x0 + first * m->dims, t_part, z_part,
                                 xt_part);
            assert_memory_equal(t_part, t + first, (size_t)n * sizeof *t);
            assert_memory_equal(z_part, z + first * m->dims, (size_t)bytes);
            assert_memory_equal(xt_part, xt + first * m->dims, (size_t)bytes);
        }
    tear_down(&s);
}

static void seed_step_position_and_validation_each_give_other_noise(void **state)
{
    (void)state;
    static float x0[N * DIMS_MAX], xt[N * DIMS_MAX], z[5][N * DIMS_MAX];
    double t[5][N];
    static setting set;
    set_up(&set, MLP, TW_SHAPE(4), N);
    const tw_model *m = set.m;
    tw_objective_step s[5];
    for (int k = 0; k < 5; k++) s[k] = step_of(40, N);
    s[1].seed++;
    s[2].step++;
    s[3].position += N;
    s[4].validation = true;
    for (int k = 0; k < 5; k++) tw_objective_perturb(set.objective, &s[k], N, x0, t[k], z[k], xt);
    for (int k = 0; k < 5; k++)
        for (int l = 0; l < k; l++) {
            assert_memory_not_equal(t[k], t[l], sizeof t[k]);
            for (int64_t i = 0; i < N * m->dims; i++) assert_true(z[k][i] != z[l][i]);
        }
    tear_down(&set);
}

/* q(x_t | x_0) = N(√ᾱ_t x_0, (1 − ᾱ_t) I) with ᾱ multiplied up here: means within five standard
 * errors, and each t as often as the others. Four times, so that each has thousands of samples. */
static void the_forward_process_has_the_moments_of_q(void **state)
{
    (void)state;
    enum { COUNT = 40000, D = 3, TIMES = 4 };
    static const float fixed[D] = {0.8f, -0.3f, 0.1f};
    static float x0[COUNT * D], z[COUNT * D], xt[COUNT * D];
    static double t[COUNT];
    double sum[TIMES][D] = {0}, square[TIMES][D] = {0}, cross[TIMES] = {0}, alphabar = 1;
    int64_t count[TIMES] = {0};
    static setting set;
    set_up(&set, MLP "[process]\ntimesteps = 4\nbeta_min = 0.0004\nbeta_max = 0.002\n", TW_SHAPE(D),
           COUNT);
    const tw_model *m = set.m;
    const tw_objective_step s = step_of(0, COUNT);
    for (int64_t i = 0; i < COUNT * D; i++) x0[i] = fixed[i % D];
    tw_objective_perturb(set.objective, &s, COUNT, x0, t, z, xt);
    for (int64_t i = 0; i < COUNT; i++) {
        const int at = (int)t[i];
        assert_in_range(at, 0, TIMES - 1);
        count[at]++;
        for (int d = 0; d < D; d++) sum[at][d] += (double)xt[i * D + d];
        for (int d = 0; d < D; d++) square[at][d] += (double)z[i * D + d] * (double)z[i * D + d];
        cross[at] += (double)z[i * D] * (double)z[i * D + 1];
    }
    for (int k = 0; k < TIMES; k++) {
        alphabar *= 1 - (0.1 + (0.5 - 0.1) * k / (TIMES - 1)); /* 0.0004 and 0.002, of 1000 steps */
        const double n = (double)count[k], sigma = sqrt(1 - alphabar);
        assert_true(fabs(n - COUNT / TIMES) < 5 * sqrt(COUNT * 0.25 * 0.75));
        for (int d = 0; d < D; d++) {
            assert_true(fabs(sum[k][d] / n - sqrt(alphabar) * (double)fixed[d]) <
                        5 * sigma / sqrt(n));
            assert_true(fabs(square[k][d] / n - 1) < 5 * sqrt(2 / n));
        }
        assert_true(fabs(cross[k] / n) < 5 / sqrt(n));
    }
    for (int64_t i = 0; i < COUNT * D; i++) {
        const double wanted = tw_process_alpha(m->process, t[i / D]) * (double)x0[i] +
                              tw_process_sigma(m->process, t[i / D]) * (double)z[i];
        assert_true(fabs((double)xt[i] - wanted) <= 3e-7 * (1 + fabs(wanted)));
    }
    tear_down(&set);
}

/* ---- loss and gradients ---- */

static void run(setting *s, int64_t batch)
{
    s->sum = 0;
    for (int64_t first = 0; first < N; first += batch) {
        tw_objective_step step = step_of(first, N - first < batch ? N - first : batch);
        step.add_gradients = first > 0;
        s->sum += tw_objective_run(s->objective, &step, s->x0 + first * s->m->dims);
    }
}

/* Sums of float32 in another order: less than 5e-7 of the largest gradient was met. */
static void gradients_of_microbatches_add_up_to_those_of_the_batch(void **state)
{
    (void)state;
    static const struct {
        const char *network;
        tw_shape sample;
    } cases[] = {{MLP, {.rank = 1, .dims = {3}}},
                 {UNET "dropout = 0.3\n", {.rank = 3, .dims = {8, 8, 2}}}};
    static setting whole, parts;
    for (int c = 0; c < 2; c++) {
        set_up(&whole, cases[c].network, cases[c].sample, N);
        run(&whole, N);
        double largest = 0;
        for (int64_t i = 0; i < whole.m->params->trainable; i++)
            largest = fmax(largest, fabs((double)whole.gradient[i]));
        assert_true(largest > 1e-3);
        for (int64_t batch = 1; batch < N;
             batch += 2) { /* 5 and 7, 9, 11 leave a last one that is padded */
            set_up(&parts, cases[c].network, cases[c].sample, batch);
            run(&parts, batch);
            assert_true(fabs(parts.sum - whole.sum) <= 1e-6 * whole.sum);
            for (int64_t i = 0; i < whole.m->params->trainable; i++)
                if (fabs((double)parts.gradient[i] - (double)whole.gradient[i]) > 2e-6 * largest)
                    fail_msg("case %d, microbatches of %d: gradient %d is %g, not %g", c,
                             (int)batch, (int)i, (double)parts.gradient[i],
                             (double)whole.gradient[i]);
            tear_down(&parts);
        }
        tear_down(&whole);
    }
}

/* The loss is linear in the weight of a sample, and it is the mean square error of the noise that
 * the model predicts. */
static void the_loss_is_the_error_of_the_predicted_noise(void **state)
{
    (void)state;
    static setting s;
    static float z[N * DIMS_MAX], xt[N * DIMS_MAX], noise[N * DIMS_MAX];
    double t[N], wanted = 0;
    const int64_t index[N] = {0};
    tw_model_score *score = NULL;
    set_up(&s, UNET "dropout = 0\n", TW_SHAPE(8, 8, 2), N);
    run(&s, N);
    const tw_objective_step step = step_of(0, N);
    tw_objective_perturb(s.objective, &step, N, s.x0, t, z, xt);
    ok(tw_model_score_create(&score, s.m, N, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    ok(tw_model_score_quantity(score, TW_MODEL_NOISE, N, xt, t, index, noise));
    for (int64_t i = 0; i < N * s.m->dims; i++)
        wanted += pow((double)noise[i] - (double)z[i], 2) / (double)(N * s.m->dims);
    assert_true(fabs(s.sum - wanted) <= 1e-5 * wanted);
    tw_model_score_destroy(&score);
    tear_down(&s);
}

/* Along one random direction of all parameters, with dropout, whose masks are the same for the same
 * step. Rounding in the loss is 1e-7 relative, so at this step the slope is good to 1e-4; 7e-5 of
 * the gradient was met. */
static void the_gradient_is_the_slope_of_the_loss(void **state)
{
    (void)state;
    static setting s;
    const double h = 1e-3;
    double slope = 0, size = 0, loss[2];
    set_up(&s, UNET "dropout = 0.3\n", TW_SHAPE(8, 8, 2), N);
    const int64_t n = s.m->params->trainable;
    float *d = malloc((size_t)n * sizeof *d), *begin = malloc((size_t)n * sizeof *begin);
    fill_normal(d, 1, n);
    memcpy(begin, s.m->params->value, (size_t)n * sizeof *begin);
    run(&s, N);
    for (int64_t i = 0; i < n; i++) slope += (double)s.gradient[i] * (double)d[i];
    for (int64_t i = 0; i < n; i++) size += pow((double)s.gradient[i], 2);
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < n; i++)
            s.m->params->value[i] = (float)((double)begin[i] + (k ? h : -h) * (double)d[i]);
        tw_objective_refresh(s.objective);
        run(&s, N);
        loss[k] = s.sum;
    }
    const double met = (loss[1] - loss[0]) / (2 * h);
    if (fabs(met - slope) > 1e-3 * sqrt(size))
        fail_msg("%g met, %g wanted, of %g", met, slope, sqrt(size));
    free(d);
    free(begin);
    tear_down(&s);
}

static void what_is_beyond_the_count_does_not_count(void **state)
{
    (void)state;
    static setting s, t;
    static float x0[N * DIMS_MAX];
    set_up(&s, MLP, TW_SHAPE(3), N);
    set_up(&t, MLP, TW_SHAPE(3), 5);
    const tw_objective_step step = step_of(0, 5);
    memcpy(x0, s.x0, sizeof x0);
    for (int64_t i = 5 * s.m->dims; i < N * s.m->dims; i++) x0[i] = NAN; /* not to be read */
    const double padded = tw_objective_run(s.objective, &step, x0),
                 exact = tw_objective_run(t.objective, &step, x0);
    assert_true(padded > 0 && fabs(padded - exact) <= 1e-6 * exact);
    for (int64_t i = 0; i < s.m->params->trainable; i++)
        assert_true(fabsf(s.gradient[i] - t.gradient[i]) <= 1e-6f);
    tear_down(&s);
    tear_down(&t);
}

static void count_ready(void *self, int64_t offset, int64_t count)
{
    unsigned char *times = self;
    for (int64_t i = offset; i < offset + count; i++) times[i]++;
}

static void each_gradient_is_announced_once_when_it_is_final(void **state)
{
    (void)state;
    static setting s;
    set_up(&s, UNET, TW_SHAPE(8, 8, 2), N);
    unsigned char *times = calloc((size_t)s.m->params->trainable, 1);
    tw_objective_step step = step_of(0, N);
    step.ready = count_ready;
    step.self = times;
    tw_objective_run(s.objective, &step, s.x0);
    for (int64_t i = 0; i < s.m->params->trainable; i++) assert_int_equal(times[i], 1);
    free(times);
    tear_down(&s);
}

static void numbers_that_are_not_finite_come_through(void **state)
{
    (void)state;
    static setting s;
    set_up(&s, MLP, TW_SHAPE(3), N);
    s.x0[4] = NAN;
    run(&s, N);
    assert_true(isnan(s.sum));
    s.x0[4] = 3e38f; /* its network output overflows, or the square of it does */
    run(&s, N);
    assert_false(isfinite(s.sum));
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perturbing_does_not_depend_on_how_the_batch_is_cut),
        cmocka_unit_test(seed_step_position_and_validation_each_give_other_noise),
        cmocka_unit_test(the_forward_process_has_the_moments_of_q),
        cmocka_unit_test(gradients_of_microbatches_add_up_to_those_of_the_batch),
        cmocka_unit_test(the_loss_is_the_error_of_the_predicted_noise),
        cmocka_unit_test(the_gradient_is_the_slope_of_the_loss),
        cmocka_unit_test(what_is_beyond_the_count_does_not_count),
        cmocka_unit_test(each_gradient_is_announced_once_when_it_is_final),
        cmocka_unit_test(numbers_that_are_not_finite_come_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
