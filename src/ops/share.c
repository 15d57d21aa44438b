/* Ranges that change by compare-and-exchange. */
#include "ops/share.h"

#include <stddef.h>

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

void tw_share_begin(tw_share *s, int threads, int64_t items)
{
    s->parts = threads < TW_SHARE_PARTS ? threads : TW_SHARE_PARTS;
    for (int64_t k = 0; k < s->parts; k++)
        atomic_init(&s->part[k].range, range_of((uint64_t)(k * items / s->parts),
                                                (uint64_t)((k + 1) * items / s->parts)));
}

static bool exchange(tw_share_part *p, uint64_t *range, uint64_t by)
{
    return atomic_compare_exchange_weak_explicit(&p->range, range, by, memory_order_relaxed,
                                                 memory_order_relaxed);
}

/* The part with most items left; NULL: all are empty. */
static tw_share_part *fullest(tw_share *s)
{
    uint64_t most = 0;
    tw_share_part *which = NULL;
    for (int k = 0; k < s->parts; k++) {
        const uint64_t range = atomic_load_explicit(&s->part[k].range, memory_order_relaxed);
        if (end_of(range) - first_of(range) <= most) continue;
        most = end_of(range) - first_of(range);
        which = &s->part[k];
    }
    return which;
}

static int64_t take_last(tw_share *s)
{
    for (tw_share_part *p; (p = fullest(s));) {
        uint64_t range = atomic_load_explicit(&p->range, memory_order_relaxed);
        const uint64_t first = first_of(range), end = end_of(range);
        if (first < end && exchange(p, &range, range_of(first, end - 1))) return (int64_t)end - 1;
    }
    return -1;
}

int64_t tw_share_next(tw_share *s, int me, bool *more)
{
    tw_share_part *p = &s->part[me < s->parts ? me : 0];
    uint64_t range = me < s->parts ? atomic_load_explicit(&p->range, memory_order_relaxed) : 0;
    while (first_of(range) < end_of(range)) {
        const uint64_t first = first_of(range), end = end_of(range);
        *more = first + 1 < end;
        if (exchange(p, &range, range_of(first + 1, end))) return (int64_t)first;
    }
    *more = false;
    return take_last(s);
}
