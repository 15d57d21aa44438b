/* DDPM's ancestral sampling (Ho, Jain, Abbeel 2020, algorithm 2 and equation 7), with x0 from
 * Tweedie's formula:
 *
 *   x0 = (xt + (1 − ᾱ_t) s) / √ᾱ_t = √(1/ᾱ_t) xt − √(1/ᾱ_t − 1) ε̂,   clipped
 *   x_{t−1} = c1 x0 + c2 xt + [t > 0] √v z,   v = β_t (fixedlarge, optimal for x0 ~ N(0, I)) or β̃_t
 * (fixedsmall, for one point) */
#include <math.h>
#include <string.h>

#include "sample/sampler.h"

static tw_status plan(tw_sampler_step *steps, double *prior_std,
                      const tw_sampler_settings *settings, const tw_schedule *s)
{
    tw_status st = TW_OK;
    const bool large = strcmp(settings->variance, "fixedlarge") == 0;
    TW_CHECK(large || strcmp(settings->variance, "fixedsmall") == 0, TW_ECONFIG,
             "unknown variance \"%s\" of ancestral sampling: it is fixedlarge or fixedsmall",
             settings->variance);
    for (int64_t t = s->steps - 1; t >= 0; t--) {
        const double log_variance = large ? s->log_variance_large[t] : s->log_variance_small[t];
        *steps++ = (tw_sampler_step){.time = (double)s->timestep[t],
                                     .index = s->timestep[t],
                                     .x0_x = 1 / s->sqrt_alphabar[t],
                                     .x0_score = (1 - s->alphabar[t]) / s->sqrt_alphabar[t],
                                     .next_x0 = s->posterior_mean_x0[t],
                                     .next_x = s->posterior_mean_xt[t],
                                     .next_noise = t > 0 ? exp(0.5 * log_variance) : 0};
    }
    *prior_std = 1;
done:
    return st;
}

const tw_predictor tw_predictor_ancestral = {
    .name = "ancestral",
    .help = "DDPM's ancestral sampling, with variance fixedlarge or fixedsmall",
    .settings = "steps spacing variance",
    .discrete = true,
    .count = tw_sampler_schedule_steps,
    .plan = plan,
    .step = tw_sampler_linear_step};
