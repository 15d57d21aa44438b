/* Products of tiles by AMX. */
#include "ops/dnnl_compat.h"

#if defined(__x86_64__)
#define TW_TILE_AMX
#include "ops/tile_product_loop.h"

static const tw_tile_form amx = {.name = "amx", .begin = begin, .multiply = multiply, .end = end};

const tw_tile_form *tw_tile_form_amx(void)
{
    const bool there = tw_processor_allowed().amx_bf16;
    return there && tw_dnnl_bf16_unit() == TW_DNNL_BF16_TILES ? &amx : NULL;
}
#else
#include "ops/tile_product.h"

const tw_tile_form *tw_tile_form_amx(void)
{
    return NULL;
}
#endif
