/* One denoising from pure noise: the model is asked once, at the process's last time, and Tweedie's
 * formula
 *
 *   x̂_0 = (x_t + σ² s(x_t)) / α,   x_t ~ the prior
 *
 * gives the posterior mean E[x_0 | x_t], which at such noise is nearly the mean of the data
 * whatever x_t. That it does not sample is what it is here to show: the diffusion models are the
 * cure. */
#include "sample/sampler.h"

static tw_status check(const void *config, const tw_part_use *use)
{
    (void)config;
    if (use->grid->steps == 1) return TW_OK;
    return tw_error_set(TW_ECONFIG,
                        "sample.predictor: onestep takes one step, and sample.steps makes %lld; "
                        "give sample.steps=1",
                        (long long)use->grid->steps);
}

static tw_status step(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b)
{
    tw_status st = TW_OK;
    const tw_linear_step s = {.x0 = 1};
    (void)config;
    TW_TRY(tw_batch_score(b, b->x, grid->point[k].t));
    tw_batch_linear(b, &grid->point[k], &s);
done:
    return st;
}

const tw_predictor tw_predictor_onestep = {
    .kind = {"onestep", "one denoising from pure noise (it returns the data's mean)"},
    .check = check,
    .step = step,
};
