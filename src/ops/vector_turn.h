/* Transposes of squares of f32 in registers. */
#ifndef TW_OPS_VECTOR_TURN_H
#define TW_OPS_VECTOR_TURN_H

#include "ops/simd.h"

/* Numbers, or pairs of them, from a and b in turn: the lower or upper ones of each 128 bits. */
#if defined(TW_SIMD_AVX512)
#define TW_TURN_LOW(a, b) (tw_vec) _mm512_unpacklo_ps((__m512)(a), (__m512)(b))
#define TW_TURN_HIGH(a, b) (tw_vec) _mm512_unpackhi_ps((__m512)(a), (__m512)(b))
#define TW_TURN_LOW_PAIR(a, b) (tw_vec) _mm512_unpacklo_pd((__m512d)(a), (__m512d)(b))
#define TW_TURN_HIGH_PAIR(a, b) (tw_vec) _mm512_unpackhi_pd((__m512d)(a), (__m512d)(b))
#elif defined(TW_SIMD_AVX2)
#define TW_TURN_LOW(a, b) (tw_vec) _mm256_unpacklo_ps((__m256)(a), (__m256)(b))
#define TW_TURN_HIGH(a, b) (tw_vec) _mm256_unpackhi_ps((__m256)(a), (__m256)(b))
#define TW_TURN_LOW_PAIR(a, b) (tw_vec) _mm256_unpacklo_pd((__m256d)(a), (__m256d)(b))
#define TW_TURN_HIGH_PAIR(a, b) (tw_vec) _mm256_unpackhi_pd((__m256d)(a), (__m256d)(b))
#elif defined(__SSE2__)
#define TW_TURN_LOW(a, b) (tw_vec) _mm_unpacklo_ps((__m128)(a), (__m128)(b))
#define TW_TURN_HIGH(a, b) (tw_vec) _mm_unpackhi_ps((__m128)(a), (__m128)(b))
#define TW_TURN_LOW_PAIR(a, b) (tw_vec) _mm_unpacklo_pd((__m128d)(a), (__m128d)(b))
#define TW_TURN_HIGH_PAIR(a, b) (tw_vec) _mm_unpackhi_pd((__m128d)(a), (__m128d)(b))
#endif

#ifdef TW_TURN_LOW
/* Each four rows and four columns within 128 bits: afterwards r[4 g + j] has, as its 128 bits
 * number l, column 4 l + j of rows 4 g … 4 g + 3. */
TW_INLINE void tw_vturn_fours(tw_vec r[TW_LANES])
{
#pragma GCC unroll 4
    for (int g = 0; g < TW_LANES; g += 4) {
        const tw_vec a = TW_TURN_LOW(r[g], r[g + 1]), b = TW_TURN_HIGH(r[g], r[g + 1]),
                     c = TW_TURN_LOW(r[g + 2], r[g + 3]), d = TW_TURN_HIGH(r[g + 2], r[g + 3]);
        r[g] = TW_TURN_LOW_PAIR(a, c);
        r[g + 1] = TW_TURN_HIGH_PAIR(a, c);
        r[g + 2] = TW_TURN_LOW_PAIR(b, d);
        r[g + 3] = TW_TURN_HIGH_PAIR(b, d);
    }
}
#endif

/* r[i][j] becomes r[j][i]. */
TW_INLINE void tw_vturn(tw_vec r[TW_LANES])
{
#ifdef TW_TURN_LOW
    tw_vturn_fours(r);
#else
    for (int i = 0; i < TW_LANES; i++)
        for (int j = 0; j < i; j++) {
            const float x = r[i][j];
            r[i][j] = r[j][i];
            r[j][i] = x;
        }
#endif
#if defined(TW_SIMD_AVX512)
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m512 a = (__m512)r[j], b = (__m512)r[4 + j], c = (__m512)r[8 + j],
                     d = (__m512)r[12 + j];
        const __m512 even = _mm512_shuffle_f32x4(a, b, 0x88),
                     even2 = _mm512_shuffle_f32x4(c, d, 0x88),
                     odd = _mm512_shuffle_f32x4(a, b, 0xdd),
                     odd2 = _mm512_shuffle_f32x4(c, d, 0xdd);
        r[j] = (tw_vec)_mm512_shuffle_f32x4(even, even2, 0x88);
        r[4 + j] = (tw_vec)_mm512_shuffle_f32x4(odd, odd2, 0x88);
        r[8 + j] = (tw_vec)_mm512_shuffle_f32x4(even, even2, 0xdd);
        r[12 + j] = (tw_vec)_mm512_shuffle_f32x4(odd, odd2, 0xdd);
    }
#elif defined(TW_SIMD_AVX2)
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m256 a = (__m256)r[j], b = (__m256)r[4 + j];
        r[j] = (tw_vec)_mm256_permute2f128_ps(a, b, 0x20);
        r[4 + j] = (tw_vec)_mm256_permute2f128_ps(a, b, 0x31);
    }
#endif
}

#endif
