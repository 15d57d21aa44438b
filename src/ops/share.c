/* Ranges that change by compare-and-exchange. */
#include "ops/share.h"

static uint64_t range_of(uint64_t first, uint64_t end)
{
    return first << 32 | end;
}

static uint64_t first_of(uint64_t range)
{
    return range >> 32;
}

static uint64_t end_of(uint64_t range)
{
    return range & UINT32_MAX;
}

void tw_share_out(tw_share *parts, int threads, int64_t items)
{
    for (int64_t k = 0; k < threads; k++)
        atomic_init(&parts[k].range, range_of((uint64_t)(k * items / threads),
                                              (uint64_t)((k + 1) * items / threads)));
}

/* The part with most items left; -1: all are empty. */
static int fullest(tw_share *parts, int threads)
{
    uint64_t most = 0;
    int which = -1;
    for (int k = 0; k < threads; k++) {
        const uint64_t range = atomic_load_explicit(&parts[k].range, memory_order_relaxed);
        if (end_of(range) - first_of(range) <= most) continue;
        most = end_of(range) - first_of(range);
        which = k;
    }
    return which;
}

int64_t tw_share_next(tw_share *parts, int threads, int me, bool *more)
{
    uint64_t range = atomic_load_explicit(&parts[me].range, memory_order_relaxed);
    while (first_of(range) < end_of(range)) {
        const uint64_t first = first_of(range), end = end_of(range);
        *more = first + 1 < end;
        if (atomic_compare_exchange_weak_explicit(&parts[me].range, &range,
                                                  range_of(first + 1, end), memory_order_relaxed,
                                                  memory_order_relaxed))
            return (int64_t)first;
    }
    *more = false;
    for (int which; (which = fullest(parts, threads)) >= 0;) {
        range = atomic_load_explicit(&parts[which].range, memory_order_relaxed);
        const uint64_t first = first_of(range), end = end_of(range);
        if (first < end && atomic_compare_exchange_weak_explicit(
                               &parts[which].range, &range, range_of(first, end - 1),
                               memory_order_relaxed, memory_order_relaxed))
            return (int64_t)end - 1;
    }
    return -1;
}
