/* The sub-VP SDE (Song et al. 2021, equation 35 and appendix B): VP's drift, and a variance that is
 * never larger than VP's:
 *
 *   g = √(β(t) (1 − e^{−2 β0 t − (β1 − β0) t²})) = √(β(t) (1 − e^{4m})),   mean = e^m,   std = 1 −
 * e^{2m} */
#include <math.h>

#include "sde/vp.h"

static double drift(const tw_sde_parameters *p, double t)
{
    return -0.5 * vp_beta(p, t);
}

static double diffusion(const tw_sde_parameters *p, double t)
{
    return sqrt(-vp_beta(p, t) * expm1(4 * vp_log_mean(p, t)));
}

static double mean(const tw_sde_parameters *p, double t)
{
    return exp(vp_log_mean(p, t));
}

static double std(const tw_sde_parameters *p, double t)
{
    return -expm1(2 * vp_log_mean(p, t));
}

static double prior_std(const tw_sde_parameters *p)
{
    (void)p;
    return 1;
}

const tw_sde tw_sde_subvp = {.name = "subvp",
                             .help = "sub-variance preserving",
                             .drift = drift,
                             .diffusion = diffusion,
                             .mean = mean,
                             .std = std,
                             .prior_std = prior_std,
                             .train_epsilon = 1e-5,
                             .sample_epsilon = 1e-3};
