/* Items 0 … n - 1 shared out among threads: to each a part of its own, which it takes in order, so
 * that it can fetch what comes next; who has none left takes the last of whoever has most. So cores
 * of unequal speed, or one that something else interrupts, end together. Who computes an item must
 * not matter for its result. */
#ifndef TW_OPS_SHARE_H
#define TW_OPS_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TW_SHARE_PARTS = 128 }; /* threads beyond have none of their own, and take from others */

/* One thread's part, in a line of a cache: first in the upper half, end in the lower one. */
typedef struct tw_share_part {
    _Alignas(64) _Atomic uint64_t range;
} tw_share_part;

typedef struct tw_share {
    tw_share_part part[TW_SHARE_PARTS];
    int parts;
} tw_share;

/* Before threads begin; items < 2^32. */
void tw_share_begin(tw_share *s, int threads, int64_t items);

/* The next item for thread `me`, -1 when none is left; whether the one behind it is likely to be
 * this thread's too. */
int64_t tw_share_next(tw_share *s, int me, bool *more);

#endif
