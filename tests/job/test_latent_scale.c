/* The scale of latents: the standard deviation of what is sampled, the same bits however the rows
 * arrive. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "job/latent_scale.h"
#include "tweedie/rng.h"

enum { ROWS = 3 * LATENT_SCALE_ROWS + 17, NUMBERS = 5, ALL = ROWS * NUMBERS };

static float mean[ALL], log_variance[ALL];

static int fill(void **state)
{
    const tw_rng_stream s = {.seed = 1, .purpose = TW_RNG_TEST};
    (void)state;
    tw_rng_normal(mean, &s, 0, ALL);
    tw_rng_normal(log_variance, &s, ALL, ALL);
    for (int k = 0; k < ALL; k++) mean[k] = 3 * mean[k] + 1;
    log_variance[0] = 1000; /* clamped to 20, as in training */
    return 0;
}

static double in_pieces(int64_t piece, const float *variances)
{
    latent_scale s = {.numbers = NUMBERS};
    double scale = 0;
    for (int64_t at = 0; at < ROWS; at += piece) {
        const int64_t n = ROWS - at < piece ? ROWS - at : piece;
        latent_scale_add(&s, n, mean + at * NUMBERS, variances ? variances + at * NUMBERS : NULL);
    }
    assert_int_equal(latent_scale_get(&scale, &s, "ae"), TW_OK);
    return scale;
}

static double by_definition(const float *variances)
{
    long double sum = 0, squares = 0, noise = 0;
    for (int k = 0; k < ALL; k++) {
        sum += (long double)mean[k];
        squares += (long double)mean[k] * (long double)mean[k];
        if (variances) noise += expl(fminl((long double)variances[k], 20));
    }
    const long double m = sum / ALL;
    return (double)sqrtl(squares / ALL - m * m + noise / ALL);
}

static void the_variance_of_samples_is_that_of_means_and_the_mean_variance(void **state)
{
    (void)state;
    assert_true(fabs(in_pieces(ROWS, NULL) / by_definition(NULL) - 1) < 1e-12);
    assert_true(fabs(in_pieces(ROWS, log_variance) / by_definition(log_variance) - 1) < 1e-12);
}

static void pieces_and_shared_blocks_give_the_same_bits(void **state)
{
    (void)state;
    const double whole = in_pieces(ROWS, log_variance);
    latent_scale shared = {.numbers = NUMBERS};
    double scale;
    for (int64_t piece = 1; piece < ROWS; piece += 7)
        assert_true(in_pieces(piece, log_variance) == whole);
    for (int64_t at = 0; at < ROWS; at += LATENT_SCALE_ROWS) { /* as each by a rank of its own */
        latent_sums block = {0};
        const int64_t n = ROWS - at < LATENT_SCALE_ROWS ? ROWS - at : LATENT_SCALE_ROWS;
        latent_sums_add(&block, n * NUMBERS, mean + at * NUMBERS, log_variance + at * NUMBERS);
        latent_scale_add_block(&shared, n, &block);
    }
    assert_int_equal(latent_scale_get(&scale, &shared, "ae"), TW_OK);
    assert_true(scale == whole);
}

static void latents_that_are_all_the_same_have_none(void **state)
{
    (void)state;
    const float same[NUMBERS] = {2, 2, 2, 2, 2};
    latent_scale s = {.numbers = NUMBERS};
    double scale;
    latent_scale_add(&s, 1, same, NULL);
    assert_int_equal(latent_scale_get(&scale, &s, "runs/ae"), TW_EDATA);
    assert_non_null(strstr(tw_error_message(), "runs/ae: all numbers of its latents are 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_variance_of_samples_is_that_of_means_and_the_mean_variance),
        cmocka_unit_test(pieces_and_shared_blocks_give_the_same_bits),
        cmocka_unit_test(latents_that_are_all_the_same_have_none),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
