/* Euler-Maruyama on the reverse SDE (Song et al. 2021, section 4.1): with h = t − s,
 *
 *   x_s = x_t + h (g² s(x_t, t) − f x_t) + g √h z
 *
 * or on the probability-flow ODE, with half the score and no noise. Of first order, strong and
 * weak. */
#include <math.h>
#include <stddef.h>

#include "sample/sde.h"

typedef struct euler_config {
    bool flow;
} euler_config;

static const tw_config_field fields[] = {
    {NULL, "probability_flow", TW_CONFIG_BOOL, offsetof(euler_config, flow), "no",
     .help = "integrate the probability-flow ODE, without noise"},
};

static tw_status check(const void *config, const tw_part_use *use)
{
    (void)config;
    return sde_check("euler_maruyama", use);
}

static tw_status step(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b)
{
    tw_status st = TW_OK;
    const bool flow = ((const euler_config *)config)->flow;
    const tw_point *from = &grid->point[k], *to = &grid->point[k + 1];
    if (to->data) return sde_denoise(from, b);
    const double h = from->t - to->t, f = b->process->kind->drift(b->process, from->t),
                 g = sde_diffusion(b, from->t);
    const tw_linear_step s =
        tw_linear_of_score(from, 1 - h * f, (flow ? 0.5 : 1) * h * g * g, flow ? 0 : g * sqrt(h));
    TW_TRY(tw_batch_score(b, b->x, from->t));
    tw_batch_linear(b, from, &s);
done:
    return st;
}

const tw_predictor tw_predictor_euler_maruyama = {
    .kind = {"euler_maruyama", "Euler-Maruyama on the reverse SDE", fields,
             sizeof fields / sizeof *fields, sizeof(euler_config)},
    .check = check,
    .step = step,
};
