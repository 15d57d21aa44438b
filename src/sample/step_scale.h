/* The factor of the published corrector steps (Song et al. 2021, appendix G; score_sde): 1 − β_i of
 * the VP chain of 1000 steps, 1 for VE. Here (α(t) / α(t − T / 1000))², which is that for DDPM (of
 * its own chain), differs by less than 2e-4 of it for VP, is 1 where α = 1, and exists for sub-VP,
 * where the published code stops. */
#ifndef SAMPLE_STEP_SCALE_H
#define SAMPLE_STEP_SCALE_H

#include "sample/sampler.h"

static inline double step_scale(const tw_process *p, const tw_point *at)
{
    const bool discrete = tw_process_is_discrete(p);
    const double before = discrete ? at->t - 1 : at->t - p->end / 1000;
    const bool first = discrete ? before < 0 : before <= 0;
    const double ratio = at->alpha / (first ? 1 : tw_process_alpha(p, before));
    return ratio * ratio;
}

#endif
