/* The integrators of the reverse SDE against the schemes written out again in double, with
 * Butcher's tableaus and the noise of the samplers' streams; and those schemes against the
 * mathematics: exact moments, orders of convergence, mode weights. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sample/sample_fixture.h"

typedef enum scheme { EULER, REVERSE, ANCESTRAL, HEUN, SRA_1, SRA_3 } scheme;

static const struct {
    const char *words, *name;
    scheme scheme;
    bool flow;
    double weak, strong; /* orders */
} methods[] = {
    {"kind=euler_maruyama", "Euler-Maruyama", EULER, false, 1, 1},
    {"kind=euler_maruyama probability_flow=yes", "Euler", EULER, true, 1, 1},
    {"kind=reverse_diffusion", "reverse diffusion", REVERSE, false, 1, 1},
    {"kind=reverse_diffusion probability_flow=yes", "its ODE", REVERSE, true, 1, 1},
    {"kind=ancestral variance=fixedlarge", "ancestral", ANCESTRAL, false, 1, 1},
    {"kind=stochastic_heun", "Heun", HEUN, false, 2, 1},
    {"kind=stochastic_heun probability_flow=yes", "Heun's ODE", HEUN, true, 2, 2},
    {"kind=srk scheme=sra1", "SRA1", SRA_1, false, 2, 1.5},
    {"kind=srk scheme=sra3", "SRA3", SRA_3, false, 2, 1.5},
};
enum { METHODS = sizeof methods / sizeof *methods };

/* a(x, t) of the reverse SDE, x [dims] in double. */
static void drift(const mixture *m, bool flow, const double *x, double t, double *a)
{
    const tw_process *p = m->process;
    const double f = p->kind->drift(p, t), g = p->kind->diffusion(p, t);
    float at[MIXTURE_DIMS_MAX];
    double s[MIXTURE_DIMS_MAX];
    for (int64_t d = 0; d < m->dims; d++) at[d] = (float)x[d];
    mixture_at(m, at, t, s, NULL, NULL);
    for (int64_t d = 0; d < m->dims; d++) a[d] = -f * x[d] + (flow ? 0.5 : 1) * g * g * s[d];
}

/* One stage of a Runge-Kutta scheme: x + Σ h w_j a_j + noise. */
static void advance(int64_t dims, double *out, const double *x, double h, double w0,
                    const double *a0, double w1, const double *a1)
{
    for (int64_t d = 0; d < dims; d++) out[d] = x[d] + h * (w0 * a0[d] + (a1 ? w1 * a1[d] : 0));
}

/* W and I, I = ∫ w dτ, of the step from t to s; x [dims] in place. */
static void take_step(const mixture *m, scheme method, bool flow, double t, double s, double *x,
                      const double *W, const double *I)
{
    enum { D = MIXTURE_DIMS_MAX };
    const tw_process *p = m->process;
    const double h = t - s, off = flow ? 0 : 1, gt = off * p->kind->diffusion(p, t),
                 gs = off * p->kind->diffusion(p, s);
    const double as = tw_process_alpha(p, s), ss = tw_process_sigma(p, s),
                 at = tw_process_alpha(p, t), st = tw_process_sigma(p, t), ratio = at / as,
                 v = st * st - ratio * ratio * ss * ss;
    double a[D], b[D], c[D], y[D] = {0}, y0[D];
    const int64_t n = m->dims;
    memcpy(y0, x, (size_t)n * sizeof *x);
    drift(m, flow, x, t, a);
    for (int64_t d = 0; d < n; d++) { /* the score, of those that are no solvers */
        const double g = p->kind->diffusion(p, t), f = p->kind->drift(p, t),
                     score = (a[d] + f * x[d]) / (g * g * (flow ? 0.5 : 1)), z = W[d] / sqrt(h);
        const double x0 = (y0[d] + st * st * score) / at;
        if (method == EULER) x[d] = y0[d] + h * a[d] + gt * W[d];
        if (method == REVERSE)
            x[d] = (2 - ratio) * y0[d] + (flow ? 0.5 : 1) * v * score + off * sqrt(v) * z;
        if (method == ANCESTRAL) /* q(x_s | x_t, x_0), but with the variance of the forward step */
            x[d] = as * v / (st * st) * x0 + ratio * ss * ss / (st * st) * y0[d] + sqrt(v) * z;
    }
    if (method == HEUN) {
        for (int64_t d = 0; d < n; d++) y[d] = y0[d] + h * a[d] + gt * W[d];
        drift(m, flow, y, s, b);
        for (int64_t d = 0; d < n; d++) x[d] = y0[d] + h / 2 * (a[d] + b[d]) + (gt + gs) / 2 * W[d];
    }
    if (method == SRA_1) { /* Rößler 2010, table 6.3 */
        advance(n, y, y0, h, 0.75, a, 0, NULL);
        for (int64_t d = 0; d < n; d++) y[d] += 1.5 * gs * I[d] / h;
        drift(m, false, y, t - 0.75 * h, b);
        advance(n, x, y0, h, 1.0 / 3, a, 2.0 / 3, b);
    }
    if (method == SRA_3) {
        advance(n, y, y0, h, 1, a, 0, NULL);
        drift(m, false, y, s, b);
        advance(n, y, y0, h, 0.25, a, 0.25, b);
        for (int64_t d = 0; d < n; d++) y[d] += (gs + 0.5 * gt) * I[d] / h;
        drift(m, false, y, t - 0.5 * h, c);
        advance(n, x, y0, h, 1.0 / 6, a, 1.0 / 6, b);
        for (int64_t d = 0; d < n; d++) x[d] += h * 2.0 / 3 * c[d];
    }
    if (method == SRA_1 || method == SRA_3)
        for (int64_t d = 0; d < n; d++) x[d] += gs * W[d] + (gt - gs) * I[d] / h;
}

/* The uniform grid of the samplers: k = 0 … n − 1. */
static double time_of(const tw_process *p, int n, int k)
{
    return p->end + (p->epsilon - p->end) * k / (n - 1);
}

/* x̂_0 of every coordinate. */
static void denoise(const mixture *m, double t, double *x)
{
    const double a = tw_process_alpha(m->process, t), sigma = tw_process_sigma(m->process, t);
    float at[MIXTURE_DIMS_MAX];
    double s[MIXTURE_DIMS_MAX];
    for (int64_t d = 0; d < m->dims; d++) at[d] = (float)x[d];
    mixture_at(m, at, t, s, NULL, NULL);
    for (int64_t d = 0; d < m->dims; d++) x[d] = (x[d] + sigma * sigma * s[d]) / a;
}

/* The stream of noise `name` of sample i, as doubles. */
static void noise(int64_t i, int64_t name, int64_t dims, double *z)
{
    const tw_rng_stream stream = {
        .seed = 3, .purpose = TW_RNG_SAMPLER_NOISE, .position = i, .step = name};
    float row[MIXTURE_DIMS_MAX];
    tw_rng_normal(row, &stream, 0, dims);
    for (int64_t d = 0; d < dims; d++) z[d] = (double)row[d];
}

/* Sample i by the scheme, in double. */
static void walk(const mixture *m, int method, int n, int64_t i, double *x)
{
    enum { D = MIXTURE_DIMS_MAX };
    const tw_process *p = m->process;
    const bool srk = methods[method].scheme >= SRA_1;
    const tw_rng_stream prior = {.seed = 3, .purpose = TW_RNG_SAMPLER_PRIOR, .position = i};
    float start[D];
    double z1[D], z2[D] = {0}, W[D], I[D];
    tw_rng_normal(start, &prior, 0, m->dims);
    for (int64_t d = 0; d < m->dims; d++) x[d] = p->prior_std * (double)start[d];
    for (int k = 0; k + 1 < n; k++) {
        const double t = time_of(p, n, k), s = time_of(p, n, k + 1), h = t - s;
        const int64_t name = n - 1 - k;
        noise(i, srk ? 2 * name : name, m->dims, z1);
        if (srk) noise(i, 2 * name + 1, m->dims, z2);
        for (int64_t d = 0; d < m->dims; d++) {
            W[d] = sqrt(h) * z1[d];
            I[d] = h * sqrt(h) / 2 * (z1[d] + z2[d] / sqrt(3));
        }
        take_step(m, methods[method].scheme, methods[method].flow, t, s, x, W, I);
    }
    denoise(m, time_of(p, n, n - 1), x);
}

static const char *const processes[] = {"ve", "vp", "subvp"};

static void predictors_are_their_schemes_with_their_noise(void **state)
{
    (void)state;
    enum { N = 6, STEPS = 60 };
    mixture m = {.modes = 2,
                 .dims = 3,
                 .weight = {0.3, 0.7},
                 .mean = {{-1, 0, 1}, {1, 0.5, 1}},
                 .std = {{0.5, 1, 0.5}, {0.5, 0.7, 1}}};
    for (int i = 0; i < 3; i++) {
        tw_process *p = make_process(processes[i], i == 0, (const char *const[]){"sigma_max=10"});
        for (int k = 0; k < METHODS; k++) {
            char words[120];
            double wanted[3];
            assert_int_equal(
                tw_format(words, sizeof words, "%s steps=%d seed=3", methods[k].words, STEPS),
                TW_OK);
            float *x = sample_mixture(&m, p, words, 40, N, 4);
            for (int s = 0; s < N; s++) {
                walk(&m, k, STEPS, 40 + s, wanted);
                for (int d = 0; d < 3; d++)
                    if (!(fabs(x[3 * s + d] - wanted[d]) < 2e-3)) /* rounding to float, amplified
                                                                     where the modes part */
                        fail_msg("%s on %s: %g, and the scheme gives %g", methods[k].words,
                                 processes[i], (double)x[3 * s + d], wanted[d]);
            }
            tw_free(&x);
        }
        tw_process_destroy(&p);
    }
}

/* Of data N(μ, std²) the step is affine in x, W and I, so probing it gives the exact recursion of
 * mean and variance. `denoised`: with the step to the data. */
static void exact_moments(const mixture *m, int method, int n, bool denoised, double *mean,
                          double *variance)
{
    const tw_process *p = m->process;
    double mu = 0, v = p->prior_std * p->prior_std;
    for (int k = 0; k + 1 < n; k++) {
        const double t = time_of(p, n, k), s = time_of(p, n, k + 1), h = t - s;
        double r[4];
        for (int probe = 0; probe < 4; probe++) {
            double x = probe == 1 ? 16 : 0, W = probe == 2 ? 16 : 0, I = probe == 3 ? 16 : 0;
            take_step(m, methods[method].scheme, methods[method].flow, t, s, &x, &W, &I);
            r[probe] = x;
        }
        const double slope = (r[1] - r[0]) / 16, w = (r[2] - r[0]) / 16, i = (r[3] - r[0]) / 16;
        mu = slope * mu + r[0];
        v = slope * slope * v + w * w * h + w * i * h * h + i * i * h * h * h / 3;
    }
    if (denoised) {
        double zero = 0, one = 16;
        denoise(m, time_of(p, n, n - 1), &zero);
        denoise(m, time_of(p, n, n - 1), &one);
        mu = (one - zero) / 16 * mu + zero;
        v *= pow((one - zero) / 16, 2);
    }
    *mean = mu;
    *variance = v;
}

/* In 64 dimensions, each another Gaussian, to five standard errors. */
static void samples_of_gaussians_have_the_exact_moments_of_the_scheme(void **state)
{
    (void)state;
    enum { N = 400, STEPS = 40, D = 64 };
    mixture m = {.modes = 1, .dims = D, .weight = {1}},
            one = {.modes = 1, .dims = 1, .weight = {1}};
    for (int d = 0; d < D; d++) {
        m.mean[0][d] = 1.5 * cos(d);
        m.std[0][d] = 0.4 + 0.6 * d / D;
    }
    for (int i = 0; i < 3; i++) {
        tw_process *p = make_process(processes[i], i == 0, (const char *const[]){"sigma_max=10"});
        one.process = p;
        for (int k = 0; k < METHODS; k++) {
            char words[120];
            assert_int_equal(
                tw_format(words, sizeof words, "%s steps=%d seed=3", methods[k].words, STEPS),
                TW_OK);
            float *x = sample_mixture(&m, p, words, 0, N, N);
            double chi = 0;
            for (int d = 0; d < D; d++) {
                double mean, variance, exact_mean, exact_variance;
                one.mean[0][0] = m.mean[0][d];
                one.std[0][0] = m.std[0][d];
                exact_moments(&one, k, STEPS, true, &exact_mean, &exact_variance);
                moments(x, N, D, d, &mean, &variance);
                close_to(mean, exact_mean, 5 * sqrt(exact_variance / N));
                close_to(variance, exact_variance, 5 * exact_variance * sqrt(2.0 / N));
                chi += variance / exact_variance / D;
            }
            close_to(chi, 1 - 1.0 / N, 5 * sqrt(2.0 / N / D)); /* all together */
            tw_free(&x);
        }
        tw_process_destroy(&p);
    }
}

/* The error of mean and variance at epsilon, against the process's own: the weak order. The prior's
 * own error is taken out by measuring against 8 times the steps. */
static void halving_the_step_shows_the_weak_order(void **state)
{
    (void)state;
    mixture m = {.modes = 1, .dims = 1, .weight = {1}, .mean = {{0.7}}, .std = {{0.5}}};
    for (int i = 0; i < 3; i++) {
        tw_process *p = make_process(processes[i], i == 0, (const char *const[]){"sigma_max=10"});
        m.process = p;
        for (int k = 0; k < METHODS; k++) {
            double mean[3], variance[3], error[2][2], order;
            for (int level = 0; level < 3; level++)
                exact_moments(&m, k, 1 + (level == 2 ? 8000 : 500 << level), false, &mean[level],
                              &variance[level]);
            for (int level = 0; level < 2; level++) {
                /* 8000 steps have (1/16)^order of the error of 500. */
                error[level][0] = fabs(mean[level] - mean[2]);
                error[level][1] = fabs(variance[level] - variance[2]);
            }
            const double floor = 2e-9; /* float of the score's argument */
            for (int q = 0; q < 2; q++) {
                if (error[0][q] < 100 * floor) continue;
                order = log2(error[0][q] / error[1][q]);
                if (!(order > methods[k].weak - 0.15))
                    fail_msg("%s on %s: weak order %.2f (%s), errors %.3g and %.3g",
                             methods[k].name, processes[i], order, q ? "variance" : "mean",
                             error[0][q], error[1][q]);
            }
            const double a = tw_process_alpha(p, p->epsilon),
                         sigma = tw_process_sigma(p, p->epsilon);
            close_to(mean[2], a * 0.7,
                     i == 0 ? 0.7 * 0.5 / 10 + 1e-3 : 0.01); /* VE's prior: mean 0 */
            close_to(variance[2], a * a * 0.25 + sigma * sigma, 5e-3);
        }
        tw_process_destroy(&p);
    }
}

/* Root mean square of the difference between paths of n and of 8 × 256 steps that are driven by one
 * Brownian motion, at time 0.2, from 0.8; a mixture, so that the drift is not linear. */
static double strong_error(const mixture *m, scheme method, bool flow, int n)
{
    enum { FINE = 2048, PATHS = 60 };
    const double begin = 0.8, end = 0.2, fine = (begin - end) / FINE;
    double sum = 0;
    for (int path = 0; path < PATHS; path++) {
        static float z[2][FINE];
        double ends[2];
        for (int c = 0; c < 2; c++)
            tw_rng_normal(z[c], &(tw_rng_stream){.seed = 5, .position = path, .step = c}, 0, FINE);
        for (int level = 0; level < 2; level++) {
            const int steps = level == 0 ? n : FINE, each = FINE / steps;
            double x = -1 + 2.0 * path / PATHS;
            for (int k = 0; k < steps; k++) {
                double W = 0, I = 0;
                for (int j = 0; j < each; j++) { /* I of the whole: Σ W_so_far h + I_j */
                    const double z1 = (double)z[0][k * each + j], z2 = (double)z[1][k * each + j];
                    I += W * fine + fine * sqrt(fine) / 2 * (z1 + z2 / sqrt(3));
                    W += sqrt(fine) * z1;
                }
                const double t = begin - (begin - end) * k / steps,
                             s = begin - (begin - end) * (k + 1) / steps;
                take_step(m, level == 0 ? method : SRA_3, flow, t, s, &x, &W, &I);
            }
            ends[level] = x;
        }
        sum += pow(ends[0] - ends[1], 2) / PATHS;
    }
    return sqrt(sum);
}

static void halving_the_step_shows_the_strong_order(void **state)
{
    (void)state;
    mixture m = {
        .modes = 2, .dims = 1, .weight = {0.4, 0.6}, .mean = {{-1}, {1}}, .std = {{0.5}, {0.6}}};
    tw_process *p = make_process("vp", 0, NULL);
    m.process = p;
    for (int k = 0; k < METHODS; k++) {
        const double coarse = methods[k].flow ? 0 : strong_error(&m, methods[k].scheme, false, 32),
                     fine = methods[k].flow ? 0 : strong_error(&m, methods[k].scheme, false, 128);
        if (methods[k].flow) continue;
        const double order = log2(coarse / fine) / 2;
        if (!(order > methods[k].strong - 0.15))
            fail_msg("%s: strong order %.2f, errors %.3g and %.3g", methods[k].name, order, coarse,
                     fine);
    }
    tw_process_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictors_are_their_schemes_with_their_noise),
        cmocka_unit_test(samples_of_gaussians_have_the_exact_moments_of_the_scheme),
        cmocka_unit_test(halving_the_step_shows_the_weak_order),
        cmocka_unit_test(halving_the_step_shows_the_strong_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
