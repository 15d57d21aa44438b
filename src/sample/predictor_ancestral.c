/* Ancestral sampling: x_s from the posterior q(x_s | x_t, x_0) with x_0 from Tweedie's formula. Of
 * DDPM (Ho, Jain, Abbeel 2020, algorithm 2 and equation 7), of NCSN's ladder (Song et al. 2021,
 * equation 47), and of every linear Gaussian process at any spacing:
 *
 *   x̂_0 = (x_t + σ_t² s) / α_t, clipped;   x_s = c1 x̂_0 + c2 x_t + √v z   (tw_bridge)
 *
 * v = σ_ts² (fixedlarge, β of DDPM: optimal for x_0 ~ N(0, I)) or the posterior's own (fixedsmall,
 * β̃: for one point). The last step has no noise. */
#include <stddef.h>

#include "sample/sampler.h"

typedef struct ancestral_config {
    int variance;
} ancestral_config;

enum { FIXED_LARGE, FIXED_SMALL };

static const tw_config_field fields[] = {
    {NULL, "variance", TW_CONFIG_CHOICE, offsetof(ancestral_config, variance), "fixedlarge",
     .choices = "fixedlarge|fixedsmall",
     .help = "variance of a step: of the forward step, or of the posterior"},
};

static tw_status step(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b)
{
    tw_status st = TW_OK;
    const ancestral_config *c = config;
    const tw_point *from = &grid->point[k], *to = &grid->point[k + 1];
    const tw_bridge q = tw_bridge_between(to->alpha, to->sigma, from->alpha, from->sigma);
    const tw_linear_step s = {
        .x0 = q.x0,
        .x = q.xt,
        .noise = to->data                     ? 0
                 : c->variance == FIXED_LARGE ? q.sigma
                                              : q.std,
    };
    TW_TRY(tw_batch_score(b, b->x, from->t));
    tw_batch_linear(b, from, &s);
done:
    return st;
}

const tw_predictor tw_predictor_ancestral = {
    .kind = {"ancestral", "ancestral sampling", fields, sizeof fields / sizeof *fields,
             sizeof(ancestral_config)},
    .step = step,
};
