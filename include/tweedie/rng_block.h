/* The inner generator of rng.h, inline, for kernels that want its numbers in registers: 16
 * consecutive Philox4x32-10 blocks at once, as loops over 16 lanes that the compiler turns into
 * vector code of whatever instruction set the including file is compiled for. */
#ifndef TWEEDIE_RNG_BLOCK_H
#define TWEEDIE_RNG_BLOCK_H

#include <stdint.h>

#include "tweedie/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_RNG_LANES = 16 };

/* A stream's key and the three counter words that do not count elements. */
typedef struct tw_rng_key {
    uint32_t k0, k1;
    uint32_t c1, c2, c3;
} tw_rng_key;

static inline tw_rng_key tw_rng_key_of(const tw_rng_stream *s)
{
    const uint64_t position = (uint64_t)s->position, step = (uint64_t)s->step;
    const uint32_t high = (uint32_t)(position >> 32 & 0xfff) << 12 | (uint32_t)(step >> 32 & 0xfff);
    tw_rng_key key;
    key.k0 = (uint32_t)s->seed;
    key.k1 = (uint32_t)(s->seed >> 32);
    key.c1 = (uint32_t)position;
    key.c2 = (uint32_t)step;
    key.c3 = (uint32_t)s->purpose << 24 | high;
    return key;
}

/* Word j of block `block + lane` in w[j][lane]; block + 15 must fit 32 bits or its numbers are
 * those of the wrapped counter. */
static inline void tw_rng_block16(uint32_t w[4][TW_RNG_LANES], tw_rng_key key, uint32_t block)
{
    uint32_t x0[TW_RNG_LANES], x1[TW_RNG_LANES], x2[TW_RNG_LANES], x3[TW_RNG_LANES];
#pragma omp simd
    for (int l = 0; l < TW_RNG_LANES; l++) {
        x0[l] = block + (uint32_t)l;
        x1[l] = key.c1;
        x2[l] = key.c2;
        x3[l] = key.c3;
    }
    for (int round = 0; round < 10; round++) {
#pragma omp simd
        for (int l = 0; l < TW_RNG_LANES; l++) {
            const uint64_t p0 = (uint64_t)0xD2511F53u * x0[l], p1 = (uint64_t)0xCD9E8D57u * x2[l];
            x0[l] = (uint32_t)(p1 >> 32) ^ x1[l] ^ key.k0;
            x2[l] = (uint32_t)(p0 >> 32) ^ x3[l] ^ key.k1;
            x1[l] = (uint32_t)p1;
            x3[l] = (uint32_t)p0;
        }
        key.k0 += 0x9E3779B9u;
        key.k1 += 0xBB67AE85u;
    }
#pragma omp simd
    for (int l = 0; l < TW_RNG_LANES; l++) {
        w[0][l] = x0[l];
        w[1][l] = x1[l];
        w[2][l] = x2[l];
        w[3][l] = x3[l];
    }
}

/* The first block of dropout layer `layer`: element e of the layer is byte e % 16, little-endian,
 * of block + e / 16. */
static inline uint32_t tw_rng_dropout_block(int layer)
{
    return (uint32_t)layer << 22;
}

/* The 256 bytes of elements 16 * i … 16 * i + 255 of a dropout layer, i = index of the first 16. */
static inline void tw_rng_dropout256(uint8_t out[256], tw_rng_key key, int layer, uint32_t i)
{
    uint32_t w[4][TW_RNG_LANES], inorder[4 * TW_RNG_LANES];
    tw_rng_block16(w, key, tw_rng_dropout_block(layer) + i);
#pragma omp simd
    for (int l = 0; l < TW_RNG_LANES; l++)
        for (int j = 0; j < 4; j++) inorder[4 * l + j] = w[j][l];
    __builtin_memcpy(out, inorder, sizeof inorder);
}

#ifdef __cplusplus
}
#endif

#endif
