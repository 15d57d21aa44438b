/* The kernels of rng, one set per instruction set: the same numbers, bitwise, from each. */
#ifndef RNG_KERN_RNG_H
#define RNG_KERN_RNG_H

#include "tweedie/rng_block.h"

enum { CHUNK = 4 * TW_RNG_LANES }; /* words of 16 blocks, the unit in which kernels generate */

typedef struct rng_kernels {
    /* out [chunks][CHUNK]: elements 4 * block and on, of the words themselves or as standard
     * normals. */
    void (*words)(uint32_t *out, tw_rng_key key, uint32_t block, int64_t chunks);
    void (*normals)(float *out, tw_rng_key key, uint32_t block, int64_t chunks);
} rng_kernels;

extern const rng_kernels rng_kernels_baseline, rng_kernels_avx2, rng_kernels_avx512;

#endif
