/* ln(σ / α) normal (Karras et al. 2022, table 1): most of training where it matters most. */
#include <math.h>
#include <stddef.h>

#include "tweedie/objective.h"

typedef struct lognormal_config {
    double mean, std;
} lognormal_config;

static const tw_config_field fields[] = {
    {NULL, "log_mean", TW_CONFIG_DOUBLE, offsetof(lognormal_config, mean), "-1.2", -100, 100,
     .fixed = true, .help = "mean of ln(sigma / alpha)"},
    {NULL, "log_std", TW_CONFIG_DOUBLE, offsetof(lognormal_config, std), "1.2",
     TW_CONFIG_ABOVE_ZERO, 100, .fixed = true, .help = "standard deviation of ln(sigma / alpha)"},
};

/* The standard normal quantile: a start by the logistic approximation, then Newton's steps on erfc,
 * which double their digits. */
static double quantile(double u)
{
    const double p = fmin(fmax(u, 0x1p-54), 1 - 0x1p-53);
    double z = log(p / (1 - p)) / 1.702;
    for (int i = 0; i < 60; i++) {
        const double density = exp(-0.5 * z * z) / sqrt(2 * M_PI);
        const double step = (0.5 * erfc(-z * M_SQRT1_2) - p) / fmax(density, 1e-300);
        z -= fmax(-0.5, fmin(0.5, step));
        if (fabs(step) < 1e-12) break;
    }
    return z;
}

static double at(const void *config, const tw_process *p, const double *history, double u,
                 double *weight)
{
    const lognormal_config *c = config;
    (void)history;
    *weight = 1;
    return tw_process_time_at(p, exp(c->mean + c->std * quantile(u)));
}

const tw_times tw_times_lognormal = {
    .kind = {"lognormal", "ln(sigma / alpha) normal (EDM)", fields, sizeof fields / sizeof *fields,
             sizeof(lognormal_config)},
    .at = at,
};
