/* Dropout. */
#include "ops/kern_dropout.h"

/* A dropped element is zero also where x is not finite. */
TW_INLINE void drop(void *out, const void *x, int64_t n, const tw_dropout_mask *mask,
                    tw_rng_key key, int64_t first, tw_dtype type)
{
    for (int64_t at = 0; at < n; at += TW_DROPOUT_STRETCH) {
        float factor[TW_DROPOUT_STRETCH];
        const int64_t count = n - at < TW_DROPOUT_STRETCH ? n - at : TW_DROPOUT_STRETCH;
        tw_dropout_factors(factor, mask, key, first + at);
#pragma omp simd
        for (int64_t i = 0; i < count; i++) {
            const float v = tw_load(x, at + i, type);
            tw_store(out, at + i, type, factor[i] == 0 ? 0.0f : v * factor[i]);
        }
    }
}

static void drop_f(void *out, const void *x, int64_t n, const tw_dropout_mask *mask, tw_rng_key key,
                   int64_t first)
{
    drop(out, x, n, mask, key, first, TW_DTYPE_F32);
}

static void drop_h(void *out, const void *x, int64_t n, const tw_dropout_mask *mask, tw_rng_key key,
                   int64_t first)
{
    drop(out, x, n, mask, key, first, TW_DTYPE_BF16);
}

const tw_kern_dropout TW_KERNEL(tw_kern_dropout) = {.loop = {drop_f, drop_h}};
