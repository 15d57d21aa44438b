/* A checkpoint on its way to the disk: all that the input and output thread sees of training.
 *
 * Threads: the training thread fills the first part once and `writer` for each save, and calls
 * save_job_start. From then until save_job_complete is true the job, the writer and the copy that
 * the writer reads belong to the input and output thread, and the training thread touches nothing
 * of them but `complete`, whose store and load order all the rest. This file and save_job.c do not
 * include trainer.h, so that nothing of the trainer can be read here; a test holds them to it. */
#ifndef TW_TRAIN_SAVE_JOB_H
#define TW_TRAIN_SAVE_JOB_H

#include <stdatomic.h>

#include "tweedie/checkpoint.h"
#include "tweedie/io.h"
#include "tweedie/rundir.h"

typedef struct save_job {
    /* Borrowed, and the same for all saves. Of the directory only tw_rundir_check is called. */
    const tw_rundir *rundir;
    tw_io *io;
    const char *run;
    int64_t keep, keep_every;

    /* Of one save. */
    tw_checkpoint_writer *writer;
    tw_checkpoint_pruner *pruner; /* after the writer: NULL before, and where it failed */
    tw_io_job jobs[2];            /* pieces, in turn */
    int turn;                     /* which of them runs or is to run */
    bool written;                 /* the checkpoint is there */
    double ended;                 /* tw_clock_seconds */
    tw_status status;             /* how the save ended */
    char message[TW_IO_MESSAGE_MAX];
    atomic_bool complete;
} save_job;

/* Hands the job with its writer to the input and output thread. Never waits. */
void save_job_start(save_job *j);
/* Ends a save that could not be started, with the recorded error. */
void save_job_fail(save_job *j, tw_status st);
/* Whether the save has ended, and the job is the caller's again. */
bool save_job_complete(const save_job *j);
/* Waits until it has. */
void save_job_wait(save_job *j);

#endif
