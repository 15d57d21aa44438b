/* Heun's method on the reverse SDE (Kloeden and Platen 1992, chapter 15; for additive noise): from
 * t to s, h = t − s,
 *
 *   x̃   = x_t + h a(x_t, t) + g(t) √h z
 *   x_s = x_t + h/2 (a(x_t, t) + a(x̃, s)) + ½ (g(t) + g(s)) √h z
 *
 * Weak order 2, strong order 1; on the probability-flow ODE order 2. */
#include <math.h>
#include <stddef.h>

#include "sample/sde.h"

typedef struct heun_config {
    bool flow;
} heun_config;

static const tw_config_field fields[] = {
    {NULL, "probability_flow", TW_CONFIG_BOOL, offsetof(heun_config, flow), "no",
     .help = "integrate the probability-flow ODE, without noise"},
};

static tw_status check(const void *config, const tw_part_use *use)
{
    (void)config;
    return sde_check("stochastic_heun", use);
}

static tw_status step(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b)
{
    tw_status st = TW_OK;
    const bool flow = ((const heun_config *)config)->flow;
    const tw_point *from = &grid->point[k], *to = &grid->point[k + 1];
    float *a = b->scratch[0], *middle = b->scratch[1], *z = b->scratch[2], *c = b->scratch[3];
    if (to->data) return sde_denoise(from, b);
    const double h = from->t - to->t, root = flow ? 0 : sqrt(h),
                 g = root * sde_diffusion(b, from->t),
                 mean = 0.5 * (g + root * sde_diffusion(b, to->t));
    tw_batch_noise(b, z, TW_RNG_SAMPLER_NOISE, from->name);
    TW_TRY(sde_drift(b, b->x, from->t, flow, a));
    for (int64_t i = 0; i < b->n * b->dims; i++)
        middle[i] = (float)((double)b->x[i] + h * (double)a[i] + g * (double)z[i]);
    TW_TRY(sde_drift(b, middle, to->t, flow, c));
    for (int64_t i = 0; i < b->n * b->dims; i++)
        b->x[i] = (float)((double)b->x[i] + 0.5 * h * ((double)a[i] + (double)c[i]) +
                          mean * (double)z[i]);
done:
    return st;
}

const tw_predictor tw_predictor_stochastic_heun = {
    .kind = {"stochastic_heun", "Heun's method on the reverse SDE", fields,
             sizeof fields / sizeof *fields, sizeof(heun_config)},
    .check = check,
    .scratch = 4,
    .steps = 500, /* as many evaluations as 1000 steps of Euler-Maruyama */
    .step = step,
};
