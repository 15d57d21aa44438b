/* A thread that does something four times a second, until it is told to stop. */
#ifndef TWEEDIE_COMM_TICKER_H
#define TWEEDIE_COMM_TICKER_H

#include <pthread.h>
#include <stdbool.h>

#include "tweedie/status.h"

/* One thread starts and stops it. The lock guards `stop` alone and is not held while tick runs:
 * tick may take its own locks, and shares its data with other threads by means of its own. */
typedef struct ticker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopping;
    bool running, stop;
    void (*tick)(void *self);
    void *self;
} ticker;

/* @param what  names the thread in messages ("the watchdog's thread")
 * @return TW_ENOMEM */
tw_status ticker_start(ticker *t, void (*tick)(void *self), void *self, const char *what);

/* Returns when the thread has ended. Does nothing where it was not started. */
void ticker_stop(ticker *t);

#endif
