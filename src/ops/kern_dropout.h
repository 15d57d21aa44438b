/* Dropout. */
#ifndef TW_OPS_KERN_DROPOUT_H
#define TW_OPS_KERN_DROPOUT_H

#include "ops/dropout_mask.h"

/* out = x masked and scaled: n elements of one sample from `first` on, a multiple of 256; out may
 * be x */
typedef void tw_dropout_loop(void *out, const void *x, int64_t n, const tw_dropout_mask *mask,
                             tw_rng_key key, int64_t first);

typedef struct tw_kern_dropout {
    tw_dropout_loop *loop[2];
} tw_kern_dropout;

TW_KERNEL_DECLARE(tw_kern_dropout);

#endif
