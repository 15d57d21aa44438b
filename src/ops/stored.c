/* How a tensor lies in memory, as far as kernels must know. */
#include "ops/stored.h"

#include "tweedie/processor.h"

tw_stored tw_stored_of(tw_dtype type)
{
    if (type != TW_DTYPE_BF16) return TW_STORED_F32;
    if (tw_processor_allowed().avx512_bf16) return TW_STORED_BF16_NATIVE;
    return TW_STORED_BF16;
}
