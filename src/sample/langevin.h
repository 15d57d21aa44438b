/* One unadjusted step of Langevin dynamics at one time,
 *
 *   x ← x + ε s(x, t) + √(2 ε) z
 *
 * of which p_t is the stationary distribution as ε → 0; at ε the error is of order ε. The step rule
 * says ε of each sample. */
#ifndef SAMPLE_LANGEVIN_H
#define SAMPLE_LANGEVIN_H

#include <math.h>

#include "sample/sampler.h"

/* Scratch: z. */
static inline tw_status langevin_correct(const void *config, const tw_rule *rule,
                                         const void *rule_config, const tw_point *at, tw_batch *b)
{
    tw_status st = TW_OK;
    float *z = b->scratch[0];
    double *step = b->number; /* of this call only */
    (void)config;
    tw_batch_noise(b, z, TW_RNG_CORRECTOR_NOISE, at->name);
    TW_TRY(tw_batch_score(b, b->x, at->t));
    rule->size(rule_config, b, at, z, step);
#pragma omp parallel for schedule(static) if (b->n * b->dims > 8192)
    for (int64_t i = 0; i < b->n; i++) {
        const float e = (float)step[i], root = (float)sqrt(2 * step[i]);
        for (int64_t k = i * b->dims; k < (i + 1) * b->dims; k++)
            b->x[k] += e * b->s[k] + root * z[k];
    }
done:
    return st;
}

#endif
