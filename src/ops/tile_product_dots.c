/* Products of tiles by VDPBF16PS: a tile of sums is in 16 registers for all k, each b a register,
 * each pair of a is broadcast from memory. */
#include "ops/dnnl_compat.h"
#include "ops/tile_product.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "ops/element.h"

#define DOTS __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

enum { SIDE = TW_TILE_SIDE };

/* 32 k of 16 × 16 sums; a's rows are `stride` elements apart. */
DOTS TW_INLINE void step(__m512 sum[SIDE], const tw_bf16 *a, int64_t stride, const tw_bf16 *b)
{
    const tw_bf16 *low = a, *high = a + 8 * stride;
#pragma GCC unroll 16
    for (int k = 0; k < SIDE; k++) {
        const __m512bh column = (__m512bh)_mm512_loadu_si512(b + k * 2 * SIDE);
#pragma GCC unroll 16
        for (int m = 0; m < SIDE; m++) {
            int32_t pair;
            memcpy(&pair, (m < 8 ? low + m * stride : high + (m - 8) * stride) + 2 * k,
                   sizeof pair);
            sum[m] = _mm512_dpbf16_ps(sum[m], column, (__m512bh)_mm512_set1_epi32(pair));
        }
    }
}

DOTS static void multiply_tile(const tw_tile_product *p, const tw_bf16 *a, const tw_bf16 *b,
                               float *c)
{
    __m512 sum[SIDE];
#pragma GCC unroll 16
    for (int m = 0; m < SIDE; m++)
        sum[m] = p->add ? _mm512_loadu_ps(c + m * SIDE) : _mm512_setzero_ps();
    for (int64_t s = 0; s < p->segments; s++)
        for (int64_t k = 0; k < p->steps; k++)
            step(sum, a + s * p->a_segment + k * TW_TILE_STEP, p->a_stride,
                 b + s * p->b_segment + k * TW_TILE_STEP * SIDE);
#pragma GCC unroll 16
    for (int m = 0; m < SIDE; m++) _mm512_storeu_ps(c + m * SIDE, sum[m]);
}

static void multiply(const tw_tile_product *p)
{
    for (int r = 0; r < p->rows; r++)
        for (int c = 0; c < p->columns; c++)
            multiply_tile(p, p->a + r * SIDE * p->a_stride, p->b + c * p->b_tile,
                          p->c + r * p->c_row + c * p->c_column);
}

static void nothing(void)
{
}

static const tw_tile_form dots = {
    .name = "avx512_bf16", .begin = nothing, .multiply = multiply, .end = nothing};

const tw_tile_form *tw_tile_form_dots(void)
{
    const bool there = tw_processor_allowed().avx512_bf16;
    return there && tw_dnnl_bf16_unit() >= TW_DNNL_BF16_DOTS ? &dots : NULL;
}
#else
const tw_tile_form *tw_tile_form_dots(void)
{
    return NULL;
}
#endif
