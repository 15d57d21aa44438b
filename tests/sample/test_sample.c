/* Samplers with the exact scores of Gaussians and mixtures: what they must generate is known in
 * closed form. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <omp.h>

#include "sample/sample_fixture.h"

static tw_process *linear_schedule(const char *steps)
{
    char key[32] = "timesteps=";
    return make_process("ddpm", 1, (const char *const[]){strcat(key, steps)});
}

static double alphabar(const tw_process *p, double t)
{
    const double a = tw_process_alpha(p, t);
    return a * a;
}

/* For data N(μ, s²) the posterior mean of x0 is linear in xt, so ancestral sampling is a chain of
 * linear maps whose mean and variance follow a recursion. It is written here from Bayes' rule and
 * q(x_{t−1} | xt, x0) = the product of two Gaussians, with none of the schedule's derived
 * coefficients. */
static void ancestral_moments(const tw_process *p, const int64_t *kept, int64_t steps, bool large,
                              double mu, double std, double *mean, double *variance)
{
    double m = 0, v = 1;
    for (int64_t k = steps - 1; k > 0; k--) {
        const double ab = alphabar(p, (double)kept[k]), before = alphabar(p, (double)kept[k - 1]),
                     beta = 1 - ab / before;
        const double gain = sqrt(ab) * std * std /
                            (ab * std * std + 1 - ab); /* E[x0 | xt] = μ + gain (xt − √ᾱ μ) */
        const double precision = (1 - beta) / beta + 1 / (1 - before);
        const double c1 = sqrt(before) / (1 - before) / precision,
                     c2 = sqrt(1 - beta) / beta / precision;
        const double slope = c1 * gain + c2;
        m = slope * m + c1 * (mu - gain * sqrt(ab) * mu);
        v = slope * slope * v + (large ? beta : 1 / precision);
    }
    const double ab = alphabar(p, (double)kept[0]),
                 gain = sqrt(ab) * std * std / (ab * std * std + 1 - ab);
    *mean = mu + gain * (m - sqrt(ab) * mu);
    *variance = gain * gain * v;
}

enum { COUNT = 20000 };

static void ancestral_sampling_of_a_gaussian_has_the_exact_moments(void **state)
{
    (void)state;
    static const struct {
        const char *steps, *kept, *words;
        bool large;
    } cases[] = {{"200", "200", "variance=fixedlarge seed=17", true},
                 {"200", "200", "variance=fixedsmall seed=17", false},
                 {"1000", "25", "variance=fixedlarge steps=25 seed=17", true},
                 {"1000", "25", "variance=fixedsmall steps=25 seed=17", false}};
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .mean = {{1.5, -0.5}}, .std = {{0.5, 1.0}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_process *p = linear_schedule(cases[i].steps);
        float *x = sample_mixture(&m, p, cases[i].words, 0, COUNT, 5000);
        int64_t kept[1000], count;
        assert_int_equal(tw_spacing_of_steps(kept, &count, p->steps, cases[i].kept), TW_OK);
        for (int64_t d = 0; d < 2; d++) {
            double mean, variance, exact_mean, exact_variance;
            moments(x, COUNT, 2, d, &mean, &variance);
            ancestral_moments(p, kept, count, cases[i].large, m.mean[0][d], m.std[0][d],
                              &exact_mean, &exact_variance);
            close_to(mean, exact_mean, 5 * sqrt(exact_variance / COUNT));
            close_to(variance, exact_variance, 5 * exact_variance * sqrt(2.0 / COUNT));
        }
        tw_free(&x);
        tw_process_destroy(&p);
    }
}

/* At T = 1000 what is sampled is the data themselves, to the discretisation's few per cent of
 * variance.
 */
static void ancestral_sampling_recovers_a_mixture(void **state)
{
    (void)state;
    enum { N = 6000 };
    mixture m = {.modes = 2,
                 .dims = 2,
                 .weight = {0.3, 0.7},
                 .mean = {{-2, 1}, {2, 0}},
                 .std = {{0.3, 0.5}, {0.4, 0.2}}};
    tw_process *p = linear_schedule("1000");
    float *x = sample_mixture(&m, p, "variance=fixedsmall seed=4", 0, N, N);
    for (int k = 0; k < 2; k++) {
        double n = 0, sum[2] = {0}, square[2] = {0}, product = 0;
        for (int i = 0; i < N; i++) {
            if ((x[2 * i] > 0) != (k == 1)) continue;
            n++;
            for (int d = 0; d < 2; d++) {
                const double r = x[2 * i + d] - m.mean[k][d];
                sum[d] += r;
                square[d] += r * r;
            }
            product += (x[2 * i] - m.mean[k][0]) * (x[2 * i + 1] - m.mean[k][1]);
        }
        close_to(n / N, m.weight[k], 5 * sqrt(0.21 / N));
        for (int d = 0; d < 2; d++) {
            const double v = m.std[k][d] * m.std[k][d];
            close_to(sum[d] / n, 0, 5 * sqrt(v / n) + 0.01);
            close_to(square[d] / n, v, 5 * v * sqrt(2 / n) + 0.03 * v);
        }
        close_to(product / n / (m.std[k][0] * m.std[k][1]), 0, 5 / sqrt(n) + 0.02);
    }
    tw_free(&x);
    tw_process_destroy(&p);
}

/* The probability-flow ODE carries N(0, 1) to N(μ, s²) by xT → μ + s (xT − √ᾱ μ) / √(ᾱ s² + 1 − ᾱ),
 * exactly; DDIM is its exponential Euler method, of first order in the step of √((1 − ᾱ) / ᾱ). */
static void halving_the_step_halves_ddims_error(void **state)
{
    (void)state;
    enum { N = 64 };
    mixture m = {.modes = 1, .dims = 1, .weight = {1}, .mean = {{0.7}}, .std = {{0.5}}};
    tw_process *p = linear_schedule("8000");
    const tw_rng_stream prior = {.seed = 0, .purpose = TW_RNG_SAMPLER_PRIOR};
    static const char *const words[] = {"kind=ddim steps=50", "kind=ddim steps=100",
                                        "kind=ddim steps=200", "kind=ddim steps=400"};
    double error[4];
    for (int level = 0; level < 4; level++) {
        float *x = sample_mixture(&m, p, words[level], 0, N, N), start[N];
        tw_rng_normal_rows(start, &prior, NULL, N, 1);
        error[level] = 0;
        for (int i = 0; i < N; i++) {
            const double ab = alphabar(p, 7999);
            const double exact = 0.7 + 0.5 * (start[i] - sqrt(ab) * 0.7) / sqrt(ab * 0.25 + 1 - ab);
            error[level] += fabs(x[i] - exact) / N;
        }
        tw_free(&x);
        if (level > 0) close_to(error[level - 1] / error[level], 2, 0.25);
    }
    assert_true(error[0] < 0.1);
    tw_process_destroy(&p);
}

/* The same noise, so the same samples to rounding. */
static void ddim_with_eta_1_is_ancestral_sampling_with_fixedsmall(void **state)
{
    (void)state;
    enum { N = 100 };
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .mean = {{0.7, -1}}, .std = {{0.5, 1}}};
    tw_process *p = linear_schedule("1000");
    float *a = sample_mixture(&m, p, "kind=ancestral variance=fixedsmall steps=40", 0, N, N),
          *b = sample_mixture(&m, p, "kind=ddim eta=1 steps=40", 0, N, N);
    assert_int_equal(m.points, 2 * N * 40);
    for (int i = 0; i < 2 * N; i++) close_to((double)a[i], (double)b[i], 2e-5);
    tw_free(&a);
    tw_free(&b);
    tw_process_destroy(&p);
}

/* E[x0 | xt] for one Gaussian, from the sample of the prior: the one-step denoiser returns nearly
 * the mean. */
static void onestep_returns_the_posterior_mean(void **state)
{
    (void)state;
    enum { N = 100 };
    mixture m = {
        .modes = 1, .dims = 2, .weight = {1}, .mean = {{0.5, -0.25}}, .std = {{0.5, 0.25}}};
    tw_process *p = make_process("single", 2, (const char *const[]){"scale=0.02", "sigma=2"});
    float *x = sample_mixture(&m, p, "seed=5", 0, N, 32), start[N][2];
    const tw_rng_stream prior = {.seed = 5, .purpose = TW_RNG_SAMPLER_PRIOR};
    tw_rng_normal_rows(&start[0][0], &prior, NULL, N, 2);
    for (int i = 0; i < N; i++)
        for (int d = 0; d < 2; d++) {
            const double v = m.std[0][d] * m.std[0][d], mean = m.mean[0][d];
            const double xt = 2 * start[i][d];
            /* (xt − σ ẑ) / α cancels two digits of the seven that a float has. */
            close_to(x[2 * i + d], mean + 0.02 * v / (4e-4 * v + 4) * (xt - 0.02 * mean), 1e-4);
        }
    tw_free(&x);
    tw_process_destroy(&p);
}

/* The same score for one point in any batch: so other batches, other threads and other cuts must
 * all agree. */
static void samples_are_the_same_bits_however_the_range_is_cut(void **state)
{
    (void)state;
    enum { N = 41 };
    static const char *const words[] = {"kind=ancestral steps=20 seed=99",
                                        "kind=ddim eta=0.5 steps=20 seed=99"};
    static const int64_t batches[] = {1, 7, 8, 64};
    tw_process *p = linear_schedule("1000");
    for (int kind = 0; kind < 2; kind++) {
        mixture m = {.modes = 2,
                     .dims = 3,
                     .weight = {0.5, 0.5},
                     .mean = {{-1, 0, 1}, {1, 0, 1}},
                     .std = {{0.3, 1, 1}, {0.3, 1, 1}}};
        float *whole = sample_mixture(&m, p, words[kind], 1000, N, 8);
        for (int b = 0; b < 4; b++) {
            omp_set_num_threads(1 + b);
            m.batch = batches[b];
            float *again = sample_mixture(&m, p, words[kind], 1000, N, batches[b]);
            assert_memory_equal(again, whole, N * 3 * sizeof *whole);
            tw_free(&again);
            assert_false(m.strange_batch);
        }
        omp_set_num_threads(2);
        m.batch = 8;
        for (int64_t first = 0; first < N; first += 13) {
            const int64_t n = N - first < 13 ? N - first : 13;
            float *part = sample_mixture(&m, p, words[kind], 1000 + first, n, 8);
            assert_memory_equal(part, whole + 3 * first, (size_t)n * 3 * sizeof *part);
            tw_free(&part);
        }
        assert_false(m.strange_batch);
        float *other = sample_mixture(&m, p, "kind=ancestral steps=20 seed=98", 1000, N, 8);
        for (int i = 0; i < 3 * N; i++) assert_true(other[i] != whole[i]);
        tw_free(&other);
        tw_free(&whole);
    }
    tw_process_destroy(&p);
}

/* Rows longer than the piece that is updated at once: the noise of a long row is one stream,
 * whatever the piece. */
static tw_status zero_eval(void *self, int64_t n, const float *x, const double *t,
                           const int64_t *index, float *score)
{
    (void)x, (void)t, (void)index;
    memset(score, 0, (size_t)(n * *(const int64_t *)self) * sizeof *score);
    return TW_OK;
}

static void the_noise_of_a_step_is_one_stream_of_its_sample(void **state)
{
    (void)state;
    enum { D = 5000, N = 3 };
    int64_t dims = D;
    tw_process *p = linear_schedule("1000");
    rig r;
    static float x[N][D], xt[D], z[D];
    const tw_score score = {.self = &dims, .dims = D, .eval = zero_eval};
    /* steps 500 and 0 */
    assert_int_equal(make_rig(&r, p, score, "timesteps=ddim2 variance=fixedsmall seed=8", N, false),
                     TW_OK);
    assert_int_equal(tw_sampler_run(r.sampler, 70, N, &x[0][0]), TW_OK);
    const double ab = alphabar(p, 500), ab0 = alphabar(p, 0), beta = 1 - ab / ab0;
    for (int i = 0; i < N; i++) {
        const tw_rng_stream prior = {
            .seed = 8, .purpose = TW_RNG_SAMPLER_PRIOR, .position = 70 + i};
        const tw_rng_stream noise = {
            .seed = 8, .purpose = TW_RNG_SAMPLER_NOISE, .position = 70 + i, .step = 500};
        tw_rng_normal(xt, &prior, 0, D);
        tw_rng_normal(z, &noise, 0, D);
        for (int d = 0; d < D; d++) {
            /* With score 0, x0 = xt / √ᾱ at both steps. */
            const double mean =
                (sqrt(ab0) * beta / sqrt(ab) + sqrt(ab / ab0) * (1 - ab0)) / (1 - ab) * xt[d];
            const double middle = mean + sqrt(beta * (1 - ab0) / (1 - ab)) * z[d];
            close_to((double)x[i][d], middle / sqrt(ab0), 2e-5);
        }
    }
    break_rig(&r);
    tw_process_destroy(&p);
}

static void clipped_samples_stay_in_their_range_and_nan_is_not_hidden(void **state)
{
    (void)state;
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .mean = {{0.9, -3}}, .std = {{0.5, 0.1}}};
    tw_process *p = linear_schedule("1000");
    float *x = sample_mixture(&m, p, "steps=50 clip=yes", 0, 500, 500);
    int inside = 0;
    for (int i = 0; i < 500; i++) {
        assert_true(x[2 * i] >= -1 && x[2 * i] <= 1);
        assert_true(x[2 * i + 1] >= -1 && x[2 * i + 1] < -0.5f); /* the data lie at −3 */
        inside += x[2 * i] > -1 && x[2 * i] < 1;
    }
    assert_true(inside > 100);
    tw_free(&x);
    x = sample_mixture(&m, p, "steps=50 clip=yes clip_min=0 clip_max=0.25", 0, 500, 500);
    for (int i = 0; i < 1000; i++) assert_true(x[i] >= 0 && x[i] <= 0.25f);
    tw_free(&x);
    m.mean[0][0] = NAN;
    x = sample_mixture(&m, p, "steps=50 clip=yes", 0, 5, 5);
    assert_true(isnan(x[0]));
    tw_free(&x);
    tw_process_destroy(&p);
}

/* What a score and a watcher are told. */
typedef struct witness {
    mixture *m;
    int64_t evaluations, last_step, stop_at, samples;
    double times[64];
    bool wrong_index;
} witness;

static tw_status witness_eval(void *self, int64_t n, const float *x, const double *t,
                              const int64_t *index, float *score)
{
    witness *w = self;
    w->times[w->evaluations++ % 64] = t[0];
    for (int64_t i = 0; i < n; i++) w->wrong_index |= index[i] != index[0] + i || t[i] != t[0];
    return mixture_eval(w->m, n, x, t, index, score);
}

static tw_status watch(void *self, int64_t step, int64_t steps, int64_t first, int64_t n,
                       const float *x)
{
    witness *w = self;
    (void)first, (void)x;
    w->last_step = step;
    if (step == steps) w->samples += n;
    return step == w->stop_at ? tw_error_set(TW_ESTOPPED, "stopped by the watcher") : TW_OK;
}

static void scores_are_asked_at_the_original_time_steps(void **state)
{
    (void)state;
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .std = {{0.5, 0.5}}};
    witness w = {.m = &m};
    const tw_score score = {.self = &w, .dims = 2, .eval = witness_eval};
    tw_process *p = linear_schedule("1000");
    rig r;
    float x[14];
    m.process = p;
    assert_int_equal(make_rig(&r, p, score, "steps=10", 4, false), TW_OK);
    tw_sampler_watch(r.sampler, watch, &w);
    assert_int_equal(tw_sampler_run(r.sampler, 5, 7, x), TW_OK);
    assert_int_equal(w.evaluations, 20);
    assert_true(tw_sampler_evaluations(r.sampler) == 10);
    assert_int_equal(w.samples, 7);
    assert_false(w.wrong_index);
    for (int k = 0; k < 10; k++) assert_true(w.times[k] == 999 - 111 * k);
    w.stop_at = 3;
    assert_int_equal(tw_sampler_run(r.sampler, 5, 7, x), TW_ESTOPPED);
    assert_int_equal(w.last_step, 3);
    break_rig(&r);
    tw_process_destroy(&p);
}

static void bad_settings_are_refused(void **state)
{
    static const struct {
        const char *words, *message;
    } bad[] = {
        {"kind=ancestrall", "ddim"},
        {"variance=large", "fixedsmall"},
        {"steps=1001", "1000"},
        {"steps=-1", "-1"},
        {"timesteps=ddim999", "ddim999"},
        {"clip=yes clip_min=2", "clip_max"},
        {"kind=ddim eta=1.5", "eta"},
        {"kind=ddim predictor=ancestral", "sample.kind = pc"},
        {"eta=0.5", "belongs to samplers with a predictor"},
        {"kind=onestep", "sample.steps=1"},
        {"kind=pc corrector=lang", "none"},
        {"spacing=even", "uniform"},
    };
    (void)state;
    tw_process *p = linear_schedule("1000"), *continuous = make_process("vp", 0, NULL);
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .process = p};
    rig r;
    float x[3];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(make_rig(&r, p, mixture_score(&m), bad[i].words, 4, false), TW_ECONFIG);
        if (!strstr(tw_error_message(), bad[i].message))
            fail_msg("%s: %s: not '%s'", bad[i].words, tw_error_message(), bad[i].message);
        assert_null(r.sampler);
        break_rig(&r);
    }
    assert_int_equal(make_rig(&r, continuous, mixture_score(&m), "kind=pc timesteps=10", 4, false),
                     TW_ECONFIG);
    assert_non_null(strstr(tw_error_message(), "discrete"));
    break_rig(&r);
    assert_int_equal(make_rig(&r, p, mixture_score(&m), "", 4, false), TW_OK);
    assert_int_equal(tw_sampler_run(r.sampler, -1, 1, x), TW_EUSAGE);
    assert_int_equal(tw_sampler_run(r.sampler, (int64_t)1 << 44, 1, x), TW_EUSAGE);
    break_rig(&r);
    tw_process_destroy(&p);
    tw_process_destroy(&continuous);
}

/* Everything that a sample depends on is in the line that tells sample sets apart. */
static void every_setting_is_told(void **state)
{
    static const char *const words[] = {"",
                                        "kind=ddim",
                                        "steps=10",
                                        "timesteps=10,20,30",
                                        "clip=yes",
                                        "kind=ddim eta=.5",
                                        "clip=yes clip_min=-2",
                                        "variance=fixedsmall",
                                        "seed=1",
                                        "denoise=no",
                                        "clip=yes clip_max=2"};
    enum { COUNT_OF_WORDS = sizeof words / sizeof *words };
    (void)state;
    char *lines[COUNT_OF_WORDS + 1] = {0};
    tw_process *p = linear_schedule("1000");
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .process = p};
    for (int i = 0; i <= COUNT_OF_WORDS; i++) {
        rig r;
        tw_text text = {0};
        const bool last = i == COUNT_OF_WORDS; /* the first again, in other batches */
        assert_int_equal(
            make_rig(&r, p, mixture_score(&m), last ? "" : words[i], last ? 5 : 4, false), TW_OK);
        assert_int_equal(tw_sampler_describe(&text, r.sampler), TW_OK);
        lines[i] = text.data;
        break_rig(&r);
        for (int k = 0; k < i; k++)
            if (strcmp(lines[i], lines[k]) == 0)
                fail_msg("settings %d and %d are both told as '%s'", i, k, lines[i]);
    }
    for (int i = 0; i <= COUNT_OF_WORDS; i++) tw_free(&lines[i]);
    tw_process_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ancestral_sampling_of_a_gaussian_has_the_exact_moments),
        cmocka_unit_test(ancestral_sampling_recovers_a_mixture),
        cmocka_unit_test(halving_the_step_halves_ddims_error),
        cmocka_unit_test(ddim_with_eta_1_is_ancestral_sampling_with_fixedsmall),
        cmocka_unit_test(onestep_returns_the_posterior_mean),
        cmocka_unit_test(samples_are_the_same_bits_however_the_range_is_cut),
        cmocka_unit_test(the_noise_of_a_step_is_one_stream_of_its_sample),
        cmocka_unit_test(clipped_samples_stay_in_their_range_and_nan_is_not_hidden),
        cmocka_unit_test(scores_are_asked_at_the_original_time_steps),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(every_setting_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
