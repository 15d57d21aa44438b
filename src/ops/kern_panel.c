/* Two vectors of columns times as many rows as registers hold: 24 of AVX-512's 32 are sums, 12 of
 * the 16 of the others. */
#include "ops/kern_panel.h"

#include "ops/simd.h"

/* TURNED_BEST: with AVX-512 halves of a panel, since any number of rows is as fast; else not 5
 * rows, which leave 10 chains of sums where 8 must always be busy: too few when a load is late. */
#if defined(TW_SIMD_AVX512)
enum { ROWS_MAX = 12, TURNED_BEST = 8 };
#else
enum { ROWS_MAX = 6, TURNED_BEST = 6 };
#endif

enum {
    V = TW_PANEL_VECTORS,
    COLUMNS = TW_PANEL_VECTORS * TW_LANES,
    LINE = 16, /* floats */
    PAGE = 1024
};

/* `count` terms; a(r, k) is a[r · TW_PANEL + k]. Panels of b lie one after the other, and are
 * fetched a page ahead, at whose end a processor's own prefetching stops. */
TW_INLINE void add_straight(tw_vec sum[ROWS_MAX][V], const float *a, const float *b, int64_t count,
                            int rows)
{
#pragma GCC unroll 4
    for (int64_t k = 0; k < count; k++, a++, b += COLUMNS) {
        const tw_vec b0 = tw_vload_f32(b, TW_LANES), b1 = tw_vload_f32(b + TW_LANES, TW_LANES);
#pragma GCC unroll 2
        for (int l = 0; l < COLUMNS; l += LINE) __builtin_prefetch(b + PAGE + l);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const tw_vec x = tw_vset(a[r * TW_PANEL]);
            sum[r][0] += x * b0;
            sum[r][1] += x * b1;
        }
    }
}

/* Rows go by two, which are of one panel. `across`: the first panel does not hold all; that takes
 * more registers and a longer beginning. */
TW_INLINE void add_turned(tw_vec sum[ROWS_MAX][V], const tw_panel_product *p, int rows, bool across)
{
    const float *a[ROWS_MAX / 2], *b = p->b;
#pragma GCC unroll 6
    for (int r = 0; r < rows; r += 2)
        a[r / 2] = p->a + r + (across && p->row + r >= TW_PANEL ? p->a_stride - TW_PANEL : 0);
#pragma GCC unroll 4
    for (int64_t k = 0; k < p->inner; k++, b += COLUMNS) {
        const tw_vec b0 = tw_vload_f32(b, TW_LANES), b1 = tw_vload_f32(b + TW_LANES, TW_LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const tw_vec x =
                tw_vset(across ? a[r / 2][k * TW_PANEL + r % 2] : p->a[k * TW_PANEL + r]);
            sum[r][0] += x * b0;
            sum[r][1] += x * b1;
        }
    }
}

enum way { STRAIGHT, TURNED, TURNED_ACROSS };

TW_INLINE void product(const tw_panel_product *p, int rows, enum way way)
{
    tw_vec sum[ROWS_MAX][V];
    const float *a = p->a, *b = p->b;
    if (p->add || way != STRAIGHT) /* wanted at the end; of `turned` from memory even if new */
#pragma GCC unroll 24
        for (int k = 0; k < rows * COLUMNS; k += LINE) __builtin_prefetch(p->c + k, 1);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++) sum[r][v] = tw_vzero();
    if (way != STRAIGHT) {
        add_turned(sum, p, rows, way == TURNED_ACROSS);
    } else {
        int64_t left = p->inner;
        for (; left >= TW_PANEL; left -= TW_PANEL, a += p->a_stride, b += TW_PANEL * COLUMNS)
            add_straight(sum, a, b, TW_PANEL, rows);
        add_straight(sum, a, b, left, rows);
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++) {
            float *c = p->c + r * COLUMNS + v * TW_LANES;
            if (p->add) sum[r][v] += tw_vload_f32(c, TW_LANES);
            tw_vstore_f32(c, sum[r][v], TW_LANES);
        }
}

/* clang-format off */
#define EACH(call, way) call(1, way) call(2, way) call(3, way) call(4, way) call(5, way) call(6, way)
#ifdef TW_SIMD_AVX512
#define EACH_MORE(call, way) call(7, way) call(8, way) call(9, way) call(10, way) call(11, way) call(12, way)
#else
#define EACH_MORE(call, way)
#endif
#define ROWS(n, way) case n: product(p, n, way); break;
/* clang-format on */

static void straight(const tw_panel_product *p, int rows)
{
    switch (rows) {
        EACH(ROWS, STRAIGHT)
        EACH_MORE(ROWS, STRAIGHT)
    }
}

static void turned_across(const tw_panel_product *p, int rows)
{
    switch (rows) {
        EACH(ROWS, TURNED_ACROSS)
        EACH_MORE(ROWS, TURNED_ACROSS)
    }
}

static void turned(const tw_panel_product *p, int rows)
{
    if (p->row + rows > TW_PANEL) {
        turned_across(p, rows);
        return;
    }
    switch (rows) {
        EACH(ROWS, TURNED)
        EACH_MORE(ROWS, TURNED)
    }
}

const tw_kern_panel TW_KERNEL(tw_kern_panel) = {.rows_max = ROWS_MAX,
                                                .columns = COLUMNS,
                                                .turned_best = TURNED_BEST,
                                                .straight = straight,
                                                .turned = turned};
