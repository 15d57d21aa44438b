/* Step rules, Langevin dynamics in all its forms, and what is exactly invariant. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sample/sample_fixture.h"
#include "sample/sampler.h"

/* ---- step rules ---- */

/* The steps that a rule gives three samples of two numbers at time t. */
static void steps_of(const char *words, tw_process *p, double t, double *step)
{
    static float s[] = {3, 4, 0, 1, 2, 0}; /* norms 5, 1, 2 */
    const float z[] = {1, 0, 0, 2, 3, 0};  /* 1, 2, 3 */
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .process = p};
    rig r;
    if (make_rig(&r, p, mixture_score(&m), words, 3, false) != TW_OK)
        fail_msg("%s", tw_error_message());
    const tw_batch b = {.n = 3, .dims = 2, .s = s, .process = p};
    const tw_point at = tw_point_at(p, t);
    r.sampler->rule->size(r.settings.rule.config, &b, &at, z, step);
    break_rig(&r);
}

static void step_rules_give_the_published_steps(void **state)
{
    (void)state;
    tw_process *ve = make_process("ve", 0, NULL), *vp = make_process("vp", 0, NULL),
               *subvp = make_process("subvp", 0, NULL), *ddpm = make_process("ddpm", 0, NULL),
               *ladder = make_process("ladder", 0, NULL);
    const double ratio[] = {1.0 / 5, 2, 1.5};
    double step[3], other[3];
    steps_of("kind=pc step_rule=snr snr=0.16", ve, 0.3, step);
    for (int i = 0; i < 3; i++) close_to(step[i], 2 * pow(0.16 * ratio[i], 2), 1e-12);
    steps_of("kind=pc step_rule=snr snr=0.16 coupled=yes", ve, 0.3, step);
    for (int i = 0; i < 3; i++) close_to(step[i], 2 * pow(0.16 * 2 / (8.0 / 3), 2), 1e-12);
    for (double t = 0.1; t < 1; t += 0.2) { /* 1 − β(t) / 1000 */
        const double beta = 0.1 + t * 19.9;
        steps_of("kind=pc step_rule=snr snr=0.16", vp, t, step);
        steps_of("kind=pc step_rule=snr snr=0.16", subvp, t, other);
        for (int i = 0; i < 3; i++) {
            const double wanted = 2 * (1 - beta / 1000) * pow(0.16 * ratio[i], 2);
            close_to(step[i], wanted, 2.5e-4 * wanted);
            close_to(other[i], step[i], 1e-12);
        }
    }
    for (int t = 0; t < 1000; t += 333) { /* 1 − β_t, β linear from 1e-4 to 0.02 */
        const double beta = 1e-4 + (0.02 - 1e-4) * t / 999;
        steps_of("kind=pc step_rule=sigma snr=0.2 corrector=annealed_langevin", ddpm, t, step);
        close_to(step[0], 2 * (1 - beta) * pow(0.2 * tw_process_sigma(ddpm, t), 2), 1e-12);
    }
    for (int t = 0; t < 10; t++) {
        const double sigma = 0.01 * pow(100, t / 9.0);
        steps_of("step_size=2e-5", ladder, t, step);
        close_to(step[2], 2e-5 * pow(sigma / 0.01, 2), 1e-12);
        steps_of("", ladder, t, other); /* what is published */
        close_to(other[2], step[2], 1e-12);
        steps_of("kind=pc step_rule=sigma snr=0.316", ladder, t, other);
        close_to(other[2], step[2], 2e-3 * step[2]); /* NCSN as score_sde emulates it */
    }
    steps_of("kind=langevin step_size=0.25", ve, 0.5, step);
    for (int i = 0; i < 3; i++) assert_true(step[i] == 0.25);
    tw_process *all[] = {ve, vp, subvp, ddpm, ladder};
    for (int i = 0; i < 5; i++) tw_process_destroy(&all[i]);
}

/* ---- published steps of discrete processes ---- */

/* At a mode in few dimensions: half the norm of a standard normal's score is the least. */
static void the_step_is_bounded_where_the_score_vanishes(void **state)
{
    (void)state;
    static float s[] = {0, 0, 1e-9f, 0, 0, 2}, z[] = {3, 4, 3, 4, 3, 4};
    tw_process *p = make_process("vp", 0, NULL);
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .process = p};
    rig r;
    double step[3];
    assert_int_equal(make_rig(&r, p, mixture_score(&m), "kind=pc snr=0.1", 3, false), TW_OK);
    const tw_batch b = {.n = 3, .dims = 2, .s = s, .process = p};
    const tw_point at = tw_point_at(p, 0.001);
    r.sampler->rule->size(r.settings.rule.config, &b, &at, z, step);
    close_to(step[0], 2 * pow(0.1 * 5 / (0.5 * sqrt(2)), 2), 1e-3);
    close_to(step[1], step[0], 1e-12);
    close_to(step[2], 2 * pow(0.1 * 5 / 2, 2), 1e-3);
    break_rig(&r);
    tw_process_destroy(&p);
}

static void discrete_predictors_take_the_published_steps(void **state)
{
    (void)state;
    enum { N = 5 };
    static const struct {
        const char *process, *words;
        int formula;
    } cases[] = {{"ladder", "kind=ancestral seed=3", 0},
                 {"ladder", "kind=reverse_diffusion seed=3", 1},
                 {"ddpm", "kind=reverse_diffusion seed=3", 2}};
    mixture m = {.modes = 1, .dims = 1, .weight = {1}, .mean = {{0.3}}, .std = {{0.5}}};
    for (int c = 0; c < 3; c++) {
        tw_process *p = make_process(
            cases[c].process, 1, (const char *const[]){c < 2 ? "prior=gaussian" : "timesteps=50"});
        float *x = sample_mixture(&m, p, cases[c].words, 0, N, N), z;
        for (int i = 0; i < N; i++) {
            tw_rng_stream stream = {.seed = 3, .purpose = TW_RNG_SAMPLER_PRIOR, .position = i};
            tw_rng_normal(&z, &stream, 0, 1);
            double y = p->prior_std * (double)z;
            for (int64_t t = p->steps - 1; t >= 0; t--) {
                const double v = pow(tw_process_sigma(p, (double)t), 2),
                             before = t ? pow(tw_process_sigma(p, (double)t - 1), 2) : 0,
                             ab = pow(tw_process_alpha(p, (double)t), 2),
                             beta = 1 - ab / (t ? pow(tw_process_alpha(p, (double)t - 1), 2) : 1);
                const double s = -(y - sqrt(ab) * 0.3) / (ab * 0.25 + v);
                stream.purpose = TW_RNG_SAMPLER_NOISE;
                stream.step = t;
                tw_rng_normal(&z, &stream, 0, 1);
                if (t == 0)
                    y = (y + v * s) / sqrt(ab);
                else if (cases[c].formula == 0)
                    y += (v - before) * s + sqrt(before * (v - before) / v) * (double)z;
                else if (cases[c].formula == 1)
                    y += (v - before) * s + sqrt(v - before) * (double)z;
                else
                    y += -(sqrt(1 - beta) - 1) * y + beta * s + sqrt(beta) * (double)z;
            }
            close_to((double)x[i], y, 2e-5);
        }
        tw_free(&x);
        tw_process_destroy(&p);
    }
}

/* ---- learned variances ---- */

static double learned; /* u of eval_variance */

static tw_status with_variance(void *self, int64_t n, const float *x, const double *t,
                               const int64_t *index, float *score, float *v)
{
    for (int64_t i = 0; i < n * ((mixture *)self)->dims; i++) v[i] = (float)learned;
    return mixture_eval(self, n, x, t, index, score);
}

static void learned_variances_interpolate_the_logarithm(void **state)
{
    (void)state;
    enum { N = 200 };
    static const char *const fixed[] = {"variance=fixedsmall steps=2 denoise=no",
                                        "variance=fixedlarge steps=2 denoise=no"};
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .mean = {{0.5, -1}}, .std = {{0.5, 1}}};
    tw_process *p = make_process("ddpm", 1, (const char *const[]){"timesteps=100"});
    tw_score score = mixture_score(&m);
    score.eval_variance = with_variance;
    float *end[2], x[2 * N];
    for (int k = 0; k < 2; k++) end[k] = sample_mixture(&m, p, fixed[k], 0, N, N);
    const tw_bridge q = tw_bridge_between(tw_process_alpha(p, 0), tw_process_sigma(p, 0),
                                          tw_process_alpha(p, 99), tw_process_sigma(p, 99));
    for (learned = -1; learned <= 1; learned += 0.5)
        for (int words = 0; words < 2; words++) {
            rig r;
            assert_int_equal(
                make_rig(&r, p, score,
                         words ? "variance=learned steps=2 denoise=no" : "steps=2 denoise=no", N,
                         false),
                TW_OK);
            assert_int_equal(tw_sampler_run(r.sampler, 0, N, x), TW_OK);
            break_rig(&r);
            const double part = (learned + 1) / 2, std = pow(q.sigma, part) * pow(q.std, 1 - part);
            for (int i = 0; i < 2 * N; i++) { /* mean + std z, from the two fixed ones */
                const double small = (double)end[0][i], large = (double)end[1][i],
                             z = (large - small) / (q.sigma - q.std);
                close_to((double)x[i], small + (std - q.std) * z, 2e-5);
            }
        }
    for (int k = 0; k < 2; k++) tw_free(&end[k]);
    tw_process_destroy(&p);
}

/* ---- unadjusted ---- */

static void langevin_dynamics_of_a_gaussian_has_the_exact_moments(void **state)
{
    (void)state;
    enum { N = 20000 };
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .mean = {{1, -0.5}}, .std = {{0.6, 0.8}}};
    tw_process *p = make_process("ladder", 1, (const char *const[]){"prior=gaussian"});
    float *x = sample_mixture(&m, p, "kind=langevin time=6 steps=12 step_size=0.05", 0, N, 5000);
    const double sigma = tw_process_sigma(p, 6);
    for (int d = 0; d < 2; d++) {
        const double v = pow(m.std[0][d], 2) + sigma * sigma, slope = 1 - 0.05 / v;
        double mean = 0, variance = 1, met, spread;
        for (int k = 0; k < 12; k++) {
            mean = m.mean[0][d] + slope * (mean - m.mean[0][d]);
            variance = slope * slope * variance + 0.1;
        }
        moments(x, N, 2, d, &met, &spread);
        close_to(met, mean, 5 * sqrt(variance / N));
        close_to(spread, variance, 5 * variance * sqrt(2.0 / N));
    }
    tw_free(&x);
    tw_process_destroy(&p);
}

static void annealed_langevin_of_a_gaussian_has_the_exact_moments(void **state)
{
    (void)state;
    enum { N = 10000, T = 5 };
    mixture m = {.modes = 1, .dims = 1, .weight = {1}, .mean = {{0.4}}, .std = {{0.2}}};
    for (int denoise = 0; denoise < 2; denoise++) {
        tw_process *p = make_process("ladder", 0, NULL);
        float *x = sample_mixture(&m, p,
                                  denoise ? "corrector_steps=5 step_size=2e-5"
                                          : "corrector_steps=5 step_size=2e-5 denoise=no",
                                  0, N, N);
        double mean = 0, variance = 1.0 / 3, met, spread; /* uniform on [−1, 1] */
        for (int t = 9; t >= 0; t--) {
            const double sigma = tw_process_sigma(p, t), step = 2e-5 * pow(sigma / 0.01, 2),
                         slope = 1 - step / (0.04 + sigma * sigma);
            for (int k = 0; k < T; k++) {
                mean = 0.4 + slope * (mean - 0.4);
                variance = slope * slope * variance + 2 * step;
            }
        }
        if (denoise) {
            const double slope = 1 - 1e-4 / (0.04 + 1e-4);
            mean = 0.4 + slope * (mean - 0.4);
            variance *= slope * slope;
        }
        moments(x, N, 1, 0, &met, &spread);
        close_to(met, mean, 5 * sqrt(variance / N));
        close_to(spread, variance, 5 * variance * sqrt(2.0 / N));
        tw_free(&x);
        tw_process_destroy(&p);
    }
}

static double weight_of_the_right(const float *x, int64_t n, int64_t dims)
{
    double right = 0;
    for (int64_t i = 0; i < n; i++) right += x[i * dims] > 0;
    return right / (double)n;
}

/* Song and Ermon 2019, section 3.2.2: 0.8 N((−5, −5), I) + 0.2 N((5, 5), I). */
static void plain_langevin_gets_the_mode_weights_wrong_and_annealed_gets_them_right(void **state)
{
    (void)state;
    enum { N = 1500 };
    mixture m = {.modes = 2,
                 .dims = 2,
                 .weight = {0.8, 0.2},
                 .mean = {{-5, -5}, {5, 5}},
                 .std = {{1, 1}, {1, 1}}};
    tw_process *p = make_process("ladder", 5,
                                 (const char *const[]){"sigma_min=0.1", "sigma_max=10", "levels=10",
                                                       "prior_low=-8", "prior_high=8"});
    float *plain = sample_mixture(&m, p, "kind=langevin steps=200 step_size=0.1", 0, N, N),
          *annealed = sample_mixture(&m, p, "corrector_steps=30", 0, N, N);
    close_to(weight_of_the_right(plain, N, 2), 0.5, 0.07);
    close_to(weight_of_the_right(annealed, N, 2), 0.2, 5 * sqrt(0.16 / N));
    tw_free(&plain);
    tw_free(&annealed);
    tw_process_destroy(&p);
}

/* ---- invariance ---- */

/* `steps` steps of the sampler's corrector from x [n][dims], at time t. */
static void correct(rig *r, float *x, double t, int64_t steps)
{
    tw_sampler *s = r->sampler;
    const tw_point at = tw_point_at(s->process, t);
    for (int64_t i = 0; i < s->b.n; i++) s->b.index[i] = i;
    memcpy(s->b.x, x, (size_t)(s->b.n * s->dims) * sizeof *x);
    for (int64_t j = 0; j < steps; j++)
        assert_int_equal(tw_sampler_correct_once(s, &s->b, &at, j, steps), TW_OK);
    memcpy(x, s->b.x, (size_t)(s->b.n * s->dims) * sizeof *x);
}

/* Exact samples of p_t. */
static void exact_samples(const mixture *m, double t, float *x, int64_t n)
{
    const double a = tw_process_alpha(m->process, t), sigma = tw_process_sigma(m->process, t);
    for (int64_t i = 0; i < n; i++) {
        const tw_rng_stream stream = {.seed = 77, .position = i},
                            which = {.seed = 78, .position = i};
        float u;
        tw_rng_uniform(&u, &which, 0, 1);
        const int k = m->modes == 2 && (double)u >= m->weight[0];
        tw_rng_normal(x + i * m->dims, &stream, 0, m->dims);
        for (int64_t d = 0; d < m->dims; d++)
            x[i * m->dims + d] =
                (float)(a * m->mean[k][d] + sqrt(pow(a * m->std[k][d], 2) + sigma * sigma) *
                                                (double)x[i * m->dims + d]);
    }
}

/* The mean change of f, in its standard errors. */
static double change(const float *before, const float *after, int64_t n, int64_t dims,
                     double (*f)(const float *x, int64_t dims))
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = f(after + i * dims, dims) - f(before + i * dims, dims);
        sum += d;
        square += d * d;
    }
    return sum / sqrt(square + 1e-30);
}

static double first(const float *x, int64_t dims)
{
    (void)dims;
    return (double)x[0];
}

static double norm(const float *x, int64_t dims)
{
    double sum = 0;
    for (int64_t d = 0; d < dims; d++) sum += (double)x[d] * (double)x[d];
    return sum;
}

static double side(const float *x, int64_t dims)
{
    (void)dims;
    return x[0] > 0;
}

static double cosine(const float *x, int64_t dims)
{
    return cos(2 * (double)x[0]) + sin((double)x[dims - 1]);
}

/* Detailed balance: E f(x) g(y) − g(x) f(y) in its standard errors, x ~ p and y a step from it. */
static double flux(const float *x, const float *y, int64_t n, int64_t dims)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *a = x + i * dims, *b = y + i * dims;
        const double d = norm(a, dims) * cosine(b, dims) - cosine(a, dims) * norm(b, dims);
        sum += d;
        square += d * d;
    }
    return sum / sqrt(square + 1e-30);
}

static const mixture two = {.modes = 2,
                            .dims = 2,
                            .weight = {0.3, 0.7},
                            .mean = {{-1, 0.5}, {1.2, 0}},
                            .std = {{0.4, 0.6}, {0.5, 0.3}}};

static mixture many(void)
{
    mixture m = {.modes = 1, .dims = 64, .weight = {1}};
    for (int d = 0; d < 64; d++) {
        m.mean[0][d] = sin(d);
        m.std[0][d] = 0.5 + 0.5 * d / 64;
    }
    return m;
}

enum { SAMPLES = 20000 };

/* @param steps  0: detailed balance of one step, else invariance under as many */
static void judge_invariance(const char *words, mixture m, bool invariant, double low, double high)
{
    static double (*const functions[])(const float *, int64_t) = {first, norm, side, cosine};
    const int64_t n = m.dims == 64 ? SAMPLES / 8 : SAMPLES;
    tw_process *p = make_process("vp", 0, NULL);
    float *before, *after;
    rig r;
    double worst = 0;
    m.process = p;
    assert_int_equal(tw_alloc(&before, n * m.dims, sizeof *before, "samples"), TW_OK);
    assert_int_equal(tw_alloc(&after, n * m.dims, sizeof *after, "samples"), TW_OK);
    exact_samples(&m, 0.1, before, n);
    memcpy(after, before, (size_t)(n * m.dims) * sizeof *before);
    if (make_rig(&r, p, mixture_score(&m), words, n, false) != TW_OK)
        fail_msg("%s", tw_error_message());
    correct(&r, after, 0.1, 1);
    if (invariant && fabs(flux(before, after, n, m.dims)) > 5)
        fail_msg("%s: no detailed balance, %g", words, flux(before, after, n, m.dims));
    correct(&r, after, 0.1, 10);
    for (int k = 0; k < 4; k++)
        worst = fmax(worst, fabs(change(before, after, n, m.dims, functions[k])));
    if (invariant ? worst > 5 : worst < 6)
        fail_msg("%s: changes by %g standard errors", words, worst);
    const tw_sampler_numbers numbers = tw_sampler_report(r.sampler);
    if (high > 0) {
        assert_int_equal(numbers.found, 1);
        assert_string_equal(numbers.number[0].name, "acceptance");
        assert_true(numbers.number[0].count == 11.0 * (double)n);
        close_to(numbers.number[0].sum / numbers.number[0].count, (low + high) / 2,
                 (high - low) / 2);
    } else {
        assert_int_equal(numbers.found, 0);
    }
    tw_sampler_forget(r.sampler);
    assert_int_equal(tw_sampler_report(r.sampler).found, 0);
    break_rig(&r);
    tw_free(&before);
    tw_free(&after);
    tw_process_destroy(&p);
}

static void mala_and_hmc_leave_the_exact_density_invariant(void **state)
{
    (void)state;
    judge_invariance("kind=mala step_size=0.1", two, true, 0.5, 0.95);
    judge_invariance("kind=mala step_size=0.08", many(), true, 0.3, 0.95);
    judge_invariance("kind=hmc step_size=0.04 leapfrog_steps=4", two, true, 0.6, 0.99);
    judge_invariance("kind=hmc step_size=0.03 leapfrog_steps=5", many(), true, 0.3, 0.99);
    judge_invariance("kind=pc corrector=hmc step_rule=sigma snr=0.5", two, true, 0.3, 0.999);
}

/* So the test can tell; and an acceptance is reported by none of them. */
static void unadjusted_steps_do_not(void **state)
{
    (void)state;
    judge_invariance("kind=langevin step_size=0.15", two, false, 0, 0);
    judge_invariance("kind=langevin step_size=0.08", many(), false, 0, 0);
    judge_invariance("kind=hmc step_size=0.12 metropolis=no", two, false, 0, 0);
    judge_invariance("kind=pc corrector=hmc step_rule=snr snr=0.5", two, false, 0, 0);
}

/* Leapfrog on N(0, v) conserves p²/2 + (1 − h²/(4v)) x²/(2v), so N(0, v / (1 − h²/(4v))) is what it
 * leaves alone. */
static void unadjusted_hmc_has_the_distribution_of_its_shadow_hamiltonian(void **state)
{
    (void)state;
    mixture m = {.modes = 1, .dims = 1, .weight = {1}, .std = {{0.6}}};
    tw_process *p = make_process("ve", 0, NULL);
    static float x[SAMPLES];
    rig r;
    const double v = 0.36 + pow(tw_process_sigma(p, 0.5), 2), h2 = 2 * 0.2,
                 shadow = v / (1 - h2 / (4 * v));
    double mean, variance;
    m.process = p;
    for (int i = 0; i < SAMPLES; i++) {
        tw_rng_normal(&x[i], &(tw_rng_stream){.seed = 7, .position = i}, 0, 1);
        x[i] *= (float)sqrt(shadow);
    }
    assert_int_equal(make_rig(&r, p, mixture_score(&m),
                              "kind=hmc metropolis=no step_size=0.2 leapfrog_steps=3", SAMPLES,
                              false),
                     TW_OK);
    correct(&r, x, 0.5, 10);
    moments(x, SAMPLES, 1, 0, &mean, &variance);
    close_to(mean, 0, 5 * sqrt(shadow / SAMPLES));
    close_to(variance, shadow, 5 * shadow * sqrt(2.0 / SAMPLES));
    assert_true(fabs(variance - v) > 10 * v * sqrt(2.0 / SAMPLES));
    break_rig(&r);
    tw_process_destroy(&p);
}

/* From the prior, far from it, to the distribution itself, without an error of the step. */
static void mala_and_hmc_chains_arrive(void **state)
{
    (void)state;
    enum { N = 3000 };
    static const char *const words[] = {
        "kind=mala time=0.5 step_size=0.12 steps=60",
        "kind=hmc time=0.5 step_size=0.1 leapfrog_steps=2 steps=20"};
    mixture m = {.modes = 1, .dims = 2, .weight = {1}, .mean = {{1, -2}}, .std = {{0.3, 0.5}}};
    tw_process *p = make_process("ve", 2, (const char *const[]){"sigma_max=4", "sigma_min=0.04"});
    for (int k = 0; k < 2; k++) {
        float *x = sample_mixture(&m, p, words[k], 0, N, N);
        for (int d = 0; d < 2; d++) {
            double mean, variance;
            const double v = pow(m.std[0][d], 2) + 0.16;
            moments(x, N, 2, d, &mean, &variance);
            close_to(mean, m.mean[0][d], 5 * sqrt(v / N));
            close_to(variance, v, 5 * v * sqrt(2.0 / N));
        }
        tw_free(&x);
    }
    tw_process_destroy(&p);
}

/* ---- predictor and corrector ---- */

static void predictors_with_correctors_recover_the_modes(void **state)
{
    (void)state;
    enum { N = 300 };
    static const char *const processes[] = {"ve", "vp", "subvp"},
                             *const predictors[] = {"reverse_diffusion", "euler_maruyama",
                                                    "stochastic_heun", "srk", "ancestral"},
                             *const correctors[] = {"none", "langevin snr=0.05 coupled=yes",
                                                    "annealed_langevin snr=0.1",
                                                    "hmc snr=0.1 leapfrog_steps=2", "mala snr=0.2"};
    mixture m = {.modes = 2,
                 .dims = 2,
                 .weight = {0.3, 0.7},
                 .mean = {{-2, 1}, {2, 0}},
                 .std = {{0.5, 0.5}, {0.6, 0.4}}};
    for (int i = 0; i < 3; i++) {
        tw_process *p = make_process(processes[i], i == 0, (const char *const[]){"sigma_max=20"});
        for (int j = 0; j < 5; j++)
            for (int k = 0; k < 5; k++) {
                char words[160];
                if (j > 0 && k != 1) continue; /* test_every_sampler runs all */
                double left = 0, sum = 0, square = 0, n = 0;
                assert_int_equal(tw_format(words, sizeof words, "kind=%s steps=80 corrector=%s",
                                           predictors[j], correctors[k]),
                                 TW_OK);
                float *x = sample_mixture(&m, p, words, 0, N, N);
                for (int s = 0; s < N; s++) {
                    left += x[2 * s] < 0;
                    if (x[2 * s] < 0) continue;
                    n++;
                    sum += (double)x[2 * s] - 2;
                    square += pow((double)x[2 * s] - 2, 2);
                }
                /* Five standard errors, and the step's error of first order at 80 steps. */
                if (!(fabs(left / N - 0.3) < 5 * sqrt(0.21 / N)) ||
                    !(fabs(sum / n) < 5 * 0.6 / sqrt(n) + 0.03) ||
                    !(fabs(square / n / 0.36 - 1) < 5 * sqrt(2 / n) + 0.12))
                    fail_msg("%s on %s: weight %g, mean %g, variance %g", words, processes[i],
                             left / N, sum / n, square / n / 0.36);
                tw_free(&x);
            }
        tw_process_destroy(&p);
    }
}

/* What VE begins with, in many dimensions: each sample's own step, p ‖s‖² for p. */
static void the_published_sampler_recovers_a_gaussian_in_many_dimensions(void **state)
{
    (void)state;
    enum { N = 300, D = 64 };
    static const char *const processes[] = {"ve", "vp", "subvp"};
    mixture m = many();
    for (int i = 0; i < 3; i++) {
        tw_process *p = make_process(processes[i], i == 0, (const char *const[]){"sigma_max=20"});
        float *x = sample_mixture(&m, p, i == 0 ? "steps=100" : "kind=pc steps=100", 0, N, 100);
        double chi = 0, all = 0;
        for (int d = 0; d < D; d++) {
            double mean, variance;
            const double v = pow(m.std[0][d], 2);
            moments(x, N, D, d, &mean, &variance);
            close_to(mean, m.mean[0][d], 5 * sqrt(v / N) + 0.03);
            chi += variance / v / D;
            all += pow(mean - m.mean[0][d], 2) / (v / N) / D;
        }
        close_to(chi, 1, 2.0 / D + 0.05 + 5 * sqrt(2.0 / N / D));
        assert_true(all < 2);
        tw_free(&x);
        tw_process_destroy(&p);
    }
}

/* ---- interpolation ---- */

static tw_status zero_eval(void *self, int64_t n, const float *x, const double *t,
                           const int64_t *index, float *score)
{
    (void)x, (void)t, (void)index;
    memset(score, 0, (size_t)(n * *(const int64_t *)self) * sizeof *score);
    return TW_OK;
}

/* Without a score a sample is its start and its noise: in a row of 5, the mixture of the ends. */
static void a_row_mixes_two_noises_by_cosine_and_sine(void **state)
{
    (void)state;
    enum { D = 700, ROWS = 2, COLUMNS = 5 };
    int64_t dims = D;
    tw_process *p = make_process("ladder", 0, NULL);
    const tw_score score = {.self = &dims, .dims = D, .eval = zero_eval};
    static float x[ROWS][COLUMNS][D], start[D];
    rig r;
    double between = 0, size = 0;
    assert_int_equal(make_rig(&r, p, score, "interpolate=5 corrector_steps=2 seed=4", 3, false),
                     TW_OK);
    assert_int_equal(tw_sampler_run(r.sampler, 10, 2 * COLUMNS, &x[0][0][0]), TW_OK);
    for (int row = 0; row < ROWS; row++) {
        const tw_rng_stream prior = {
            .seed = 4, .purpose = TW_RNG_SAMPLER_PRIOR, .position = 10 + 5 * row};
        tw_rng_uniform(start, &prior, 0, D);
        for (int d = 0; d < D; d++) {
            const double from = 2 * (double)start[d] - 1, a = (double)x[row][0][d] - from,
                         b = (double)x[row][4][d] - from;
            for (int c = 0; c < COLUMNS; c++)
                close_to((double)x[row][c][d] - from,
                         cos(M_PI_2 * c / 4) * a + sin(M_PI_2 * c / 4) * b, 1e-5);
            between += a * b;
            size += a * a;
        }
    }
    assert_true(fabs(between / size) < 5 / sqrt(ROWS * D)); /* the ends are independent */
    for (int d = 0; d < D; d++) assert_true(x[0][0][d] != x[1][0][d]);
    break_rig(&r);
    tw_process_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_rules_give_the_published_steps),
        cmocka_unit_test(the_step_is_bounded_where_the_score_vanishes),
        cmocka_unit_test(discrete_predictors_take_the_published_steps),
        cmocka_unit_test(learned_variances_interpolate_the_logarithm),
        cmocka_unit_test(langevin_dynamics_of_a_gaussian_has_the_exact_moments),
        cmocka_unit_test(annealed_langevin_of_a_gaussian_has_the_exact_moments),
        cmocka_unit_test(plain_langevin_gets_the_mode_weights_wrong_and_annealed_gets_them_right),
        cmocka_unit_test(mala_and_hmc_leave_the_exact_density_invariant),
        cmocka_unit_test(unadjusted_steps_do_not),
        cmocka_unit_test(unadjusted_hmc_has_the_distribution_of_its_shadow_hamiltonian),
        cmocka_unit_test(mala_and_hmc_chains_arrive),
        cmocka_unit_test(predictors_with_correctors_recover_the_modes),
        cmocka_unit_test(the_published_sampler_recovers_a_gaussian_in_many_dimensions),
        cmocka_unit_test(a_row_mixes_two_noises_by_cosine_and_sine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
