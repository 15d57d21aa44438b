/* DDIM (Song, Meng, Ermon 2021, equations 12 and 16), with ε̂ derived again from the clipped x0 as
 * OpenAI's code does:
 *
 *   σ = η √((1 − ᾱ_p) / (1 − ᾱ)) √(1 − ᾱ / ᾱ_p),   ε̂ = (xt − √ᾱ x0) / √(1 − ᾱ)
 *   x_p = √ᾱ_p x0 + √(1 − ᾱ_p − σ²) ε̂ + σ z
 *
 * where p is the kept step before t, with ᾱ_p = 1 before the first. η = 0 is deterministic, η = 1
 * is ancestral with fixedsmall. */
#include <math.h>

#include "sample/sampler.h"

static tw_status plan(tw_sampler_step *steps, double *prior_std,
                      const tw_sampler_settings *settings, const tw_schedule *s)
{
    tw_status st = TW_OK;
    TW_CHECK(settings->eta >= 0 && settings->eta <= 1, TW_ECONFIG,
             "eta of ddim is %g: it lies between 0 and 1", settings->eta);
    for (int64_t t = s->steps - 1; t >= 0; t--) {
        const double alphabar = s->alphabar[t], previous = s->alphabar_previous[t];
        const double sigma =
            settings->eta * sqrt((1 - previous) / (1 - alphabar)) * sqrt(1 - alphabar / previous);
        const double noise = sqrt(fmax(1 - previous - sigma * sigma, 0)) /
                             s->sqrt_one_minus_alphabar[t]; /* of xt − √ᾱ x0 */
        *steps++ = (tw_sampler_step){.time = (double)s->timestep[t],
                                     .index = s->timestep[t],
                                     .x0_x = 1 / s->sqrt_alphabar[t],
                                     .x0_score = (1 - alphabar) / s->sqrt_alphabar[t],
                                     .next_x0 = sqrt(previous) - noise * s->sqrt_alphabar[t],
                                     .next_x = noise,
                                     .next_noise = sigma};
    }
    *prior_std = 1;
done:
    return st;
}

const tw_predictor tw_predictor_ddim = {.name = "ddim",
                                        .help = "DDIM; eta 0 is deterministic, eta 1 ancestral",
                                        .settings = "steps spacing eta",
                                        .discrete = true,
                                        .count = tw_sampler_schedule_steps,
                                        .plan = plan,
                                        .step = tw_sampler_linear_step};
