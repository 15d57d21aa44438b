/* Buckets in the order of their offsets: what finds those that a range of the gradient touches. */
#include <stdlib.h>

#include "comm/comm_private.h"
#include "comm/reducer_node.h"

static const tw_reducer_bucket
    *compared; /* qsort passes no context; creation is collective and so never concurrent */

static int by_offset(const void *a, const void *b)
{
    int64_t x = compared[*(const int *)a].offset, y = compared[*(const int *)b].offset;
    return (x > y) - (x < y);
}

tw_status reducer_sort_buckets(int *order, const tw_reducer_bucket *buckets, int bucket_count,
                               int64_t count)
{
    tw_status st = TW_OK;
    int64_t at = 0;
    for (int b = 0; b < bucket_count; b++) order[b] = b;
    compared = buckets;
    qsort(order, (size_t)bucket_count, sizeof *order, by_offset);
    for (int i = 0; i < bucket_count; i++) {
        const tw_reducer_bucket *b = &buckets[order[i]];
        TW_CHECK(b->count <= CHUNK_MAX, TW_ECONFIG,
                 "a parameter of %lld numbers is too large: %d can be summed over ranks at a time",
                 (long long)b->count, CHUNK_MAX);
        TW_CHECK(b->offset == at && b->count > 0, TW_EINTERNAL,
                 "bucket %d begins at %lld with %lld floats where %lld was expected", order[i],
                 (long long)b->offset, (long long)b->count, (long long)at);
        at += b->count;
    }
    TW_CHECK(at == count, TW_EINTERNAL, "the buckets hold %lld floats and the gradient %lld",
             (long long)at, (long long)count);
done:
    return st;
}

int reducer_find_bucket(const int *order, const tw_reducer_bucket *buckets, int bucket_count,
                        int64_t offset)
{
    int low = 0, high = bucket_count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (buckets[order[middle]].offset <= offset)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}
