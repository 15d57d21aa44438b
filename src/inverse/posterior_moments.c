/* Tweedie moment projection (Boys et al. 2023; second-order Tweedie): x_0 | x_t is taken for the
 * Gaussian with its own mean x̂_0 and its own covariance, C = (σ²/α) J, J = ∂x̂_0/∂x_t:
 *
 *   ∇ log p(y | x_t) = Jᵀ Aᵀ (A C Aᵀ + σ_y² I)⁻¹ (y − A x̂_0)
 *
 * Exact where x_0 | x_t is Gaussian: for Gaussian priors at every time, for all as t → 0. The
 * system is solved by conjugate gradients in the coordinates U Uᵀ y, each iteration one vjp of the
 * batch (J is symmetric for an exact score):  (S Vᵀ C V S + σ_y² I) u = S (ȳ − Vᵀ x̂_0). */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_moments;

enum { U, R, D, Q, V }; /* scratch: iterate, residual, direction, its image; a sample */

typedef struct moments_config {
    int64_t iterations;
    double tolerance;
} moments_config;

static const tw_config_field fields[] = {
    {NULL, "iterations", TW_CONFIG_INT64, offsetof(moments_config, iterations), "10", 1, 10000,
     .help = "of conjugate gradients at most, each a gradient of the score"},
    {NULL, "tolerance", TW_CONFIG_DOUBLE, offsetof(moments_config, tolerance), "1e-4", 0, 1,
     .help = "of the residual's norm, relative, at which they end"},
};

/* v = V S u, samples as floats. */
static void to_samples(const tw_posterior *p, int64_t n, const float *u, float *v)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < p->dims; k++)
            p->work[0][k] = p->a->singular[k] * (double)u[i * p->dims + k];
        tw_operator_from_basis(p->a, p->work[0], p->work[1]);
        for (int64_t k = 0; k < p->dims; k++) v[i * p->dims + k] = (float)p->work[1][k];
    }
}

/* q = (S Vᵀ C V S + σ_y²) d. */
static tw_status apply(tw_posterior *p, int64_t n, const float *x, const double *t,
                       const int64_t *index, const float *d, float *q)
{
    tw_status st = TW_OK;
    float *v = p->scratch[V];
    to_samples(p, n, d, v);
    TW_TRY(posterior_pull_back(p, n, x, t, index, v, v));
    for (int64_t i = 0; i < n; i++) {
        const double alpha = tw_process_alpha(p->o.process, t[i]),
                     sigma = tw_process_sigma(p->o.process, t[i]);
        for (int64_t k = 0; k < p->dims; k++)
            p->work[0][k] = sigma * sigma / alpha * (double)v[i * p->dims + k];
        tw_operator_to_basis(p->a, p->work[0], p->work[1]);
        for (int64_t k = 0; k < p->dims; k++)
            q[i * p->dims + k] = (float)(p->a->singular[k] * p->work[1][k] +
                                         p->noise * p->noise * (double)d[i * p->dims + k]);
    }
done:
    return st;
}

static double dot(const tw_posterior *p, const float *a, const float *b, int64_t i)
{
    double sum = 0;
    for (int64_t k = i * p->dims; k < (i + 1) * p->dims; k++) sum += (double)a[k] * (double)b[k];
    return sum;
}

/* One iteration for all samples; `open` tells whether any goes on. A sample that is done, or whose
 * direction has no positive curvature (of a learned score), is left alone: each has its own
 * numbers, so that none depends on the others. */
static bool iterate(const tw_posterior *p, int64_t n, double tolerance)
{
    float *u = p->scratch[U], *r = p->scratch[R], *d = p->scratch[D];
    const float *q = p->scratch[Q];
    bool open = false;
    for (int64_t i = 0; i < n; i++) {
        const double rr = dot(p, r, r, i), curvature = dot(p, d, q, i);
        float *ui = u + i * p->dims, *ri = r + i * p->dims, *di = d + i * p->dims;
        if (!(rr > 0) || !(curvature > 0)) {
            memset(di, 0, (size_t)p->dims * sizeof *di);
            continue;
        }
        const double a = rr / curvature;
        for (int64_t k = 0; k < p->dims; k++) {
            ui[k] += (float)(a * (double)di[k]);
            ri[k] -= (float)(a * (double)q[i * p->dims + k]);
        }
        const double now = dot(p, r, r, i);
        if (now <= tolerance * tolerance * p->number[i]) {
            memset(ri, 0, (size_t)p->dims * sizeof *ri);
            memset(di, 0, (size_t)p->dims * sizeof *di);
            continue;
        }
        open = true;
        for (int64_t k = 0; k < p->dims; k++)
            di[k] = (float)((double)ri[k] + now / rr * (double)di[k]);
    }
    return open;
}

/* u = 0, r = d = S (ȳ − Vᵀ x̂_0). */
static void begin(const tw_posterior *p, int64_t n, const float *x, const double *t,
                  const int64_t *index, const float *score)
{
    memset(p->scratch[U], 0, (size_t)(n * p->dims) * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        const double *ybar = posterior_ybar(p, index[i]), *s = p->a->singular;
        posterior_denoised(p, t[i], x + i * p->dims, score + i * p->dims, p->work[0]);
        tw_operator_to_basis(p->a, p->work[0], p->work[1]);
        for (int64_t k = 0; k < p->dims; k++)
            p->scratch[R][i * p->dims + k] = p->scratch[D][i * p->dims + k] =
                (float)(s[k] * (ybar[k] - p->work[1][k]));
        p->number[i] = dot(p, p->scratch[R], p->scratch[R], i);
    }
}

static tw_status add(const void *config, tw_posterior *p, int64_t n, const float *x,
                     const double *t, const int64_t *index, float *score)
{
    tw_status st = TW_OK;
    const moments_config *c = config;
    float *g = p->scratch[V];
    bool open = true;
    begin(p, n, x, t, index, score);
    for (int64_t i = 0; i < c->iterations && open; i++) {
        TW_TRY(apply(p, n, x, t, index, p->scratch[D], p->scratch[Q]));
        open = iterate(p, n, c->tolerance);
    }
    to_samples(p, n, p->scratch[U], g);
    TW_TRY(posterior_pull_back(p, n, x, t, index, g, g));
    for (int64_t k = 0; k < n * p->dims; k++) score[k] += g[k];
done:
    return st;
}

const tw_posterior_method tw_posterior_moments = {
    .kind = {"moments", "a Gaussian likelihood with the denoiser's own covariance", fields,
             sizeof fields / sizeof *fields, sizeof(moments_config)},
    .basis = true,
    .vjp = true,
    .scratch = 5,
    .add = add,
};
