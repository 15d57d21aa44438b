/* The loops of group normalisation: see norm.h for the mathematics and the letters.
 *
 * A tile is a rectangle of pixels × channels of one image in channels-last memory. Tensors are
 * addressed by a pointer to the tile's first element and a stride from pixel to pixel, so a tile
 * may be a slice of the channels. Arrays called per-channel have
 * TW_PADDED(channels) elements and are read and written to that length. */
#ifndef TW_OPS_KERN_NORM_H
#define TW_OPS_KERN_NORM_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/kernel.h"
#include "ops/stored.h"
#include "tweedie/rng_block.h"

/* Per-channel arrays are padded to whole vectors of the widest instruction set. */
enum { TW_LANES_MAX = 16 };
#define TW_PADDED(n) (((n) + TW_LANES_MAX - 1) / TW_LANES_MAX * TW_LANES_MAX)

/* What follows the affine map: ELU has α = 1 (Clevert et al. 2016). */
typedef enum tw_norm_activation { TW_NORM_NONE, TW_NORM_SILU, TW_NORM_ELU } tw_norm_activation;

typedef struct tw_norm_tile {
    int64_t pixels, channels;
    const void *x;
    void *y;
    const void *gy;
    void
        *gx; /* of gradient_sums: NULL, or where it leaves g for gradient_apply; may be gy itself */
    const void *add;
    int64_t stride; /* from pixel to pixel of x, y, gy, gx and add, in elements */
    const uint8_t *
        bytes; /* of dropout: an element is kept where its byte is >= threshold; NULL: no dropout */
    int64_t bytes_stride;
    uint8_t threshold;
    float keep; /* 1 / (probability that an element is kept) */
    tw_norm_activation activation;
    const float *shift, *a, *b; /* per channel: u = a (x - shift) + b */
    const float *c1, *c2, *c3;  /* per channel: gx = c1 g + c2 (x - shift) + c3 */
    float gain;                 /* of gx and what is added to it */
    double *sum0, *sum1, *sum2; /* per channel, added to */
} tw_norm_tile;

/* Loops are indexed by how x, y, gy, gx and add are stored: a tw_stored. */
typedef struct tw_kern_norm {
    /* sum0 += Σ x, sum1 += Σ x² over the tile's pixels: exact to f32 rounding of the deviations
     * from local means, so that sum1 - sum0² / pixels is good even where the mean exceeds the
     * deviation a million times. */
    void (*moments[TW_STORED_COUNT])(const tw_norm_tile *t);
    /* y = keep · mask · act(u); dropout goes with SiLU or none */
    void (*apply[TW_STORED_COUNT])(const tw_norm_tile *t);
    /* g = gradient with respect to u; sum0 += Σ g, sum1 += Σ g (x - shift), sum2 += Σ (x - shift)
     */
    void (*gradient_sums[TW_STORED_COUNT])(const tw_norm_tile *t);
    /* gx = gain (c1 g + c2 (x - shift) + c3 (+ add)), g being what gradient_sums left in gx */
    void (*gradient_apply[TW_STORED_COUNT])(const tw_norm_tile *t);
    /* Bytes of elements first … first + n - 1 of a dropout layer; first is a multiple of 16; writes
     * up to 256 bytes more than n. */
    void (*bytes)(uint8_t *out, tw_rng_key key, int layer, int64_t first, int64_t n);
} tw_kern_norm;

TW_KERNEL_DECLARE(tw_kern_norm);

#endif
