/* Loops along one dimension of a tensor, on a strip of at most TW_AXIS_STRIP neighbours behind it:
 * position p of a tensor's strip begins at p · step elements. */
#ifndef TW_OPS_KERN_AXIS_H
#define TW_OPS_KERN_AXIS_H

#include "ops/kernel.h"

enum { TW_AXIS_STRIP = 128, TW_AXIS_WINDOW_MAX = 31 };

/* Rows of a sparse matrix: row p has the columns column[first[p] … first[p + 1]) in ascending
 * order. */
typedef struct tw_axis_matrix {
    int64_t rows;
    const int64_t *first, *column;
    const float *weight;
} tw_axis_matrix;

/* out[p] = Σ weight · x[column] */
typedef void tw_axis_mix(void *out, const void *x, const tw_axis_matrix *m, int64_t step,
                         int64_t n);

/* out[p] = max x[q], |q - p| <= window / 2; NaN stays NaN */
typedef void tw_axis_max(void *out, const void *x, int64_t length, int64_t window, int64_t step,
                         int64_t n);

/* gx[q] = Σ gy[p] over the p whose largest x is the first at q */
typedef void tw_axis_max_grad(void *gx, const void *x, const void *gy, int64_t length,
                              int64_t window, int64_t step, int64_t n);

typedef struct tw_kern_axis {
    tw_axis_mix *mix[2];
    tw_axis_max *max[2];
    tw_axis_max_grad *max_grad[2];
} tw_kern_axis;

TW_KERNEL_DECLARE(tw_kern_axis);

#endif
