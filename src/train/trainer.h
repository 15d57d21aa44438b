/* What one training run holds, for the files of this module. */
#ifndef TW_TRAIN_TRAINER_H
#define TW_TRAIN_TRAINER_H

#include "train/stepper.h"
#include "tweedie/data.h"
#include "tweedie/io.h"
#include "tweedie/rundir.h"
#include "tweedie/train.h"

typedef struct tw_saver tw_saver;
typedef struct tw_preview tw_preview;
typedef struct tw_progress tw_progress;
typedef struct tw_encoding tw_encoding;

/* Seconds that a save, a grid, a validation or reading what stays in memory may take before the
 * watchdog takes it for hung. */
enum { TW_PATIENCE = 3600 };

/* What the run's directory holds, and what this start found there. Written before the first step,
 * then read only. */
typedef struct tw_train_past {
    tw_rundir *rundir; /* rank zero */
    bool resumed, has_checkpoints;
    int64_t restarts;
    int64_t steps_before; /* train.steps of the frozen configuration; 0: none */
    double *losses;       /* rank zero: rows of step, loss that the checkpoint resumed from holds */
    int64_t loss_rows;
} tw_train_past;

/* Of run_figure.c alone. */
typedef struct tw_train_figure {
    int64_t count; /* drawn by this start */
    double next;   /* tw_clock_seconds: not before */
} tw_train_figure;

/* Everything but `stepper` and `figure` is written by train_setup.c, train_run.c and
 * tw_trainer_load before the first step; from then on the saver, the progress and the previews read
 * it, all on the thread that trains. The input and output thread sees none of it: save_job.h says
 * what it has instead. */
typedef struct tw_trainer {
    const tw_comm *comm;
    const tw_train_options *options;
    double start; /* tw_clock_seconds when tw_train was called */
    tw_run_config run;
    const tw_train_config *c; /* run.train */
    tw_config *config;
    char *config_text;            /* frozen */
    struct tw_restored *features; /* of an objective that compares by a classifier; until its
                                     weights are in the store */
    tw_watchdog *own_watchdog;    /* where the program has none; else NULL */
    tw_io *io;
    tw_dataset *data;
    tw_loader *loader;
    tw_encoding *encoding;          /* of data.encoder; else NULL */
    const tw_dataset_spec *samples; /* what the model learns: the data's, or their latents */
    tw_train_past past;
    tw_stepper stepper; /* what steps change */

    tw_saver *saver;     /* rank zero */
    tw_preview *preview; /* grids and validation */
    tw_train_figure figure;
    tw_progress *progress;
    double save_seconds; /* that training waited for saves */
} tw_trainer;

/* train_setup.c: everything up to the first step. Collective. */
tw_status tw_trainer_open(tw_trainer *t);
/* train_precision.c: decides t->stepper.precision and convolution, and writes them into the
 * configuration and into that of the run, NULL where it is new. Collective.
 * @param run  bound by nobody yet */
tw_status tw_trainer_resolve_precision(tw_trainer *t, tw_config *run);
void tw_trainer_close(tw_trainer *t);

/* train_run.c: the run's directory. Rank zero takes the lock and opens the log for all that is said
 * from here on; a dry run only looks. Not collective. */
tw_status tw_trainer_open_run(tw_trainer *t);
/* The frozen configuration of a run that has checkpoints (of the newest one, where config.ini is
 * gone), else NULL. Collective. @param[out] out
 * tw_free */
tw_status tw_trainer_read_frozen(tw_trainer *t, char **out);
/* Rank zero: writes RUN/config.ini. Not collective. */
tw_status tw_trainer_freeze(const tw_trainer *t);

/* train.c: one optimiser step on the run's data. Collective. */
tw_status tw_trainer_step(tw_trainer *t, tw_step_result *out);

/* saver.c: checkpoints on rank zero, written by the input and output thread from a copy. Not
 * collective. */
tw_status tw_saver_create(tw_saver **out, const tw_trainer *t);
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
/* How many this start has completed. Accepts NULL. */
int64_t tw_saver_written(const tw_saver *s);
/* Loads a checkpoint into the trainer: all ranks. Collective. */
tw_status tw_trainer_load(tw_trainer *t, const char *path);
/* Starts from another run's weights. Collective. */
tw_status tw_trainer_init_from(tw_trainer *t, const char *path, const char *which);

/* estimate.c: fails where a node has less memory than its ranks have planned for. Collective. */
tw_status tw_trainer_check_memory(const tw_trainer *t);
/* What --dry-run says: memory, disk, time. Collective. */
tw_status tw_trainer_estimate(tw_trainer *t);

/* encoding.c: training from images through a frozen encoder (data.encoder), bitwise as on the
 * dataset of latents that encode-data writes. Creating reads the autoencoder: the data are open,
 * the loader is not. Collective. */
tw_status tw_encoding_create(tw_encoding **out, const tw_trainer *t);
void tw_encoding_destroy(tw_encoding **encoding);
/* What latents are: a spec with the encoder's digest, offset and scale. Borrowed. */
const tw_dataset_spec *tw_encoding_latents(const tw_encoding *e);
/* The units that the encoder takes samples in. Borrowed. */
const tw_dataset_spec *tw_encoding_units(const tw_encoding *e);
/* Plans for the positions of the loader, which is there now. Not collective. */
tw_status tw_encoding_plan(tw_encoding *e);
/* Accepts NULL. */
double tw_encoding_bytes(const tw_encoding *e);
void tw_encoding_set_scale(tw_encoding *e, double scale);
/* Measures the scale over all samples of the file, which the ranks share: the same bits as of the
 * dataset that encode-data writes. Collective. @return TW_ESTOPPED where a signal asks to stop */
tw_status tw_encoding_measure(tw_encoding *e);
/* Latents of this rank's positions first … first + count − 1 at a step, in model units, with the
 * samples' labels. The first request of a step encodes all of the rank's positions. Not collective.
 */
tw_status tw_encoding_next(tw_encoding *e, int64_t step, int64_t first, int64_t count, float *x,
                           int32_t *label);
/* What the model learns, of samples first … first + count − 1 of the split of `data` (the run's
 * dataset, of any split): as stored, or in model units. Of latents the means. Not collective. */
tw_status tw_trainer_read_stored(const tw_trainer *t, tw_dataset *data, int64_t first,
                                 int64_t count, void *stored, int32_t *labels);
tw_status tw_trainer_read(const tw_trainer *t, tw_dataset *data, int64_t first, int64_t count,
                          float *x, int32_t *labels);

/* preview.c: validation loss, sample grids and quality of the first EMA. Collective. */
tw_status tw_preview_create(tw_preview **out, const tw_trainer *t);
void tw_preview_destroy(tw_preview **preview);
/* Rank zero: a picture of the data beside those of samples, once a run. Accepts NULL. Not
 * collective. */
void tw_preview_show_data(tw_preview *p);
/* Bytes of this rank's plans and copies. Accepts NULL. */
double tw_preview_bytes(const tw_preview *p);
/* Whether there is a split to validate on. Accepts NULL. */
bool tw_preview_validates(const tw_preview *p);

/* What the validation split says. */
enum { TW_ACCURACY_BINS = 8 };
typedef struct tw_validation {
    double loss;
    bool classifies;                   /* else nothing of the next two */
    double accuracy;                   /* share of samples whose largest logit is their label's */
    double by_noise[TW_ACCURACY_BINS]; /* the same of each eighth of the process's time, from little
                                          noise to much; NaN where no sample's time lies */
    int64_t codes, used; /* of an autoencoder of codes: how many, and how many the split uses; else
                            0 */
    double perplexity;   /* exp of the entropy of how often each is used */
} tw_validation;
tw_status tw_preview_validate(tw_preview *p, tw_validation *out);
tw_status tw_preview_grid(tw_preview *p);

/* What a few hundred samples of the first EMA are like beside the training data. */
typedef struct tw_quality_result {
    double frechet;
    int64_t samples, reference;
    const char *digest; /* of the features; borrowed from the preview */
} tw_quality_result;
tw_status tw_preview_evaluate(tw_preview *p, tw_quality_result *out);

/* run_figure.c: rank zero draws RUN/report.svg and .png again. What fails is told and lost. */
void tw_trainer_draw(tw_trainer *t);

/* progress.c: lines for people and metrics.jsonl. Rank zero writes; others do nothing. */
tw_status tw_progress_create(tw_progress **out, const tw_trainer *t);
/* Opens a file of lines for appending; one that was not written to its end (a full disk, a kill) is
 * cut off first. @param[out] out  the caller closes it
 * @return TW_EIO, also for what is no regular file; links are not followed */
tw_status tw_progress_open_lines(int *out, const char *path);
void tw_progress_destroy(tw_progress **progress);
void tw_progress_step(tw_progress *p, const tw_step_result *r);
void tw_progress_validation(tw_progress *p, const tw_validation *v);
void tw_progress_quality(tw_progress *p, const tw_quality_result *r);
/* Lines of metrics.jsonl: a part of the run begins, and how it ended; none where no step is left.
 */
void tw_progress_start(tw_progress *p);
void tw_progress_end(tw_progress *p, tw_status st);
/* A grid of samples, for TensorBoard where it is asked for. */
void tw_progress_picture(tw_progress *p, const char *path);
/* What this start's steps took. Borrowed; NULL on other ranks than zero. */
typedef struct tw_progress_sums {
    double begun; /* tw_clock_seconds at the first step; 0: none was begun */
    int64_t steps;
    double read, compute, communication; /* seconds */
} tw_progress_sums;
const tw_progress_sums *tw_progress_sums_view(const tw_progress *p);
/* Loss history's tail for the checkpoint: rows of step, loss. Borrowed. */
const double *tw_progress_losses(const tw_progress *p, int64_t *rows);

/* closing.c: the last block of the log, where steps were taken: cost, shares of the time, next
 * command. Rank zero; not collective. @param ended  what the loop returned */
void tw_trainer_tell_end(const tw_trainer *t, tw_status ended);

#endif
