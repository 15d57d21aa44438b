/* Reverse diffusion (Song et al. 2021, algorithms 2 and 3 and appendix E): the reverse SDE
 * discretised as the forward process is. Where x_t = α_ts x_s + σ_ts z,
 *
 *   x_s = x_t − (α_ts − 1) x_t + σ_ts² s(x_t, t) + σ_ts z
 *
 * which is the published step of VE (σ_ts² = σ_i² − σ_{i−1}²) and of DDPM's chain (α_ts = √(1 − β),
 * σ_ts² = β). Of a continuous process α_ts and σ_ts are the exact moments between the two times,
 * where the published code takes β(t) / N for VP, and f h and g √h for sub-VP. With
 * probability_flow the score's part is halved and there is no noise. A step to the data is
 * Tweedie's formula. */
#include <stddef.h>

#include "sample/sde.h"

typedef struct reverse_config {
    bool flow;
} reverse_config;

static const tw_config_field fields[] = {
    {NULL, "probability_flow", TW_CONFIG_BOOL, offsetof(reverse_config, flow), "no",
     .help = "discretise the probability-flow ODE, without noise"},
};

static tw_status step(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b)
{
    tw_status st = TW_OK;
    const bool flow = ((const reverse_config *)config)->flow;
    const tw_point *from = &grid->point[k], *to = &grid->point[k + 1];
    if (to->data) return sde_denoise(from, b);
    const tw_bridge q = tw_bridge_between(to->alpha, to->sigma, from->alpha, from->sigma);
    const tw_linear_step s = tw_linear_of_score(
        from, 2 - q.alpha, (flow ? 0.5 : 1) * q.sigma * q.sigma, flow ? 0 : q.sigma);
    TW_TRY(tw_batch_score(b, b->x, from->t));
    tw_batch_linear(b, from, &s);
done:
    return st;
}

const tw_predictor tw_predictor_reverse_diffusion = {
    .kind = {"reverse_diffusion", "the reverse SDE, discretised as the forward process is", fields,
             sizeof fields / sizeof *fields, sizeof(reverse_config)},
    .step = step,
};
