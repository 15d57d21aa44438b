/* Which instruction set the kernels use. */
#include <stdlib.h>
#include <string.h>

#include "ops/kernel.h"

static tw_isa best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return TW_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi2"))
        return TW_ISA_AVX2;
#endif
    return TW_ISA_BASELINE;
}

static tw_isa chosen(void)
{
    tw_isa isa = best();
    const char *wish = getenv("TWEEDIE_ISA");
    if (wish && strcmp(wish, "baseline") == 0) return TW_ISA_BASELINE;
    if (wish && strcmp(wish, "avx2") == 0 && isa > TW_ISA_AVX2) return TW_ISA_AVX2;
    return isa;
}

tw_isa tw_isa_get(void)
{
    static _Thread_local int known = -1; /* getenv in each thread once: no lock, the same answer */
    if (known < 0) known = (int)chosen();
    return (tw_isa)known;
}
