/* Scores of posterior samples against their definitions and closed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/metrics_posterior.h"

static void near_to(double met, double wanted, double tolerance)
{
    if (!(fabs(met - wanted) <= tolerance)) fail_msg("met %.12g, wanted %.12g", met, wanted);
}

static void crps_is_its_double_sum(void **state)
{
    (void)state;
    const double x[] = {-1.5, -0.2, 0.1, 0.4, 2}, y = 0.3;
    double wanted = 0;
    for (int i = 0; i < 5; i++) {
        wanted += fabs(x[i] - y) / 5;
        for (int j = 0; j < 5; j++) wanted -= fabs(x[i] - x[j]) / (2 * 5 * 4);
    }
    near_to(tw_crps(x, 5, y), wanted, 1e-14);
    near_to(tw_crps(x, 1, y), 1.8, 1e-14);
}

/* Of N(0, 1) at y = 0: (√2 − 1) / √π. */
static void crps_of_a_normal_is_its_closed_form(void **state)
{
    (void)state;
    enum { N = 4000 };
    double *x = malloc(N * sizeof *x);
    for (int i = 0; i < N; i++) { /* quantiles, by bisection of erfc */
        double low = -8, high = 8;
        for (int k = 0; k < 60; k++) {
            const double m = (low + high) / 2;
            *(0.5 * erfc(-m * M_SQRT1_2) < (i + 0.5) / N ? &low : &high) = m;
        }
        x[i] = low;
    }
    near_to(tw_crps(x, N, 0), (sqrt(2) - 1) / sqrt(M_PI), 1e-3);
    free(x);
}

static void ranks_count_what_is_below_and_share_ties(void **state)
{
    (void)state;
    const double x[] = {1, 2, 2, 3};
    double h[5] = {0};
    tw_rank_add(h, x, 4, 0);
    tw_rank_add(h, x, 4, 2.5);
    tw_rank_add(h, x, 4, 9);
    tw_rank_add(h, x, 4, 2); /* rank 1, 2 or 3 */
    const double wanted[] = {1, 1.0 / 3, 1.0 / 3, 1 + 1.0 / 3, 1};
    for (int i = 0; i < 5; i++) near_to(h[i], wanted[i], 1e-14);
}

static void similarity_is_one_of_the_same_and_luminance_of_a_shift(void **state)
{
    (void)state;
    enum { H = 13, W = 12 };
    float a[H * W], b[H * W];
    for (int i = 0; i < H * W; i++) a[i] = (float)(i * 37 % 101);
    near_to(tw_ssim(a, a, H, W, 1, 255), 1, 1e-12);
    for (int i = 0; i < H * W; i++) {
        a[i] = 100;
        b[i] = 120;
    }
    const double c1 = 0.01 * 255 * 0.01 * 255;
    near_to(tw_ssim(a, b, H, W, 1, 255), (2 * 100 * 120 + c1) / (100 * 100 + 120 * 120 + c1), 1e-9);
    assert_true(isnan(tw_ssim(a, b, 10, W, 1, 255)));
}

static void noise_has_the_signal_to_noise_ratio_that_it_has(void **state)
{
    (void)state;
    const float a[] = {0, 0, 0, 0}, b[] = {1, -1, 1, -1};
    near_to(tw_psnr(a, b, 4, 10), 20, 1e-12);
    assert_true(isinf(tw_psnr(a, a, 4, 10)));
}

static void perplexity_is_how_many_equal_ones_would_be_as_uneven(void **state)
{
    (void)state;
    int64_t used = -1;
    near_to(tw_perplexity((const double[]){3, 3, 0, 3}, 4, &used), 3, 1e-12);
    assert_int_equal(used, 3);
    near_to(tw_perplexity((const double[]){1, 3}, 2, NULL), pow(4, 0.25) * pow(4.0 / 3, 0.75),
            1e-12);
    assert_true(tw_perplexity((const double[]){0, 0}, 2, &used) == 0);
    assert_int_equal(used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crps_is_its_double_sum),
        cmocka_unit_test(crps_of_a_normal_is_its_closed_form),
        cmocka_unit_test(ranks_count_what_is_below_and_share_ties),
        cmocka_unit_test(similarity_is_one_of_the_same_and_luminance_of_a_shift),
        cmocka_unit_test(noise_has_the_signal_to_noise_ratio_that_it_has),
        cmocka_unit_test(perplexity_is_how_many_equal_ones_would_be_as_uneven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
