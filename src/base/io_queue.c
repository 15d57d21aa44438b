/* The input and output thread: a list of jobs under one lock. */
#include "tweedie/io.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"

enum { IDLE, QUEUED, DONE };

struct tw_io {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t submitted, finished;
    tw_io_job *first, *last;
    bool ending;
};

static void do_job(tw_io_job *job)
{
    job->status = job->run(job->self);
    if (job->status != TW_OK) snprintf(job->message, sizeof job->message, "%s", tw_error_message());
}

static void *work(void *self)
{
    tw_io *io = self;
    pthread_mutex_lock(&io->lock);
    for (;;) {
        while (!io->first && !io->ending) pthread_cond_wait(&io->submitted, &io->lock);
        tw_io_job *job = io->first;
        if (!job) break; /* ending, and nothing left */
        io->first = job->next;
        if (!io->first) io->last = NULL;
        pthread_mutex_unlock(&io->lock);
        do_job(job);
        pthread_mutex_lock(&io->lock);
        job->state = DONE;
        pthread_cond_broadcast(&io->finished);
    }
    pthread_mutex_unlock(&io->lock);
    return NULL;
}

tw_status tw_io_create(tw_io **out)
{
    tw_status st = TW_OK;
    tw_io *io = NULL;
    sigset_t all, before;
    TW_TRY(tw_alloc(&io, 1, sizeof *io, "the input and output thread"));
    pthread_mutex_init(&io->lock, NULL);
    pthread_cond_init(&io->submitted, NULL);
    pthread_cond_init(&io->finished, NULL);
    /* a new thread inherits the mask: SIGUSR1 and SIGTERM are the main thread's to answer */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&io->thread, NULL, work, io);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        tw_free(&io);
        TW_FAIL(TW_ENOMEM, "the input and output thread cannot be started: %s", strerror(error));
    }
    *out = io;
done:
    return st;
}

void tw_io_destroy(tw_io **handle)
{
    tw_io *io = *handle;
    if (!io) return;
    pthread_mutex_lock(&io->lock);
    io->ending = true;
    pthread_cond_signal(&io->submitted);
    pthread_mutex_unlock(&io->lock);
    pthread_join(io->thread, NULL);
    pthread_cond_destroy(&io->finished);
    pthread_cond_destroy(&io->submitted);
    pthread_mutex_destroy(&io->lock);
    tw_free(handle);
}

void tw_io_submit(tw_io *io, tw_io_job *job)
{
    pthread_mutex_lock(&io->lock);
    job->state = QUEUED;
    job->status = TW_OK;
    job->next = NULL;
    if (io->last)
        io->last->next = job;
    else
        io->first = job;
    io->last = job;
    pthread_cond_signal(&io->submitted);
    pthread_mutex_unlock(&io->lock);
}

tw_status tw_io_wait(tw_io *io, tw_io_job *job)
{
    pthread_mutex_lock(&io->lock);
    if (job->state == IDLE) job->status = TW_OK;
    while (job->state == QUEUED) pthread_cond_wait(&io->finished, &io->lock);
    job->state = IDLE;
    pthread_mutex_unlock(&io->lock);
    return job->status == TW_OK ? TW_OK : tw_error_set(job->status, "%s", job->message);
}

tw_status tw_io_call(tw_io *io, tw_status (*run)(void *self), void *self)
{
    if (!io || pthread_equal(pthread_self(), io->thread)) return run(self);
    tw_io_job job = {.run = run, .self = self};
    tw_io_submit(io, &job);
    return tw_io_wait(io, &job);
}
