/* What training minimises: perturb, predict, compare. Not collective.
 *
 * An objective is planned over a model's parameters for a microbatch. For each sample it takes a
 * time t and noise z, forms x_t = α x_0 + σ z, and its graph gives one loss. t, z and all else
 * that is random are functions of (seed, the sample's position in the global batch, step), whoever
 * computes them. */
#ifndef TWEEDIE_OBJECTIVE_H
#define TWEEDIE_OBJECTIVE_H

#include "tweedie/model.h"
#include "tweedie/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- siblings ---- */

/* What one sample of a microbatch is, for the parts of an objective that fill inputs. */
typedef struct tw_objective_sample {
    int64_t i;                 /* in the microbatch */
    double t;                  /* its time */
    double alpha, sigma;       /* of the process then */
    const tw_model_view *view; /* of the prediction then */
    tw_rng_stream stream;      /* purpose is to be set: position and step are */
    const float *x0, *z, *xt;  /* [dims] */
} tw_objective_sample;

/* A state parameter between two steps, in the store's layout; of a name that there is not (what is
 * switched off) count is 0. */
typedef struct tw_objective_state {
    float *value;     /* [count], to be set anew */
    const float *sum; /* [count], of its statistic over the global batch */
    int64_t count;
} tw_objective_state;

typedef struct tw_objective_inputs tw_objective_inputs;

/* The classifier by whose feature maps an objective compares samples. Its parameters are frozen
 * ones of the objective's own, named TW_NAME_OBJECTIVE "features.…". */
typedef struct tw_objective_features {
    double weight;      /* of the term; 0: there is none, and no classifier */
    const char *path;   /* the run, checkpoint or weights */
    const char *digest; /* of its weights; "": not known yet */
} tw_objective_features;

/* An objective: objective_NAME.c defines tw_objective_NAME. */
typedef struct tw_objective_kind {
    tw_kind kind; /* keys of [objective] */

    /* Binds sections beside [objective] into its configuration, and frees what they own. NULL:
     * none.
     */
    tw_status (*bind)(void *config, tw_config *config_text);
    void (*release)(void *config);

    /* Does it go with the model? NULL: with each. @return TW_ECONFIG saying what does */
    tw_status (*check)(const void *config, const tw_model *m);

    /* Adds the loss of each sample, f32 [n], which is multiplied by the input "weight" [n]. Any
     * inputs of these names are filled: "target" [n, sample…]: what F should be; "z", "x0" the same
     * shape; "score_x", "score_f" [n]; "probe.0", "probe.1", … [n, sample…], as `probe` says;
     * others by fill. */
    tw_value *(*build)(tw_graph *g, const void *config, const tw_model *m, int64_t n);

    /* Fills further inputs for one sample; `own` is what find gave. NULL: none. Must not fail. */
    void (*fill)(const void *config, const tw_model *m, float *const *own,
                 const tw_objective_sample *s);
    const char *const *inputs; /* their names, NULL at the end; at most TW_OBJECTIVE_INPUTS */

    /* What objective.weighting λ does: the loss is the squared error of F, and λ multiplies it; or
     * it is one of the score, which λ / (d score / d F)² multiplies, so that the two agree.
     * Neither: a weighting is refused. */
    bool weighted, of_score;
    bool classifies;      /* its network is a classifier; what it builds ends in logits, which it
                             names as the output "logits" [n, classes] */
    bool reconstructs;    /* its network is an autoencoder, of which nothing is a score; where its
                             latents are codes it names them as the output "codes", i32 */
    bool learns_variance; /* its loss depends on a learned variance; others refuse one */
    /* What it has of its own: its graph declares parameters that the model has not, named
     * TW_NAME_OBJECTIVE… (a second network, or the state below). NULL: nothing, ever. */
    bool (*owns)(const void *config);
    /* State parameters, its own or the network's, that its graph measures statistics for
     * (tw_graph_statistic), at most TW_OBJECTIVE_STATES names, NULL at the end; and their new
     * values after a step, from the statistics' sums over the global batch. Called on one rank of
     * each node, with the same bits on all; must not fail. */
    const char *const *states;
    void (*advance)(const void *config, const tw_model *m, const tw_objective_state *state);
    bool (*clean)(const void *config); /* the network is given x_0 itself, at time t; NULL: x_t */
    int (*probe)(const void *config);  /* tw_objective_probe; NULL: none */
    /* Tells the model what its network has to be like, before it is created. NULL: nothing */
    void (*prepare)(const void *config, tw_model *m);
    /* The classifier that m->features has to be. NULL: none */
    const tw_objective_features *(*features)(const void *config);
} tw_objective_kind;

enum { TW_OBJECTIVE_INPUTS = 8, TW_OBJECTIVE_PROBES = 16, TW_OBJECTIVE_STATES = 8 };
/* Random directions v with E v vᵀ = I. */
typedef enum tw_objective_probe {
    TW_PROBE_NONE,
    TW_PROBE_RADEMACHER,
    TW_PROBE_GAUSSIAN,
    TW_PROBE_SPHERE /* uniform, of length √D */
} tw_objective_probe;

extern const tw_kinds tw_objective_kinds;

/* A weighting: weighting_NAME.c defines tw_weighting_NAME. */
typedef struct tw_weighting {
    tw_kind kind;
    tw_status (*check)(const void *config, const tw_model *m); /* NULL: goes with each */
    /* λ(t) of λ (F − F*)², a factor of each dimension's squared error. */
    double (*weight)(const void *config, const tw_model *m, double t, const tw_model_view *view);
} tw_weighting;
extern const tw_kinds tw_weighting_kinds;

/* A distribution of times: times_NAME.c defines tw_times_NAME. */
typedef struct tw_times {
    tw_kind kind;
    tw_status (*check)(const void *config, const tw_process *p); /* NULL: goes with each */
    /* Time and importance weight (1: sampled as the objective means) of a uniform number in [0, 1):
     * the distribution's inverse, so that stratified numbers give stratified times.
     * @param history  of `remembers`, else NULL */
    double (*at)(const void *config, const tw_process *p, const double *history, double u,
                 double *weight);
    /* Numbers of history that a checkpoint keeps, each exact in f32; NULL: 0. Behind them come
     * `derived` ones, which observe computes from these. */
    int64_t (*remembers)(const void *config, const tw_process *p, int64_t *derived);
    /* A step's times and losses, all of the global batch in the order of positions, the same on all
     * ranks; n = 0 after the history was read from a checkpoint. */
    void (*observe)(const void *config, const tw_process *p, double *history, int64_t n,
                    const double *t, const double *loss);
} tw_times;
extern const tw_kinds tw_times_kinds;

/* ---- a configured objective ---- */

typedef enum tw_reduce { TW_REDUCE_MEAN, TW_REDUCE_HALF_SUM, TW_REDUCE_SUM } tw_reduce;

/* [objective] */
typedef struct tw_objective_config {
    tw_choice kind, weighting, times;
    int reduce;      /* tw_reduce: over the dimensions of a sample */
    bool stratified; /* times spread evenly over the positions of the global batch */
} tw_objective_config;

/* Binds [objective]. Errors are collected in the configuration. Zero-initialise `out`; release with
 * tw_objective_config_free, before the configuration. */
tw_status tw_objective_bind(tw_objective_config *out, tw_config *config);
void tw_objective_config_free(tw_objective_config *config);

/* Whether all parts go together. @return TW_ECONFIG saying what would */
tw_status tw_objective_check(const tw_objective_config *config, const tw_model *m);

/* Adds what the objective has of its own to the model's parameter store, behind the network's, and
 * initialises all of it from `seed`, the network's as tw_model_create did. To be called right after
 * that by who plans the objective. @return as tw_objective_check */
tw_status tw_objective_add_params(const tw_objective_config *config, tw_model *m, uint64_t seed);

/* The state that an objective advances after a step. Made once the store has the values that it
 * keeps. @param sums  [params->summed − params->trainable] floats that hold the sums of what lies
 * behind the gradients when it is called; borrowed, with all else */
typedef struct tw_objective_advance {
    const tw_objective_config *config;
    const tw_model *model;
    tw_objective_state state[TW_OBJECTIVE_STATES];
} tw_objective_advance;
void tw_objective_advance_init(tw_objective_advance *out, const tw_objective_config *config,
                               const tw_model *m, const float *sums);
void tw_objective_advance_run(const tw_objective_advance *advance);

/* What both are bound to one configuration for: to be called before tw_model_create. */
void tw_objective_prepare(const tw_objective_config *config, tw_model *m);

/* The classifier that it compares by; NULL where it compares by none. Borrowed. */
const tw_objective_features *tw_objective_features_of(const tw_objective_config *config);

/* ---- a planned objective ---- */

typedef struct tw_objective tw_objective;

typedef struct tw_objective_options {
    int64_t batch;          /* samples of one run: a microbatch */
    int64_t global_batch;   /* for stratified times */
    tw_precision precision; /* resolved */
    tw_convolution convolution;
    tw_packing packing;
    bool gradients;  /* else the loss alone (validation) */
    bool accumulate; /* several microbatches add up */
    bool lend_gradients;
    tw_recompute recompute;
    bool profile;
} tw_objective_options;

/* Plans the objective over the model's parameters; with gradients their buffer must exist.
 * @param config  must outlive the objective
 * @return TW_ECONFIG where parts do not go together; what planning returns */
tw_status tw_objective_create(tw_objective **out, tw_model *m, const tw_objective_config *config,
                              const tw_objective_options *options);
void tw_objective_destroy(tw_objective **objective);

typedef struct tw_objective_step {
    uint64_t seed;
    int64_t step;
    int64_t position; /* of the first sample in the global batch */
    int64_t count;    /* samples that count, 1 … batch; the rest is padding with weight zero */
    double weight;    /* of each sample in the sum: 1 / global batch makes gradients add up to the
                         mean's */
    const int32_t *label; /* [count], each below the model's classes; NULL: of class 0 */
    const float *augment; /* [count, tw_model_augment_labels]: how each was augmented; NULL: not */
    const float *condition; /* [count][model's condition], model units; NULL: zeros */
    bool validation;        /* no dropout; times and noise from the validation's stream */
    bool add_gradients;
    tw_gradient_ready *ready;
    void (*between)(void *self); /* after each operation; or NULL */
    void *self;
} tw_objective_step;

/* To be called after each change of the parameters. */
void tw_objective_refresh(tw_objective *objective);

/* Perturbs and runs; allocates nothing.
 * @param x0  [count][dims], model units
 * @return Σ over the samples of weight · loss; NaN or infinite where the network's output is */
double tw_objective_run(tw_objective *objective, const tw_objective_step *step, const float *x0);

/* Of the last run: times and unweighted losses [count]. */
void tw_objective_last(const tw_objective *objective, const double **t, const double **loss);

/* Of the last run of an objective that classifies: whether the largest logit is the label's,
 * [count]; else NULL. */
const bool *tw_objective_hits(const tw_objective *objective);

/* Of the last run of an objective whose latents are codes: which codes, [count][vectors of a
 * latent]; else NULL. Borrowed. */
const int32_t *tw_objective_codes(const tw_objective *objective, int64_t *vectors);

/* The history of the times' distribution, numbers that a checkpoint keeps, each exact in f32; NULL
 * and a count of 0 where there is none. The same on all ranks: whoever runs steps calls observe
 * with what all ranks found, in the order of positions, and with n = 0 after writing the history.
 * An objective for validation has its own, which stays empty. */
double *tw_objective_history(tw_objective *objective, int64_t *count);
void tw_objective_observe(tw_objective *objective, int64_t n, const double *t, const double *loss);

/* Its plan, for printing and profiling. */
tw_plan *tw_objective_plan(tw_objective *objective);

/* Seconds spent in perturbing since creation: noise, times, x_t. */
double tw_objective_perturb_seconds(const tw_objective *objective);

/* The forward process alone: t [n] from the step's stream, z and x_t [n][dims]. What
 * tw_objective_run does first. */
void tw_objective_perturb(const tw_objective *objective, const tw_objective_step *step, int64_t n,
                          const float *x0, double *t, float *z, float *xt);

#ifdef __cplusplus
}
#endif

#endif
