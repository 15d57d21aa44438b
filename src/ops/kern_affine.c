/* Elementwise loops of one operand. */
#include "ops/kern_affine.h"

#include "ops/element.h"

TW_INLINE void affine(void *out, const void *x, int64_t n, float scale, float shift, tw_dtype type)
{
    if (scale == 0) { /* also where x is NaN: a constant does not depend on it */
#pragma omp simd
        for (int64_t i = 0; i < n; i++) tw_store(out, i, type, shift);
        return;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++) tw_store(out, i, type, scale * tw_load(x, i, type) + shift);
}

static void affine_f(void *out, const void *x, int64_t n, float scale, float shift)
{
    affine(out, x, n, scale, shift, TW_DTYPE_F32);
}

static void affine_h(void *out, const void *x, int64_t n, float scale, float shift)
{
    affine(out, x, n, scale, shift, TW_DTYPE_BF16);
}

static void cast_ff(void *out, const void *x, int64_t n)
{
    memcpy(out, x, (size_t)n * sizeof(float));
}

static void cast_hh(void *out, const void *x, int64_t n)
{
    memcpy(out, x, (size_t)n * sizeof(tw_bf16));
}

static void cast_fh(void *out, const void *x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) tw_store(out, i, TW_DTYPE_F32, tw_load(x, i, TW_DTYPE_BF16));
}

static void cast_hf(void *out, const void *x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) tw_store(out, i, TW_DTYPE_BF16, tw_load(x, i, TW_DTYPE_F32));
}

const tw_kern_affine TW_KERNEL(tw_kern_affine) = {.affine = {affine_f, affine_h},
                                                  .cast = {{cast_ff, cast_fh}, {cast_hf, cast_hh}}};
