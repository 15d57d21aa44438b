/* The mask of a dropout layer, for kernels: shared by the operation dropout and by those that fuse
 * it.
 *
 * Element e of a sample (in [spatial…, C] order) is dropped where byte e of stream (seed,
 * TW_RNG_DROPOUT, position of the sample in the global batch, step), layer `layer` is below a
 * threshold k; what is kept is scaled by 256 / (256 - k), so the expectation is x (Srivastava et
 * al. 2014, inverted). Nothing is stored: the backward pass generates the same bytes again. */
#ifndef TW_OPS_DROPOUT_MASK_H
#define TW_OPS_DROPOUT_MASK_H

#include "ops/dropout_bytes.h"
#include "ops/element.h"

enum { TW_DROPOUT_STRETCH = 256 }; /* elements whose bytes are generated together */

/* One layer of a run. */
typedef struct tw_dropout_mask {
    int layer;
    int threshold; /* 0: nothing is dropped */
    float scale;
} tw_dropout_mask;

/* @param rate  wanted probability, in [0, 1]; at 1 all is zero */
static inline tw_dropout_mask tw_dropout_mask_of(double rate, int64_t layer)
{
    const int k = tw_rng_dropout_threshold(rate);
    return (tw_dropout_mask){
        .layer = (int)layer, .threshold = k, .scale = k < 256 ? 256.0f / (float)(256 - k) : 0.0f};
}

/* The key of sample n of the batch. */
static inline tw_rng_key tw_dropout_key(const tw_run *run, int64_t n)
{
    const tw_rng_stream s = {.seed = run->seed,
                             .purpose = TW_RNG_DROPOUT,
                             .position = run->position + n,
                             .step = run->step};
    return tw_rng_key_of(&s);
}

/* factor[i] = 0 or scale, for the sample's elements first … first + 255; first is a multiple of
 * 256. */
TW_INLINE void tw_dropout_factors(float factor[TW_DROPOUT_STRETCH], const tw_dropout_mask *m,
                                  tw_rng_key key, int64_t first)
{
    const int threshold = m->threshold;
    const float scale =
        m->scale; /* not read in the loop: a load under a condition is not vectorised */
    uint8_t bytes[TW_DROPOUT_STRETCH];
    tw_dropout_bytes256(bytes, key, m->layer, (uint32_t)(first / 16));
#pragma omp simd
    for (int i = 0; i < TW_DROPOUT_STRETCH; i++) factor[i] = bytes[i] < threshold ? 0.0f : scale;
}

#endif
