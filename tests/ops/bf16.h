/* Does oneDNN compute in bf16 on this processor? From AVX-512 on; tests of it skip elsewhere. */
#ifndef TESTS_OPS_BF16_H
#define TESTS_OPS_BF16_H

#include "ops/dnnl_compat.h"

static inline bool has_bf16(void)
{
    tw_md m = {.set = false};
    dnnl_primitive_desc_t pd = NULL;
    bool has = tw_md_strides(&m, 2, (const int64_t[]){16, 16}, TW_DTYPE_BF16,
                             (const int64_t[]){16, 1}) == TW_OK;
    has = has && tw_pd_matmul(&pd, &m, &m, NULL, &m) == TW_OK;
    if (has) dnnl_primitive_desc_destroy(pd);
    tw_md_destroy(&m);
    return has;
}

#endif
