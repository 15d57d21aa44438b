/* What the VP and sub-VP processes share: β(t) = β0 + t (β1 − β0) and the logarithm of the mean's
 * coefficient, m = −¼ t² (β1 − β0) − ½ t β0 (Song et al. 2021, equation 33). */
#ifndef PROCESS_VP_H
#define PROCESS_VP_H

#include <math.h>
#include <stddef.h>

#include "tweedie/process.h"

typedef struct vp_config {
    double beta_min, beta_max;
} vp_config;

static const tw_config_field vp_fields[] = {
    {NULL, "beta_min", TW_CONFIG_DOUBLE, offsetof(vp_config, beta_min), "0.1", TW_CONFIG_ABOVE_ZERO,
     1e3, .fixed = true, .help = "beta(t) at t = 0"},
    {NULL, "beta_max", TW_CONFIG_DOUBLE, offsetof(vp_config, beta_max), "20", TW_CONFIG_ABOVE_ZERO,
     1e3, .fixed = true, .help = "beta(t) at t = 1"},
};

static inline double vp_beta(const tw_process *p, double t)
{
    const vp_config *c = p->config;
    return c->beta_min + t * (c->beta_max - c->beta_min);
}

static inline double vp_log_mean(const tw_process *p, double t)
{
    const vp_config *c = p->config;
    return -0.25 * t * t * (c->beta_max - c->beta_min) - 0.5 * t * c->beta_min;
}

static inline double vp_drift(const tw_process *p, double t)
{
    return -0.5 * vp_beta(p, t);
}

static inline double vp_alpha(const tw_process *p, double t)
{
    return exp(vp_log_mean(p, t));
}

/* What the published networks are told (score_sde). */
static inline double vp_condition(const tw_process *p, double t)
{
    (void)p;
    return 999 * t;
}

static inline tw_status vp_setup(tw_process *p)
{
    const vp_config *c = p->config;
    if (c->beta_min > c->beta_max)
        return tw_error_set(TW_ECONFIG, "process.beta_min: %g is above process.beta_max, %g",
                            c->beta_min, c->beta_max);
    p->start = 1e-5;
    p->epsilon = 1e-3;
    p->end = 1;
    p->prior_std = 1;
    return TW_OK;
}

#endif
