/* ranks: 1 2 3 */
/* Distances between sets: against closed forms, and the same at any number of ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/metrics.h"
#include "tweedie/processor.h"
#include "tweedie/rng.h"

static tw_comm *comm;

/* mean[d] + std z */
static float *normals(uint64_t seed, int64_t count, int64_t dims, const double *mean, double std)
{
    float *x = NULL;
    const tw_rng_stream s = {.seed = seed, .purpose = TW_RNG_TEST};
    if (tw_alloc(&x, count * dims, sizeof *x, "points") != TW_OK)
        fail_msg("%s", tw_error_message());
    tw_rng_normal_rows(x, &s, NULL, count, dims);
    for (int64_t i = 0; i < count * dims; i++)
        x[i] = (float)((mean ? mean[i % dims] : 0) + std * (double)x[i]);
    return x;
}

static double distance(const float *a, int64_t n, const float *b, int64_t m, int64_t dims)
{
    double d = -1;
    if (tw_sliced_wasserstein(&d, comm, a, n, b, m, dims, &TW_SLICED_DEFAULTS) != TW_OK)
        fail_msg("%s", tw_error_message());
    return d;
}

static void close_to(double met, double wanted, double tolerance)
{
    if (!(fabs(met - wanted) <= tolerance)) fail_msg("%.12g met, %.12g wanted", met, wanted);
}

/* None at all, but with AVX2, where oneDNN sums the last rows of a product in another order. */
static void a_set_has_no_distance_to_itself_in_any_order(void **state)
{
    (void)state;
    enum { N = 500, D = 3 };
    const double most = tw_isa_get() == TW_ISA_AVX2 ? 1e-6 : 0;
    float *x = normals(1, N, D, NULL, 1), *y = normals(1, N, D, NULL, 1),
          *twice = normals(1, 2 * N, D, NULL, 1);
    for (int i = 0; i < N; i++) memcpy(y + i * D, x + (N - 1 - i) * D, D * sizeof *y);
    for (int i = 0; i < 2 * N; i++) memcpy(twice + i * D, x + i / 2 * D, D * sizeof *y);
    close_to(distance(x, N, y, N, D), 0, most);
    close_to(distance(x, N, twice, 2 * N, D), 0, most); /* each point twice: the same */
    tw_free(&x);
    tw_free(&y);
    tw_free(&twice);
}

static void a_shift_by_v_is_its_length_over_root_d(void **state)
{
    (void)state;
    static const int64_t all[] = {1, 2, 3, 7,
                                  300}; /* 300: fewer directions than dimensions, so only nearly */
    for (int k = 0; k < 5; k++) {
        const int64_t dims = all[k];
        double v[300], length = 0;
        for (int64_t d = 0; d < dims; d++) v[d] = 0.5 + 0.25 * (double)(d % 3);
        for (int64_t d = 0; d < dims; d++) length += v[d] * v[d];
        float *x = normals(2, 100, dims, NULL, 1), *y = normals(2, 100, dims, v, 1);
        /* exact but for the f32 of the points; with 256 of 300 directions of a basis the mean of
         * (θ·v)² has a deviation of 4 % of it */
        close_to(distance(x, 100, y, 100, dims), sqrt(length / (double)dims),
                 dims == 300 ? 0.1 * sqrt(length / (double)dims) : 1e-6);
        tw_free(&x);
        tw_free(&y);
    }
}

static void two_normals_have_the_closed_form_distance(void **state)
{
    (void)state;
    enum { N = 40000, M = 30000, D = 2 };
    const double mean[D] = {1, -0.5};
    float *x = normals(3, N, D, NULL, 1), *y = normals(4, M, D, mean, 2);
    /* the empirical distance of N points to their own normal is about sqrt(log log N / N) = 0.008
     */
    close_to(distance(x, N, y, M, D), sqrt((1 + 0.25) / D + 1), 0.02);
    tw_free(&x);
    tw_free(&y);
}

static void sizes_that_differ_are_weighed_exactly(void **state)
{
    (void)state;
    /* quantiles: 0 on [0, 1/2), 1 on [1/2, 1) against 0 on [0, 1/3), 1 on [1/3, 1): they differ by
     * 1 on a sixth */
    const float a[] = {0, 1}, b[] = {1, 0, 1};
    close_to(distance(a, 2, b, 3, 1), sqrt(1.0 / 6), 1e-15);
}

static void the_value_is_the_same_bits_at_any_number_of_ranks(void **state)
{
    (void)state;
    float *x = normals(5, 200, 5, NULL, 1), *y = normals(6, 300, 5, NULL, 1.5);
    double alone, together = distance(x, 200, y, 300, 5);
    assert_int_equal(tw_sliced_wasserstein(&alone, NULL, x, 200, y, 300, 5, &TW_SLICED_DEFAULTS),
                     TW_OK);
    assert_memory_equal(&alone, &together, sizeof alone);
    tw_free(&x);
    tw_free(&y);
}

static void moments_are_those_of_the_set(void **state)
{
    (void)state;
    const float x[] = {1, 10, 3, 10, 5, 10, 7, 10};
    double mean[2], std[2];
    tw_moments(mean, std, x, 4, 2);
    close_to(mean[0], 4, 0);
    close_to(mean[1], 10, 0);
    close_to(std[0], sqrt(5.0), 1e-15);
    close_to(std[1], 0, 0);
}

static void an_empty_set_is_refused(void **state)
{
    (void)state;
    const float x[] = {0};
    double d = -1;
    assert_int_equal(tw_sliced_wasserstein(&d, comm, x, 1, x, 0, 1, &TW_SLICED_DEFAULTS), TW_EDATA);
    assert_true(d == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_has_no_distance_to_itself_in_any_order),
        cmocka_unit_test(a_shift_by_v_is_its_length_over_root_d),
        cmocka_unit_test(two_normals_have_the_closed_form_distance),
        cmocka_unit_test(sizes_that_differ_are_weighed_exactly),
        cmocka_unit_test(the_value_is_the_same_bits_at_any_number_of_ranks),
        cmocka_unit_test(moments_are_those_of_the_set),
        cmocka_unit_test(an_empty_set_is_refused),
    };
    if (tw_comm_create(&comm) != TW_OK) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tw_comm_destroy(&comm);
    return failed;
}
