/* A model: a network bound to samples of one shape and to a forward process. It owns the parameter
 * store and gives the two views of one network: the noise prediction that training fits, and the
 * score that samplers see, s(x, t) = -ε(x, t) / σ_t. Not collective.
 *
 * The forward process is q(x_t | x_0) = N(a_t x_0, σ_t² I): of DDPM, with its schedule; or of the
 * one-step denoiser, at one noise level. */
#ifndef TWEEDIE_MODEL_H
#define TWEEDIE_MODEL_H

#include "tweedie/net.h"
#include "tweedie/plan.h"
#include "tweedie/score.h"
#include "tweedie/sde.h"

typedef enum tw_objective_kind { TW_OBJECTIVE_DDPM, TW_OBJECTIVE_ONESTEP } tw_objective_kind;

/* [objective] */
typedef struct tw_objective_config {
    int kind; /* tw_objective_kind */
    const char *schedule;
    int64_t timesteps;
    double beta_min, beta_max;
    double scale, sigma; /* of onestep: x_t = scale x_0 + sigma z */
} tw_objective_config;

typedef struct tw_model {
    const tw_net *net;
    void *net_config;
    tw_objective_config objective;
    tw_schedule *schedule; /* of ddpm, else NULL */
    tw_shape sample;       /* without the batch */
    int64_t dims;          /* numbers of a sample */
    tw_params *params;
} tw_model;

/* Binds [network] and [objective] of a configuration. Errors are collected in the configuration
 * (tw_config_finish); what depends on the samples' shape is checked by tw_model_create.
 * @param[out] out  released with tw_model_destroy in any case */
tw_status tw_model_configure(tw_model **out, tw_config *config);

/* Builds the network for samples of this shape ([H, W, C] or [D]) and creates the parameter store,
 * filled from `seed`.
 * @return TW_ECONFIG where the configuration does not fit the samples */
tw_status tw_model_create(tw_model *m, tw_shape sample, uint64_t seed);
void tw_model_destroy(tw_model **model);

/* The network's graph for a batch of n: inputs "x" and "t", output value ε. Borrowed from g. */
tw_value *tw_model_build(tw_graph *g, const tw_model *m, int64_t n,
                         tw_reference_names *reference_names);

/* a_t and σ_t of the forward process at index t (0 for onestep), and the time that the network is
 * given. */
typedef struct tw_moment {
    double mean, std, embedded;
} tw_moment;
tw_moment tw_model_moment(const tw_model *m, int64_t t);
int64_t tw_model_timesteps(const tw_model *m); /* 1 for onestep */

/* The published names of the network's parameters. Zero-initialised `out` is released with
 * tw_reference_names_free. */
tw_status tw_model_reference_names(tw_reference_names *out, const tw_model *m);

/* The network as a score: plans of one fixed batch over the model's parameters. Larger requests are
 * cut, the last batch is padded, so a sample's score does not depend on what it is computed with.
 */
typedef struct tw_model_score tw_model_score;
tw_status tw_model_score_create(tw_model_score **out, tw_model *m, int64_t batch,
                                tw_precision precision);
void tw_model_score_destroy(tw_model_score **score);
/* To be called after each change of the parameters. */
void tw_model_score_refresh(tw_model_score *score);
/* What samplers and likelihood take. Borrowed. vjp is planned when it is first called. */
const tw_score *tw_model_score_view(const tw_model_score *score);
/* The noise prediction itself: ε(x, t) = -σ_t s(x, t). x, out [n][dims] */
tw_status tw_model_score_noise(tw_model_score *score, int64_t n, const float *x, const double *t,
                               float *out);
/* The forward plan, for printing and profiling. Borrowed. */
tw_plan *tw_model_score_plan(const tw_model_score *score);

#endif
