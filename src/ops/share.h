/* Items 0 … n - 1 shared out among threads: to each a part of its own, which it takes in order, so
 * that it can fetch what comes next; who has none left takes the last of whoever has most. So cores
 * of unequal speed, or one that something else interrupts, end together. Who computes an item must
 * not matter for its result. */
#ifndef TW_OPS_SHARE_H
#define TW_OPS_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* One thread's part, in a line of a cache: first in the upper half, end in the lower one. */
typedef struct tw_share {
    _Alignas(64) _Atomic uint64_t range;
} tw_share;

/* Parts for `threads` threads at `parts`, before they begin; items < 2^32. */
void tw_share_out(tw_share *parts, int threads, int64_t items);

/* The next item for thread `me` < threads, -1 when none is left; whether the one behind it is
 * likely to be this thread's too. */
int64_t tw_share_next(tw_share *parts, int threads, int me, bool *more);

#endif
