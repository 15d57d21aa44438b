/* As in kern_panel.c, 24 of AVX-512's 32 registers are sums, 12 of the 16 of the others. */
#include "ops/kern_pointwise.h"

#include "ops/simd.h"

#if defined(TW_SIMD_AVX512)
enum { ROWS_MAX = 12 };
#else
enum { ROWS_MAX = 6 };
#endif

enum {
    V = 2,
    COLUMNS = V * TW_LANES,
    PANEL = TW_POINTWISE_PANEL,
    LINE = 16, /* floats */
    SECOND_LEVEL = 2,
    EACH = TW_POINTWISE_FETCH_EACH,
    TOGETHER = 4 /* rows that are laid out at a time */
};

/* From the first of two vectors to the second, in panels that are `panel` apart. */
TW_INLINE int64_t second(int64_t panel)
{
    return (int)TW_LANES < (int)PANEL ? (int64_t)TW_LANES : panel;
}

/* ---- rows of pixels ---- */

/* `count` terms. Of every third row there is a pointer: the other two are one and two strides
 * away, which addresses can say. */
TW_INLINE void add_terms(tw_vec sum[ROWS_MAX][V], const float *a[4], int64_t row, const float *b,
                         int64_t next, int64_t count, int rows)
{
#pragma GCC unroll 4
    for (int64_t k = 0; k < count; k++, b += PANEL) {
        const tw_vec b0 = tw_vload_f32(b, TW_LANES), b1 = tw_vload_f32(b + next, TW_LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const tw_vec x = tw_vset(a[r / 3][r % 3 * row]);
            sum[r][0] += x * b0;
            sum[r][1] += x * b1;
        }
#pragma GCC unroll 4
        for (int g = 0; g < 4; g++) a[g]++;
    }
}

TW_INLINE void add_rows(tw_vec sum[ROWS_MAX][V], const tw_pointwise_product *p, int rows)
{
    const int64_t row = p->a_row, next = second(p->b_panel), step = p->ahead.step;
    const float *a[4] = {p->a, p->a + 3 * row, p->a + 6 * row, p->a + 9 * row}, *b = p->b;
    const char *ahead = p->ahead.at;
    int64_t left = p->inner;
    for (; left >= 4 * EACH; left -= 4 * EACH, b += 4 * EACH * PANEL) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++, ahead += step) __builtin_prefetch(ahead, 0, SECOND_LEVEL);
        add_terms(sum, a, row, b, next, 4 * EACH, rows);
    }
    add_terms(sum, a, row, b, next, left, rows);
}

/* Sums to memory, of a whole tile. */
TW_INLINE void finish(const tw_pointwise_product *p, tw_vec sum[ROWS_MAX][V], int rows)
{
    if (p->bias) {
        const tw_vec b0 = tw_vload_f32(p->bias, TW_LANES),
                     b1 = tw_vload_f32(p->bias + TW_LANES, TW_LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            sum[r][0] += b0;
            sum[r][1] += b1;
        }
    }
    if (p->summand)
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < V; v++)
                sum[r][v] += tw_vload_f32(p->summand + r * p->c_row + v * TW_LANES, TW_LANES);
    if (p->gain != 1)
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < V; v++) sum[r][v] *= p->gain;
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++)
            tw_vstore_f32(p->c + r * p->c_row + v * TW_LANES, sum[r][v], TW_LANES);
}

/* The same of a part of the columns. */
__attribute__((noinline)) static void finish_part(const tw_pointwise_product *p, const float *sum,
                                                  int rows)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < p->columns; c++) {
            const int64_t at = r * p->c_row + c;
            float y = sum[r * COLUMNS + c];
            if (p->bias) y += p->bias[c];
            if (p->summand) y += p->summand[at];
            p->c[at] = y * p->gain;
        }
}

TW_INLINE void multiply(const tw_pointwise_product *p, int rows)
{
    tw_vec sum[ROWS_MAX][V];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) /* wanted at the end */
        for (int k = 0; k < COLUMNS; k += LINE) __builtin_prefetch(p->c + r * p->c_row + k, 1);
    if (p->summand && p->summand != p->c)
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
            for (int k = 0; k < COLUMNS; k += LINE)
                __builtin_prefetch(p->summand + r * p->c_row + k);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++) sum[r][v] = tw_vzero();
    add_rows(sum, p, rows);
    if (p->columns == COLUMNS) {
        finish(p, sum, rows);
    } else {
        float part[ROWS_MAX * COLUMNS];
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < V; v++)
                tw_vstore_f32(part + r * COLUMNS + v * TW_LANES, sum[r][v], TW_LANES);
        finish_part(p, part, rows);
    }
}

/* ---- sums over pixels ---- */

/* sum + a b, or of pairs of bf16 both products. */
TW_INLINE tw_vec add_product(tw_vec sum, tw_vec a, tw_vec b, bool pairs)
{
#if defined(TW_SIMD_AVX512)
    if (pairs) { /* not an intrinsic: those want the whole file compiled for it */
        __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
        return sum;
    }
#endif
    (void)pairs;
    return sum + a * b;
}

TW_INLINE void add_pixel(tw_vec sum[ROWS_MAX][V], const float *a, const float *b, int64_t next,
                         int rows, bool pairs)
{
    const tw_vec b0 = tw_vload_f32(b, TW_LANES), b1 = tw_vload_f32(b + next, TW_LANES);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        const tw_vec x = tw_vset(a[r]);
        sum[r][0] = add_product(sum[r][0], x, b0, pairs);
        sum[r][1] = add_product(sum[r][1], x, b1, pairs);
    }
}

TW_INLINE void add_pixels(tw_vec sum[ROWS_MAX][V], const tw_pointwise_sum *p, int rows, bool pairs)
{
    const int64_t next = second(p->b_panel), step[2] = {p->ahead[0].step, p->ahead[1].step};
    const float *a = p->a, *b = p->b;
    const char *ahead[2] = {p->ahead[0].at, p->ahead[1].at};
    int64_t left = p->inner;
    for (; left >= EACH; left -= EACH, a += EACH * PANEL, b += EACH * PANEL) {
        __builtin_prefetch(ahead[0], 0, SECOND_LEVEL);
        __builtin_prefetch(ahead[1], 0, SECOND_LEVEL);
        ahead[0] += step[0];
        ahead[1] += step[1];
#pragma GCC unroll 4
        for (int k = 0; k < EACH; k++)
            add_pixel(sum, a + k * PANEL, b + k * PANEL, next, rows, pairs);
    }
    for (; left; left--, a += PANEL, b += PANEL) add_pixel(sum, a, b, next, rows, pairs);
}

TW_INLINE void add_up(const tw_pointwise_sum *p, int rows, bool pairs)
{
    const int64_t c_next = second(p->c_panel);
    tw_vec sum[ROWS_MAX][V];
    if (p->add) /* wanted at the end */
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            __builtin_prefetch(p->c + r * PANEL, 1);
            if (COLUMNS > PANEL) __builtin_prefetch(p->c + c_next + r * PANEL, 1);
        }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++) sum[r][v] = tw_vzero();
    add_pixels(sum, p, rows, pairs);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++) {
            float *c = p->c + r * PANEL + v * c_next;
            if (p->add) sum[r][v] += tw_vload_f32(c, TW_LANES);
            tw_vstore_f32(c, sum[r][v], TW_LANES);
        }
}

/* ---- panels ---- */

/* Some rows of a panel, of `n` channels. */
TW_INLINE void lay_out_panel(float *to, const float *x, int64_t row, int rows, int n, float *sums)
{
#pragma GCC unroll 4
    for (int c = 0; c < PANEL; c += TW_LANES) {
        const int left = n - c < 0 ? 0 : n - c < TW_LANES ? n - c : (int)TW_LANES;
        tw_vec sum = tw_vzero();
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            const tw_vec y = tw_vload_f32(x + r * row + c, left);
            tw_vstore_f32(to + r * PANEL + c, y, TW_LANES);
            sum += y;
        }
        if (sums) tw_vstore_f32(sums + c, tw_vload_f32(sums + c, TW_LANES) + sum, TW_LANES);
    }
}

TW_INLINE void lay_out_rows(float *to, int64_t panel, const float *x, int64_t row, int rows,
                            int64_t channels, float *sums)
{
    int64_t c = 0;
    for (; c + PANEL <= channels; c += PANEL, to += panel)
        lay_out_panel(to, x + c, row, rows, PANEL, sums ? sums + c : NULL);
    if (c < channels)
        lay_out_panel(to, x + c, row, rows, (int)(channels - c), sums ? sums + c : NULL);
}

static void lay_out(float *to, int64_t panel, const float *x, int64_t row, int64_t count,
                    int64_t channels, float *sums, bool add)
{
    if (sums && !add)
        memset(sums, 0, (size_t)((channels + PANEL - 1) / PANEL * PANEL) * sizeof *sums);
    for (; count >= TOGETHER; count -= TOGETHER, x += TOGETHER * row, to += TOGETHER * PANEL)
        lay_out_rows(to, panel, x, row, TOGETHER, channels, sums);
    for (; count; count--, x += row, to += PANEL)
        lay_out_rows(to, panel, x, row, 1, channels, sums);
}

/* clang-format off */
#define FEW(call) call(1) call(2) call(3) call(4) call(5) call(6)
#ifdef TW_SIMD_AVX512
#define MORE(call) call(7) call(8) call(9) call(10) call(11) call(12)
#else
#define MORE(call)
#endif
#define PRODUCT(n) case n: multiply(p, n); break;
#define SUM(n) case n: add_up(p, n, false); break;
#define PAIRS(n) case n: add_up(p, n, true); break;
/* clang-format on */

static void product(const tw_pointwise_product *p, int rows)
{
    switch (rows) {
        FEW(PRODUCT)
        MORE(PRODUCT)
    }
}

static void sum(const tw_pointwise_sum *p, int rows)
{
    switch (rows) {
        FEW(SUM)
        MORE(SUM)
    }
}

/* ---- pairs of bf16 ---- */

#ifdef TW_SIMD_AVX512
/* Two pixels, or one and zeros (x1 == NULL), of a panel of n channels. */
TW_INLINE void lay_out_pair(float *to, const tw_bf16 *x0, const tw_bf16 *x1, int n, float *sums)
{
    const tw_vec a = tw_vload_bf16(x0, n), b = x1 ? tw_vload_bf16(x1, n) : tw_vzero();
    const tw_veci pair = (tw_veci)((tw_vecu)a >> 16 | (tw_vecu)b);
    memcpy(to, &pair, sizeof pair);
    if (sums) tw_vstore_f32(sums, tw_vload_f32(sums, TW_LANES) + (a + b), TW_LANES);
}

TW_INLINE void lay_out_two(float *to, int64_t panel, const tw_bf16 *x0, const tw_bf16 *x1,
                           int64_t channels, float *sums)
{
    int64_t c = 0;
    for (; c + PANEL <= channels; c += PANEL, to += panel)
        lay_out_pair(to, x0 + c, x1 ? x1 + c : NULL, PANEL, sums ? sums + c : NULL);
    if (c < channels)
        lay_out_pair(to, x0 + c, x1 ? x1 + c : NULL, (int)(channels - c), sums ? sums + c : NULL);
}

static void lay_out_pairs(float *to, int64_t panel, const tw_bf16 *x, int64_t row, int64_t count,
                          int64_t channels, float *sums, bool add)
{
    if (sums && !add)
        memset(sums, 0, (size_t)((channels + PANEL - 1) / PANEL * PANEL) * sizeof *sums);
    for (int64_t k = 0; k < count; k += 2, x += 2 * row, to += PANEL)
        lay_out_two(to, panel, x, k + 1 < count ? x + row : NULL, channels, sums);
}

static void sum_pairs(const tw_pointwise_sum *p, int rows)
{
    switch (rows) {
        FEW(PAIRS)
        MORE(PAIRS)
    }
}
#endif

const tw_kern_pointwise TW_KERNEL(tw_kern_pointwise) = {.rows_max = ROWS_MAX,
                                                        .columns = COLUMNS,
                                                        .product = product,
                                                        .sum = sum,
                                                        .lay_out = lay_out,
#ifdef TW_SIMD_AVX512
                                                        .sum_pairs = sum_pairs,
                                                        .lay_out_pairs = lay_out_pairs
#endif
};
