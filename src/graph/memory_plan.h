/* Where values lie in a plan's arena: each from the task that writes it to the last that reads it,
 * forward and backward together. */
#ifndef TW_GRAPH_MEMORY_PLAN_H
#define TW_GRAPH_MEMORY_PLAN_H

#include <stddef.h>

#include "tweedie/memory.h"

/* One buffer: alive from task `first` to task `last`, both included. */
typedef struct tw_buffer {
    size_t bytes;
    int first, last;
    size_t offset; /* the answer */
} tw_buffer;

/* Gives each buffer an offset, a multiple of TW_ALIGNMENT, so that no two that are alive at once
 * overlap: largest first, each at the lowest place that is free for its life. Deterministic.
 * @param taken  [taken_count], in the order of offsets, multiples of TW_ALIGNMENT: what has its
 * place already
 * @param[out] total  where the last of the buffers ends */
tw_status tw_memory_plan(tw_buffer *buffers, int count, const tw_buffer *taken, int taken_count,
                         size_t *total);

#endif
