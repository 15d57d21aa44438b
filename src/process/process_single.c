/* One noise level: x = scale x_0 + sigma z. With a small scale and sigma = 1 the one-step denoiser
 * of nearly pure noise, which fails; with scale = 1 denoising score matching at one σ (Vincent
 * 2011), or, at a small σ, score matching of the data themselves. */
#include <stddef.h>

#include "tweedie/process.h"

typedef struct single_config {
    double scale, sigma;
} single_config;

static const tw_config_field fields[] = {
    {NULL, "scale", TW_CONFIG_DOUBLE, offsetof(single_config, scale), "1", TW_CONFIG_ABOVE_ZERO, 1,
     .fixed = true, .help = "coefficient of the data"},
    {NULL, "sigma", TW_CONFIG_DOUBLE, offsetof(single_config, sigma), "0.1", TW_CONFIG_ABOVE_ZERO,
     1e6, .fixed = true, .help = "standard deviation of the noise, in model units"},
};

static tw_status setup(tw_process *p)
{
    p->steps = 1;
    p->prior_std = ((const single_config *)p->config)->sigma;
    return TW_OK;
}

static double alpha(const tw_process *p, double t)
{
    (void)t;
    return ((const single_config *)p->config)->scale;
}

static double sigma(const tw_process *p, double t)
{
    (void)t;
    return ((const single_config *)p->config)->sigma;
}

const tw_process_kind tw_process_single = {
    .kind = {"single", "one noise level", fields, sizeof fields / sizeof *fields,
             sizeof(single_config)},
    .setup = setup,
    .alpha = alpha,
    .sigma = sigma,
    .prediction = "epsilon",
    .sampler = "onestep",
};
