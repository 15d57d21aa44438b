/* Likelihoods of Gaussians and mixtures by the flow of their exact scores: what they must be is
 * known in closed form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <string.h>

#include "exact_mixture.h"
#include "tweedie/likelihood.h"
#include "tweedie/memory.h"
#include "tweedie/rng.h"

static void close_to(const char *what, double met, double wanted, double tolerance)
{
    if (!(fabs(met - wanted) <= tolerance))
        fail_msg("%s: met %.12g, wanted %.12g within %g", what, met, wanted, tolerance);
}

typedef struct rig {
    tw_config *config;
    tw_likelihood_config settings;
    tw_process *process;
    tw_score score;
    tw_likelihood *l;
} rig;

static tw_status make_rig(rig *r, mixture *m, const char *process, int count,
                          const char *const *keys)
{
    char text[64], *one = text;
    *r = (rig){0};
    if (tw_process_make(&r->process, process, 0, NULL) != TW_OK) fail_msg("%s", tw_error_message());
    m->process = r->process;
    r->score = mixture_score(m);
    assert_int_equal(tw_config_create(&r->config), TW_OK);
    for (int i = 0; i < count; i++) {
        assert_int_equal(tw_format(text, sizeof text, "likelihood.%s", keys[i]), TW_OK);
        assert_int_equal(tw_config_override(r->config, 1, &one), TW_OK);
    }
    assert_int_equal(tw_likelihood_bind(&r->settings, r->config), TW_OK);
    const tw_status st = tw_config_finish(r->config);
    return st == TW_OK ? tw_likelihood_create(&r->l, &r->settings, r->process, &r->score) : st;
}

static void break_rig(rig *r)
{
    tw_likelihood_destroy(&r->l);
    tw_likelihood_config_free(&r->settings);
    tw_process_destroy(&r->process);
    tw_config_destroy(&r->config);
}

enum { N = 24 };

/* Points about the data's size. */
static void fill_points(float *x, int64_t dims)
{
    const tw_rng_stream s = {.seed = 3, .purpose = TW_RNG_TEST};
    tw_rng_normal(x, &s, 0, N * dims);
}

static mixture two_modes(int64_t dims)
{
    mixture m = {.modes = 2, .dims = dims, .weight = {0.3, 0.7}};
    for (int64_t d = 0; d < dims; d++) {
        m.mean[0][d] = -0.5 + 0.1 * (double)d;
        m.mean[1][d] = 0.8;
        m.std[0][d] = 0.6;
        m.std[1][d] = 0.9;
    }
    return m;
}

/* log N(code; 0, prior_std²): a code of float has 6e-8 of |c|² / σ² <= 2 · 5², in all 1e-5 at most.
 */
static double log_prior(const tw_process *p, const float *code, int64_t dims)
{
    const double variance = p->prior_std * p->prior_std;
    double sum = 0;
    for (int64_t d = 0; d < dims; d++)
        sum -= 0.5 * ((double)code[d] * (double)code[d] / variance + log(2 * M_PI * variance));
    return sum;
}

/* The flow's density at epsilon is p_ε exactly but for the prior, which is not quite p_T; with p_T
 * in its place nothing is left but the solver's error. */
static void the_exact_trace_gives_the_density_to_a_thousandth(void **state)
{
    static const char *const kinds[] = {"vp", "subvp", "ve", "edm"};
    static const char *const keys[] = {"rtol=1e-6", "atol=1e-6"};
    (void)state;
    for (int k = 0; k < 4; k++)
        for (int modes = 1; modes <= 2; modes++) {
            float x[N * 2], code[N * 2];
            tw_likelihood_result result[N];
            mixture m = two_modes(2);
            rig r;
            m.modes = modes;
            if (modes == 1) m.weight[0] = 1;
            fill_points(x, 2);
            assert_int_equal(make_rig(&r, &m, kinds[k], 2, keys), TW_OK);
            assert_int_equal(tw_likelihood_run(r.l, 0, N, 0, x, result, code), TW_OK);
            for (int i = 0; i < N; i++) {
                const double wanted = mixture_at(&m, x + 2 * i, r.process->start, NULL, NULL, NULL),
                             last = mixture_at(&m, code + 2 * i, r.process->end, NULL, NULL, NULL);
                close_to(kinds[k], result[i].logp - result[i].prior + last, wanted, 1e-3);
                close_to(kinds[k], result[i].prior, log_prior(r.process, code + 2 * i, 2), 1e-5);
                assert_true(result[i].error == 0 && result[i].evaluations > 6);
            }
            break_rig(&r);
        }
}

/* Of a diagonal Gaussian vᵀ J v = tr J for signs: no error at all; of a mixture and of normal
 * probes the mean error over the points is within 3 of its standard errors, and the error says so.
 */
static void hutchinsons_estimates_agree_within_their_errors(void **state)
{
    static const char *const keys[2][3] = {{"trace=hutchinson", "probes=16", "probe=rademacher"},
                                           {"trace=hutchinson", "probes=16", "probe=gaussian"}};
    (void)state;
    for (int k = 0; k < 2; k++) {
        static float x[N * 8];
        tw_likelihood_result result[N];
        mixture m = two_modes(8);
        double z = 0, squares = 0;
        rig r;
        fill_points(x, 8);
        assert_int_equal(make_rig(&r, &m, "vp", 3, keys[k]), TW_OK);
        assert_int_equal(tw_likelihood_run(r.l, 0, N, 0, x, result, NULL), TW_OK);
        for (int i = 0; i < N; i++) {
            const double wanted = mixture_at(&m, x + 8 * i, r.process->start, NULL, NULL, NULL);
            assert_true(result[i].error > 0);
            z += (result[i].logp - wanted) / result[i].error;
            squares += pow((result[i].logp - wanted) / result[i].error, 2);
        }
        assert_true(fabs(z / sqrt(N)) < 3);
        assert_true(squares / N > 0.3 && squares / N < 3);
        break_rig(&r);
    }
}

static void signs_are_exact_where_the_jacobian_is_diagonal(void **state)
{
    static const char *const keys[] = {"trace=hutchinson", "rtol=1e-6", "atol=1e-6"};
    static float x[N * 8];
    tw_likelihood_result result[N];
    mixture m = two_modes(8);
    rig r;
    (void)state;
    m.modes = 1;
    m.weight[0] = 1;
    memset(m.mean, 0, sizeof m.mean); /* centred: the prior is p_T to 4e-5 */
    fill_points(x, 8);
    assert_int_equal(make_rig(&r, &m, "vp", 3, keys), TW_OK);
    assert_int_equal(tw_likelihood_run(r.l, 0, N, 0, x, result, NULL), TW_OK);
    for (int i = 0; i < N; i++) {
        close_to("one probe", result[i].logp,
                 mixture_at(&m, x + 8 * i, r.process->start, NULL, NULL, NULL), 1e-3);
        assert_true(isnan(result[i].error)); /* one probe knows no error */
    }
    break_rig(&r);
}

static void codes_of_data_are_standard_and_come_back(void **state)
{
    static const char *const keys[] = {"rtol=1e-6", "atol=1e-6"};
    static const char *const kinds[] = {"vp", "ve", "flow"};
    (void)state;
    for (int k = 0; k < 3; k++) {
        float x[N * 3], z[N * 3], code[N * 3];
        int64_t evaluations[N];
        tw_likelihood_result result[N];
        mixture m = two_modes(3);
        rig r;
        fill_points(x, 3);
        memcpy(z, x, sizeof z);
        assert_int_equal(make_rig(&r, &m, kinds[k], 2, keys), TW_OK);
        assert_int_equal(tw_likelihood_encode(r.l, 0, N, z, evaluations), TW_OK);
        assert_int_equal(tw_likelihood_run(r.l, 0, N, 0, x, result, code), TW_OK);
        for (int i = 0; i < 3 * N; i++) /* other steps, within the tolerance */
            close_to(kinds[k], (double)code[i], (double)z[i], 1e-4 * r.process->prior_std);
        assert_int_equal(tw_likelihood_decode(r.l, 0, N, z, NULL), TW_OK);
        for (int i = 0; i < 3 * N; i++) close_to(kinds[k], (double)z[i], (double)x[i], 2e-4);
        break_rig(&r);
    }
}

static void results_are_the_same_bits_however_the_range_is_cut(void **state)
{
    static const char *const keys[] = {"trace=hutchinson", "probe=gaussian", "batch=8"};
    static const char *const batches[] = {"batch=1", "batch=5", "batch=64"};
    static float x[N * 4];
    tw_likelihood_result whole[N], part[N];
    mixture m = two_modes(4);
    rig r;
    (void)state;
    fill_points(x, 4);
    assert_int_equal(make_rig(&r, &m, "vp", 3, keys), TW_OK);
    assert_int_equal(tw_likelihood_run(r.l, 50, N, 2, x, whole, NULL), TW_OK);
    for (int64_t first = 0; first < N; first += 7) {
        const int64_t n = N - first < 7 ? N - first : 7;
        assert_int_equal(tw_likelihood_run(r.l, 50 + first, n, 2, x + 4 * first, part, NULL),
                         TW_OK);
        assert_memory_equal(part, whole + first, (size_t)n * sizeof *part);
    }
    assert_int_equal(tw_likelihood_run(r.l, 50, N, 1, x, part, NULL), TW_OK); /* other probes */
    for (int i = 0; i < N; i++) assert_true(part[i].logp != whole[i].logp);
    break_rig(&r);
    for (int b = 0; b < 3; b++) {
        const char *const other[] = {keys[0], keys[1], batches[b]};
        omp_set_num_threads(1 + b);
        assert_int_equal(make_rig(&r, &m, "vp", 3, other), TW_OK);
        assert_int_equal(tw_likelihood_run(r.l, 50, N, 2, x, part, NULL), TW_OK);
        assert_memory_equal(part, whole, sizeof whole);
        break_rig(&r);
    }
}

/* Bytes 0 … 255: the dequantised value lies in its bin of 2 / 256, evenly. And 256 bins of equal
 * density have 8 bits: log p = −log 2 over [−1, 1]. */
static void dequantised_bytes_lie_evenly_in_their_bins(void **state)
{
    float x[256];
    double mean = 0, square = 0;
    (void)state;
    for (int v = 0; v < 256; v++) x[v] = (float)v / 127.5f - 1;
    tw_dequantise(1, 0, 9, 1, 256, x);
    for (int v = 0; v < 256; v++) {
        const double u = ((double)x[v] + 1) * 128 - v;
        assert_true(u > -1e-4 && u < 1 + 1e-4);
        mean += u / 256;
        square += u * u / 256;
    }
    assert_true(fabs(mean - 0.5) < 5 * sqrt(1.0 / 12 / 256));
    assert_true(fabs(square - 1.0 / 3) < 5 * sqrt(4.0 / 45 / 256));
    close_to("bits", tw_bits_per_dimension(-784 * log(2), 784), 8, 1e-12);
}

static void what_has_no_flow_is_refused(void **state)
{
    mixture m = two_modes(2);
    rig r;
    (void)state;
    assert_int_equal(make_rig(&r, &m, "ddpm", 0, NULL), TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "variational bound"));
    break_rig(&r);
    assert_int_equal(make_rig(&r, &m, "vp", 1, (const char *const[]){"epsilon=1"}), TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "likelihood.epsilon"));
    break_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exact_trace_gives_the_density_to_a_thousandth),
        cmocka_unit_test(hutchinsons_estimates_agree_within_their_errors),
        cmocka_unit_test(signs_are_exact_where_the_jacobian_is_diagonal),
        cmocka_unit_test(codes_of_data_are_standard_and_come_back),
        cmocka_unit_test(results_are_the_same_bits_however_the_range_is_cut),
        cmocka_unit_test(dequantised_bytes_lie_evenly_in_their_bins),
        cmocka_unit_test(what_has_no_flow_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
