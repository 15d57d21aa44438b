/* Training: the loop that everything else is for. */
#ifndef TWEEDIE_TRAIN_H
#define TWEEDIE_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_train_options {
    const char *config;   /* the configuration file */
    const char *run;      /* the run directory */
    int assignment_count; /* section.key=value, over the file */
    char *const *assignments;
    const char *init;         /* weights to start a new run from; NULL or "" */
    const char *init_weights; /* which of them ("raw", "ema:RATE"); NULL or "": the default */
    double max_hours;         /* stop, saved, after so long; 0: never */
    int64_t stop_at_step;     /* stop, saved, after this step; 0: never */
    bool dry_run;             /* check, estimate, and change nothing */
} tw_train_options;

/* Trains a new run, or resumes from the newest checkpoint that verifies. RUN/train.log stays open
 * for what the caller still has to say (tw_log_close). Collective on `comm`.
 * @return TW_OK when train.steps are done; TW_ESTOPPED after an early stop with a complete
 * checkpoint; TW_EDIVERGED where loss or gradient is not finite, or the gradient overflows Adam's
 * moments (the last good checkpoint stands);
 * TW_ECONFIG for a bad configuration or a changed fixed key; TW_ELOCKED where another process
 * trains this run; the same on all ranks */
tw_status tw_train(const tw_comm *comm, const tw_train_options *options);

#ifdef __cplusplus
}
#endif

#endif
