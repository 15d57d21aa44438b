/* One denoising from pure noise: a model of xt = α x0 + σ z, z ~ N(0, I), at one small α / σ is
 * asked once, and Tweedie's formula
 *
 *   x0 = (xt + σ² s(xt)) / α = (xt − σ ẑ) / α,   xt ~ N(0, σ² I)
 *
 * gives the posterior mean E[x0 | xt], which at such noise is nearly the mean of the data whatever
 * xt. That it does not sample is what it is here to show: the diffusion models are the cure. */
#include "sample/sampler.h"

static int64_t count(const tw_sampler_settings *settings, const tw_schedule *schedule)
{
    (void)settings, (void)schedule;
    return 1;
}

static tw_status plan(tw_sampler_step *steps, double *prior_std,
                      const tw_sampler_settings *settings, const tw_schedule *schedule)
{
    tw_status st = TW_OK;
    const double alpha = settings->onestep_scale, sigma = settings->onestep_sigma;
    (void)schedule;
    TW_CHECK(alpha > 0 && sigma > 0, TW_ECONFIG,
             "one-step denoising of %g x0 + %g z: both factors must be positive", alpha, sigma);
    steps[0] = (tw_sampler_step){
        .time = 0, .x0_x = 1 / alpha, .x0_score = sigma * sigma / alpha, .next_x0 = 1};
    *prior_std = sigma;
done:
    return st;
}

const tw_predictor tw_predictor_onestep = {
    .name = "onestep",
    .help = "one denoising from pure noise (for comparison: it returns the data's mean)",
    .settings = "",
    .count = count,
    .plan = plan,
    .step = tw_sampler_linear_step};
