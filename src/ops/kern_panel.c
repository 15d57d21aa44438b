/* Two vectors of columns times as many rows as registers hold: 24 of AVX-512's 32 are sums, 12 of
 * the 16 of the others. */
#include "ops/kern_panel.h"

#include "ops/simd.h"

#if defined(TW_SIMD_AVX512)
enum { ROWS_MAX = 12 };
#else
enum { ROWS_MAX = 6 };
#endif

enum {
    V = TW_PANEL_VECTORS,
    COLUMNS = TW_PANEL_VECTORS * TW_LANES,
    LINE = 16, /* floats */
    PAGE = 1024
};

/* `count` terms; a(r, k) is a[r · row + k · next]. With `fetch`, panels of b that lie one after the
 * other are fetched a page ahead, at whose end a processor's own prefetching stops. */
TW_INLINE void add_terms(tw_vec sum[ROWS_MAX][V], const float *a, const float *b, int64_t count,
                         int rows, int row, int next, bool fetch)
{
#pragma GCC unroll 4
    for (int64_t k = 0; k < count; k++, a += next, b += COLUMNS) {
        const tw_vec b0 = tw_vload_f32(b, TW_LANES), b1 = tw_vload_f32(b + TW_LANES, TW_LANES);
        if (fetch) {
#pragma GCC unroll 2
            for (int l = 0; l < COLUMNS; l += LINE) __builtin_prefetch(b + PAGE + l);
        }
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const tw_vec x = tw_vset(a[r * row]);
            sum[r][0] += x * b0;
            sum[r][1] += x * b1;
        }
    }
}

TW_INLINE void product(const tw_panel_product *p, int rows, bool turned)
{
    tw_vec sum[ROWS_MAX][V];
    const float *a = p->a, *b = p->b;
    if (p->add) /* wanted at the end */
#pragma GCC unroll 24
        for (int k = 0; k < rows * COLUMNS; k += LINE) __builtin_prefetch(p->c + k, 1);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++) sum[r][v] = tw_vzero();
    if (turned) {
        add_terms(sum, a, b, p->inner, rows, 1, TW_PANEL, false);
    } else {
        int64_t left = p->inner;
        for (; left >= TW_PANEL; left -= TW_PANEL, a += p->a_stride, b += TW_PANEL * COLUMNS)
            add_terms(sum, a, b, TW_PANEL, rows, TW_PANEL, 1, true);
        add_terms(sum, a, b, left, rows, TW_PANEL, 1, true);
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
#define EACH(call) call(1) call(2) call(3) call(4) call(5) call(6)
#ifdef TW_SIMD_AVX512
#define EACH_MORE(call) call(7) call(8) call(9) call(10) call(11) call(12)
#else
#define EACH_MORE(call)
#endif
#define STRAIGHT(n) case n: product(p, n, false); break;
#define TURNED(n) case n: product(p, n, true); break;
/* clang-format on */

static void straight(const tw_panel_product *p, int rows)
{
    switch (rows) {
        EACH(STRAIGHT)
        EACH_MORE(STRAIGHT)
    }
}

static void turned(const tw_panel_product *p, int rows)
{
    switch (rows) {
        EACH(TURNED)
        EACH_MORE(TURNED)
    }
}

const tw_kern_panel TW_KERNEL(tw_kern_panel) = {
    .rows_max = ROWS_MAX, .columns = COLUMNS, .straight = straight, .turned = turned};
