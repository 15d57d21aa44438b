/* How a tensor lies in memory, as far as kernels must know. */
#include "ops/stored.h"

#include "ops/kernel.h"

tw_stored tw_stored_of(tw_dtype type)
{
    if (type != TW_DTYPE_BF16) return TW_STORED_F32;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (tw_isa_get() == TW_ISA_AVX512 && __builtin_cpu_supports("avx512bf16"))
        return TW_STORED_BF16_NATIVE;
#endif
    return TW_STORED_BF16;
}
