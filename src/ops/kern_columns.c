/* Column sums and conversions: memory-bound loops that the compiler vectorises over columns. */
#include "ops/kern_columns.h"

static void add_f32(float *restrict sum, const float *restrict x, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) sum[c] += x[r * columns + c];
}

static void add_bf16(float *restrict sum, const tw_bf16 *restrict x, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) sum[c] += tw_from_bf16(x[r * columns + c]);
}

static void to_bf16(tw_bf16 *restrict y, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = tw_to_bf16(x[i]);
}

static void to_f32(float *restrict y, const tw_bf16 *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = tw_from_bf16(x[i]);
}

const tw_kern_columns TW_KERNEL(tw_kern_columns) = {add_f32, add_bf16, to_bf16, to_f32};
