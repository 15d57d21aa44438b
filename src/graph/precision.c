/* Which precision `auto` is, and whether bf16 is the processor's own. */
#include "ops/dnnl_compat.h"
#include "tweedie/plan.h"
#include "tweedie/processor.h"

static bool has_amx(const tw_processor *p)
{
    return p->amx_bf16;
}

/* AMD's processors have AVX512_BF16 from Zen 4 on. */
static bool has_zen4(const tw_processor *p)
{
    return p->amd && p->avx512_bf16;
}

static bool has_avx512_bf16(const tw_processor *p)
{
    return p->avx512_bf16;
}

static bool any(const tw_processor *p)
{
    (void)p;
    return true;
}

/* The first row that fits decides. Measured: a CIFAR-10 DDPM step of 16 images, bf16 against f32.
 */
static const struct {
    bool (*fits)(const tw_processor *p);
    tw_precision precision;
    const char *reason;
} table[] = {
    /* Sapphire Rapids class, one core: 1007 against 4227 ms */
    {has_amx, TW_PRECISION_BF16, "AMX"},
    /* Zen 4, two cores: 1.9 times as fast; both 512-bit bf16 dot products and f32 multiply-adds run
     * in two passes of 256 bits, the former with twice the numbers */
    {has_zen4, TW_PRECISION_BF16, "AVX512_BF16 of Zen 4 or later"},
    /* an Intel processor with its AMX left unused: 1.5 times as slow */
    {has_avx512_bf16, TW_PRECISION_F32, "AVX512_BF16 that is slower than f32"},
    {any, TW_PRECISION_F32, "no bf16 unit"},
};

tw_precision tw_precision_of(const tw_processor *p, const char **reason)
{
    int i = 0;
    while (!table[i].fits(p)) i++;
    if (reason) *reason = table[i].reason;
    return table[i].precision;
}

tw_precision tw_precision_resolve(tw_precision wish)
{
    tw_processor p = tw_processor_allowed();
    if (wish != TW_PRECISION_AUTO) return wish;
    p.avx512_bf16 = p.avx512_bf16 && tw_dnnl_bf16_unit() >= TW_DNNL_BF16_DOTS;
    p.amx_bf16 = p.amx_bf16 && tw_dnnl_bf16_unit() >= TW_DNNL_BF16_TILES;
    return tw_precision_of(&p, NULL);
}

const char *tw_precision_name(tw_precision p)
{
    return p == TW_PRECISION_F32 ? "f32" : p == TW_PRECISION_BF16 ? "bf16" : "auto";
}

const char *tw_convolution_name(tw_convolution c)
{
    static const char *const name[] = {"direct", "winograd", "auto"};
    return name[c];
}

bool tw_precision_native(tw_precision p)
{
    return p != TW_PRECISION_BF16 || tw_dnnl_bf16_unit() != TW_DNNL_BF16_NONE;
}
