/* Rows of pixels, repeated and summed. */
#ifndef TW_OPS_KERN_RESAMPLE_H
#define TW_OPS_KERN_RESAMPLE_H

#include "ops/kernel.h"

/* out: each of `pixels` pixels of c channels, times scale, `factor` times */
typedef void tw_repeat_pixels(void *out, const void *x, int64_t pixels, int64_t c, int64_t factor,
                              float scale);

/* out: `pixels` pixels, each scale times the sum over a window of size[0] x size[1] x size[2]
 * pixels that are step[k] elements apart; windows follow each other at size[2] pixels */
typedef void tw_pool_pixels(void *out, const void *x, int64_t pixels, int64_t c,
                            const int64_t size[3], const int64_t step[3], float scale);

typedef struct tw_kern_resample {
    tw_repeat_pixels *repeat[2];
    tw_pool_pixels *pool[2];
} tw_kern_resample;

TW_KERNEL_DECLARE(tw_kern_resample);

#endif
