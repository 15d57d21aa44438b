/* The variational bound against a slow reference from β alone, and codes by DDIM, both with the
 * exact score of a Gaussian. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "exact_mixture.h"
#include "tweedie/likelihood_bound.h"
#include "tweedie/likelihood_codes.h"
#include "tweedie/memory.h"
#include "tweedie/rng.h"

static void close_to(const char *what, double met, double wanted, double tolerance)
{
    if (!(fabs(met - wanted) <= tolerance))
        fail_msg("%s: met %.12g, wanted %.12g within %g", what, met, wanted, tolerance);
}

enum { T = 40, D = 3, N = 20 };

typedef struct rig {
    tw_config *config;
    tw_likelihood_config settings;
    tw_process *process;
    mixture m;
    tw_score score;
} rig;

/* A learned variance that differs by number and time. */
static double learned(double t, int64_t d)
{
    return sin(t + (double)d);
}

static tw_status eval_variance(void *self, int64_t n, const float *x, const double *t,
                               const int64_t *index, float *s, float *v)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < D; d++) v[i * D + d] = (float)learned(t[i], d);
    return mixture_eval(self, n, x, t, index, s);
}

static void make_rig(rig *r, const char *process, int keys, const char *const *key, int count,
                     const char *const *settings)
{
    char text[64], *one = text;
    *r = (rig){.m = {.modes = 1, .dims = D, .weight = {1}}};
    if (tw_process_make(&r->process, process, keys, key) != TW_OK)
        fail_msg("%s", tw_error_message());
    for (int64_t d = 0; d < D; d++) {
        r->m.mean[0][d] = 0.3 * (double)d - 0.2;
        r->m.std[0][d] = 0.2 + 0.1 * (double)d;
    }
    r->m.process = r->process;
    r->score = mixture_score(&r->m);
    assert_int_equal(tw_config_create(&r->config), TW_OK);
    for (int i = 0; i < count; i++) {
        assert_int_equal(tw_format(text, sizeof text, "likelihood.%s", settings[i]), TW_OK);
        assert_int_equal(tw_config_override(r->config, 1, &one), TW_OK);
    }
    assert_int_equal(tw_likelihood_bind(&r->settings, r->config), TW_OK);
    assert_int_equal(tw_config_finish(r->config), TW_OK);
}

static void break_rig(rig *r)
{
    tw_likelihood_config_free(&r->settings);
    tw_process_destroy(&r->process);
    tw_config_destroy(&r->config);
}

static const char *const of_process[] = {"timesteps=40", "beta_min=0.0001", "beta_max=0.008"};

/* ---- the reference: from β_t = linear, scaled by 1000 / T, as the papers write it ---- */

typedef struct tables {
    double beta[T], alphabar[T], before[T], tilde[T];
} tables;

static tables make_tables(void)
{
    tables a;
    double product = 1;
    for (int t = 0; t < T; t++) {
        a.beta[t] = (0.0001 + (0.008 - 0.0001) * t / (T - 1)) * 1000 / T;
        a.before[t] = product;
        product *= 1 - a.beta[t];
        a.alphabar[t] = product;
        a.tilde[t] = a.beta[t] * (1 - a.before[t]) / (1 - a.alphabar[t]);
    }
    a.tilde[0] = a.tilde[1];
    return a;
}

typedef enum variance { LARGE, SMALL, LEARNED } variance;
typedef enum last { DENSITY, EXACT, PUBLISHED } last;

static double cdf(double x, last kind)
{
    if (kind == EXACT) return 0.5 * erfc(-x / sqrt(2));
    return 0.5 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double last_term(double x0, double mean, double v, last kind)
{
    if (kind == DENSITY) return 0.5 * log(2 * M_PI * v) + 0.5 * (x0 - mean) * (x0 - mean) / v;
    const double up = cdf((x0 + 1.0 / 255 - mean) / sqrt(v), kind),
                 down = cdf((x0 - 1.0 / 255 - mean) / sqrt(v), kind);
    const double p = x0 < -0.999 ? up : x0 > 0.999 ? 1 - down : up - down;
    return -log(p < 1e-12 && kind == PUBLISHED ? 1e-12 : p);
}

/* x̂_0 of the Gaussian's posterior; KL between N(μ̃, β̃) and N(μ, v). */
static double reference(const rig *r, const tables *a, int t, const float *x0, const float *z,
                        variance kind, last zero, bool clip)
{
    double sum = 0;
    for (int64_t d = 0; d < D; d++) {
        const double root = sqrt(a->alphabar[t]), noise = 1 - a->alphabar[t],
                     s2 = r->m.std[0][d] * r->m.std[0][d];
        const double xt = (double)(float)(root * (double)x0[d] + sqrt(noise) * (double)z[d]);
        double guess = r->m.mean[0][d] +
                       root * s2 * (xt - root * r->m.mean[0][d]) / (a->alphabar[t] * s2 + noise);
        if (clip) guess = guess < -1 ? -1 : guess > 1 ? 1 : guess;
        const double frac = (learned(t, d) + 1) / 2;
        const double v = kind == LEARNED
                             ? exp(frac * log(a->beta[t]) + (1 - frac) * log(a->tilde[t]))
                         : kind == LARGE && t > 0 ? a->beta[t]
                                                  : a->tilde[t];
        if (t == 0) {
            sum += last_term((double)x0[d], guess, v, zero);
            continue;
        }
        const double c1 = a->beta[t] * sqrt(a->before[t]) / noise,
                     c2 = (1 - a->before[t]) * sqrt(1 - a->beta[t]) / noise;
        const double true_mean = c1 * (double)x0[d] + c2 * xt, mean = c1 * guess + c2 * xt;
        sum += 0.5 * (log(v) - log(a->tilde[t]) + a->tilde[t] / v +
                      (true_mean - mean) * (true_mean - mean) / v - 1);
    }
    return sum;
}

static double reference_prior(const tables *a, const float *x0)
{
    double sum = 0;
    for (int64_t d = 0; d < D; d++)
        sum += 0.5 * (-log(1 - a->alphabar[T - 1]) + 1 - a->alphabar[T - 1] +
                      a->alphabar[T - 1] * (double)x0[d] * (double)x0[d] - 1);
    return sum;
}

static void fill_points(float *x, bool bytes)
{
    const tw_rng_stream s = {.seed = 3, .purpose = TW_RNG_TEST};
    tw_rng_normal(x, &s, 0, N * D);
    for (int i = 0; i < N * D; i++) {
        x[i] = -0.1f + 0.4f * x[i];
        if (!bytes) continue;
        const double v = round(((double)x[i] + 1) * 127.5);
        x[i] = (float)(fmin(fmax(v, 0), 255) / 127.5 - 1);
    }
    if (bytes) x[0] = -1, x[4] = 1;
}

/* The score is float: x̂_0 is σ² / α times its rounding off, divided by the standard deviation of
 * the last step in L_0, squared: 2e-4 at the sizes here. */
static void each_term_equals_a_slow_reference_from_beta(void **state)
{
    static const char *const set[] = {"variance=fixedlarge", "variance=fixedsmall",
                                      "variance=learned"};
    static const char *const cdfs[] = {"cdf=exact", "cdf=exact", "cdf=published"};
    static double terms[N * (T + 1)];
    float x[N * D], z[D];
    const tables a = make_tables();
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int zero = 0; zero < 3; zero++) {
            const char *const settings[] = {set[kind], cdfs[zero], "seed=5", "batch=8"};
            const bool bytes = zero != DENSITY;
            rig r;
            tw_bound *b = NULL;
            make_rig(&r, "ddpm", 3, of_process, 4, settings);
            if (kind == LEARNED) r.score.eval_variance = eval_variance;
            fill_points(x, bytes);
            assert_int_equal(tw_bound_create(&b, &r.settings, r.process, &r.score, bytes), TW_OK);
            assert_int_equal(tw_bound_terms(b), T + 1);
            assert_int_equal(tw_bound_run(b, 100, N, 2, x, terms), TW_OK);
            for (int i = 0; i < N; i++) {
                for (int t = 0; t < T; t++) {
                    const tw_rng_stream s = {
                        .seed = 5, .purpose = TW_RNG_BOUND, .position = 100 + i, .step = 2 * T + t};
                    tw_rng_normal(z, &s, 0, D);
                    const double wanted =
                        reference(&r, &a, t, x + i * D, z, (variance)kind, (last)zero, bytes);
                    close_to("a term", terms[i * (T + 1) + t], wanted, 2e-4 * (1 + fabs(wanted)));
                }
                close_to("the prior's term", terms[i * (T + 1) + T], reference_prior(&a, x + i * D),
                         1e-9);
            }
            tw_bound_destroy(&b);
            break_rig(&r);
        }
}

/* Of standard normal data the reverse process with v = β is the true one, so the bound's
 * expectation over x_t is −log p(x_0) itself, but for the first step, whose variance is β̃_1 and not
 * β_0: there it is ½ (r − 1 − log r) = 0.11 a number too large, r = β_0 / β̃_1. */
static void the_bound_of_a_true_reverse_process_is_the_density(void **state)
{
    enum { REPEATS = 12 };
    static const char *const keys[] = {"timesteps=1000"};
    static const char *const settings[] = {"variance=fixedlarge"};
    static double terms[N * 1001];
    float x[N * D];
    double gap = 0, squares = 0, truth = 0;
    rig r;
    tw_bound *b = NULL;
    (void)state;
    make_rig(&r, "ddpm", 1, keys, 1, settings);
    memset(r.m.mean, 0, sizeof r.m.mean);
    for (int d = 0; d < D; d++) r.m.std[0][d] = 1;
    fill_points(x, false);
    for (int i = 0; i < N * D; i++)
        truth -= 0.5 * ((double)x[i] * (double)x[i] + log(2 * M_PI)) / N;
    assert_int_equal(tw_bound_create(&b, &r.settings, r.process, &r.score, false), TW_OK);
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double sum = 0;
        assert_int_equal(tw_bound_run(b, 0, N, repeat, x, terms), TW_OK);
        for (int k = 0; k < N * 1001; k++) sum += terms[k] / N;
        gap += (sum + truth) / REPEATS;
        squares += (sum + truth) * (sum + truth) / REPEATS;
    }
    const double error = sqrt((squares - gap * gap) / (REPEATS - 1));
    close_to("nats above the truth", gap, 0.113 * D, 3 * error + 0.02);
    assert_true(error < 0.15);
    tw_bound_destroy(&b);
    break_rig(&r);
}

static void a_bins_probability_is_exact_however_far_out(void **state)
{
    (void)state;
    for (double a = -120; a < 120; a += 0.37) {
        const long double s = sqrtl(2), b = (long double)a + 1.5L;
        const long double mirrored = a + 0.75 < 0;
        const long double low = mirrored ? -b : (long double)a,
                          high = mirrored ? -(long double)a : b;
        const long double p = 0.5L * (erfcl(low / s) - erfcl(high / s));
        const double wanted = (double)-logl(p);
        close_to("a bin", tw_bound_bin(2 * a + 1, 2 * (double)b + 1, 1, 2), wanted,
                 1e-9 * (1 + wanted));
        close_to("an upper tail", tw_bound_bin(a, INFINITY, 0, 1),
                 (double)-logl(0.5L * erfcl((long double)a / s)), 1e-9 * (1 + wanted));
        close_to("a lower tail", tw_bound_bin(-INFINITY, -a, 0, 1),
                 (double)-logl(0.5L * erfcl((long double)a / s)), 1e-9 * (1 + wanted));
    }
    assert_true(isfinite(tw_bound_bin(-1e6, -1e6 + 1, 0, 1)));
}

static void a_cut_range_and_another_batch_give_the_same_bits(void **state)
{
    static double whole[N * (T + 1)], cut[N * (T + 1)];
    float x[N * D];
    (void)state;
    fill_points(x, true);
    for (int batch = 1; batch < 30; batch += 9) {
        char text[32];
        const char *const settings[] = {text};
        rig r;
        tw_bound *b = NULL;
        assert_int_equal(tw_format(text, sizeof text, "batch=%d", batch), TW_OK);
        make_rig(&r, "ddpm", 3, of_process, 1, settings);
        assert_int_equal(tw_bound_create(&b, &r.settings, r.process, &r.score, true), TW_OK);
        assert_int_equal(tw_bound_run(b, 0, 7, 0, x, cut), TW_OK);
        assert_int_equal(tw_bound_run(b, 7, N - 7, 0, x + 7 * D, cut + 7 * (T + 1)), TW_OK);
        if (batch == 1) memcpy(whole, cut, sizeof cut);
        assert_memory_equal(cut, whole, sizeof cut);
        tw_bound_destroy(&b);
        break_rig(&r);
    }
}

/* Fewer steps: the bound of the process that has only these, so the prior's term stays. */
static void kept_steps_make_a_bound_of_their_own(void **state)
{
    static const char *const settings[] = {"timesteps=5"};
    double terms[N * 6];
    float x[N * D];
    rig r;
    tw_bound *b = NULL;
    const tables a = make_tables();
    (void)state;
    fill_points(x, true);
    make_rig(&r, "ddpm", 3, of_process, 1, settings);
    assert_int_equal(tw_bound_create(&b, &r.settings, r.process, &r.score, true), TW_OK);
    assert_int_equal(tw_bound_terms(b), 6);
    assert_true(tw_bound_time(b, 0) == 0 && tw_bound_time(b, 4) == T - 1);
    assert_true(isnan(tw_bound_time(b, 5)));
    assert_int_equal(tw_bound_run(b, 0, N, 0, x, terms), TW_OK);
    close_to("the prior's term", terms[5], reference_prior(&a, x), 1e-9);
    for (int k = 0; k < N * 6; k++) assert_true(isfinite(terms[k]));
    tw_bound_destroy(&b);
    break_rig(&r);
}

static void expect_refusal(const char *process, const char *setting, const char *words)
{
    rig r;
    tw_bound *b = NULL;
    make_rig(&r, process, 0, NULL, 1, &setting);
    assert_int_equal(tw_bound_create(&b, &r.settings, r.process, &r.score, true), TW_ECONFIG);
    if (!strstr(tw_error_message(), words)) fail_msg("%s", tw_error_message());
    break_rig(&r);
}

static void what_has_no_bound_is_refused_with_what_would_work(void **state)
{
    (void)state;
    expect_refusal("vp", "kind=bound", "likelihood.kind = ode");
    expect_refusal("single", "kind=bound", "continuous processes have an exact one");
    expect_refusal("ladder", "kind=bound", "uniform prior");
    expect_refusal("ddpm", "variance=learned", "fixedlarge");
    expect_refusal("ddpm", "timesteps=1", "two or more");
    expect_refusal("ddpm", "timesteps=ddim999", "likelihood.timesteps");
}

/* ---- codes ---- */

static double there_and_back(int count, const char *const *settings)
{
    float x[N * D], y[N * D];
    int64_t evaluations[N];
    double worst = 0;
    rig r;
    tw_codes *c = NULL;
    make_rig(&r, "ddpm", 0, NULL, count, settings);
    fill_points(x, false);
    memcpy(y, x, sizeof x);
    assert_int_equal(tw_codes_create(&c, &r.settings, r.process, &r.score), TW_OK);
    assert_int_equal(tw_codes_encode(c, 0, N, y, evaluations), TW_OK);
    for (int i = 0; i < N * D; i++) { /* a code is standard normal: here (x − mean) / std */
        const double z = ((double)x[i] - r.m.mean[0][i % D]) / r.m.std[0][i % D];
        close_to("a code", (double)y[i], z, 0.2 * (1 + fabs(z)));
    }
    assert_int_equal(tw_codes_decode(c, 0, N, y, evaluations), TW_OK);
    for (int i = 0; i < N * D; i++) worst = fmax(worst, fabs((double)y[i] - (double)x[i]));
    tw_codes_destroy(&c);
    break_rig(&r);
    return worst;
}

static void ddim_and_its_inversion_meet(void **state)
{
    static const char *const many[] = {"timesteps=500"}, *const few[] = {"timesteps=125"},
                             *const exact[] = {"timesteps=125", "inversions=20"};
    const double of_many = there_and_back(1, many), of_few = there_and_back(1, few),
                 of_exact = there_and_back(2, exact);
    (void)state;
    if (!(of_few < 0.2 && of_many < of_few / 2)) /* a method of first order */
        fail_msg("off by %g with 125 steps, by %g with 500", of_few, of_many);
    if (!(of_exact < 2e-4)) fail_msg("off by %g with fixed-point iterations", of_exact);
}

static void interpolation_is_spherical(void **state)
{
    const float a[2] = {3, 0}, b[2] = {0, 3};
    float c[2];
    (void)state;
    for (int k = 0; k <= 6; k++) {
        tw_codes_interpolate(c, a, b, 2, k / 6.0);
        close_to("x", (double)c[0], 3 * cos(M_PI / 12 * k), 1e-6);
        close_to("y", (double)c[1], 3 * sin(M_PI / 12 * k), 1e-6);
    }
    tw_codes_interpolate(c, a, a, 2, 0.3);
    close_to("the same point", (double)c[0], 3, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_term_equals_a_slow_reference_from_beta),
        cmocka_unit_test(the_bound_of_a_true_reverse_process_is_the_density),
        cmocka_unit_test(a_bins_probability_is_exact_however_far_out),
        cmocka_unit_test(a_cut_range_and_another_batch_give_the_same_bits),
        cmocka_unit_test(kept_steps_make_a_bound_of_their_own),
        cmocka_unit_test(what_has_no_bound_is_refused_with_what_would_work),
        cmocka_unit_test(ddim_and_its_inversion_meet),
        cmocka_unit_test(interpolation_is_spherical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
