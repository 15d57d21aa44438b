/* The sub-VP SDE (Song et al. 2021, equation 35 and appendix B): VP's drift, and a variance that is
 * never larger than VP's:
 *
 *   g = √(β(t) (1 − e^{−2 β0 t − (β1 − β0) t²})) = √(β(t) (1 − e^{4m})),   α = e^m,
 *   σ = 1 − e^{2m} */
#include "process/vp.h"

static double diffusion(const tw_process *p, double t)
{
    return sqrt(-vp_beta(p, t) * expm1(4 * vp_log_mean(p, t)));
}

static double sigma(const tw_process *p, double t)
{
    return -expm1(2 * vp_log_mean(p, t));
}

const tw_process_kind tw_process_subvp = {
    .kind = {"subvp", "the sub-variance-preserving SDE", vp_fields,
             sizeof vp_fields / sizeof *vp_fields, sizeof(vp_config)},
    .setup = vp_setup,
    .alpha = vp_alpha,
    .sigma = sigma,
    .drift = vp_drift,
    .diffusion = diffusion,
    .condition = vp_condition,
    .prediction = "epsilon",
    .sampler = "euler_maruyama",
};
