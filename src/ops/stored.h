/* How a tensor lies in memory, as far as kernels must know. */
#ifndef TW_OPS_STORED_H
#define TW_OPS_STORED_H

#include "ops/op.h"

/* TW_STORED_BF16_NATIVE is bf16 where the processor has AVX512_BF16, which is no instruction set of
 * ours: kernels that are compiled for AVX-512 then take its rounding instruction, a tenth of the
 * work of theirs. It reads denormal numbers as 0. */
typedef enum tw_stored {
    TW_STORED_F32,
    TW_STORED_BF16,
    TW_STORED_BF16_NATIVE,
    TW_STORED_COUNT
} tw_stored;

/* The one of this processor for tensors of a type. */
tw_stored tw_stored_of(tw_dtype type);

#endif
