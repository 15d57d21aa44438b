/* Which precision `auto` is. */
#include <cpuid.h>

#include "ops/kernel.h"
#include "tweedie/plan.h"

/* CPUID leaf 7: EDX bit 22 is AMX-BF16, bit 24 AMX-TILE. */
static bool has_amx_bf16(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    return (d >> 22 & 1u) && (d >> 24 & 1u);
}

tw_precision tw_precision_resolve(tw_precision wish)
{
    if (wish != TW_PRECISION_AUTO) return wish;
    return has_amx_bf16() ? TW_PRECISION_BF16 : TW_PRECISION_F32;
}

const char *tw_precision_name(tw_precision p)
{
    return p == TW_PRECISION_F32 ? "f32" : p == TW_PRECISION_BF16 ? "bf16" : "auto";
}

bool tw_precision_supported(tw_precision p)
{
    return p != TW_PRECISION_BF16 || tw_isa_get() == TW_ISA_AVX512;
}
