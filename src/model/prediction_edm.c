/* EDM's preconditioning (Karras et al. 2022, section 5 and table 1). With r = σ / α and y = x_t /
 * α,
 *
 *   D(y; r) = c_skip y + c_out F(c_in y; c_noise),   F = E[(x_0 − c_skip y) / c_out | x_t],
 *   c_skip = s² / (r² + s²),  c_out = r s / √(r² + s²),  c_in = 1 / √(r² + s²),  c_noise = ln(r) /
 * 4
 *
 * where s is the standard deviation of the data: input and target have unit variance at every noise
 * level. It goes with every process. */
#include <math.h>
#include <stddef.h>

#include "tweedie/prediction.h"

typedef struct edm_config {
    double sigma_data;
} edm_config;

static const tw_config_field fields[] = {
    {NULL, "sigma_data", TW_CONFIG_DOUBLE, offsetof(edm_config, sigma_data), "0.5",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true,
     .help = "standard deviation of the data, in model units"},
};

static double ratio(const tw_process *p, double t)
{
    return tw_process_sigma(p, t) / tw_process_alpha(p, t);
}

/* 1 − c_skip = r² / (r² + s²) without the cancellation. */
static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    const double s = ((const edm_config *)config)->sigma_data, r = ratio(p, t);
    const double root = sqrt(r * r + s * s);
    *a = r / (s * root);
    *b = -s / root;
}

static double input(const void *config, const tw_process *p, double t)
{
    const double s = ((const edm_config *)config)->sigma_data, r = ratio(p, t);
    return 1 / (tw_process_alpha(p, t) * sqrt(r * r + s * s));
}

static double condition(const void *config, const tw_process *p, double t)
{
    (void)config;
    return log(ratio(p, t)) / 4;
}

const tw_prediction tw_prediction_edm = {
    .kind = {"edm", "EDM's F, with its preconditioning", fields, sizeof fields / sizeof *fields,
             sizeof(edm_config)},
    .target = target,
    .input = input,
    .condition = condition,
};
