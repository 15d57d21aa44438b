/* ranks: 1 2 3 */
/* Noise levels from data: the published choices, and the largest distance against all pairs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tweedie/noise_scales.h"
#include "tweedie/rng.h"

static tw_comm *comm;

typedef struct published {
    const char *name;
    int64_t side;
    double sigma_max;
    int64_t levels, steps;
    double ratio, step;
} published;

/* ncsnv2's configurations; sigma_min is 0.01 in all. */
static const published rows[] = {
    {"cifar10", 32, 50, 232, 5, 1.03756, 6.2e-6},
    {"celeba", 64, 90, 500, 5, 1.01841, 3.3e-6},
    {"church", 96, 140, 788, 4, 1.01220, 0}, /* 4.9e-6 there, 2.31e-6 by the formula */
    {"bedroom, tower", 128, 190, 1086, 3, 1.00912, 1.8e-6},
    {"ffhq", 256, 348, 2311, 3, 1.00454, 0.9e-6},
};

static void published_levels_follow_from_dimension_and_largest_distance(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const published *p = &rows[i];
        const double ratio = tw_noise_ratio(3 * p->side * p->side, TW_NOISE_OVERLAP);
        assert_int_equal(tw_noise_levels(p->sigma_max, 0.01, ratio), p->levels);
        const double used = pow(p->sigma_max / 0.01, 1 / (double)(p->levels - 1));
        assert_true(fabs(used - p->ratio) < 5e-6); /* as printed */
        assert_true(fabs(ratio / used - 1) < 1e-4);
        assert_true(tw_noise_ratio(3 * p->side * p->side, 0.5) > ratio); /* fewer levels */
    }
}

static void published_steps_are_the_minimum_of_technique_4(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const published *p = &rows[i];
        const double ratio = pow(p->sigma_max / 0.01, 1 / (double)(p->levels - 1)),
                     e = tw_noise_step(p->steps, 0.01, ratio),
                     v = tw_noise_variance(e, p->steps, 0.01, ratio);
        assert_true(v > 1 && v < ratio * ratio);
        assert_true(v <= tw_noise_variance(e * 1.01, p->steps, 0.01, ratio));
        assert_true(v <= tw_noise_variance(e * 0.99, p->steps, 0.01, ratio));
        if (p->step > 0) /* to the two digits that are published */
            assert_true(fabs(e / p->step - 1) < 0.02);
        else
            assert_true(fabs(e / 2.31e-6 - 1) < 0.002);
    }
}

/* The recursion that the formula sums up: x ← (1 − ε/σ²) x + √(2ε) z of Gaussian noise. */
static void variance_is_that_of_the_langevin_steps(void **state)
{
    (void)state;
    double v = 1.3 * 1.3;
    const double u = 0.07;
    for (int k = 0; k < 6; k++) v = (1 - u) * (1 - u) * v + 2 * u;
    assert_true(fabs(tw_noise_variance(u * 0.25, 6, 0.5, 1.3) - v) < 1e-12);
}

enum { COUNT = 1500, DIMS = 5 };

static tw_status read_rows(void *self, int64_t first, int64_t count, float *x)
{
    memcpy(x, (const float *)self + first * DIMS, (size_t)(count * DIMS) * sizeof *x);
    return TW_OK;
}

static double all_pairs(const float *x, int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < i; j++) {
            double s = 0;
            for (int64_t d = 0; d < DIMS; d++) {
                const double v = (double)x[i * DIMS + d] - (double)x[j * DIMS + d];
                s += v * v;
            }
            most = fmax(most, s);
        }
    return sqrt(most);
}

static void largest_distance_is_that_of_all_pairs_at_any_number_of_ranks(void **state)
{
    static float x[COUNT * DIMS];
    const tw_rng_stream stream = {.seed = 3, .purpose = TW_RNG_TEST};
    tw_data_scale found;
    (void)state;
    tw_rng_normal_rows(x, &stream, NULL, COUNT, DIMS);
    for (int64_t i = 0; i < COUNT * DIMS; i++) x[i] += 7; /* far from the origin */
    const double most = all_pairs(x, COUNT);
    assert_int_equal(tw_data_scale_measure(&found, comm, read_rows, x, COUNT, DIMS, 0), TW_OK);
    assert_true(fabs(found.distance - most) < 1e-5);
    assert_true(found.distance == found.most && found.compared == COUNT);
    assert_true(fabs(found.std - 1) < 0.03);
}

static void sampled_distance_comes_with_a_bound(void **state)
{
    static float x[COUNT * DIMS];
    const tw_rng_stream stream = {.seed = 4, .purpose = TW_RNG_TEST};
    tw_data_scale found;
    (void)state;
    tw_rng_normal_rows(x, &stream, NULL, COUNT, DIMS);
    const double most = all_pairs(x, COUNT);
    for (int64_t sample = 2; sample < COUNT; sample *= 3) {
        assert_int_equal(tw_data_scale_measure(&found, comm, read_rows, x, COUNT, DIMS, sample),
                         TW_OK);
        assert_int_equal(found.compared, sample);
        assert_true(found.distance < most + 1e-5 && found.most > most - 1e-5);
    }
    assert_true(found.distance == found.most); /* 1458 of 1500: nothing is left that could be */
}

static void one_sample_is_refused(void **state)
{
    float x[DIMS] = {0};
    tw_data_scale found;
    (void)state;
    assert_int_equal(tw_data_scale_measure(&found, comm, read_rows, x, 1, DIMS, 0), TW_EDATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_levels_follow_from_dimension_and_largest_distance),
        cmocka_unit_test(published_steps_are_the_minimum_of_technique_4),
        cmocka_unit_test(variance_is_that_of_the_langevin_steps),
        cmocka_unit_test(largest_distance_is_that_of_all_pairs_at_any_number_of_ranks),
        cmocka_unit_test(sampled_distance_comes_with_a_bound),
        cmocka_unit_test(one_sample_is_refused),
    };
    if (tw_comm_create(&comm) != TW_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tw_comm_destroy(&comm);
    return failed;
}
