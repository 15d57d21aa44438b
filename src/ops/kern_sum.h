/* Sums. Short stretches are added in f32 lanes and these in double, so the error does not grow with
 * the length, and the order of additions is that of the loops alone. */
#ifndef TW_OPS_KERN_SUM_H
#define TW_OPS_KERN_SUM_H

#include "ops/kernel.h"

/* total[i] = sum over r of x[r · step + i]; i < n */
typedef void tw_sum_columns(double *total, const void *x, int64_t rows, int64_t n, int64_t step);

/* the sum of n neighbours */
typedef double tw_sum_row(const void *x, int64_t n);

/* the sum of (a - b)² */
typedef double tw_sum_squares(const void *a, const void *b, int64_t n);

typedef struct tw_kern_sum {
    tw_sum_columns *columns[2];
    tw_sum_row *row[2];
    tw_sum_squares *squares[2][2]; /* [type of a][type of b] */
} tw_kern_sum;

TW_KERNEL_DECLARE(tw_kern_sum);

#endif
