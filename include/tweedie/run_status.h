/* Where a run stands, from its files alone: also before its first checkpoint, beside its trainer,
 * and after its end. Reads, changes nothing; not collective. */
#ifndef TWEEDIE_RUN_STATUS_H
#define TWEEDIE_RUN_STATUS_H

#include <stdint.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tw_run_state {
    TW_RUN_NEW,      /* no step was logged yet, and nobody works on it */
    TW_RUN_STARTING, /* its lock is held, and the trainer that holds it has logged no step */
    TW_RUN_TRAINING,
    TW_RUN_SAVING, /* training, with a checkpoint half written */
    TW_RUN_STOPPED,
    TW_RUN_LOST, /* the lock is free, and no last line says how the trainer ended: killed, or its
                    machine went away */
    TW_RUN_FAILED,
    TW_RUN_DIVERGED,
    TW_RUN_FINISHED
} tw_run_state;

/* Numbers that nothing says are NaN, or -1 where they count. */
typedef struct tw_run_status {
    tw_run_state state;
    char holder[512];              /* of the lock; "": nobody */
    int64_t step, steps;           /* logged; of the whole run */
    int64_t batch, ranks, threads; /* of the last part */
    int64_t restarts;
    double loss,
        loss_before; /* means of the newest lines, at most 10, and of as many before them */
    double validation, validation_before; /* the newest, and the one before */
    double rate; /* samples a second by the clock, saves, grids and validation counted, of the last
                    part */
    double seconds;    /* by the clock, all parts, from start to their last line */
    double core_hours; /* the same, times ranks and threads; NaN where a part does not say */
    double seconds_left, core_hours_left; /* at this rate */
    double silent;           /* seconds since the newest line, by this machine's clock */
    char checkpoint[4096];   /* the newest file that bears the name of one; "" */
    int64_t checkpoint_step; /* -1 */
    double checkpoint_age;   /* seconds, by the file's time */
} tw_run_status;

const char *tw_run_state_name(tw_run_state state); /* "training" */

/* @param now  seconds since 1970 (tw_clock_wall_seconds)
 * @return TW_ENOINPUT where `run` is no directory; TW_EDATA where it holds nothing of a run */
tw_status tw_run_status_read(tw_run_status *out, const char *run, double now);

#ifdef __cplusplus
}
#endif

#endif
