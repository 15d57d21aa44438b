/* The variance-preserving SDE (Song et al. 2021, equations 32 to 34), DDPM's limit of many steps:
 *
 *   dx = −½ β(t) x dt + √β(t) dw,   β(t) = β0 + t (β1 − β0)
 *   mean = e^m, std = √(1 − e^{2m}),   m = −¼ t² (β1 − β0) − ½ t β0 */
#include <math.h>

#include "sde/vp.h"

static double drift(const tw_sde_parameters *p, double t)
{
    return -0.5 * vp_beta(p, t);
}

static double diffusion(const tw_sde_parameters *p, double t)
{
    return sqrt(vp_beta(p, t));
}

static double mean(const tw_sde_parameters *p, double t)
{
    return exp(vp_log_mean(p, t));
}

static double std(const tw_sde_parameters *p, double t)
{
    return sqrt(-expm1(2 * vp_log_mean(p, t)));
}

static double prior_std(const tw_sde_parameters *p)
{
    (void)p;
    return 1;
}

const tw_sde tw_sde_vp = {.name = "vp",
                          .help = "variance preserving (DDPM in continuous time)",
                          .drift = drift,
                          .diffusion = diffusion,
                          .mean = mean,
                          .std = std,
                          .prior_std = prior_std,
                          .train_epsilon = 1e-5,
                          .sample_epsilon = 1e-3};
