/* Samplers with the exact scores of Gaussians and mixtures: what they must draw is known in closed
 * form. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <omp.h>

#include "sample/sampler.h"
#include "tweedie/memory.h"

enum { MODES_MAX = 3, DIMS_MAX = 3 };

/* Data Σ w_k N(mean_k, diag std_k²) seen through a schedule (or through scale x0 + sigma z, where
 * there is none): its score at every time.
 */
typedef struct mixture {
    const tw_schedule *schedule;
    double scale, sigma;
    int modes;
    int64_t dims;
    double weight[MODES_MAX], mean[MODES_MAX][DIMS_MAX], std[MODES_MAX][DIMS_MAX];
    int64_t calls, batch; /* how often it was asked, for how many */
    bool strange_batch;
} mixture;

static void mixture_score_at(const mixture *m, const float *x, double t, float *score)
{
    const double a = m->schedule ? m->schedule->sqrt_alphabar[(int64_t)t] : m->scale;
    const double noise = m->schedule ? 1 - m->schedule->alphabar[(int64_t)t] : m->sigma * m->sigma;
    double log_density[MODES_MAX], top = -INFINITY, total = 0, sum[DIMS_MAX] = {0};
    for (int k = 0; k < m->modes; k++) {
        log_density[k] = log(m->weight[k]);
        for (int64_t d = 0; d < m->dims; d++) {
            const double v = a * a * m->std[k][d] * m->std[k][d] + noise,
                         r = x[d] - a * m->mean[k][d];
            log_density[k] -= 0.5 * (r * r / v + log(v));
        }
        top = fmax(top, log_density[k]);
    }
    for (int k = 0; k < m->modes; k++) {
        const double p = exp(log_density[k] - top);
        total += p;
        for (int64_t d = 0; d < m->dims; d++) {
            const double v = a * a * m->std[k][d] * m->std[k][d] + noise;
            sum[d] -= p * (x[d] - a * m->mean[k][d]) / v;
        }
    }
    for (int64_t d = 0; d < m->dims; d++) score[d] = (float)(sum[d] / total);
}

static tw_status mixture_eval(void *self, int64_t n, const float *x, const double *t,
                              const int64_t *index, float *score)
{
    mixture *m = self;
    (void)index;
    m->calls++;
    if (m->batch && n != m->batch) m->strange_batch = true;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) mixture_score_at(m, x + i * m->dims, t[i], score + i * m->dims);
    return TW_OK;
}

static tw_score score_of(mixture *m)
{
    return (tw_score){.self = m, .dims = m->dims, .eval = mixture_eval};
}

static tw_schedule *linear_schedule(int64_t steps)
{
    tw_schedule *s = NULL;
    assert_int_equal(tw_schedule_create(&s, "linear", steps, 1e-4, 0.02), TW_OK);
    return s;
}

static float *draw(mixture *m, const tw_sampler_settings *settings, const tw_schedule *schedule,
                   int64_t first, int64_t n, int64_t batch)
{
    tw_sampler *sampler = NULL;
    float *x = NULL;
    const tw_score score = score_of(m);
    m->schedule = schedule;
    assert_int_equal(tw_alloc(&x, n * m->dims, sizeof *x, "samples"), TW_OK);
    assert_int_equal(tw_sampler_create(&sampler, settings, schedule, m->dims, batch), TW_OK);
    assert_int_equal(tw_sampler_run(sampler, &score, first, n, x), TW_OK);
    tw_sampler_destroy(&sampler);
    assert_null(sampler);
    return x;
}

static void close_to(double met, double wanted, double tolerance)
{
    if (!(fabs(met - wanted) <= tolerance))
        fail_msg("met %.9g, wanted %.9g within %g", met, wanted, tolerance);
}

/* Mean and variance of coordinate d. */
static void moments(const float *x, int64_t n, int64_t dims, int64_t d, double *mean,
                    double *variance)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i * dims + d];
    for (int64_t i = 0; i < n; i++) square += pow(x[i * dims + d] - sum / (double)n, 2);
    *mean = sum / (double)n;
    *variance = square / (double)n;
}

/* For data N(μ, s²) the posterior mean of x0 is linear in xt, so ancestral sampling is a chain of
 * linear maps whose mean and variance follow a recursion. It is written here from Bayes' rule and
 * q(x_{t−1} | xt, x0) = the product of two Gaussians, with none of the schedule's derived
 * coefficients. */
static void ancestral_moments(const tw_schedule *s, bool large, double mu, double std, double *mean,
                              double *variance)
{
    double m = 0, v = 1;
    for (int64_t t = s->steps - 1; t > 0; t--) {
        const double ab = s->alphabar[t], before = s->alphabar[t - 1], beta = 1 - ab / before;
        const double gain = sqrt(ab) * std * std /
                            (ab * std * std + 1 - ab); /* E[x0 | xt] = μ + gain (xt − √ᾱ μ) */
        const double precision = (1 - beta) / beta + 1 / (1 - before);
        const double c1 = sqrt(before) / (1 - before) / precision,
                     c2 = sqrt(1 - beta) / beta / precision;
        const double slope = c1 * gain + c2;
        m = slope * m + c1 * (mu - gain * sqrt(ab) * mu);
        v = slope * slope * v + (large ? beta : 1 / precision);
    }
    const double ab = s->alphabar[0], gain = sqrt(ab) * std * std / (ab * std * std + 1 - ab);
    *mean = mu + gain * (m - sqrt(ab) * mu);
    *variance = gain * gain * v;
}

enum { COUNT = 20000 };

static void ancestral_sampling_of_a_gaussian_has_the_exact_moments(void **state)
{
    (void)state;
    static const struct {
        int64_t steps, kept;
        const char *variance;
    } cases[] = {{200, 0, "fixedlarge"},
                 {200, 0, "fixedsmall"},
                 {1000, 25, "fixedlarge"},
                 {1000, 25, "fixedsmall"}};
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .mean = {{1.5, -0.5}}, .std = {{0.5, 1.0}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_schedule *schedule = linear_schedule(cases[i].steps), *spaced = NULL;
        tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
        settings.clip = false;
        settings.variance = cases[i].variance;
        settings.steps = cases[i].kept;
        settings.seed = 17;
        float *x = draw(&m, &settings, schedule, 0, COUNT, 5000);
        int64_t kept[1000], count;
        char text[16];
        assert_int_equal(tw_format(text, sizeof text, "%d",
                                   (int)(cases[i].kept ? cases[i].kept : cases[i].steps)),
                         TW_OK);
        assert_int_equal(tw_schedule_spacing(kept, &count, cases[i].steps, text), TW_OK);
        assert_int_equal(tw_schedule_space(&spaced, schedule, kept, count), TW_OK);
        for (int64_t d = 0; d < 2; d++) {
            double mean, variance, exact_mean, exact_variance;
            moments(x, COUNT, 2, d, &mean, &variance);
            ancestral_moments(spaced, strcmp(cases[i].variance, "fixedlarge") == 0, m.mean[0][d],
                              m.std[0][d], &exact_mean, &exact_variance);
            close_to(mean, exact_mean, 5 * sqrt(exact_variance / COUNT));
            close_to(variance, exact_variance, 5 * exact_variance * sqrt(2.0 / COUNT));
        }
        tw_free(&x);
        tw_schedule_destroy(&schedule);
        tw_schedule_destroy(&spaced);
    }
}

/* At T = 1000 what is drawn is the data itself, to the discretisation's few per cent of variance.
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
    tw_schedule *schedule = linear_schedule(1000);
    tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
    settings.clip = false;
    settings.variance = "fixedsmall";
    settings.seed = 4;
    float *x = draw(&m, &settings, schedule, 0, N, N);
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
    tw_schedule_destroy(&schedule);
}

/* The probability-flow ODE carries N(0, 1) to N(μ, s²) by xT → μ + s (xT − √ᾱ μ) / √(ᾱ s² + 1 − ᾱ),
 * exactly; DDIM is its exponential Euler method, of first order in the step of √((1 − ᾱ) / ᾱ). */
static void halving_the_step_halves_ddims_error(void **state)
{
    (void)state;
    enum { N = 64 };
    mixture m = {.modes = 1, .dims = 1, .weight = {1}, .mean = {{0.7}}, .std = {{0.5}}};
    tw_schedule *schedule = linear_schedule(8000);
    tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
    settings.kind = "ddim";
    settings.clip = false;
    const tw_rng_stream prior = {.seed = settings.seed, .purpose = TW_RNG_SAMPLER_PRIOR};
    double error[4];
    for (int level = 0; level < 4; level++) {
        settings.steps = 50 << level;
        float *x = draw(&m, &settings, schedule, 0, N, N), start[N];
        tw_rng_normal_rows(start, &prior, NULL, N, 1);
        error[level] = 0;
        for (int i = 0; i < N; i++) {
            const double ab = schedule->alphabar[7999];
            const double exact = 0.7 + 0.5 * (start[i] - sqrt(ab) * 0.7) / sqrt(ab * 0.25 + 1 - ab);
            error[level] += fabs(x[i] - exact) / N;
        }
        tw_free(&x);
        if (level > 0) close_to(error[level - 1] / error[level], 2, 0.25);
    }
    assert_true(error[0] < 0.1);
    tw_schedule_destroy(&schedule);
}

static void ddim_with_eta_1_is_ancestral_sampling_with_fixedsmall(void **state)
{
    (void)state;
    tw_schedule *schedule = linear_schedule(1000);
    tw_sampler *ddim = NULL, *ancestral = NULL;
    tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
    settings.steps = 40;
    settings.variance = "fixedsmall";
    assert_int_equal(tw_sampler_create(&ancestral, &settings, schedule, 2, 4), TW_OK);
    settings.kind = "ddim";
    settings.eta = 1;
    assert_int_equal(tw_sampler_create(&ddim, &settings, schedule, 2, 4), TW_OK);
    assert_int_equal(tw_sampler_evaluations(ddim), 40);
    for (int k = 0; k < 40; k++) {
        const tw_sampler_step *a = &ancestral->step[k], *b = &ddim->step[k];
        assert_true(a->time == b->time && a->index == b->index);
        close_to(b->next_x0, a->next_x0, 1e-9);
        close_to(b->next_x, a->next_x, 1e-9);
        close_to(b->next_noise, a->next_noise, 1e-9);
    }
    tw_sampler_destroy(&ddim);
    tw_sampler_destroy(&ancestral);
    tw_schedule_destroy(&schedule);
}

/* E[x0 | xt] for one Gaussian, from the draw of the prior: the one-step denoiser returns nearly the
 * mean. */
static void onestep_returns_the_posterior_mean(void **state)
{
    (void)state;
    enum { N = 100 };
    mixture m = {.scale = 0.02,
                 .sigma = 2,
                 .modes = 1,
                 .dims = 2,
                 .weight = {1},
                 .mean = {{0.5, -0.25}},
                 .std = {{0.5, 0.25}}};
    tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
    settings.kind = "onestep";
    settings.onestep_scale = 0.02;
    settings.onestep_sigma = 2;
    settings.seed = 5;
    float *x = draw(&m, &settings, NULL, 0, N, 32), start[N][2];
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
}

static void samples_are_the_same_bits_however_the_range_is_cut(void **state)
{
    (void)state;
    enum { N = 41 };
    static const char *const kinds[] = {"ancestral", "ddim"};
    tw_schedule *schedule = linear_schedule(1000);
    for (int kind = 0; kind < 2; kind++) {
        mixture m = {.modes = 2,
                     .dims = 3,
                     .weight = {0.5, 0.5},
                     .mean = {{-1, 0, 1}, {1, 0, 1}},
                     .std = {{0.3, 1, 1}, {0.3, 1, 1}}};
        tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
        settings.kind = kinds[kind];
        settings.steps = 20;
        settings.eta = 0.5;
        settings.clip = false;
        settings.seed = 99;
        float *whole = draw(&m, &settings, schedule, 1000, N, 8);
        /* The same score for one point in any batch: so other batches, other threads and other cuts
         * must all agree. */
        static const int64_t batches[] = {1, 7, 8, 64};
        for (int b = 0; b < 4; b++) {
            omp_set_num_threads(1 + b);
            m.batch = batches[b];
            float *again = draw(&m, &settings, schedule, 1000, N, batches[b]);
            assert_memory_equal(again, whole, N * 3 * sizeof *whole);
            tw_free(&again);
            assert_false(m.strange_batch);
        }
        omp_set_num_threads(2);
        m.batch = 8;
        for (int64_t first = 0; first < N; first += 13) {
            const int64_t n = N - first < 13 ? N - first : 13;
            float *part = draw(&m, &settings, schedule, 1000 + first, n, 8);
            assert_memory_equal(part, whole + 3 * first, (size_t)n * 3 * sizeof *part);
            tw_free(&part);
        }
        assert_false(m.strange_batch);
        settings.seed = 98;
        float *other = draw(&m, &settings, schedule, 1000, N, 8);
        for (int i = 0; i < 3 * N; i++) assert_true(other[i] != whole[i]);
        tw_free(&other);
        tw_free(&whole);
    }
    tw_schedule_destroy(&schedule);
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
    tw_schedule *schedule = linear_schedule(1000);
    tw_sampler *sampler = NULL;
    tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
    settings.spacing = "ddim2"; /* steps 500 and 0 */
    settings.variance = "fixedsmall";
    settings.clip = false;
    settings.seed = 8;
    static float x[N][D], xt[D], z[D];
    const tw_score score = {.self = &dims, .dims = D, .eval = zero_eval};
    assert_int_equal(tw_sampler_create(&sampler, &settings, schedule, D, N), TW_OK);
    assert_int_equal(tw_sampler_run(sampler, &score, 70, N, &x[0][0]), TW_OK);
    const double ab = schedule->alphabar[500], ab0 = schedule->alphabar[0], beta = 1 - ab / ab0;
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
            close_to(x[i][d], middle / sqrt(ab0), 2e-5);
        }
    }
    tw_sampler_destroy(&sampler);
    tw_schedule_destroy(&schedule);
}

static void clipped_samples_stay_in_their_range_and_nan_is_not_hidden(void **state)
{
    (void)state;
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .mean = {{0.9, -3}}, .std = {{0.5, 0.1}}};
    tw_schedule *schedule = linear_schedule(1000);
    tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
    settings.steps = 50;
    float *x = draw(&m, &settings, schedule, 0, 500, 500);
    int inside = 0;
    for (int i = 0; i < 500; i++) {
        assert_true(x[2 * i] >= -1 && x[2 * i] <= 1);
        assert_true(x[2 * i + 1] >= -1 && x[2 * i + 1] < -0.5); /* the data lie at −3 */
        inside += x[2 * i] > -1 && x[2 * i] < 1;
    }
    assert_true(inside > 100);
    tw_free(&x);
    settings.clip_min = 0;
    settings.clip_max = 0.25;
    x = draw(&m, &settings, schedule, 0, 500, 500);
    for (int i = 0; i < 1000; i++) assert_true(x[i] >= 0 && x[i] <= 0.25);
    tw_free(&x);
    m.mean[0][0] = NAN;
    x = draw(&m, &settings, schedule, 0, 5, 5);
    assert_true(isnan(x[0]));
    tw_free(&x);
    tw_schedule_destroy(&schedule);
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
    tw_schedule *schedule = linear_schedule(1000);
    tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
    settings.steps = 10;
    settings.watch = watch;
    settings.watch_self = &w;
    tw_sampler *sampler = NULL;
    float x[14];
    m.schedule = schedule;
    assert_int_equal(tw_sampler_create(&sampler, &settings, schedule, 2, 4), TW_OK);
    assert_int_equal(tw_sampler_run(sampler, &score, 5, 7, x), TW_OK);
    assert_int_equal(w.evaluations, 20);
    assert_int_equal(w.samples, 7);
    assert_false(w.wrong_index);
    for (int k = 0; k < 10; k++) assert_true(w.times[k] == 999 - 111 * k);
    w.stop_at = 3;
    assert_int_equal(tw_sampler_run(sampler, &score, 5, 7, x), TW_ESTOPPED);
    assert_int_equal(w.last_step, 3);
    tw_sampler_destroy(&sampler);
    tw_schedule_destroy(&schedule);
}

/* The defaults with one change, which must be refused with these words. */
#define REFUSED(CHANGE, SCHEDULE, WORDS)                                                           \
    do {                                                                                           \
        tw_sampler *none = NULL;                                                                   \
        tw_sampler_settings s = TW_SAMPLER_DEFAULTS;                                               \
        CHANGE;                                                                                    \
        assert_int_equal(tw_sampler_create(&none, &s, (SCHEDULE), 2, 4), TW_ECONFIG);              \
        assert_non_null(strstr(tw_error_message(), (WORDS)));                                      \
        assert_null(none);                                                                         \
    } while (0)

static void bad_settings_are_refused(void **state)
{
    (void)state;
    tw_schedule *schedule = linear_schedule(1000);
    REFUSED(s.kind = "ancestrall", schedule, "ddim");
    REFUSED(s.variance = "large", schedule, "fixedsmall");
    REFUSED((void)s, NULL, "discrete");
    REFUSED(s.steps = 1001, schedule, "1000");
    REFUSED(s.steps = -1, schedule, "-1");
    REFUSED(s.spacing = "ddim999", schedule, "ddim999");
    REFUSED(s.clip_min = 2, schedule, "clip");
    REFUSED(s.kind = "ddim"; s.eta = 1.5, schedule, "eta");
    REFUSED(s.kind = "onestep"; s.onestep_scale = 0, NULL, "positive");
    const tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
    tw_sampler *sampler = NULL;
    assert_int_equal(tw_sampler_create(&sampler, &settings, schedule, 0, 4), TW_ESHAPE);
    assert_null(sampler);
    mixture m = {.modes = 1, .dims = 3, .weight = {1}};
    tw_score score = score_of(&m);
    float x[3];
    assert_int_equal(tw_sampler_create(&sampler, &settings, schedule, 2, 4), TW_OK);
    assert_int_equal(tw_sampler_run(sampler, &score, 0, 1, x), TW_ESHAPE);
    score.dims = 2;
    assert_int_equal(tw_sampler_run(sampler, &score, -1, 1, x), TW_EUSAGE);
    assert_int_equal(tw_sampler_run(sampler, &score, (int64_t)1 << 44, 1, x), TW_EUSAGE);
    tw_sampler_destroy(&sampler);
    tw_schedule_destroy(&schedule);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
