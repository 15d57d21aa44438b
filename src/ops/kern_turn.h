/* Rearranges bf16 pixels for products by tiles (tile_product.h). */
#ifndef TW_OPS_KERN_TURN_H
#define TW_OPS_KERN_TURN_H

#include "ops/kernel.h"

enum { TW_TURN_PIXELS = 32, TW_TURN_CHANNELS = 16 /* what is written is a multiple of it */ };

typedef struct tw_kern_turn {
    /* to[c · stride + j] = pixel[j][c], j < TW_TURN_PIXELS; zeros behind the last channel. */
    void (*turn)(tw_bf16 *to, int64_t stride, const tw_bf16 *const *pixel, int64_t channels);
    /* to[c / 16 · panel + c % 16 · 2] = a[c], and b[c] after it; zeros behind the last channel. */
    void (*pair)(tw_bf16 *to, int64_t panel, const tw_bf16 *a, const tw_bf16 *b, int64_t channels);
} tw_kern_turn;

TW_KERNEL_DECLARE(tw_kern_turn);

#endif
