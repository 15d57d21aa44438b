/* What oneDNN says of itself: its errors, and what it computes bf16 with. */
#include "ops/dnnl_compat.h"

const char *tw_dnnl_status_text(dnnl_status_t st)
{
    switch (st) {
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "unimplemented";
    case dnnl_runtime_error:
        return "runtime error";
    default:
        return "error";
    }
}

tw_dnnl_bf16 tw_dnnl_bf16_unit(void)
{
    static const struct {
        unsigned isa; /* a set of bits that holds those of every lesser one */
        tw_dnnl_bf16 unit;
    } table[] = {{dnnl_cpu_isa_avx512_core_amx, TW_DNNL_BF16_TILES},
                 {dnnl_cpu_isa_avx512_core_bf16, TW_DNNL_BF16_DOTS},
                 {dnnl_cpu_isa_avx512_core, TW_DNNL_BF16_EMULATED}};
    const unsigned has = (unsigned)dnnl_get_effective_cpu_isa();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if ((has & table[i].isa) == table[i].isa) return table[i].unit;
    return TW_DNNL_BF16_NONE;
}
