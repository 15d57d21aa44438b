/* Elements of either storage type, for kernels: loaded to float, stored with rounding to nearest
 * even.
 *
 * Loops are written once as TW_INLINE functions of a tw_dtype that is a constant wherever they are
 * called, so the compiler makes one vector loop for each type and nothing is decided inside of it.
 */
#ifndef TW_OPS_ELEMENT_H
#define TW_OPS_ELEMENT_H

#include "ops/kernel.h"
#include "ops/op.h"

#define TW_INLINE static inline __attribute__((always_inline))

TW_INLINE float tw_load(const void *p, int64_t i, tw_dtype type)
{
    return type == TW_DTYPE_BF16 ? tw_from_bf16(((const tw_bf16 *)p)[i]) : ((const float *)p)[i];
}

TW_INLINE void tw_store(void *p, int64_t i, tw_dtype type, float v)
{
    if (type == TW_DTYPE_BF16)
        ((tw_bf16 *)p)[i] = tw_to_bf16(v);
    else
        ((float *)p)[i] = v;
}

/* The address of element i. */
TW_INLINE void *tw_at(void *p, int64_t i, tw_dtype type)
{
    return (char *)p + i * (int64_t)tw_dtype_size(type);
}

TW_INLINE const void *tw_at_const(const void *p, int64_t i, tw_dtype type)
{
    return (const char *)p + i * (int64_t)tw_dtype_size(type);
}

#endif
