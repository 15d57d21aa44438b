/* tw_rng_dropout256 of rng_block.h, the same bytes, for kernels that spend much of their time in
 * it: Philox on 64-bit lanes, where the product of two words stays in its lane. A state word is the
 * lower half of a lane and what is above it does not matter, so a round is two products, two shifts
 * and two exclusive ors (the compiler's own translation into 32-bit lanes takes three times as
 * long). */
#ifndef TW_OPS_DROPOUT_BYTES_H
#define TW_OPS_DROPOUT_BYTES_H

#include "ops/simd.h"
#include "tweedie/rng_block.h"

#if defined(TW_SIMD_AVX512)

/* Eight blocks. They are counted 0 4 1 5 2 6 3 7 along the lanes, so that the two interleavings at
 * the end leave them in order. */
TW_INLINE void tw_dropout_eight_blocks(uint8_t out[128], tw_rng_key key, uint32_t block)
{
    const __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57);
    __m512i x0 =
        _mm512_add_epi64(_mm512_set1_epi64(block), _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7));
    __m512i x1 = _mm512_set1_epi64(key.c1), x2 = _mm512_set1_epi64(key.c2),
            x3 = _mm512_set1_epi64(key.c3);
    for (int round = 0; round < 10; round++) {
        const __m512i p0 = _mm512_mul_epu32(x0, m0), p1 = _mm512_mul_epu32(x2, m1);
        x0 = _mm512_xor_si512(_mm512_xor_si512(_mm512_srli_epi64(p1, 32), x1),
                              _mm512_set1_epi32((int)key.k0));
        x2 = _mm512_xor_si512(_mm512_xor_si512(_mm512_srli_epi64(p0, 32), x3),
                              _mm512_set1_epi32((int)key.k1));
        x1 = p1;
        x3 = p0;
        key.k0 += 0x9E3779B9u;
        key.k1 += 0xBB67AE85u;
    }
    const __m512i low = _mm512_mask_blend_epi32(0xaaaa, x0, _mm512_slli_epi64(x1, 32));
    const __m512i high = _mm512_mask_blend_epi32(0xaaaa, x2, _mm512_slli_epi64(x3, 32));
    _mm512_storeu_si512(out, _mm512_unpacklo_epi64(low, high));
    _mm512_storeu_si512(out + 64, _mm512_unpackhi_epi64(low, high));
}

TW_INLINE void tw_dropout_bytes256(uint8_t out[256], tw_rng_key key, int layer, uint32_t i)
{
    tw_dropout_eight_blocks(out, key, tw_rng_dropout_block(layer) + i);
    tw_dropout_eight_blocks(out + 128, key, tw_rng_dropout_block(layer) + i + 8);
}

#elif defined(TW_SIMD_AVX2)

/* Four blocks, counted 0 2 1 3 along the lanes. */
TW_INLINE void tw_dropout_four_blocks(uint8_t out[64], tw_rng_key key, uint32_t block)
{
    const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
    __m256i x0 = _mm256_add_epi64(_mm256_set1_epi64x(block), _mm256_setr_epi64x(0, 2, 1, 3));
    __m256i x1 = _mm256_set1_epi64x(key.c1), x2 = _mm256_set1_epi64x(key.c2),
            x3 = _mm256_set1_epi64x(key.c3);
    for (int round = 0; round < 10; round++) {
        const __m256i p0 = _mm256_mul_epu32(x0, m0), p1 = _mm256_mul_epu32(x2, m1);
        x0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), x1),
                              _mm256_set1_epi32((int)key.k0));
        x2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), x3),
                              _mm256_set1_epi32((int)key.k1));
        x1 = p1;
        x3 = p0;
        key.k0 += 0x9E3779B9u;
        key.k1 += 0xBB67AE85u;
    }
    const __m256i low = _mm256_blend_epi32(x0, _mm256_slli_epi64(x1, 32), 0xaa);
    const __m256i high = _mm256_blend_epi32(x2, _mm256_slli_epi64(x3, 32), 0xaa);
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_unpacklo_epi64(low, high));
    _mm256_storeu_si256((__m256i *)(void *)(out + 32), _mm256_unpackhi_epi64(low, high));
}

TW_INLINE void tw_dropout_bytes256(uint8_t out[256], tw_rng_key key, int layer, uint32_t i)
{
    for (int k = 0; k < 4; k++)
        tw_dropout_four_blocks(out + 64 * k, key,
                               tw_rng_dropout_block(layer) + i + 4 * (uint32_t)k);
}

#else

TW_INLINE void tw_dropout_bytes256(uint8_t out[256], tw_rng_key key, int layer, uint32_t i)
{
    tw_rng_dropout256(out, key, layer, i);
}

#endif

#endif
