/* Whether a loss is far above what it has been: a warning before a divergence, or after one that
 * clipping has hidden. */
#ifndef TRAIN_LOSS_WATCH_H
#define TRAIN_LOSS_WATCH_H

#include <stdbool.h>

/* The window is long enough that its median does not move with the noise of single batches, and
 * judged only when it is half full: the first steps of a run fall steeply. */
enum { LOSS_WATCH_WINDOW = 101, LOSS_WATCH_FACTOR = 10 };

typedef struct loss_watch {
    double recent[LOSS_WATCH_WINDOW]; /* a ring */
    double sorted[LOSS_WATCH_WINDOW]; /* the same losses in order */
    int count, next;
    int quiet; /* steps until it may be said again */
} loss_watch;

/* Takes the loss of the next step, which must be finite. Allocates nothing.
 * @param[out] median  of the losses before it
 * @return true where it exceeds that median tenfold, and this has not been said since the losses
 * last stayed below for a whole window */
bool loss_watch_add(loss_watch *w, double loss, double *median);

#endif
