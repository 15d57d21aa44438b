/* Optimisers, clipping, learning rates and exponential moving averages (EMA) over flat float
 * arrays. Nothing here sees graph or names.
 *
 * All functions are elementwise or combine fixed blocks in a fixed order: results are bitwise the
 * same at any number of threads and on any instruction set. None is collective, allocates or fails;
 * threads share the arrays. */
#ifndef TWEEDIE_OPTIM_H
#define TWEEDIE_OPTIM_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/kind.h"
#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_EMA_MAX = 8, TW_OPTIMIZER_ARRAYS = 4 };

/* A stretch of the range of an update. */
typedef struct tw_update_piece {
    int64_t at, count;
} tw_update_piece;

/* One update of a range of n parameters, and in the same pass over memory the EMA of the new ones,
 * ema = ema + (1 − decay)(θ − ema): bitwise what a pass of its own would give. */
typedef struct tw_update {
    int64_t k;             /* number of this update, from 1 */
    double learning_rate;  /* of this update */
    double gradient_scale; /* factor on every gradient: 1 / ranks, clipping */
    int64_t n;
    float *theta;                      /* [n] */
    const float *gradient;             /* [n] */
    float *array[TW_OPTIMIZER_ARRAYS]; /* [n] each, the optimiser's own; zero before update 1 */
    int rates;                         /* 0 … TW_EMA_MAX */
    double decay[TW_EMA_MAX];          /* [rates], from tw_ema_decay */
    float *ema[TW_EMA_MAX];            /* [rates] of [n] */

    /* What of [0, n) is updated, where it is not all: disjoint pieces. One thread updates a few
     * pieces, and then calls `updated`, where there is one, with the number of each: what is done
     * with the new parameters while they are in its cache. Results do not depend on the cut. */
    const tw_update_piece *pieces; /* [piece_count]; NULL: [0, n) */
    int64_t piece_count;
    void (*updated)(void *self, int64_t piece);
    void *self;
} tw_update;

/* An optimiser: optimizer_NAME.c defines tw_optimizer_NAME. Its update is elementwise, so that each
 * rank may update the slices that it holds. */
typedef struct tw_optimizer {
    tw_kind kind; /* keys of [optimizer], beside those that every optimiser has */

    /* The names of its arrays ("adam/m"), groups of a checkpoint; NULL at the end, at most
     * TW_OPTIMIZER_ARRAYS. An array has as many floats as there are trained parameters. */
    const char *const *arrays;

    double largest; /* magnitude of a gradient that the arrays can hold */
    const char
        *limits; /* what of it is said: "Adam's second moment holds the squares of numbers" */

    /* Do the keys go together? NULL: always. @return TW_ECONFIG saying what would; "optimizer.kind:
     * " is put before it */
    tw_status (*check)(const void *config);

    void (*update)(const void *config, const tw_update *u);
} tw_optimizer;
extern const tw_kinds tw_optimizer_kinds;

int tw_optimizer_array_count(const tw_optimizer *o);

/* Adam (Kingma and Ba 2015, algorithm 1, with PyTorch's placement of epsilon), with decoupled
 * weight decay λ (Loshchilov and Hutter 2019):
 *
 *   g = scale · gradient
 *   m = m + (1 − β1)(g − m)          v = β2 v + (1 − β2) g²
 *   θ = (1 − lr λ) θ − lr / (1 − β1^k) · m / (√v / √(1 − β2^k) + ε)
 *
 * What optimizer.kind = adam (λ = 0) and adamw are made of. */
typedef struct tw_adam {
    double beta1, beta2; /* [0, 1) */
    double epsilon;      /* > 0 */
    double weight_decay; /* λ >= 0, decoupled */
} tw_adam;

/* The published values. */
#define TW_ADAM_DEFAULTS                                                                           \
    ((tw_adam){.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.0})

/* Arrays 0 and 1 of `u` are m and v. */
void tw_adam_update(const tw_adam *adam, const tw_update *u);

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

#ifdef __cplusplus
}
#endif

#endif
