/* Rows of pixels, repeated and summed. */
#include "ops/kern_resample.h"

#include "ops/element.h"

enum { WIDTH = 128 };

TW_INLINE void repeat(void *out, const void *x, int64_t pixels, int64_t c, int64_t factor,
                      float scale, tw_dtype type)
{
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < factor; k++) {
            const int64_t to = (p * factor + k) * c, from = p * c;
#pragma omp simd
            for (int64_t i = 0; i < c; i++)
                tw_store(out, to + i, type, scale * tw_load(x, from + i, type));
        }
}

/* Channels [0, n) of one window, n <= WIDTH. */
TW_INLINE void window(void *out, int64_t to, const void *x, int64_t from, int64_t n,
                      const int64_t size[3], const int64_t step[3], float scale, tw_dtype type)
{
    float sum[WIDTH];
    for (int64_t i = 0; i < n; i++) sum[i] = 0;
    for (int64_t d = 0; d < size[0]; d++)
        for (int64_t h = 0; h < size[1]; h++)
            for (int64_t w = 0; w < size[2]; w++) {
                const int64_t at = from + d * step[0] + h * step[1] + w * step[2];
#pragma omp simd
                for (int64_t i = 0; i < n; i++) sum[i] += tw_load(x, at + i, type);
            }
#pragma omp simd
    for (int64_t i = 0; i < n; i++) tw_store(out, to + i, type, scale * sum[i]);
}

TW_INLINE void pool(void *out, const void *x, int64_t pixels, int64_t c, const int64_t size[3],
                    const int64_t step[3], float scale, tw_dtype type)
{
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t i = 0; i < c; i += WIDTH)
            window(out, p * c + i, x, p * size[2] * c + i, c - i < WIDTH ? c - i : WIDTH, size,
                   step, scale, type);
}

static void repeat_f(void *out, const void *x, int64_t pixels, int64_t c, int64_t factor,
                     float scale)
{
    repeat(out, x, pixels, c, factor, scale, TW_DTYPE_F32);
}

static void repeat_h(void *out, const void *x, int64_t pixels, int64_t c, int64_t factor,
                     float scale)
{
    repeat(out, x, pixels, c, factor, scale, TW_DTYPE_BF16);
}

static void pool_f(void *out, const void *x, int64_t pixels, int64_t c, const int64_t size[3],
                   const int64_t step[3], float scale)
{
    pool(out, x, pixels, c, size, step, scale, TW_DTYPE_F32);
}

static void pool_h(void *out, const void *x, int64_t pixels, int64_t c, const int64_t size[3],
                   const int64_t step[3], float scale)
{
    pool(out, x, pixels, c, size, step, scale, TW_DTYPE_BF16);
}

const tw_kern_resample TW_KERNEL(tw_kern_resample) = {.repeat = {repeat_f, repeat_h},
                                                      .pool = {pool_f, pool_h}};
