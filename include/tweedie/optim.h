/* The optimiser: Adam, clipping, learning rate and exponential moving averages over flat float
 * arrays. It sees neither graph nor names.
 *
 * Adam (Kingma and Ba 2015, algorithm 1, with PyTorch's placement of epsilon) with decoupled weight
 * decay λ (Loshchilov and Hutter 2019):
 *
 *   g = scale · gradient
 *   m = m + (1 − β1)(g − m)          v = β2 v + (1 − β2) g²
 *   θ = (1 − lr λ) θ − lr / (1 − β1^k) · m / (√v / √(1 − β2^k) + ε)
 *
 * All functions are elementwise or combine fixed blocks in a fixed order: results are bitwise the
 * same at any number of threads and on any instruction set. None is collective, allocates or fails;
 * threads share the arrays. */
#ifndef TWEEDIE_OPTIM_H
#define TWEEDIE_OPTIM_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/status.h"

/* The published defaults: TW_ADAM_DEFAULTS. */
typedef struct tw_adam {
    double beta1, beta2; /* [0, 1) */
    double epsilon;      /* > 0 */
    double weight_decay; /* λ >= 0, decoupled */
} tw_adam;

#define TW_ADAM_DEFAULTS                                                                           \
    ((tw_adam){.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.0})

enum { TW_EMA_MAX = 8 };

/* One update of n parameters.
 * @param k               number of this update, from 1
 * @param learning_rate   of this update
 * @param gradient_scale  factor on every gradient: 1 / ranks, clipping
 * @param[in,out] theta, m, v  [n]; m and v start at zero
 * @param[in] gradient    [n] */
void tw_adam_update(const tw_adam *adam, int64_t k, double learning_rate, double gradient_scale,
                    int64_t n, float *theta, float *m, float *v, const float *gradient);

/* The same, and in the same pass over memory `rates` averages of the new parameters: bitwise what
 * tw_ema_update does after it.
 * @param rates       0 … TW_EMA_MAX
 * @param[in] decay   [rates], from tw_ema_decay
 * @param[in,out] ema [rates] arrays of [n] */
void tw_adam_update_ema(const tw_adam *adam, int64_t k, double learning_rate, double gradient_scale,
                        int64_t n, float *theta, float *m, float *v, const float *gradient,
                        int rates, const double *decay, float *const *ema);

/* ema = ema + (1 − decay)(θ − ema), over [n]. */
void tw_ema_update(int64_t n, float *ema, const float *theta, double decay);

/* The decay of one update: `decay`, or with `warmup` min(decay, (1 + k) / (10 + k)) (score_sde's
 * PyTorch code).
 * @param k  number of this update, from 1 */
double tw_ema_decay(double decay, bool warmup, int64_t k);

/* Σ x² over [n] in double, infinite or NaN where x is. */
double tw_optim_sum_squares(const float *x, int64_t n);

/* Σ x² of each `block` elements of [n] in double, one after the other into sums[⌈n / block⌉]: sums
 * that are put together in their order do not depend on who computed which. */
void tw_optim_block_squares(const float *x, int64_t n, int64_t block, double *sums);

/* The factor that clips gradients of global norm `norm` to `clip`: min(1, clip / (norm + 1e-6))
 * (PyTorch's). clip <= 0 means no clipping. NaN for a norm that is NaN: look at the norm first. */
double tw_optim_clip_scale(double norm, double clip);

typedef enum tw_decay { TW_DECAY_CONSTANT, TW_DECAY_LINEAR, TW_DECAY_COSINE } tw_decay;

/* "constant", "linear" or "cosine". @return TW_ECONFIG with the three names */
tw_status tw_decay_find(tw_decay *out, const char *name);

typedef struct tw_learning_rate {
    double base;    /* the rate after warm-up */
    int64_t warmup; /* steps of linear warm-up; 0 for none */
    tw_decay decay; /* after warm-up, to zero at step `steps` */
    int64_t steps;  /* of the whole run; not read by a constant rate */
} tw_learning_rate;

/* The learning rate of step k = 0, 1, …: base · min(k / warmup, 1) (score_sde: the first step's
 * rate is zero), times the decay 1, 1 − u or (1 + cos π u) / 2 with u = (k − warmup) / (steps −
 * warmup) clamped to [0, 1]. */
double tw_learning_rate_at(const tw_learning_rate *rate, int64_t k);

#endif
