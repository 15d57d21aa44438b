/* The boundary between networks and everything that uses a score: samplers and likelihood see this
 * and nothing else, so that they can be tested with the exact scores of Gaussians and mixtures. */
#ifndef TWEEDIE_SCORE_H
#define TWEEDIE_SCORE_H

#include <stdint.h>

#include "tweedie/status.h"

/* ∇x log p_t(x) for a batch of points.
 * Time is on the model's clock: for a discrete schedule the index 0 … T − 1 as a double, for an SDE
 * t in [0, 1]. `index` is the global sample index: noise, labels, conditions and masks hang on it,
 * so a result never depends on the batch that it was computed in. */
typedef struct tw_score {
    void *self;
    int64_t dims; /* D, the numbers of one sample */

    /* @param n              samples, as many as the caller likes
     * @param[in] x          [n][dims], model units
     * @param[in] t, index   [n]
     * @param[out] score_out [n][dims], no alias of x */
    tw_status (*eval)(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                      float *score_out);

    /* The score as above, and vᵀ ∂score/∂x for v [n][dims] in vjp_out [n][dims]; score_out may be
     * NULL. NULL where there is none. */
    tw_status (*vjp)(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                     const float *v, float *score_out, float *vjp_out);

    /* The score, and v in [−1, 1] of a learned variance: log variance of an ancestral step =
     * (v + 1)/2 log β + (1 − v)/2 log β̃ (Nichol and Dhariwal 2021, equation 15). v_out [n][dims].
     * NULL where variances are fixed. */
    tw_status (*eval_variance)(void *self, int64_t n, const float *x, const double *t,
                               const int64_t *index, float *score_out, float *v_out);

    /* The score, and the energy E(x, t) = −log p_t(x) + const. energy_out [n]. NULL where there is
     * none. */
    tw_status (*eval_energy)(void *self, int64_t n, const float *x, const double *t,
                             const int64_t *index, float *score_out, double *energy_out);
} tw_score;

#endif
