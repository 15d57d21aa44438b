/* One optimiser step on the ranks, and all that it touches: what training repeats and `bench step`
 * times. Nothing here knows of run directories, checkpoints or files of data. */
#ifndef TW_TRAIN_STEPPER_H
#define TW_TRAIN_STEPPER_H

#include "run/run_config.h"
#include "tweedie/comm.h"
#include "tweedie/reducer.h"
#include "tweedie/watchdog.h"

typedef struct tw_gradient_tree tw_gradient_tree;
typedef struct tw_stepper_pieces tw_stepper_pieces;

/* What one step found out. Loss, norm, rate and requests are the same on all ranks. */
typedef struct tw_step_result {
    double loss;          /* mean over the global batch */
    double gradient_norm; /* before clipping */
    double learning_rate;
    bool stop, save; /* some rank was asked to */
    double seconds, read_seconds, compute_seconds, communication_seconds; /* of this rank */
    double norm_seconds, update_seconds, pack_seconds; /* parts of compute_seconds */
} tw_step_result;

/* Where a step gets its samples from, and who may ask it to end. Neither is collective. */
typedef struct tw_step_hooks {
    /* Samples [first, first + count) of this rank's share of the batch of `step`, once for each
     * microbatch, with their classes, which nothing reads where the model has none, and their
     * conditions, NULL where it has none. A failure reaches all ranks with the reduction. */
    tw_status (*read)(void *self, int64_t step, int64_t first, int64_t count, float *x0,
                      int32_t *label, float *condition);
    /* How these samples were augmented, [count, tw_model_augment_labels]. NULL: not. */
    void (*augment)(void *self, int64_t step, int64_t first, int64_t count, float *labels);
    /* Was this rank asked to stop after this step, or to save? NULL: never. */
    void (*requests)(void *self, bool *stop, bool *save);
    void *self;
} tw_step_hooks;

typedef struct tw_stepper {
    /* Filled by its owner before tw_stepper_make_memory, and borrowed. */
    const tw_comm *comm;
    tw_watchdog *watchdog; /* or NULL */
    const tw_train_config *c;
    const tw_optimizer *optimizer;
    const void *optimizer_config;
    tw_model *model;
    tw_precision precision;
    tw_convolution convolution;
    int threads;
    int64_t first_position, positions; /* this rank's share of the global batch */
    int64_t micro, micro_count;        /* samples of a microbatch; microbatches of a step */
    tw_step_hooks hooks;

    /* Owned. `array` and the parameters are shared by the ranks of a node, each of which writes its
     * slices of them in the update and nothing else; barriers of the reducer stand between writing
     * and reading. */
    tw_reducer *reducer;
    tw_objective *objective;
    tw_gradient_tree *tree;            /* where train.rank_independent */
    tw_stepper_pieces *pieces;         /* how the update is cut */
    float *array[TW_OPTIMIZER_ARRAYS]; /* the optimiser's own */
    float *ema[TW_EMA_MAX];            /* on the node of rank zero, shared by its ranks */
    float *sums;                       /* of the step's statistics, shared: each rank writes its
                                          slices, the first of the node reads; NULL: none */
    tw_objective_advance advance;      /* where there are */
    float *x0;                         /* one microbatch */
    int32_t *label;                    /* the same */
    float *augment;                    /* the same, where the network is told */
    float *condition;                  /* the same, of a conditional model; else NULL */
    double *observed; /* times [batch] and losses [batch] of a step by position, where the objective
                         keeps a history of them; else NULL */

    int64_t step; /* optimiser steps done */
} tw_stepper;

/* train_memory.c: the reduction of gradients, and what it updates: parameters, arrays of the
 * optimiser, EMA, in the memory of the node. Collective. */
tw_status tw_stepper_make_memory(tw_stepper *s);
/* Plans the objective for microbatches. Not collective.
 * @param objective  must outlive the stepper */
tw_status tw_stepper_plan(tw_stepper *s, const tw_objective_config *objective, bool profile);
/* Releases what the stepper owns. Collective, as destroying a reducer is. */
void tw_stepper_close(tw_stepper *s);
/* Rank zero has new parameters (with `arrays`, the optimiser's too): all nodes get them.
 * Collective. */
tw_status tw_stepper_broadcast(tw_stepper *s, bool arrays);

/* train_step.c: one optimiser step. It allocates nothing. Collective.
 * @return TW_EDIVERGED where loss or gradient are not finite or too large for the optimiser, with
 * nothing updated; what reading failed with; the same on all ranks */
tw_status tw_stepper_step(tw_stepper *s, tw_step_result *out);

/* train_update.c: cuts the update of this rank's slices for the plan, once there is one. Not
 * collective. */
tw_status tw_stepper_make_pieces(tw_stepper *s);
void tw_stepper_free_pieces(tw_stepper *s);
/* Clips, updates and packs: each rank its slices of what the node shares, and all ranks what they
 * compute with; the first rank of the node advances the objective's state. Collective in the node.
 */
void tw_stepper_update(tw_stepper *s, tw_step_result *r);

/* observe.c: what the objective's distribution of times learns from a step, the same on all ranks.
 */
tw_status tw_stepper_make_observed(tw_stepper *s);
/* Notes times and losses of the microbatch that has just run. Not collective. */
void tw_stepper_note(tw_stepper *s, int64_t position, int64_t count);
/* Tells the objective all of the global batch. Collective. */
tw_status tw_stepper_observe(tw_stepper *s);
/* Rank zero's history, as read from a checkpoint, to all. Collective. */
tw_status tw_stepper_share_history(tw_stepper *s);

/* gradient_tree.c: the gradients of this rank's microbatches, added in a balanced binary tree over
 * their positions. The reduction goes on with the same tree over the ranks, so that the sum does
 * not depend on how many there are. Not collective. */
tw_status tw_gradient_tree_create(tw_gradient_tree **out, float *gradient, int64_t count,
                                  int64_t microbatches);
void tw_gradient_tree_destroy(tw_gradient_tree **tree);
/* The buffer holds the gradient of microbatch k, not the last: puts it away. */
void tw_gradient_tree_keep(tw_gradient_tree *tree, int64_t k);
/* Adds all that was put away to a range of the last microbatch's gradient, in the buffer. */
void tw_gradient_tree_complete(tw_gradient_tree *tree, int64_t offset, int64_t count);

#endif
