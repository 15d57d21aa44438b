/* Elementwise loops of two operands. */
#include "ops/kern_binary.h"

#include "ops/element.h"

enum { TILE = 512, SHORT_ROW = 64 };

TW_INLINE float apply(tw_binary op, float a, float b)
{
    return op == TW_BINARY_ADD   ? a + b
           : op == TW_BINARY_SUB ? a - b
           : op == TW_BINARY_MUL ? a * b
                                 : b;
}

TW_INLINE float first(const void *a, int64_t i, tw_binary op, tw_dtype ta)
{
    return op == TW_BINARY_SECOND ? 0.0f : tw_load(a, i, ta);
}

/* A row is too short for vectors: many copies of b make a long one. */
TW_INLINE int64_t short_rows(void *out, const void *a, const void *b, int64_t rows, int64_t n,
                             tw_binary op, tw_dtype ta, tw_dtype tb)
{
    float tile[TILE] = {0};
    const int64_t together = TILE / n, length = together * n;
    int64_t r = 0;
    for (int64_t k = 0; k < together; k++)
        for (int64_t i = 0; i < n; i++) tile[k * n + i] = tw_load(b, i, tb);
    for (; r + together <= rows; r += together) {
        const int64_t at = r * n;
#pragma omp simd
        for (int64_t i = 0; i < length; i++)
            tw_store(out, at + i, ta, apply(op, first(a, at + i, op, ta), tile[i]));
    }
    return r;
}

TW_INLINE void rows_loop(void *out, const void *a, const void *b, int64_t rows, int64_t n,
                         int64_t step, tw_binary op, tw_dtype ta, tw_dtype tb, bool constant)
{
    int64_t r = 0;
    if (!constant && step == 0 && n < SHORT_ROW && rows * n >= TILE)
        r = short_rows(out, a, b, rows, n, op, ta, tb);
    for (; r < rows; r++) {
        const int64_t at = r * n, from = r * step;
        if (constant) {
            const float v = tw_load(b, from, tb);
#pragma omp simd
            for (int64_t i = 0; i < n; i++)
                tw_store(out, at + i, ta, apply(op, first(a, at + i, op, ta), v));
        } else {
#pragma omp simd
            for (int64_t i = 0; i < n; i++)
                tw_store(out, at + i, ta,
                         apply(op, first(a, at + i, op, ta), tw_load(b, from + i, tb)));
        }
    }
}

#define LOOP(name, op, ta, tb, constant)                                                           \
    static void name(void *out, const void *a, const void *b, int64_t rows, int64_t n,             \
                     int64_t step)                                                                 \
    {                                                                                              \
        rows_loop(out, a, b, rows, n, step, op, ta, tb, constant);                                 \
    }

#define LOOPS(name, op)                                                                            \
    LOOP(name##_ff, op, TW_DTYPE_F32, TW_DTYPE_F32, false)                                         \
    LOOP(name##_ffc, op, TW_DTYPE_F32, TW_DTYPE_F32, true)                                         \
    LOOP(name##_fh, op, TW_DTYPE_F32, TW_DTYPE_BF16, false)                                        \
    LOOP(name##_fhc, op, TW_DTYPE_F32, TW_DTYPE_BF16, true)                                        \
    LOOP(name##_hf, op, TW_DTYPE_BF16, TW_DTYPE_F32, false)                                        \
    LOOP(name##_hfc, op, TW_DTYPE_BF16, TW_DTYPE_F32, true)                                        \
    LOOP(name##_hh, op, TW_DTYPE_BF16, TW_DTYPE_BF16, false)                                       \
    LOOP(name##_hhc, op, TW_DTYPE_BF16, TW_DTYPE_BF16, true)

#define ROW(name)                                                                                  \
    {                                                                                              \
        {{name##_ff, name##_ffc}, {name##_fh, name##_fhc}},                                        \
        {                                                                                          \
            {name##_hf, name##_hfc},                                                               \
            {                                                                                      \
                name##_hh, name##_hhc                                                              \
            }                                                                                      \
        }                                                                                          \
    }

LOOPS(add, TW_BINARY_ADD)
LOOPS(sub, TW_BINARY_SUB)
LOOPS(mul, TW_BINARY_MUL)
LOOPS(second, TW_BINARY_SECOND)

const tw_kern_binary TW_KERNEL(tw_kern_binary) = {
    .loop = {ROW(add), ROW(sub), ROW(mul), ROW(second)}};
