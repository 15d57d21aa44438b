/* Softmax over rows, and its gradient. */
#ifndef TW_OPS_KERN_SOFTMAX_H
#define TW_OPS_KERN_SOFTMAX_H

#include "ops/kernel.h"

/* y[r] = softmax(scale · x[r]); y may be x */
typedef void tw_softmax_loop(void *y, const void *x, int64_t rows, int64_t n, float scale);

/* gx[r] = scale · y[r] ∘ (gy[r] - Σ gy[r] y[r]); gx may be gy or y */
typedef void tw_softmax_grad_loop(void *gx, const void *y, const void *gy, int64_t rows, int64_t n,
                                  float scale);

typedef struct tw_kern_softmax {
    tw_softmax_loop *forward[2];
    tw_softmax_grad_loop *backward[2];
} tw_kern_softmax;

TW_KERNEL_DECLARE(tw_kern_softmax);

#endif
