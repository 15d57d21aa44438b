/* How much of the initial weights an average still holds. */
#ifndef RUN_EMA_AGE_H
#define RUN_EMA_AGE_H

#include <stdbool.h>

#include "tweedie/checkpoint.h"

/* From this share on an average is told to be young: its samples show it. */
#define TW_EMA_YOUNG 0.1

/* The weight of the initial parameters in an average after `updates` updates: the product of their
 * decays (tw_ema_decay), rate^updates without warm-up. */
double tw_ema_initial_share(double rate, bool warmup, int64_t updates);

/* Warns where the weights that meta->weights names are an average that is young, with the share and
 * what to use instead. Not collective: for rank zero. */
void tw_ema_warn(const tw_checkpoint_meta *meta);

#endif
