/* Spectra: transforms against slow sums, plane waves, white noise, pairs of channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/fft.h"
#include "tweedie/rng.h"
#include "tweedie/spectrum.h"

static void ok(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

static void normal(float *out, int64_t position, int64_t n)
{
    const tw_rng_stream s = {.seed = 3, .purpose = TW_RNG_TEST, .position = position};
    tw_rng_normal(out, &s, 0, n);
}

static void a_transform_of_any_length_is_the_sum(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 2, 3, 4, 5, 7, 8, 12, 28, 31, 64, 100, 257};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        const int64_t n = lengths[l];
        fft *f = NULL;
        float v[2 * 257];
        fft_number x[3 * 257] = {{0}}, scratch[1024];
        ok(fft_create(&f, n));
        assert_true(fft_scratch(f) <= 1024);
        normal(v, n, 2 * n);
        for (int64_t j = 0; j < n; j++)
            x[3 * j] = (fft_number){(double)v[2 * j], (double)v[2 * j + 1]};
        fft_run(f, x, 3, scratch);
        for (int64_t k = 0; k < n; k++) {
            double re = 0, im = 0;
            for (int64_t j = 0; j < n; j++) {
                const double a = -2 * M_PI * (double)(j * k % n) / (double)n;
                re += (double)v[2 * j] * cos(a) - (double)v[2 * j + 1] * sin(a);
                im += (double)v[2 * j] * sin(a) + (double)v[2 * j + 1] * cos(a);
            }
            assert_true(fabs(x[3 * k].re - re) < 1e-11 * (double)n);
            assert_true(fabs(x[3 * k].im - im) < 1e-11 * (double)n);
        }
        fft_destroy(&f);
    }
}

/* A cos 2π (a y / H + b x / W): A² H W / 2 over the modes of one ring. */
static void a_plane_wave_has_its_power_in_its_ring(void **state)
{
    (void)state;
    enum { H = 12, W = 20 };
    static const int64_t waves[][2] = {{0, 1}, {1, 0}, {3, 4}, {5, 0}, {0, 10}, {2, 7}};
    static float x[H * W];
    for (size_t k = 0; k < sizeof waves / sizeof *waves; k++) {
        tw_spectrum s;
        const int64_t a = waves[k][0], b = waves[k][1],
                      ring = llround(hypot((double)a / H, (double)b / W) * W);
        for (int64_t y = 0; y < H; y++)
            for (int64_t i = 0; i < W; i++)
                x[y * W + i] =
                    (float)(3 * cos(2 * M_PI * ((double)(a * y) / H + (double)(b * i) / W)));
        ok(tw_spectrum_compute(&s, x, 1, H, W, 1));
        assert_int_equal(s.rings, W / 2 + 1);
        /* at half a cycle per pixel the two modes are one, whose square is twice as large */
        const double total = 9.0 * H * W / 2 * (2 * b == W ? 2 : 1);
        for (int64_t j = 0; j < s.rings; j++)
            assert_float_equal(tw_spectrum_of(&s, 0, 0)[j] * (double)s.modes[j],
                               j == ring ? total : 0, 1e-4 * total);
        tw_spectrum_free(&s);
    }
}

/* Each of m modes of N fields has an exponential distribution, or, at k = −k, that of a square. */
static void white_noise_is_flat(void **state)
{
    (void)state;
    enum { N = 200, H = 16, W = 15 };
    static float x[N * H * W];
    tw_spectrum s, again;
    normal(x, 1, N * H * W);
    for (int k = 0; k < N * H * W; k++) x[k] *= 2;
    ok(tw_spectrum_compute(&s, x, N, H, W, 1));
    int64_t modes = 0;
    for (int64_t j = 0; j < s.rings; j++) {
        const double bound = 5 * 4 * sqrt(2.0 / (double)(s.modes[j] * N));
        assert_float_equal(tw_spectrum_of(&s, 0, 0)[j], 4, bound);
        modes += s.modes[j];
        if (j > 0) assert_true(s.frequency[j] > s.frequency[j - 1] && s.frequency[j] < 0.54);
    }
    assert_in_range(modes, H * W / 2, H * W);
    ok(tw_spectrum_compute(&again, x, N / 2, H, W, 1));
    assert_true(tw_spectrum_distance(&s, &s) == 0);
    assert_true(tw_spectrum_distance(&s, &again) > 0 && tw_spectrum_distance(&s, &again) < 0.2);
    for (int k = 0; k < N * H * W; k++) x[k] *= 2;
    tw_spectrum_free(&again);
    ok(tw_spectrum_compute(&again, x, N, H, W, 1));
    assert_float_equal(tw_spectrum_distance(&s, &again), log(4), 1e-6); /* four times the power */
    tw_spectrum_free(&again);
    tw_spectrum_free(&s);
}

/* b = −2 a + noise of the power of 2 a: P_ab = −2 P_aa, coherence a half; and neither of c. */
static void pairs_of_channels_tell_what_they_share(void **state)
{
    (void)state;
    enum { N = 400, H = 8, W = 12, C = 3 };
    static float x[N * H * W * C];
    tw_spectrum s;
    normal(x, 2, N * H * W * C);
    for (int64_t p = 0; p < N * H * W; p++) x[p * C + 1] = -2 * x[p * C] + 2 * x[p * C + 1];
    ok(tw_spectrum_compute(&s, x, N, H, W, C));
    for (int64_t j = 0; j < s.rings; j++) {
        const double bound = 5 * sqrt(2.0 / (double)(s.modes[j] * N));
        assert_float_equal(tw_spectrum_of(&s, 0, 0)[j], 1, bound);
        assert_float_equal(tw_spectrum_of(&s, 1, 1)[j], 8, 8 * bound);
        assert_float_equal(tw_spectrum_of(&s, 0, 1)[j], -2, 4 * bound);
        assert_true(tw_spectrum_of(&s, 0, 1)[j] == tw_spectrum_of(&s, 1, 0)[j]);
        assert_float_equal(tw_spectrum_of(&s, 0, 2)[j], 0, bound);
        assert_float_equal(tw_spectrum_coherence(&s, 0, 1, j), 0.5, 2 * bound);
        assert_true(tw_spectrum_coherence(&s, 2, 1, j) < bound * bound);
        assert_float_equal(tw_spectrum_coherence(&s, 1, 1, j), 1, 1e-9);
    }
    tw_spectrum_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transform_of_any_length_is_the_sum),
        cmocka_unit_test(a_plane_wave_has_its_power_in_its_ring),
        cmocka_unit_test(white_noise_is_flat),
        cmocka_unit_test(pairs_of_channels_tell_what_they_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
