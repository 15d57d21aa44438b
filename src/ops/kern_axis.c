/* Loops along one dimension: sparse mixes, windowed maxima and their gradient. */
#include "ops/kern_axis.h"

#include "ops/element.h"

TW_INLINE void mix(void *out, const void *x, const tw_axis_matrix *m, int64_t step, int64_t n,
                   tw_dtype type)
{
    float sum[TW_AXIS_STRIP];
    for (int64_t p = 0; p < m->rows; p++) {
        for (int64_t i = 0; i < n; i++) sum[i] = 0;
        for (int64_t e = m->first[p]; e < m->first[p + 1]; e++) {
            const int64_t from = m->column[e] * step;
            const float w = m->weight[e];
#pragma omp simd
            for (int64_t i = 0; i < n; i++) sum[i] += w * tw_load(x, from + i, type);
        }
#pragma omp simd
        for (int64_t i = 0; i < n; i++) tw_store(out, p * step + i, type, sum[i]);
    }
}

/* Is v to take the place of the largest so far? A NaN does, and keeps it. */
TW_INLINE bool beats(float v, float most)
{
    return v > most ||
           v != v; /* NOLINT(misc-redundant-expression): NaN alone differs from itself */
}

TW_INLINE void max(void *out, const void *x, int64_t length, int64_t window, int64_t step,
                   int64_t n, tw_dtype type)
{
    float most[TW_AXIS_STRIP];
    const int64_t reach = window / 2;
    for (int64_t p = 0; p < length; p++) {
        const int64_t begin = p < reach ? 0 : p - reach,
                      end = p + reach < length ? p + reach : length - 1;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) most[i] = tw_load(x, begin * step + i, type);
        for (int64_t q = begin + 1; q <= end; q++)
#pragma omp simd
            for (int64_t i = 0; i < n; i++) {
                const float v = tw_load(x, q * step + i, type);
                most[i] = beats(v, most[i]) ? v : most[i];
            }
#pragma omp simd
        for (int64_t i = 0; i < n; i++) tw_store(out, p * step + i, type, most[i]);
    }
}

/* Which of [begin, end] is the largest, counted from begin. */
TW_INLINE void find_largest(int32_t *at, const void *x, int64_t begin, int64_t end, int64_t step,
                            int64_t n, tw_dtype type)
{
    float most[TW_AXIS_STRIP];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        most[i] = tw_load(x, begin * step + i, type);
        at[i] = 0;
    }
    for (int64_t q = begin + 1; q <= end; q++) {
        const int32_t k = (int32_t)(q - begin);
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            const float v = tw_load(x, q * step + i, type);
            const bool more = beats(v, most[i]);
            most[i] = more ? v : most[i];
            at[i] = more ? k : at[i];
        }
    }
}

/* Sums are kept in f32 for as long as a window may add to them, in a ring of rows. */
TW_INLINE void max_grad(void *gx, const void *x, const void *gy, int64_t length, int64_t window,
                        int64_t step, int64_t n, tw_dtype type)
{
    float ring[TW_AXIS_WINDOW_MAX][TW_AXIS_STRIP];
    int32_t at[TW_AXIS_STRIP];
    const int64_t reach = window / 2;
    int64_t fresh = 0, done = 0; /* rows that are zeroed, and stored */
    for (int64_t p = 0; p < length; p++) {
        const int64_t begin = p < reach ? 0 : p - reach,
                      end = p + reach < length ? p + reach : length - 1;
        for (; fresh <= end; fresh++)
            for (int64_t i = 0; i < n; i++) ring[fresh % window][i] = 0;
        find_largest(at, x, begin, end, step, n, type);
        for (int64_t q = begin; q <= end; q++) {
            float *sum = ring[q % window];
            const int32_t k = (int32_t)(q - begin);
#pragma omp simd
            for (int64_t i = 0; i < n; i++)
                sum[i] += at[i] == k ? tw_load(gy, p * step + i, type) : 0.0f;
        }
        for (const int64_t last = p == length - 1 ? p : p - reach; done <= last; done++)
#pragma omp simd
            for (int64_t i = 0; i < n; i++)
                tw_store(gx, done * step + i, type, ring[done % window][i]);
    }
}

#define TYPED(suffix, type)                                                                        \
    static void mix_##suffix(void *out, const void *x, const tw_axis_matrix *m, int64_t step,      \
                             int64_t n)                                                            \
    {                                                                                              \
        mix(out, x, m, step, n, type);                                                             \
    }                                                                                              \
    static void max_##suffix(void *out, const void *x, int64_t length, int64_t window,             \
                             int64_t step, int64_t n)                                              \
    {                                                                                              \
        max(out, x, length, window, step, n, type);                                                \
    }                                                                                              \
    static void max_grad_##suffix(void *gx, const void *x, const void *gy, int64_t length,         \
                                  int64_t window, int64_t step, int64_t n)                         \
    {                                                                                              \
        max_grad(gx, x, gy, length, window, step, n, type);                                        \
    }

TYPED(f, TW_DTYPE_F32)
TYPED(h, TW_DTYPE_BF16)

const tw_kern_axis TW_KERNEL(tw_kern_axis) = {
    .mix = {mix_f, mix_h}, .max = {max_f, max_h}, .max_grad = {max_grad_f, max_grad_h}};
