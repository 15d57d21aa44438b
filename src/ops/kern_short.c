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
    LINE = 16,  /* floats */
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

TW_INLINE void product(const tw_short_product *p, int rows, bool turned, bool native)
{
    tw_veci sum[ROWS_MAX][V];
    const int16_t *a = p->a, *b = p->b;
    const int64_t row = turned ? 2 : p->a_stride, next = turned ? 2 * TW_PANEL : 2;
    if (turned && p->add) /* wanted at the end */
#pragma GCC unroll 24
        for (int k = 0; k < rows * COLUMNS; k += LINE) __builtin_prefetch(p->c + k, 1);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++) sum[r][v] = (tw_veci){0};
#pragma GCC unroll 4
    for (int64_t k = 0; k < p->pairs; k++, a += next, b += 2 * COLUMNS) {
        const tw_veci b0 = load_pairs(b), b1 = load_pairs(b + 2 * TW_LANES);
        if (!turned) {
#pragma GCC unroll 2
            for (int l = 0; l < 2 * COLUMNS; l += 32) __builtin_prefetch(b + PAGE + l);
        }
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const tw_veci x = same_pair(a + r * row);
            sum[r][0] = add_pairs(sum[r][0], x, b0, native);
            sum[r][1] = add_pairs(sum[r][1], x, b1, native);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < V; v++) {
            float *c = p->c + r * COLUMNS + v * TW_LANES;
            tw_vec x = __builtin_convertvector(sum[r][v], tw_vec) * p->row[r] *
                       tw_vload_f32(p->column + v * TW_LANES, TW_LANES);
            if (turned && p->add) x += tw_vload_f32(c, TW_LANES);
            tw_vstore_f32(c, x, TW_LANES);
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

/* Scales of TW_LANES neighbouring columns, from their squares times TW_SHORT_UNIT² and the largest
 * of these: as tw_short_scale's, but one root for both. Numbers are zeros where it is infinite. */
TW_INLINE tw_vec scales(tw_vec squares, tw_vec top, float *inverse)
{
    const float by_sum = 1.0f / ((float)TW_SHORT_EITHER * TW_SHORT_EITHER),
                by_top = 1.0f / ((float)INT16_MAX * INT16_MAX);
    const tw_vec larger = tw_vmax(top * by_top, squares * by_sum); /* a NaN stays */
    float root[TW_LANES];
    memcpy(root, &larger, sizeof root);
    for (int l = 0; l < TW_LANES; l++) root[l] = sqrtf(root[l]);
    const tw_vec v = tw_vload_f32(root, TW_LANES);
    tw_vstore_f32(inverse, v * (1 / TW_SHORT_UNIT), TW_LANES);
    return TW_SHORT_UNIT / v;
}

/* The rows of a pair side by side in each lane; the second is of zeros behind an odd last one. */
TW_INLINE void store_pair(int16_t *out, const float *even, const float *odd, tw_vec scale)
{
    const tw_veci low = tw_vto_whole(tw_vload_f32(even, TW_LANES) * scale),
                  high = odd ? tw_vto_whole(tw_vload_f32(odd, TW_LANES) * scale) : (tw_veci){0},
                  both = (tw_veci)(((tw_vecu)high << 16) | ((tw_vecu)low & 0xffffu));
    memcpy(out, &both, sizeof both);
}

static void pairs(int16_t *out, float *inverse, const float *x, int64_t rows, int64_t width)
{
    for (int64_t i = 0; i < width; i += TW_LANES) {
        tw_vec sum = tw_vzero(), top = tw_vzero();
        for (int64_t r = 0; r < rows; r++) {
            const tw_vec v = tw_vload_f32(x + r * width + i, TW_LANES) * TW_SHORT_UNIT,
                         square = v * v;
            sum += square;
            top = tw_vmax(top, square);
        }
        const tw_vec scale = scales(sum, top, inverse + i);
        const float *from = x + i;
        int16_t *to = out + 2 * i;
        for (int64_t r = 0; r + 1 < rows; r += 2, from += 2 * width, to += 2 * width)
            store_pair(to, from, from + width, scale);
        if (rows % 2) store_pair(to, from, NULL, scale);
    }
}

/* clang-format off */
#define EACH(call, turned, native) call(1, turned, native) call(2, turned, native) call(3, turned, native) call(4, turned, native) call(5, turned, native) call(6, turned, native)
#ifdef TW_SIMD_AVX512
#define EACH_MORE(call, turned, native) call(7, turned, native) call(8, turned, native) call(9, turned, native) call(10, turned, native) call(11, turned, native) call(12, turned, native)
#else
#define EACH_MORE(call, turned, native)
#endif
#define ROWS(n, turned, native) case n: product(p, n, turned, native); break;
/* clang-format on */

#define FORM(name, turned, native)                                                                 \
    static void name(const tw_short_product *p, int rows)                                          \
    {                                                                                              \
        switch (rows) {                                                                            \
            EACH(ROWS, turned, native)                                                             \
            EACH_MORE(ROWS, turned, native)                                                        \
        }                                                                                          \
    }
FORM(product_plain, false, false)
FORM(turned_plain, true, false)
#ifdef TW_SIMD_AVX512
FORM(product_native, false, true)
FORM(turned_native, true, true)
#else
#define product_native product_plain
#define turned_native turned_plain
#endif

const tw_kern_short TW_KERNEL(tw_kern_short) = {.rows_max = ROWS_MAX,
                                                .product = {product_plain, product_native},
                                                .turned = {turned_plain, turned_native},
                                                .left = left,
                                                .pairs = pairs};
