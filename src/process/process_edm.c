/* The process of EDM (Karras et al. 2022, section 2): time is the noise level itself,
 *
 *   dx = √(2 t) dw,   α = 1,   σ = t
 *
 * Times above sigma_max have a meaning: churn adds noise to a sample. */
#include <math.h>
#include <stddef.h>

#include "tweedie/process.h"

typedef struct edm_config {
    double sigma_min, sigma_max;
} edm_config;

static const tw_config_field fields[] = {
    {NULL, "sigma_min", TW_CONFIG_DOUBLE, offsetof(edm_config, sigma_min), "0.002",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true, .help = "smallest noise level of sampling"},
    {NULL, "sigma_max", TW_CONFIG_DOUBLE, offsetof(edm_config, sigma_max), "80",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true, .help = "largest noise level of sampling"},
};

static tw_status setup(tw_process *p)
{
    const edm_config *c = p->config;
    if (c->sigma_min >= c->sigma_max)
        return tw_error_set(TW_ECONFIG, "process.sigma_min: %g is not below process.sigma_max, %g",
                            c->sigma_min, c->sigma_max);
    p->start = p->epsilon = c->sigma_min;
    p->end = c->sigma_max;
    p->limit = 1e9;
    p->prior_std = c->sigma_max;
    return TW_OK;
}

static double drift(const tw_process *p, double t)
{
    (void)p, (void)t;
    return 0;
}

static double diffusion(const tw_process *p, double t)
{
    (void)p;
    return sqrt(2 * t);
}

static double alpha(const tw_process *p, double t)
{
    (void)p, (void)t;
    return 1;
}

static double sigma(const tw_process *p, double t)
{
    (void)p;
    return t;
}

/* c_noise of the published preconditioning. */
static double condition(const tw_process *p, double t)
{
    (void)p;
    return log(t) / 4;
}

const tw_process_kind tw_process_edm = {
    .kind = {"edm", "noise level as time (EDM)", fields, sizeof fields / sizeof *fields,
             sizeof(edm_config)},
    .setup = setup,
    .alpha = alpha,
    .sigma = sigma,
    .drift = drift,
    .diffusion = diffusion,
    .condition = condition,
    .prediction = "edm",
    .sampler = "heun",
};
