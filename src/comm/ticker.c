/* A thread that does something four times a second. */
#include "comm/ticker.h"

#include <signal.h>
#include <string.h>
#include <time.h>

static void *run(void *self)
{
    ticker *t = self;
    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 250000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&t->stopping, &t->lock, &until);
        if (t->stop) break;
        pthread_mutex_unlock(&t->lock);
        t->tick(t->self);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

tw_status ticker_start(ticker *t, void (*tick)(void *self), void *self, const char *what)
{
    tw_status st = TW_OK;
    sigset_t all, before;
    pthread_condattr_t clock;
    *t = (ticker){.tick = tick, .self = self};
    /* A wall clock that is set back would stop the ticks for as long. */
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&t->stopping, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&t->lock, NULL);
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&t->thread, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->running = code == 0;
    TW_CHECK(t->running, TW_ENOMEM, "%s cannot be started: %s", what, strerror(code));
done:
    return st;
}

void ticker_stop(ticker *t)
{
    if (!t->running) return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->stopping);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->stopping);
    pthread_mutex_destroy(&t->lock);
    t->running = false;
}
