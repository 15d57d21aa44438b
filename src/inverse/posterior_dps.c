/* DPS (Chung et al. 2023, algorithm 1): after each step, x moves by −ζ ∇ ‖y − H(x̂_0(x_t))‖, the
 * gradient taken through the denoiser at the x_t that the step began with. H is A, or of latents A
 * after the decoder (Rout et al. 2023, latent DPS), which the gradient goes through as well. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "inverse/posterior.h"

extern const tw_posterior_method tw_posterior_dps;

typedef struct dps_config {
    double zeta;
} dps_config;

static const tw_config_field fields[] = {
    {NULL, "zeta", TW_CONFIG_DOUBLE, offsetof(dps_config, zeta), "1", TW_CONFIG_ABOVE_ZERO, 1e6,
     .help = "size of a step along the gradient of ||y - A x0||"},
};

/* r = y − H(x̂_0) in the place of H(x̂_0). @return ‖r‖ */
static double residual(const tw_posterior *p, int64_t index, double *r)
{
    const tw_operator *a = p->a;
    const double *y = posterior_y(p, index);
    double square = 0;
    for (int64_t k = 0; k < a->outputs; k++) {
        r[k] = a->measured && !(a->measured[k] > 0) ? 0 : y[k] - r[k];
        square += r[k] * r[k];
    }
    return sqrt(square);
}

/* −∇ ‖r‖ = Jᵀ H'(x̂_0)ᵀ r / ‖r‖, J = ∂x̂_0 / ∂x_t. */
tw_status posterior_gradient(tw_posterior *p, double weight, int64_t n, const float *x,
                             const double *t, const int64_t *index, const float *score)
{
    float *g = p->scratch[0];
    for (int64_t i = 0; i < n; i++)
        posterior_denoised(p, t[i], x + i * p->dims, score + i * p->dims, p->x0 + i * p->dims);
    posterior_measure(p, n, p->x0, p->outputs);
    for (int64_t i = 0; i < n; i++)
        p->number[i] = residual(p, index[i], p->outputs + i * p->a->outputs);
    posterior_measure_back(p, n, p->x0, p->outputs, p->back);
    for (int64_t i = 0; i < n; i++) {
        const double scale = p->number[i] > 0 ? weight / p->number[i] : 0;
        for (int64_t k = i * p->dims; k < (i + 1) * p->dims; k++)
            g[k] = (float)(scale * p->back[k]);
    }
    return posterior_pull_back(p, n, x, t, index, g, g);
}

/* Steps of the predictor have odd names. */
void posterior_step_along(const tw_posterior *p, tw_batch *b, int64_t name)
{
    const float *g = p->scratch[0];
    if (name % 2 == 0) return;
    for (int64_t k = 0; k < b->n * p->dims; k++) b->x[k] += g[k];
    memset(p->scratch[0], 0, (size_t)(b->n * p->dims) * sizeof *g);
}

static tw_status add(const void *config, tw_posterior *p, int64_t n, const float *x,
                     const double *t, const int64_t *index, float *score)
{
    return posterior_gradient(p, ((const dps_config *)config)->zeta, n, x, t, index, score);
}

static tw_status after(const void *config, tw_posterior *p, tw_batch *b, const tw_point *at,
                       int64_t name)
{
    (void)config, (void)at;
    posterior_step_along(p, b, name);
    return TW_OK;
}

const tw_posterior_method tw_posterior_dps = {
    .kind = {"dps", "steps along the gradient of ||y - A x0|| (DPS)", fields,
             sizeof fields / sizeof *fields, sizeof(dps_config)},
    .vjp = true,
    .maps = true,
    .scratch = 1,
    .add = add,
    .after = after,
};
