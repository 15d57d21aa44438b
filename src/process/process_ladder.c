/* The ladder of noise levels of NCSN (Song and Ermon 2019): `levels` values of σ in a geometric
 * series, α = 1. Time 0 is the smallest level; the papers count from the largest, and the network
 * is told their index. The published prior is uniform over the range of the data. */
#include <math.h>
#include <stddef.h>

#include "tweedie/memory.h"
#include "tweedie/process.h"

typedef struct ladder_config {
    double sigma_min, sigma_max, prior_low, prior_high;
    int64_t levels;
    int prior;
} ladder_config;

enum { PRIOR_UNIFORM, PRIOR_GAUSSIAN };

static const tw_config_field fields[] = {
    {NULL, "sigma_min", TW_CONFIG_DOUBLE, offsetof(ladder_config, sigma_min), "0.01",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true, .help = "smallest noise level, in model units"},
    {NULL, "sigma_max", TW_CONFIG_DOUBLE, offsetof(ladder_config, sigma_max), "1",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true, .help = "largest noise level, in model units"},
    {NULL, "levels", TW_CONFIG_INT64, offsetof(ladder_config, levels), "10", 2, 100000,
     .fixed = true, .help = "number of noise levels"},
    {NULL, "prior", TW_CONFIG_CHOICE, offsetof(ladder_config, prior), "uniform",
     .choices = "uniform|gaussian", .fixed = true,
     .help = "where sampling starts: uniform over prior_low to prior_high, or N(0, sigma_max^2)"},
    {NULL, "prior_low", TW_CONFIG_DOUBLE, offsetof(ladder_config, prior_low), "-1", -1e30, 1e30,
     .fixed = true, .help = "uniform prior: lower end, in model units"},
    {NULL, "prior_high", TW_CONFIG_DOUBLE, offsetof(ladder_config, prior_high), "1", -1e30, 1e30,
     .fixed = true, .help = "uniform prior: upper end"},
};

static tw_status setup(tw_process *p)
{
    tw_status st = TW_OK;
    const ladder_config *c = p->config;
    TW_CHECK(c->sigma_min < c->sigma_max, TW_ECONFIG,
             "process.sigma_min: %g is not below process.sigma_max, %g", c->sigma_min,
             c->sigma_max);
    TW_CHECK(c->prior_low < c->prior_high, TW_ECONFIG,
             "process.prior_low: %g is not below process.prior_high, %g", c->prior_low,
             c->prior_high);
    TW_TRY(tw_alloc(&p->table, c->levels, sizeof *p->table, "noise levels"));
    for (int64_t i = 0; i < c->levels; i++)
        p->table[i] = exp(log(c->sigma_min) + (log(c->sigma_max) - log(c->sigma_min)) * (double)i /
                                                  (double)(c->levels - 1));
    p->steps = c->levels;
    p->prior_std = c->sigma_max;
    if (c->prior == PRIOR_UNIFORM) {
        p->prior_low = c->prior_low;
        p->prior_high = c->prior_high;
    }
done:
    return st;
}

static double alpha(const tw_process *p, double t)
{
    (void)p, (void)t;
    return 1;
}

static double sigma(const tw_process *p, double t)
{
    return p->table[(int64_t)t];
}

static double condition(const tw_process *p, double t)
{
    return (double)(p->steps - 1) - t;
}

const tw_process_kind tw_process_ladder = {
    .kind = {"ladder", "a geometric ladder of noise levels (NCSN)", fields,
             sizeof fields / sizeof *fields, sizeof(ladder_config)},
    .setup = setup,
    .alpha = alpha,
    .sigma = sigma,
    .condition = condition,
    .prediction = "epsilon",
    .sampler = "annealed_langevin",
};
