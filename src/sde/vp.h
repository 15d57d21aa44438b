/* What the VP and sub-VP processes share: β(t) and the logarithm of the mean's coefficient. */
#ifndef SDE_VP_H
#define SDE_VP_H

#include "tweedie/sde.h"

static inline double vp_beta(const tw_sde_parameters *p, double t)
{
    return p->beta_min + t * (p->beta_max - p->beta_min);
}

static inline double vp_log_mean(const tw_sde_parameters *p, double t)
{
    return -0.25 * t * t * (p->beta_max - p->beta_min) - 0.5 * t * p->beta_min;
}

#endif
