/* Sums over rows, in pieces. */
#include "ops/column_sum.h"

#include <string.h>

#include "ops/kern_columns.h"

enum { PIECES = 64 };

size_t tw_column_sum_scratch(int64_t columns)
{
    return ((size_t)columns * PIECES * sizeof(float) + TW_ALIGNMENT - 1) / TW_ALIGNMENT *
           TW_ALIGNMENT;
}

void tw_column_sum(float *out, const void *x, tw_dtype type, int64_t rows, int64_t columns,
                   void *scratch)
{
    const tw_kern_columns *k = TW_KERNEL_SELECT(tw_kern_columns);
    float *partial = scratch;
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < PIECES; p++) {
        const int64_t first = rows * p / PIECES, last = rows * (p + 1) / PIECES;
        memset(partial + p * columns, 0, (size_t)columns * sizeof *partial);
        if (type == TW_DTYPE_BF16)
            k->add_bf16(partial + p * columns, (const tw_bf16 *)x + first * columns, last - first,
                        columns);
        else
            k->add_f32(partial + p * columns, (const float *)x + first * columns, last - first,
                       columns);
    }
    memset(out, 0, (size_t)columns * sizeof *out);
    k->add_f32(out, partial, PIECES, columns);
}
