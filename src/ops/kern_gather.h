/* The inner loops of direct convolutions that read their input where it lies, pixel by pixel:
 * y[p, o] = Σ_taps Σ_i x[pixel(tap, p), i] w[tap, o, i].
 *
 * `wide` has vectors of output channels and is for f32; `narrow` has vectors of input channels, for
 * at most TW_GATHER_NARROW outputs. Each result is one chain of sums (narrow: one in each lane),
 * whatever pixels are computed together. */
#ifndef TW_OPS_KERN_GATHER_H
#define TW_OPS_KERN_GATHER_H

#include "ops/kernel.h"
#include "ops/stored.h"

enum {
    TW_GATHER_VECTORS = 2, /* of output channels in a panel */
    TW_GATHER_NARROW = 3,
    TW_GATHER_PIXELS_MAX = 12
};

/* Weights: [panel][tap][input][lanes · TW_GATHER_VECTORS], or [tap][TW_GATHER_NARROW][input, whole
 * vectors]; this points to the panel. */
typedef struct tw_gather_tile {
    const void *const *pixel; /* [tap][TW_GATHER_PIXELS_MAX]: first channel of what it meets */
    const int64_t *at;        /* of each pixel: offset of its first channel in y and summand */
    const int64_t *tap;       /* which of the weights' taps it is */
    int64_t taps, inputs, tap_stride;
    const float *w, *bias; /* bias: of the panel's channels, or NULL */
    const void *summand;   /* added to the result, or NULL; may be y itself */
    void *y;
    float gain;  /* factor of the sum of all */
    int outputs; /* of the panel that exist */
} tw_gather_tile;

typedef struct tw_kern_gather {
    int lanes, wide_pixels, narrow_pixels; /* most pixels of a tile */
    void (*wide)(const tw_gather_tile *t, int pixels);
    void (*narrow[TW_STORED_COUNT])(const tw_gather_tile *t, int pixels);
} tw_kern_gather;

TW_KERNEL_DECLARE(tw_kern_gather);

#endif
