/* A pair of the left side is broadcast, and multiplied with the pairs of two vectors of columns:
 * one instruction of AVX512_VNNI for products and sums, else two. */
#include "ops/kern_short.h"

#include "ops/simd.h"

#if defined(TW_SIMD_AVX512)
enum { ROWS_MAX = 12 };
#else
enum { ROWS_MAX = 6 };
#endif

enum {
    V = TW_PANEL_VECTORS,
    COLUMNS = TW_PANEL_VECTORS * TW_LANES,
    PAGE = 2048 /* numbers of 16 bits */
};

typedef int16_t shorts __attribute__((vector_size(2 * TW_LANES)));

/* sum + the products of pairs. */
TW_INLINE tw_veci add_pairs(tw_veci sum, tw_veci a, tw_veci b, bool native)
{
#if defined(TW_SIMD_AVX512)
    if (native) { /* not an intrinsic: those want the whole file compiled for it */
        __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
        return sum;
    }
    return sum + (tw_veci)(__m512i)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#else
    (void)native;
#if defined(TW_SIMD_AVX2)
    return sum + (tw_veci)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return sum + (tw_veci)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    return sum + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
#endif
}

TW_INLINE tw_veci load_pairs(const int16_t *p)
{
    tw_veci v;
    memcpy(&v, p, sizeof v);
    return v;
}

TW_INLINE tw_veci same_pair(const int16_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pair - (tw_veci){0};
}

TW_INLINE void product(const tw_short_product *p, int rows, bool native)
{
    tw_veci sum[ROWS_MAX][V];
    const int16_t *a = p->a, *b = p->b;
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++) sum[r][v] = (tw_veci){0};
#pragma GCC unroll 4
    for (int64_t k = 0; k < p->pairs; k++, a += 2, b += 2 * COLUMNS) {
        const tw_veci b0 = load_pairs(b), b1 = load_pairs(b + 2 * TW_LANES);
#pragma GCC unroll 2
        for (int l = 0; l < 2 * COLUMNS; l += 32) __builtin_prefetch(b + PAGE + l);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const tw_veci x = same_pair(a + r * p->a_stride);
            sum[r][0] = add_pairs(sum[r][0], x, b0, native);
            sum[r][1] = add_pairs(sum[r][1], x, b1, native);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++) {
            const tw_vec x = __builtin_convertvector(sum[r][v], tw_vec);
            const tw_vec column = tw_vload_f32(p->column + v * TW_LANES, TW_LANES);
            tw_vstore_f32(p->c + r * COLUMNS + v * TW_LANES, x * p->row[r] * column, TW_LANES);
        }
}

static float left(int16_t *out, const float *x, int64_t count)
{
    tw_vec sum = tw_vzero(), top = tw_vzero();
    float inverse;
    for (int64_t i = 0; i < count; i += TW_LANES) {
        const tw_vec v = tw_vload_f32(x + i, TW_LANES) * TW_SHORT_UNIT, square = v * v;
        sum += square;
        top = tw_vmax(top, square);
    }
    const float scale = tw_short_scale(tw_vsum(sum), tw_vlargest(top), TW_SHORT_LEFT, &inverse);
    for (int64_t i = 0; i < count; i += TW_LANES) {
        const shorts s =
            __builtin_convertvector(tw_vto_whole(tw_vload_f32(x + i, TW_LANES) * scale), shorts);
        memcpy(out + i, &s, sizeof s);
    }
    return inverse;
}

/* clang-format off */
#define EACH(call, native) call(1, native) call(2, native) call(3, native) call(4, native) call(5, native) call(6, native)
#ifdef TW_SIMD_AVX512
#define EACH_MORE(call, native) call(7, native) call(8, native) call(9, native) call(10, native) call(11, native) call(12, native)
#else
#define EACH_MORE(call, native)
#endif
#define ROWS(n, native) case n: product(p, n, native); break;
/* clang-format on */

static void product_plain(const tw_short_product *p, int rows)
{
    switch (rows) {
        EACH(ROWS, false)
        EACH_MORE(ROWS, false)
    }
}

#ifdef TW_SIMD_AVX512
static void product_native(const tw_short_product *p, int rows)
{
    switch (rows) {
        EACH(ROWS, true)
        EACH_MORE(ROWS, true)
    }
}
#else
#define product_native product_plain
#endif

const tw_kern_short TW_KERNEL(tw_kern_short) = {
    .rows_max = ROWS_MAX, .product = {product_plain, product_native}, .left = left};
