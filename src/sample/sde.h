/* What the integrators of the reverse SDE share. With τ = −t, so that the solution runs forward,
 *
 *   dx = a(x, t) dτ + g(t) dw,   a = −f(t) x + w g(t)² s(x, t)
 *
 * w = 1, or ½ and no noise for the probability-flow ODE (Song et al. 2021, equations 6 and 13). The
 * noise is additive: g does not depend on x, so Itô and Stratonovich are one.
 *
 * Steps have the length of the grid's. (The published Euler-Maruyama steps by 1 / N on a grid whose
 * spacing is (1 − ε) / (N − 1).) A step to the data is Tweedie's formula. */
#ifndef SAMPLE_SDE_H
#define SAMPLE_SDE_H

#include "sample/sampler.h"

static inline tw_status sde_check(const char *name, const tw_part_use *use)
{
    if (!tw_process_is_discrete(use->process)) return TW_OK;
    return tw_error_set(TW_ECONFIG,
                        "sample.predictor: %s integrates an SDE, and process.kind = %s has steps "
                        "only; take ancestral or reverse_diffusion",
                        name, use->process->kind->kind.name);
}

/* x ← x̂_0, clipped. */
static inline tw_status sde_denoise(const tw_point *at, tw_batch *b)
{
    tw_status st = TW_OK;
    const tw_linear_step whole = {.x0 = 1};
    TW_TRY(tw_batch_score(b, b->x, at->t));
    tw_batch_linear(b, at, &whole);
done:
    return st;
}

static inline double sde_diffusion(const tw_batch *b, double t)
{
    return b->process->kind->diffusion(b->process, t);
}

/* out [n][dims] = a(x, t). @param[in] flow  of the probability-flow ODE */
static inline tw_status sde_drift(tw_batch *b, const float *x, double t, bool flow, float *out)
{
    tw_status st = TW_OK;
    const tw_point at = tw_point_at(b->process, t);
    const double f = b->process->kind->drift(b->process, t), g = sde_diffusion(b, t),
                 w = (flow ? 0.5 : 1) * g * g;
    TW_TRY(tw_batch_clipped_score(b, x, &at));
    for (int64_t k = 0; k < b->n * b->dims; k++)
        out[k] = (float)(w * (double)b->s[k] - f * (double)x[k]);
done:
    return st;
}

#endif
