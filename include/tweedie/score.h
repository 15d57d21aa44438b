/* The boundary between networks and everything that uses a score: samplers and likelihood see this
 * and nothing else, so that they can be tested with the exact scores of Gaussians and mixtures. */
#ifndef TWEEDIE_SCORE_H
#define TWEEDIE_SCORE_H

#include <stdbool.h>
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

    /* Of p_t(x | label): all calls that follow take label[i] for point i in the place of the
     * score's own, of no class where it is TW_NO_CLASS and `unlabelled`. Borrowed until label =
     * NULL, its own again. NULL where there are no classes. */
    void (*condition)(void *self, const int32_t *label);
    int64_t classes; /* labels are below; 0: none */
    bool unlabelled; /* also knows the density of all classes together */
} tw_score;

enum { TW_NO_CLASS = -1 };

/* Which class a sample is of, by its global index. */
typedef struct tw_labels {
    int64_t classes; /* 0: no sample has a class */
    bool each;       /* all classes in turn: index modulo their number */
    int32_t one;     /* else the same for all, or TW_NO_CLASS */
    /* Or, where not NULL, each by itself: the label of sample first + i at i, 0 outside; cycled: of
     * sample i at i modulo count. Borrowed. */
    const int32_t *list;
    int64_t first, count;
    bool cycled;
    int64_t per; /* above 1: so many samples in a row are of one label, that of index / per */
} tw_labels;

/* Whether no sample has a class. */
static inline bool tw_labels_none(const tw_labels *l)
{
    return !l->classes || (!l->list && !l->each && l->one == TW_NO_CLASS);
}

/* The class of one sample, or TW_NO_CLASS. */
static inline int32_t tw_label_of(const tw_labels *l, int64_t index)
{
    if (!l->classes) return TW_NO_CLASS;
    if (l->per > 1) index /= l->per;
    if (l->list && l->cycled) return l->list[index % l->count];
    if (l->list)
        return index >= l->first && index < l->first + l->count ? l->list[index - l->first] : 0;
    return l->each ? (int32_t)(index % l->classes) : l->one;
}

/* The log of a factor that a density is multiplied by, with its gradient: log p(label | x_t) of a
 * classifier, minus the energy of an energy model. */
typedef struct tw_log_factor {
    void *self;
    int64_t dims, classes; /* 0 classes: it reads no label */
    bool classifier;
    const char *text; /* names it among others: a digest of its weights */
    /* @param[in] x            [n][dims], model units
     * @param[in] t, label     [n], as of tw_score
     * @param temperature      logits are divided by it, or the energy
     * @param[out] gradient    [n][dims]
     * @param[out] log_factor  [n], or NULL */
    tw_status (*eval)(void *self, int64_t n, const float *x, const double *t, const int32_t *label,
                      double temperature, float *gradient, double *log_factor);
} tw_log_factor;

#endif
