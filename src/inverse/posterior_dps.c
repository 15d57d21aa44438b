/* DPS (Chung et al. 2023, algorithm 1): after each step, x moves by −ζ ∇ ‖y − A x̂_0(x_t)‖, the
 * gradient taken through the denoiser at the x_t that the step began with. */
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

/* −∇ ‖r‖ = Jᵀ Aᵀ r / ‖r‖, r = y − A x̂_0. */
tw_status posterior_gradient(tw_posterior *p, double weight, int64_t n, const float *x,
                             const double *t, const int64_t *index, const float *score)
{
    float *g = p->scratch[0];
    double *x0 = p->work[0], *back = p->work[1];
    for (int64_t i = 0; i < n; i++) {
        const double *y = posterior_y(p, index[i]);
        double square = 0;
        posterior_denoised(p, t[i], x + i * p->dims, score + i * p->dims, x0);
        tw_operator_forward(p->a, x0, p->outputs);
        for (int64_t k = 0; k < p->a->outputs; k++)
            p->outputs[k] = p->a->measured && !(p->a->measured[k] > 0) ? 0 : y[k] - p->outputs[k];
        tw_operator_adjoint(p->a, p->outputs, back);
        for (int64_t k = 0; k < p->a->outputs; k++) square += p->outputs[k] * p->outputs[k];
        const double scale = square > 0 ? weight / sqrt(square) : 0;
        for (int64_t k = 0; k < p->dims; k++) g[i * p->dims + k] = (float)(scale * back[k]);
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
    .scratch = 1,
    .add = add,
    .after = after,
};
