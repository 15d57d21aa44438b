/* Guidance: a score that is changed on its way to a sampler, by labels, by a second network, by a
 * measurement. A guided score is a tw_score again, so every sampler that needs nothing but scores
 * goes with it, and guidances can be put around each other.
 *
 *     TW_TRY(tw_guidance_bind(&config, configuration, "guidance"));
 *     TW_TRY(tw_guided_create(&guided, &config, &use));
 *     TW_TRY(tw_sampler_create(…, tw_guided_view(guided), …));
 *
 * Siblings are found by the build: guidance_NAME.c defines tw_guidance_NAME. It is no score of the
 * process's marginals: likelihoods and codes do not follow from it. Nothing here is collective. */
#ifndef TWEEDIE_GUIDANCE_H
#define TWEEDIE_GUIDANCE_H

#include "tweedie/kind.h"
#include "tweedie/process.h"
#include "tweedie/score.h"

/* What a guided score is made of; all borrowed as long as it. */
typedef struct tw_guidance_use {
    const tw_score *score;       /* that is guided */
    const tw_process *process;   /* that it is the score of: α(t), σ(t) */
    tw_labels labels;            /* of which class a sample is */
    const tw_log_factor *factor; /* of a second network; NULL: none */
    int64_t batch;               /* points that are computed at once, as a sampler asks for them */
    uint64_t seed;               /* sample.seed: of a guidance that needs random numbers */
} tw_guidance_use;

typedef struct tw_guided tw_guided;

/* Some points of a call, as many as the batch at most: x [n][dims], t [n], index [n]. */
typedef struct tw_guided_points {
    int64_t n;
    const float *x;
    const double *t;
    const int64_t *index;
} tw_guided_points;

/* One way to guide. */
typedef struct tw_guidance {
    tw_kind kind;
    bool network; /* is guided by a second network: use.factor is not NULL */
    bool energy;  /* has an energy where the wrapped score has one */
    /* NULL: goes with everything. @return TW_ECONFIG saying what would */
    tw_status (*check)(const void *config, const tw_guidance_use *use);
    /* Points of the wrapped score that every call asks for at each of its own; NULL: 1. */
    int64_t (*rows)(const void *config);
    int scratch, vjp_scratch; /* [batch][dims] arrays of its own in eval and vjp, one after the
                                 other, so that two are one of [2 batch][dims] */
    /* The guided score [n][dims]. variance and energy are NULL, or what tw_score calls them: of
     * those at most one is asked for, and only where the wrapped score has it. NULL: no guidance.
     */
    tw_status (*eval)(const void *config, tw_guided *g, const tw_guided_points *p, float *score,
                      float *variance, double *energy);
    /* vᵀ ∂s/∂x of it, and the guided score where not NULL; NULL where there is none. */
    tw_status (*vjp)(const void *config, tw_guided *g, const tw_guided_points *p, const float *v,
                     float *score, float *vjp);
} tw_guidance;
extern const tw_kinds tw_guidance_kinds;

/* What a guidance may use while it computes. */
struct tw_guided {
    const tw_guidance *kind;
    const void *config;
    tw_guidance_use use;
    float **scratch; /* as many [batch][dims] as it asked for */
    double *t;       /* [2 batch] each, of its own */
    int64_t *index;
    int32_t *label;
    double *number;
    float *arrays, *vjp_arrays, **vjp_views; /* owned */
    tw_score view;
};

/* ---- for guidances ---- */

/* The wrapped score as tw_score says, with a variance or an energy where one is asked for. */
tw_status tw_guided_score(const tw_guided *g, const tw_guided_points *p, float *score,
                          float *variance, double *energy);
/* x̂_0 = E[x_0 | x_t] = (x + σ² s) / α of the wrapped score (Tweedie's formula), [n][dims]. */
tw_status tw_guided_x0(const tw_guided *g, const tw_guided_points *p, float *x0);
/* vᵀ ∂x̂_0/∂x = (v + σ² vᵀ ∂s/∂x) / α, and x̂_0 where not NULL; v [n][dims]. */
tw_status tw_guided_x0_vjp(const tw_guided *g, const tw_guided_points *p, const float *v, float *x0,
                           float *vjp);
/* "guidance.scale: …": refuses where use->factor is no classifier, or no energy. */
tw_status tw_guidance_check_factor(const tw_guidance_use *use, bool classifier);

/* ---- for whoever samples ---- */

/* A section, as [guidance]. */
typedef struct tw_guidance_config {
    tw_choice choice;
    const char *network; /* the second network: a run, a checkpoint or a weights file; "": none */
} tw_guidance_config;

/* Binds the section. Errors are collected in the configuration.
 * @param[out] out  zero-initialised; tw_guidance_config_free, before the configuration */
tw_status tw_guidance_bind(tw_guidance_config *out, tw_config *config, const char *section);
void tw_guidance_config_free(tw_guidance_config *config);

/* Whether it changes anything. */
bool tw_guidance_is_none(const tw_guidance_config *config);
/* Whether it is guided by a second network. */
bool tw_guidance_has_network(const tw_guidance_config *config);
/* Points of the wrapped score that a guided one asks for at each of its own, in one call: a network
 * that is planned for so many batches evaluates them at once. */
int64_t tw_guidance_rows(const tw_guidance_config *config);
/* Whether the sibling and what is named as its network go together.
 * @return TW_ECONFIG */
tw_status tw_guidance_check_network(const tw_guidance_config *config);

/* Plans a guided score. @param config  must outlive it, as must all that `use` borrows
 * @return TW_ECONFIG where the guidance does not go with the score, the labels or the network */
tw_status tw_guided_create(tw_guided **out, const tw_guidance_config *config,
                           const tw_guidance_use *use);
/* Frees and nulls; accepts a pointer to NULL. */
void tw_guided_destroy(tw_guided **guided);

/* The guided score. Borrowed. Asked for more points than the batch, it is computed in pieces. */
const tw_score *tw_guided_view(const tw_guided *guided);

/* Everything that it does to a score: what sample sets are compared by.
 * @param[out] out  is added to, with a blank before it */
tw_status tw_guided_describe(tw_text *out, const tw_guided *guided);

#endif
