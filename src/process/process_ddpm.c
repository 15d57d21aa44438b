/* The discrete process of DDPM (Ho, Jain, Abbeel 2020): q(x_t | x_0) = N(√ᾱ_t x_0, (1 − ᾱ_t) I),
 * ᾱ_t = Π (1 − β_s), t = 0 … T − 1, so index 0 is the first noisy state. */
#include <math.h>
#include <stddef.h>

#include "tweedie/memory.h"
#include "tweedie/process.h"

typedef struct ddpm_config {
    const char *schedule;
    int64_t timesteps;
    double beta_min, beta_max;
    bool rescale;
} ddpm_config;

static const tw_config_field fields[] = {
    {NULL, "schedule", TW_CONFIG_STRING, offsetof(ddpm_config, schedule), "linear", .fixed = true,
     .help = "noise schedule: linear, cosine, quadratic or sigmoid"},
    {NULL, "timesteps", TW_CONFIG_INT64, offsetof(ddpm_config, timesteps), "1000", 2, 1000000,
     .fixed = true, .help = "T"},
    {NULL, "beta_min", TW_CONFIG_DOUBLE, offsetof(ddpm_config, beta_min), "0.0001",
     TW_CONFIG_ABOVE_ZERO, 0.999, .fixed = true,
     .help = "linear, quadratic: first beta of T = 1000"},
    {NULL, "beta_max", TW_CONFIG_DOUBLE, offsetof(ddpm_config, beta_max), "0.02",
     TW_CONFIG_ABOVE_ZERO, 0.999, .fixed = true,
     .help = "linear, quadratic: last beta of T = 1000"},
    {NULL, "rescale_timesteps", TW_CONFIG_BOOL, offsetof(ddpm_config, rescale), "no", .fixed = true,
     .help = "the network is told t 1000 / T instead of t (improved-diffusion's default)"},
};

/* The table holds √ᾱ and then √(1 − ᾱ); β comes and goes. */
static tw_status setup(tw_process *p)
{
    tw_status st = TW_OK;
    const ddpm_config *c = p->config;
    const tw_kind *kind;
    double alphabar = 1;
    TW_TRY(tw_kind_find(&kind, tw_beta_kinds, "process.schedule", c->schedule));
    TW_TRY(tw_alloc(&p->table, 2 * c->timesteps, sizeof *p->table, "noise schedule"));
    double *beta = p->table + c->timesteps;
    ((const tw_beta *)kind)->fill(beta, c->timesteps, c->beta_min, c->beta_max);
    for (int64_t t = 0; t < c->timesteps; t++) {
        TW_CHECK(beta[t] > 0 && beta[t] < 1, TW_ECONFIG,
                 "process.schedule: beta[%lld] is %g, and must be between 0 and 1", (long long)t,
                 beta[t]);
        alphabar *= 1 - beta[t];
        p->table[t] = sqrt(alphabar);
        beta[t] = sqrt(1 - alphabar);
    }
    p->steps = c->timesteps;
    p->prior_std = 1;
done:
    return st;
}

static double alpha(const tw_process *p, double t)
{
    return p->table[(int64_t)t];
}

static double sigma(const tw_process *p, double t)
{
    return p->table[p->steps + (int64_t)t];
}

static double condition(const tw_process *p, double t)
{
    const ddpm_config *c = p->config;
    return c->rescale ? t * (1000 / (double)c->timesteps) : t;
}

const tw_process_kind tw_process_ddpm = {
    .kind = {"ddpm", "the discrete process of DDPM", fields, sizeof fields / sizeof *fields,
             sizeof(ddpm_config)},
    .setup = setup,
    .alpha = alpha,
    .sigma = sigma,
    .condition = condition,
    .prediction = "epsilon",
    .sampler = "ancestral",
};
