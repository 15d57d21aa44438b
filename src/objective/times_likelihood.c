/* Times with density proportional to g(t)² / σ(t)² (Song, Durkan, Murray, Ermon 2021, section 5.1):
 * under the likelihood weighting the terms then differ little in size.
 *
 * With the Gaussian transition from s to t, d ln(σ/α)² = g² / σ² dt exactly, so that the cumulative
 * density is linear in λ = ln(σ² / α²), and its inverse is the time at a ratio. The importance
 * weight is that of the uniform density over the clock: w = (Λ / T) / (g² / σ²), Λ the whole range
 * of λ. */
#include <math.h>

#include "tweedie/objective.h"

static tw_status check(const void *config, const tw_process *p)
{
    (void)config;
    if (!tw_process_is_discrete(p)) return TW_OK;
    return tw_error_set(TW_ECONFIG,
                        "objective.times: likelihood is a density over continuous time (vp, subvp, "
                        "ve, edm); process.kind is %s; for discrete ones there is second_moment",
                        p->kind->kind.name);
}

static double log_ratio(const tw_process *p, double t)
{
    return log(tw_process_sigma(p, t) / tw_process_alpha(p, t));
}

static double at(const void *config, const tw_process *p, const double *history, double u,
                 double *weight)
{
    const double low = log_ratio(p, p->start), high = log_ratio(p, p->end);
    const double t = tw_process_time_at(p, exp(low + u * (high - low)));
    const double g = p->kind->diffusion(p, t), sigma = tw_process_sigma(p, t);
    (void)config, (void)history;
    *weight = 2 * (high - low) / (p->end - p->start) / (g * g / (sigma * sigma));
    return t;
}

const tw_times tw_times_likelihood = {
    .kind = {"likelihood", "as g(t)^2 / sigma(t)^2, weighted back to uniform"},
    .check = check,
    .at = at,
};
