/* The variance-preserving SDE (Song et al. 2021, equations 32 to 34), DDPM's limit of many steps:
 *
 *   dx = −½ β(t) x dt + √β(t) dw,   α = e^m,   σ = √(1 − e^{2m}) */
#include "process/vp.h"

static double diffusion(const tw_process *p, double t)
{
    return sqrt(vp_beta(p, t));
}

static double sigma(const tw_process *p, double t)
{
    return sqrt(-expm1(2 * vp_log_mean(p, t)));
}

const tw_process_kind tw_process_vp = {
    .kind = {"vp", "the variance-preserving SDE", vp_fields, sizeof vp_fields / sizeof *vp_fields,
             sizeof(vp_config)},
    .setup = vp_setup,
    .alpha = vp_alpha,
    .sigma = sigma,
    .drift = vp_drift,
    .diffusion = diffusion,
    .condition = vp_condition,
    .prediction = "epsilon",
    .sampler = "euler_maruyama",
};
