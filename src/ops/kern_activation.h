/* Activations and their derivatives. */
#ifndef TW_OPS_KERN_ACTIVATION_H
#define TW_OPS_KERN_ACTIVATION_H

#include "ops/kernel.h"
#include "tweedie/graph.h"

enum { TW_ACTIVATION_ORDER_MAX = 3 };

/* out = f(x) for order 0, else gy · f^(order)(x); out may be x or gy. */
typedef void tw_activation_loop(void *out, const void *x, const void *gy, int64_t n);

typedef struct tw_kern_activation {
    tw_activation_loop
        *loop[TW_ACTIVATION_COUNT][TW_ACTIVATION_ORDER_MAX + 1][2]; /* [kind][order][type] */
} tw_kern_activation;

TW_KERNEL_DECLARE(tw_kern_activation);

#endif
