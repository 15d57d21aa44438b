/* The input and output thread of a rank: a queue of jobs, done one after the other, first come
 * first served.
 *
 * Debian's HDF5 is not threadsafe, so while this thread lives all HDF5 calls of the rank are its
 * work: reading ahead for training, and saving. A long piece of work is cut into short jobs, each
 * submitted when the one before it is done, so that others never wait for long. Jobs make no MPI
 * calls, but for reads of files opened in parallel where MPI was started with MPI_THREAD_MULTIPLE.
 *
 * The queue allocates nothing: a job belongs to who submits it, and stands still until it is done.
 * Nothing here is collective. */
#ifndef TWEEDIE_IO_H
#define TWEEDIE_IO_H

#include <stdbool.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_io tw_io;

enum { TW_IO_MESSAGE_MAX = 1024 };

/* One piece of work. The caller sets `run` and `self`, zeroes the rest, and leaves the struct alone
 * between submit and wait. */
typedef struct tw_io_job {
    tw_status (*run)(void *self); /* called on the thread */
    void *self;
    struct tw_io_job *next;          /* private from here on */
    int state;                       /* idle, queued or done */
    tw_status status;                /* what `run` returned */
    char message[TW_IO_MESSAGE_MAX]; /* and its message, where it failed */
} tw_io_job;

/* Starts the thread; it takes no signals. @return TW_ENOMEM if no thread can be had */
tw_status tw_io_create(tw_io **out);

/* Does what is queued, then ends the thread. */
void tw_io_destroy(tw_io **io);

/* Queues a job that is not queued already. The thread may start it at once. */
void tw_io_submit(tw_io *io, tw_io_job *job);

/* Waits until the job is done. The job may then be submitted again.
 * @return what the job returned, its message now this thread's; TW_OK for a job that was never
 * submitted */
tw_status tw_io_wait(tw_io *io, tw_io_job *job);

/* Does `run(self)` on the thread and waits for it; where `io` is NULL or this is the thread itself,
 * calls it here.
 * @return what it returned */
tw_status tw_io_call(tw_io *io, tw_status (*run)(void *self), void *self);

#ifdef __cplusplus
}
#endif

#endif
