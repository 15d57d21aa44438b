/* The row-wise loops between the matrix products of attention. */
#ifndef TW_OPS_KERN_ATTENTION_H
#define TW_OPS_KERN_ATTENTION_H

#include "ops/kernel.h"
#include "ops/stored.h"

/* Indexed by how p and gs are stored (a tw_stored). */
typedef struct tw_kern_attention {
    /* p[r] = softmax(scale · s[r]) for rows of n; s is overwritten; p may be s where it is stored
     * as f32. scale > 0 */
    void (*softmax[TW_STORED_COUNT])(void *p, float *s, int64_t rows, int64_t n, float scale);
    /* gs[r] = scale · p[r] ∘ (gp[r] - Σ p[r] gp[r]); gs may be gp where it is stored as f32 */
    void (*softmax_grad[TW_STORED_COUNT])(void *gs, const void *p, const float *gp, int64_t rows,
                                          int64_t n, float scale);
} tw_kern_attention;

TW_KERNEL_DECLARE(tw_kern_attention);

#endif
