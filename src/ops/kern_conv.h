/* A tile of a convolution: some pixels of one row of the output, and one block of its channels. */
#ifndef TW_OPS_KERN_CONV_H
#define TW_OPS_KERN_CONV_H

#include "ops/kernel.h"

enum {
    TW_CONV_CHUNK = 16, /* input channels that lie together in the padded copy of an image */
    TW_CONV_VECTORS = 2 /* vectors in a block of output channels */
};

/* x points to what tap (0, 0) of the first pixel meets, in a copy
 * [chunk][row][column][TW_CONV_CHUNK] that has the padding in it; w to the block's weights
 * [chunk][kernel row][kernel column][TW_CONV_CHUNK][lanes · TW_CONV_VECTORS]. */
typedef struct tw_conv_tile {
    const float *x, *w, *bias; /* bias: of the block's channels, or NULL */
    const float
        *summand; /* added to the result, where the result is (and may be there itself), or NULL */
    float *y;     /* first pixel, first channel of the block */
    float gain;   /* factor of the sum of all */
    int64_t y_stride;                                /* from pixel to pixel, of the summand too */
    int64_t chunk_stride, row_stride, column_stride; /* in x: to the next chunk, kernel row and
                                                        kernel column (dilation included) */
    int64_t chunks, rows, columns;                   /* chunks of input channels; kernel */
    int64_t last_channels;                           /* in the last chunk */
    int channels;                                    /* of the block that exist */
} tw_conv_tile;

/* Pixels whose inputs lie 1 or 2 columns apart, summed in short chains of f32; or 1 column apart,
 * one kernel row and column, summed in f64.
 */
typedef enum tw_conv_kind {
    TW_CONV_STRIDE1,
    TW_CONV_STRIDE2,
    TW_CONV_POINTWISE,
    TW_CONV_KINDS
} tw_conv_kind;

typedef struct tw_kern_conv {
    int lanes;
    int pixels_max[TW_CONV_KINDS];
    void (*tile[TW_CONV_KINDS])(const tw_conv_tile *t, int pixels); /* 1 … pixels_max pixels */
} tw_kern_conv;

TW_KERNEL_DECLARE(tw_kern_conv);

#endif
