/* Cutting a flat gradient into buckets. Large buckets use the network well and small ones start
 * early; 8 to 16 MB are on the flat part of both. What the backward pass finishes last is hidden by
 * nothing, so that bucket is a small one. */
#include <stdlib.h>

#include "tweedie/memory.h"
#include "tweedie/reducer.h"

typedef struct part {
    int64_t offset, size, order; /* order: when it is final */
} part;

static int by_offset(const void *a, const void *b)
{
    const part *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Sorts parts[i].order, the time of bucket i, together with the buckets: few, so by insertion. */
static void sort_by_time(tw_reducer_bucket *buckets, int64_t *times, int count)
{
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && times[j - 1] > times[j]; j--) {
            int64_t time = times[j];
            tw_reducer_bucket bucket = buckets[j];
            times[j] = times[j - 1];
            buckets[j] = buckets[j - 1];
            times[j - 1] = time;
            buckets[j - 1] = bucket;
        }
}

/* parts[first … last) as one bucket. */
static void close_bucket(tw_reducer_bucket *bucket, int64_t *time, const part *parts, int64_t first,
                         int64_t last)
{
    bucket->offset = parts[first].offset;
    bucket->count = parts[last - 1].offset + parts[last - 1].size - parts[first].offset;
    *time = 0;
    for (int64_t i = first; i < last; i++)
        if (parts[i].order > *time) *time = parts[i].order;
}

tw_status tw_reducer_cut(const int64_t *offsets, const int64_t *sizes, int64_t parameters,
                         int64_t target, tw_reducer_bucket *buckets, int *bucket_count_out)
{
    tw_status st = TW_OK;
    part *parts = NULL;
    int64_t *times = NULL, at = 0, low = 0, last, floats = 0;
    int count = 0;

    TW_TRY(tw_alloc(&parts, parameters, sizeof *parts, "the parameters of the buckets"));
    TW_TRY(tw_alloc(&times, parameters, sizeof *times, "the parameters of the buckets"));
    for (int64_t i = 0; i < parameters; i++) parts[i] = (part){offsets[i], sizes[i], i};
    qsort(parts, (size_t)parameters, sizeof *parts, by_offset);
    for (int64_t i = 0; i < parameters; i++) {
        TW_CHECK(parts[i].offset == at && parts[i].size > 0, TW_EINTERNAL,
                 "a parameter begins at %lld with %lld floats where %lld was expected",
                 (long long)parts[i].offset, (long long)parts[i].size, (long long)at);
        at += parts[i].size;
    }
    while (low < parameters && (low == 0 || floats + parts[low].size <= target / 4))
        floats += parts[low++].size;
    last = parameters; /* parts[low … last) are still to be cut, from the high end */
    floats = 0;
    for (int64_t i = parameters; i-- > low;) {
        floats += parts[i].size;
        if (floats < target && i > low) continue;
        close_bucket(&buckets[count], &times[count], parts, i, last);
        count++;
        last = i;
        floats = 0;
    }
    if (low > 0) {
        close_bucket(&buckets[count], &times[count], parts, 0, low);
        count++;
    }
    sort_by_time(buckets, times, count);
    *bucket_count_out = count;
done:
    tw_free(&parts);
    tw_free(&times);
    return st;
}
