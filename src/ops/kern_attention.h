/* The row-wise loops between the matrix products of attention. */
#ifndef TW_OPS_KERN_ATTENTION_H
#define TW_OPS_KERN_ATTENTION_H

#include "ops/kernel.h"
#include "ops/stored.h"

/* Indexed by how p and gs are stored (a tw_stored). What is written may begin where the f32 matrix
 * does that it is made of. scale > 0 */
typedef struct tw_kern_attention {
    /* p[r] = softmax(scale · s[r]) for rows of n; top[r] = the largest s, inverse[r] = 1 / Σ
     * exp(scale (s - top)), unless top is NULL; s is overwritten */
    void (*softmax[TW_STORED_COUNT])(void *p, float *s, float *top, float *inverse, int64_t rows,
                                     int64_t n, float scale);
    /* The same p, from top and inverse. */
    void (*again[TW_STORED_COUNT])(void *p, const float *s, const float *top, const float *inverse,
                                   int64_t rows, int64_t n, float scale);
    /* gs[r] = scale · p[r] ∘ (gp[r] - Σ p[r] gp[r]) */
    void (*softmax_grad[TW_STORED_COUNT])(void *gs, const void *p, const float *gp, int64_t rows,
                                          int64_t n, float scale);
} tw_kern_attention;

TW_KERNEL_DECLARE(tw_kern_attention);

#endif
