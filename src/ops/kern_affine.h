/* Elementwise loops of one operand. */
#ifndef TW_OPS_KERN_AFFINE_H
#define TW_OPS_KERN_AFFINE_H

#include "ops/kernel.h"

/* out = scale · x + shift; out may be x. scale 0 does not read x. */
typedef void tw_affine_loop(void *out, const void *x, int64_t n, float scale, float shift);

/* The same numbers in another type. */
typedef void tw_cast_loop(void *out, const void *x, int64_t n);

typedef struct tw_kern_affine {
    tw_affine_loop *affine[2]; /* [type] */
    tw_cast_loop *cast[2][2];  /* [type of out][type of x] */
} tw_kern_affine;

TW_KERNEL_DECLARE(tw_kern_affine);

#endif
