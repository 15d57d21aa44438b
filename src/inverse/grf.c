/* Gaussian random fields: x_0 = mean + F* diag(√power) F n is what a periodic stationary field is.
 * Under x_t = α x_0 + σ z each mode of x_t is Gaussian by itself:
 *
 *   s(x, t) = −F* diag(1 / (α² power + σ²)) F (x − α mean) */
#include <math.h>
#include <string.h>

#include "inverse/basis.h"
#include "tweedie/inverse.h"
#include "tweedie/memory.h"
#include "tweedie/rng.h"

enum { DENSE_MOST = 4096 };

struct tw_grf {
    tw_extent extent;
    int64_t pixels, dims;
    double mean, *power; /* [H][W] */
    tw_fourier *fourier;
    tw_complex *modes; /* [H][W] */
    double *x, *out;   /* [dims] */
    const tw_process *process;
};

tw_status tw_grf_create(tw_grf **out, const tw_extent *extent, const double *power, double mean)
{
    tw_status st = TW_OK;
    tw_grf *g = NULL;
    TW_TRY(tw_alloc(&g, 1, sizeof *g, "a random field"));
    g->extent = *extent;
    g->pixels = extent->height * extent->width;
    g->dims = tw_extent_count(extent);
    g->mean = mean;
    TW_TRY(tw_fourier_create(&g->fourier, extent->height, extent->width));
    TW_TRY(tw_alloc(&g->power, g->pixels, sizeof *g->power, "a spectrum"));
    TW_TRY(tw_alloc(&g->modes, g->pixels, sizeof *g->modes, "a spectrum"));
    TW_TRY(tw_alloc(&g->x, g->dims, sizeof *g->x, "a random field"));
    TW_TRY(tw_alloc(&g->out, g->dims, sizeof *g->out, "a random field"));
    for (int64_t i = 0; i < g->pixels; i++) {
        const double pair = power[tw_fourier_partner(extent->height, extent->width, i)];
        TW_CHECK(power[i] >= 0 && isfinite(power[i]) &&
                     fabs(power[i] - pair) <= 1e-9 * (power[i] + pair),
                 TW_ECONFIG,
                 "a spectrum: mode %lld has the variance %g and its partner %g; equal ones were "
                 "expected",
                 (long long)i, power[i], pair);
        g->power[i] = power[i];
    }
    *out = g;
    g = NULL;
done:
    tw_grf_destroy(&g);
    return st;
}

void tw_grf_destroy(tw_grf **field)
{
    tw_grf *g = *field;
    if (!g) return;
    tw_fourier_destroy(&g->fourier);
    tw_free(&g->power);
    tw_free(&g->modes);
    tw_free(&g->x);
    tw_free(&g->out);
    tw_free(field);
}

void tw_grf_spectrum(double *power, int64_t height, int64_t width, double variance, double length,
                     double exponent)
{
    double sum = 0;
    for (int64_t i = 0; i < height * width; i++) {
        const int64_t y = i / width, x = i % width;
        const double ky = 2 * M_PI * (double)(y <= height / 2 ? y : y - height) / (double)height,
                     kx = 2 * M_PI * (double)(x <= width / 2 ? x : x - width) / (double)width;
        power[i] = pow(1 + length * length * (kx * kx + ky * ky), -exponent / 2);
        sum += power[i];
    }
    for (int64_t i = 0; i < height * width; i++)
        power[i] *= variance * (double)(height * width) / sum;
}

/* out = F* diag(f) F x of each channel; f is c (power alpha² + sigma²)^q. */
static void filter(tw_grf *g, const double *x, double alpha, double sigma, double q, double c,
                   double *out)
{
    for (int64_t k = 0; k < g->extent.channels; k++) {
        tw_fourier_forward(g->fourier, x + k, g->extent.channels, g->modes);
        for (int64_t i = 0; i < g->pixels; i++) {
            const double f = c * pow(alpha * alpha * g->power[i] + sigma * sigma, q);
            g->modes[i].re *= f;
            g->modes[i].im *= f;
        }
        tw_fourier_backward(g->fourier, g->modes, out + k, g->extent.channels);
    }
}

static tw_status eval(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                      float *score)
{
    tw_grf *g = self;
    (void)index;
    for (int64_t i = 0; i < n; i++) {
        const double alpha = tw_process_alpha(g->process, t[i]),
                     sigma = tw_process_sigma(g->process, t[i]);
        for (int64_t k = 0; k < g->dims; k++)
            g->x[k] = (double)x[i * g->dims + k] - alpha * g->mean;
        filter(g, g->x, alpha, sigma, -1, -1, g->out);
        for (int64_t k = 0; k < g->dims; k++) score[i * g->dims + k] = (float)g->out[k];
    }
    return TW_OK;
}

/* The Jacobian is symmetric and constant. */
static tw_status vjp(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                     const float *v, float *score, float *vjp_out)
{
    tw_grf *g = self;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < g->dims; k++) g->x[k] = (double)v[i * g->dims + k];
        filter(g, g->x, tw_process_alpha(g->process, t[i]), tw_process_sigma(g->process, t[i]), -1,
               -1, g->out);
        for (int64_t k = 0; k < g->dims; k++) vjp_out[i * g->dims + k] = (float)g->out[k];
    }
    return score ? eval(self, n, x, t, index, score) : TW_OK;
}

tw_score tw_grf_score(tw_grf *g, const tw_process *process)
{
    g->process = process;
    return (tw_score){.self = g, .dims = g->dims, .eval = eval, .vjp = vjp};
}

void tw_grf_sample(const tw_grf *field, uint64_t seed, int64_t i, double *x)
{
    enum { PIECE = 256 };
    float noise[PIECE];
    tw_grf *g = (tw_grf *)(uintptr_t)field; /* its scratch alone is written */
    const tw_rng_stream stream = {.seed = seed, .purpose = TW_RNG_DATA, .position = i};
    for (int64_t first = 0; first < g->dims; first += PIECE) {
        const int64_t n = g->dims - first < PIECE ? g->dims - first : PIECE;
        tw_rng_normal(noise, &stream, first, n);
        for (int64_t k = 0; k < n; k++) g->x[first + k] = (double)noise[k];
    }
    filter(g, g->x, 1, 0, 0.5, 1, x);
    for (int64_t k = 0; k < g->dims; k++) x[k] += g->mean;
}

/* ---- the exact posterior ---- */

/* gain = C Aᵀ [dims][outputs], of the columns of A; a unit vector goes through C, then A. */
static tw_status make_gain(tw_grf *g, const tw_operator *a, double *gain)
{
    tw_status st = TW_OK;
    double *unit = NULL, *through = NULL;
    TW_TRY(tw_alloc(&unit, g->dims, sizeof *unit, "a posterior"));
    TW_TRY(tw_alloc(&through, g->dims, sizeof *through, "a posterior"));
    for (int64_t j = 0; j < g->dims; j++) {
        unit[j] = 1;
        filter(g, unit, 1, 0, 1, 1, through); /* row j of C */
        tw_operator_forward(a, through, gain + j * a->outputs);
        unit[j] = 0;
    }
done:
    tw_free(&unit);
    tw_free(&through);
    return st;
}

/* gram = A C Aᵀ + σ² I [outputs][outputs], factored. */
static tw_status make_gram(const tw_grf *g, const tw_operator *a, const double *gain, double sigma,
                           double *gram)
{
    tw_status st = TW_OK;
    const int64_t m = a->outputs;
    double *column = NULL;
    TW_TRY(tw_alloc(&column, g->dims, sizeof *column, "a posterior"));
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < g->dims; j++) column[j] = gain[j * m + i];
        tw_operator_forward(a, column, gram + i * m);
        gram[i * m + i] += sigma * sigma;
    }
    TW_TRY(tw_cholesky(m, gram));
done:
    tw_free(&column);
    return st;
}

tw_status tw_grf_posterior(const tw_grf *field, const tw_operator *a, double sigma, const double *y,
                           double *mean, double *covariance)
{
    tw_status st = TW_OK;
    tw_grf *g = (tw_grf *)(uintptr_t)field; /* its scratch alone is written */
    const int64_t n = g->dims, m = a->outputs;
    double *gain = NULL, *gram = NULL, *r = NULL, *prior = NULL;
    TW_CHECK(
        n <= DENSE_MOST && m <= DENSE_MOST && sigma > 0, TW_ECONFIG,
        "an exact posterior of %lld numbers from %lld, noise %g: at most %d are computed, with "
        "a noise above 0",
        (long long)n, (long long)m, sigma, DENSE_MOST);
    TW_TRY(tw_alloc(&gain, n * m, sizeof *gain, "a posterior"));
    TW_TRY(tw_alloc(&gram, m * m, sizeof *gram, "a posterior"));
    TW_TRY(tw_alloc(&r, m, sizeof *r, "a posterior"));
    TW_TRY(tw_alloc(&prior, n, sizeof *prior, "a posterior"));
    TW_TRY(make_gain(g, a, gain));
    TW_TRY(make_gram(g, a, gain, sigma, gram));
    for (int64_t j = 0; j < n; j++) prior[j] = g->mean;
    tw_operator_forward(a, prior, r);
    for (int64_t i = 0; i < m; i++) r[i] = y[i] - r[i];
    tw_cholesky_solve(m, gram, r);
    for (int64_t j = 0; j < n; j++) {
        mean[j] = g->mean;
        for (int64_t i = 0; i < m; i++) mean[j] += gain[j * m + i] * r[i];
    }
    for (int64_t j = 0; j < n; j++) {
        memset(prior, 0, (size_t)n * sizeof *prior);
        prior[j] = 1;
        filter(g, prior, 1, 0, 1, 1, covariance + j * n);
        memcpy(r, gain + j * m, (size_t)m * sizeof *r);
        tw_cholesky_solve(m, gram, r);
        for (int64_t k = 0; k < n; k++)
            for (int64_t i = 0; i < m; i++) covariance[j * n + k] -= r[i] * gain[k * m + i];
    }
done:
    tw_free(&gain);
    tw_free(&gram);
    tw_free(&r);
    tw_free(&prior);
    return st;
}
