/* Sums over rows, columns and squared differences. */
#include "ops/kern_sum.h"

#include "ops/element.h"

enum { STRETCH = 256, WIDTH = 256, DEPTH = 32 };

/* DEPTH rows of at most WIDTH columns. */
TW_INLINE void block(float sum[WIDTH], const void *x, int64_t at, int64_t rows, int64_t n,
                     int64_t step, tw_dtype type)
{
    for (int64_t i = 0; i < n; i++) sum[i] = 0;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t from = at + r * step;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) sum[i] += tw_load(x, from + i, type);
    }
}

/* Neighbouring short rows are taken as one long row, which is folded at the end. */
TW_INLINE int64_t short_columns(double *total, const void *x, int64_t rows, int64_t n,
                                tw_dtype type)
{
    float sum[WIDTH];
    const int64_t together = WIDTH / n, length = together * n;
    int64_t r = 0;
    for (; r + together <= rows; r += DEPTH * together) {
        int64_t deep = (rows - r) / together;
        if (deep > DEPTH) deep = DEPTH;
        block(sum, x, r * n, deep, length, length, type);
        for (int64_t k = 0; k < together; k++)
            for (int64_t i = 0; i < n; i++) total[i] += (double)sum[k * n + i];
        if (deep < DEPTH) return r + deep * together;
    }
    return r;
}

TW_INLINE void columns(double *total, const void *x, int64_t rows, int64_t n, int64_t step,
                       tw_dtype type)
{
    float sum[WIDTH];
    int64_t r = 0;
    for (int64_t i = 0; i < n; i++) total[i] = 0;
    if (n <= WIDTH / 4 && step == n) r = short_columns(total, x, rows, n, type);
    for (; r < rows; r += DEPTH) {
        const int64_t deep = rows - r < DEPTH ? rows - r : DEPTH;
        for (int64_t c = 0; c < n; c += WIDTH) {
            const int64_t wide = n - c < WIDTH ? n - c : WIDTH;
            block(sum, x, r * step + c, deep, wide, step, type);
            for (int64_t i = 0; i < wide; i++) total[c + i] += (double)sum[i];
        }
    }
}

TW_INLINE double row(const void *x, int64_t n, tw_dtype type)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t end = n - at < STRETCH ? n : at + STRETCH;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = at; i < end; i++) sum += tw_load(x, i, type);
        total += (double)sum;
    }
    return total;
}

TW_INLINE double squares(const void *a, const void *b, int64_t n, tw_dtype ta, tw_dtype tb)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t end = n - at < STRETCH ? n : at + STRETCH;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = at; i < end; i++) {
            const float d = tw_load(a, i, ta) - tw_load(b, i, tb);
            sum += d * d;
        }
        total += (double)sum;
    }
    return total;
}

static void columns_f(double *total, const void *x, int64_t rows, int64_t n, int64_t step)
{
    columns(total, x, rows, n, step, TW_DTYPE_F32);
}

static void columns_h(double *total, const void *x, int64_t rows, int64_t n, int64_t step)
{
    columns(total, x, rows, n, step, TW_DTYPE_BF16);
}

static double row_f(const void *x, int64_t n)
{
    return row(x, n, TW_DTYPE_F32);
}

static double row_h(const void *x, int64_t n)
{
    return row(x, n, TW_DTYPE_BF16);
}

#define SQUARES(name, ta, tb)                                                                      \
    static double name(const void *a, const void *b, int64_t n)                                    \
    {                                                                                              \
        return squares(a, b, n, ta, tb);                                                           \
    }

SQUARES(squares_ff, TW_DTYPE_F32, TW_DTYPE_F32)
SQUARES(squares_fh, TW_DTYPE_F32, TW_DTYPE_BF16)
SQUARES(squares_hf, TW_DTYPE_BF16, TW_DTYPE_F32)
SQUARES(squares_hh, TW_DTYPE_BF16, TW_DTYPE_BF16)

const tw_kern_sum TW_KERNEL(tw_kern_sum) = {
    .columns = {columns_f, columns_h},
    .row = {row_f, row_h},
    .squares = {{squares_ff, squares_fh}, {squares_hf, squares_hh}}};
