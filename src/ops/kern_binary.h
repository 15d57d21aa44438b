/* Rows of a against repeated elements of b. */
#ifndef TW_OPS_KERN_BINARY_H
#define TW_OPS_KERN_BINARY_H

#include "ops/kernel.h"

typedef enum tw_binary {
    TW_BINARY_ADD,
    TW_BINARY_SUB,
    TW_BINARY_MUL,
    TW_BINARY_SECOND,
    TW_BINARY_COUNT
} tw_binary;

/* out[r][i] = a[r][i] op b[r · step + i], or op b[r · step]; i < n. SECOND is b itself and does not
 * read a. out may be a. */
typedef void tw_binary_loop(void *out, const void *a, const void *b, int64_t rows, int64_t n,
                            int64_t step);

typedef struct tw_kern_binary {
    tw_binary_loop *loop[TW_BINARY_COUNT][2][2]
                        [2]; /* [op][type of a and out][type of b][one element of b a row] */
} tw_kern_binary;

TW_KERNEL_DECLARE(tw_kern_binary);

#endif
