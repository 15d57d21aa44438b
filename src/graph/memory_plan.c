/* Greedy placement by size, the method of TensorFlow Lite's planner (Pisarchyk and Lee 2020):
 * within a few per cent of the lower bound on U-Nets, in O(n²). */
#include "graph/memory_plan.h"

#include <stdlib.h>

static int larger_first(const void *a, const void *b)
{
    const tw_buffer *x = *(tw_buffer *const *)a, *y = *(tw_buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int lower_first(const void *a, const void *b)
{
    const tw_buffer *x = *(const tw_buffer *const *)a, *y = *(const tw_buffer *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static size_t aligned(size_t bytes)
{
    return (bytes + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

/* The lowest gap between placed buffers (sorted by offset) that share some of b's life. */
static size_t lowest_gap(const tw_buffer *const *placed, int n, const tw_buffer *b)
{
    size_t offset = 0;
    for (int i = 0; i < n; i++) {
        const tw_buffer *p = placed[i];
        if (p->last < b->first || b->last < p->first) continue;
        if (p->offset >= offset + aligned(b->bytes)) break;
        if (p->offset + aligned(p->bytes) > offset) offset = p->offset + aligned(p->bytes);
    }
    return offset;
}

tw_status tw_memory_plan(tw_buffer *buffers, int count, const tw_buffer *taken, int taken_count,
                         size_t *total)
{
    tw_status st = TW_OK;
    tw_buffer **order = NULL;
    const tw_buffer **placed = NULL;
    size_t end = 0;
    TW_TRY(tw_alloc(&order, count, sizeof(tw_buffer *), "a memory plan"));
    TW_TRY(tw_alloc(&placed, count + taken_count, sizeof(tw_buffer *), "a memory plan"));
    for (int i = 0; i < taken_count; i++) placed[i] = &taken[i];
    for (int i = 0; i < count; i++) order[i] = &buffers[i];
    qsort(order, (size_t)count, sizeof(tw_buffer *), larger_first);
    for (int i = 0; i < count; i++) {
        const int n = taken_count + i;
        order[i]->offset = lowest_gap(placed, n, order[i]);
        placed[n] = order[i];
        qsort(placed, (size_t)n + 1, sizeof(tw_buffer *), lower_first);
        if (end < order[i]->offset + aligned(order[i]->bytes))
            end = order[i]->offset + aligned(order[i]->bytes);
    }
    *total = end;
done:
    tw_free(&order);
    tw_free(&placed);
    return st;
}
