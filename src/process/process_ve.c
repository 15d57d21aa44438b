/* The variance-exploding SDE (Song et al. 2021, equations 30 and 31), NCSN's limit of many noise
 * levels:
 *
 *   dx = σ(t) √(2 ln(σmax / σmin)) dw,   σ(t) = σmin (σmax / σmin)^t,   α = 1
 *
 * The published code takes σ(t) for the standard deviation where the SDE started at x_0 gives
 * √(σ(t)² − σmin²); so does this. */
#include <math.h>
#include <stddef.h>

#include "tweedie/process.h"

typedef struct ve_config {
    double sigma_min, sigma_max;
} ve_config;

static const tw_config_field fields[] = {
    {NULL, "sigma_min", TW_CONFIG_DOUBLE, offsetof(ve_config, sigma_min), "0.01",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true, .help = "smallest noise level, in model units"},
    {NULL, "sigma_max", TW_CONFIG_DOUBLE, offsetof(ve_config, sigma_max), "50",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true, .help = "largest noise level, in model units"},
};

static tw_status setup(tw_process *p)
{
    const ve_config *c = p->config;
    if (c->sigma_min >= c->sigma_max)
        return tw_error_set(TW_ECONFIG, "process.sigma_min: %g is not below process.sigma_max, %g",
                            c->sigma_min, c->sigma_max);
    p->start = p->epsilon = 1e-5;
    p->end = 1;
    p->prior_std = c->sigma_max;
    return TW_OK;
}

static double drift(const tw_process *p, double t)
{
    (void)p, (void)t;
    return 0;
}

static double alpha(const tw_process *p, double t)
{
    (void)p, (void)t;
    return 1;
}

static double sigma(const tw_process *p, double t)
{
    const ve_config *c = p->config;
    return c->sigma_min * pow(c->sigma_max / c->sigma_min, t);
}

static double diffusion(const tw_process *p, double t)
{
    const ve_config *c = p->config;
    return sigma(p, t) * sqrt(2 * log(c->sigma_max / c->sigma_min));
}

/* Linear in log σ: what a sinusoidal embedding resolves. Networks that embed σ itself take that. */
static double condition(const tw_process *p, double t)
{
    (void)p;
    return 999 * t;
}

const tw_process_kind tw_process_ve = {
    .kind = {"ve", "the variance-exploding SDE", fields, sizeof fields / sizeof *fields,
             sizeof(ve_config)},
    .setup = setup,
    .alpha = alpha,
    .sigma = sigma,
    .drift = drift,
    .diffusion = diffusion,
    .condition = condition,
    .prediction = "epsilon",
    .sampler = "pc",
};
