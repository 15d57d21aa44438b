/* The variance-exploding SDE (Song et al. 2021, equations 30 and 31), NCSN's limit of many noise
 * levels:
 *
 *   dx = σ(t) √(2 ln(σmax / σmin)) dw,   σ(t) = σmin (σmax / σmin)^t,   mean = 1, std = σ(t)
 *
 * The published code takes σ(t) for the std where the SDE started at x0 gives √(σ(t)² − σmin²); so
 * does this. */
#include <math.h>

#include "tweedie/sde.h"

static double drift(const tw_sde_parameters *p, double t)
{
    (void)p, (void)t;
    return 0;
}

static double mean(const tw_sde_parameters *p, double t)
{
    (void)p, (void)t;
    return 1;
}

static double std(const tw_sde_parameters *p, double t)
{
    return p->sigma_min * pow(p->sigma_max / p->sigma_min, t);
}

static double diffusion(const tw_sde_parameters *p, double t)
{
    return std(p, t) * sqrt(2 * log(p->sigma_max / p->sigma_min));
}

static double prior_std(const tw_sde_parameters *p)
{
    return p->sigma_max;
}

const tw_sde tw_sde_ve = {.name = "ve",
                          .help = "variance exploding (NCSN in continuous time)",
                          .drift = drift,
                          .diffusion = diffusion,
                          .mean = mean,
                          .std = std,
                          .prior_std = prior_std,
                          .train_epsilon = 1e-5,
                          .sample_epsilon = 1e-5};
