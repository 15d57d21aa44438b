/* What one training run holds, for the files of this module. */
#ifndef TW_TRAIN_TRAINER_H
#define TW_TRAIN_TRAINER_H

#include "run/run_config.h"
#include "tweedie/comm.h"
#include "tweedie/data.h"
#include "tweedie/io.h"
#include "tweedie/model.h"
#include "tweedie/objective.h"
#include "tweedie/reducer.h"
#include "tweedie/rundir.h"
#include "tweedie/train.h"
#include "tweedie/watchdog.h"

typedef struct tw_saver tw_saver;
typedef struct tw_preview tw_preview;
typedef struct tw_progress tw_progress;
typedef struct tw_gradient_tree tw_gradient_tree;

/* Seconds that a save, a grid, a validation or reading what stays in memory may take before the
 * watchdog takes it for hung. */
enum { TW_PATIENCE = 3600 };

/* What one step found out; the same on all ranks after the reduction. */
typedef struct tw_step_result {
    double loss;          /* mean over the global batch */
    double gradient_norm; /* before clipping */
    double learning_rate;
    bool stop, save; /* some rank was asked to */
    double seconds, read_seconds, compute_seconds, communication_seconds; /* of this rank */
} tw_step_result;

typedef struct tw_trainer {
    const tw_comm *comm;
    const tw_train_options *options;
    tw_run_config run;
    tw_train_config c; /* the run's, as bound last */
    tw_config *config;
    char *config_text; /* frozen */

    tw_rundir *rundir;                    /* rank zero */
    tw_watchdog *watchdog, *own_watchdog; /* the program's or our own; our own or NULL */
    tw_io *io;
    tw_dataset *data;
    tw_loader *loader;
    tw_model *model;
    tw_precision precision;
    tw_reducer *reducer;
    tw_objective *objective;
    tw_gradient_tree *tree;     /* where train.rank_independent */
    int64_t micro, micro_count; /* samples of a microbatch; microbatches of a step on this rank */

    const tw_optimizer *optimizer;     /* the run's choice */
    float *array[TW_OPTIMIZER_ARRAYS]; /* the optimiser's own; as the parameters, shared by the
                                          ranks of a node */
    float *ema[TW_EMA_MAX];            /* on the node of rank zero, shared by its ranks */
    float *x0;                         /* one microbatch */
    int threads;

    int64_t step; /* optimiser steps done */
    int64_t restarts;
    bool resumed, has_checkpoints;
    int64_t steps_before; /* train.steps of the frozen configuration; 0: none */
    double *losses;       /* rank zero: rows of step, loss that the checkpoint resumed from holds */
    int64_t loss_rows;
    double start; /* tw_clock_seconds when tw_train was called */

    tw_saver *saver;     /* rank zero */
    tw_preview *preview; /* grids and validation */
    tw_progress *progress;
} tw_trainer;

/* train_setup.c: everything up to the first step. Collective. */
tw_status tw_trainer_open(tw_trainer *t);
/* train_precision.c: decides t->precision, and writes it into the configuration and into that of
 * the run, NULL where it is new. Collective.
 * @param run  bound by nobody yet */
tw_status tw_trainer_resolve_precision(tw_trainer *t, tw_config *run);
void tw_trainer_close(tw_trainer *t);

/* train_run.c: the run's directory. Rank zero takes the lock and opens the log for all that is said
 * from here on; a dry run only looks. Not collective. */
tw_status tw_trainer_open_run(tw_trainer *t);
/* The frozen configuration of a run that has checkpoints, else NULL. Collective. @param[out] out
 * tw_free */
tw_status tw_trainer_read_frozen(tw_trainer *t, char **out);
/* Rank zero: writes RUN/config.ini. Not collective. */
tw_status tw_trainer_freeze(const tw_trainer *t);

/* train_memory.c: the reduction of gradients, and what it updates: parameters, arrays of the
 * optimiser, EMA, in the memory of the node. Collective. */
tw_status tw_trainer_make_memory(tw_trainer *t);
/* Rank zero has new parameters (with `arrays`, the optimiser's too): all nodes get them.
 * Collective. */
tw_status tw_trainer_broadcast(tw_trainer *t, bool arrays);

/* train_step.c: one optimiser step. Collective. */
tw_status tw_trainer_step(tw_trainer *t, tw_step_result *out);

/* gradient_tree.c: the gradients of this rank's microbatches, added in a balanced binary tree over
 * their positions. The reduction goes on with the same tree over the ranks, so that the sum does
 * not depend on how many there are. Not collective. */
tw_status tw_gradient_tree_create(tw_gradient_tree **out, float *gradient, int64_t count,
                                  int64_t microbatches);
void tw_gradient_tree_destroy(tw_gradient_tree **tree);
/* The buffer holds the gradient of microbatch k, not the last: puts it away. */
void tw_gradient_tree_keep(tw_gradient_tree *tree, int64_t k);
/* Adds all that was put away to a stretch of the last microbatch's gradient, in the buffer. */
void tw_gradient_tree_complete(tw_gradient_tree *tree, int64_t offset, int64_t count);

/* saver.c: checkpoints on rank zero, written by the input and output thread from a copy. Not
 * collective. */
tw_status tw_saver_create(tw_saver **out, tw_trainer *t);
void tw_saver_destroy(tw_saver **saver);
/* Whether the run's disk has room for its checkpoints. Rank zero looks; creating a saver does so
 * too. */
tw_status tw_saver_check_disk(const tw_trainer *t);
/* Copies the state and starts writing; does nothing where the same step has been saved. A save in
 * flight is finished first. A failure is told to the user and tried again at the next interval;
 * tw_saver_poll fails after two in a row. */
void tw_saver_start(tw_saver *s);
/* Moves a save on. Never waits. */
tw_status tw_saver_poll(tw_saver *s);
/* Waits for a save in flight; fails where it failed. */
tw_status tw_saver_wait(tw_saver *s);
/* Loads a checkpoint into the trainer: all ranks. Collective. */
tw_status tw_trainer_load(tw_trainer *t, const char *path);
/* Starts from another run's weights. Collective. */
tw_status tw_trainer_init_from(tw_trainer *t, const char *path, const char *which);

/* estimate.c: fails where a node has less memory than its ranks have planned for. Collective. */
tw_status tw_trainer_check_memory(const tw_trainer *t);
/* What --dry-run says: memory, disk, time. Collective. */
tw_status tw_trainer_estimate(tw_trainer *t);

/* preview.c: validation loss and sample grids of the first average. Collective. */
tw_status tw_preview_create(tw_preview **out, tw_trainer *t);
void tw_preview_destroy(tw_preview **preview);
/* Bytes of this rank's plans and copies. Accepts NULL. */
double tw_preview_bytes(const tw_preview *p);
/* Whether there is a split to validate on. Accepts NULL. */
bool tw_preview_validates(const tw_preview *p);
tw_status tw_preview_validate(tw_preview *p, double *loss_out);
tw_status tw_preview_grid(tw_preview *p);

/* progress.c: lines for people and metrics.jsonl. Rank zero writes; others do nothing. */
tw_status tw_progress_create(tw_progress **out, tw_trainer *t);
/* Opens a file of lines for appending; one that was not written to its end (a full disk, a kill) is
 * cut off first. @param[out] out  the caller closes it
 * @return TW_EIO, also for what is no regular file; links are not followed */
tw_status tw_progress_open_lines(int *out, const char *path);
void tw_progress_destroy(tw_progress **progress);
void tw_progress_step(tw_progress *p, const tw_step_result *r);
void tw_progress_validation(tw_progress *p, double loss);
/* Loss history's tail for the checkpoint: rows of step, loss. Borrowed. */
const double *tw_progress_losses(const tw_progress *p, int64_t *rows);

#endif
