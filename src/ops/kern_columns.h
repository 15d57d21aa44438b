/* Loops over the rows of a matrix, and conversion between types. */
#ifndef TW_OPS_KERN_COLUMNS_H
#define TW_OPS_KERN_COLUMNS_H

#include "ops/kernel.h"

typedef struct tw_kern_columns {
    /* sum[c] += Σ_r x[r, c] */
    void (*add_f32)(float *sum, const float *x, int64_t rows, int64_t columns);
    void (*add_bf16)(float *sum, const tw_bf16 *x, int64_t rows, int64_t columns);
    void (*to_bf16)(tw_bf16 *y, const float *x, int64_t n);
    void (*to_f32)(float *y, const tw_bf16 *x, int64_t n);
} tw_kern_columns;

TW_KERNEL_DECLARE(tw_kern_columns);

#endif
