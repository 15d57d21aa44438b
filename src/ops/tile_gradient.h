/* Backward-weights of bf16 convolutions over images as products of tiles: any kernel, stride,
 * dilation and padding, f32 result in the parameter's storage layout.
 *
 *   gw[o, i, kh, kw] = Σ_q gy[q, o] x[q·stride + (kh, kw)·dilation - before, i]
 *
 * is for each (kh, kw) a matrix product with the output pixels q as its inner dimension. x is
 * turned so that the pixels of a channel follow each other, once for each kernel column and each
 * remainder of rows by the stride, as output pixels meet them: padding is in the copy, and a
 * kernel row is an offset into it. gy is paired: pixels 2j and 2j + 1 of a channel side by side.
 *
 * A number's sum is taken in an order that depends on the shapes alone. */
#ifndef TW_OPS_TILE_GRADIENT_H
#define TW_OPS_TILE_GRADIENT_H

#include "ops/conv.h"
#include "ops/kern_turn.h"
#include "ops/tile_product.h"

typedef struct tw_tile_gradient {
    const tw_tile_form *form;
    const tw_kern_turn *kern;
    int64_t images, in_height, in_width, in_channels, out_height, out_width, out_channels;
    int64_t kernel[2], stride[2], dilation[2], before[2];
    int64_t remainders;                      /* of kernel rows by the stride */
    int64_t rows;                            /* of an image's turned copy, out_width wide */
    int64_t group;                           /* images whose copies exist at a time */
    bool apart;                              /* images are segments of their own, in whole steps */
    int64_t x_row, x_copy, y_pitch, y_panel; /* elements: of a channel's row of x's copy and of a
                                                copy; k of an image of gy and elements of a panel */
    int64_t in_tiles, out_tiles, out_group;  /* tiles of 16 channels; output ones of an item */
    int threads;
    bool direct;                                   /* sums are taken in the result itself */
    size_t zeros, x_offset, y_offset, sums_offset; /* bytes: of zeros; offsets in scratch */
    tw_weights_copy weights;
} tw_tile_gradient;

/* The form that computes such a gradient faster than oneDNN here, or NULL. */
const tw_tile_form *tw_tile_gradient_form(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act);

/* Prepares it for a task whose output 0 is the gradient: scratch, implementation. */
tw_status tw_tile_gradient_create(tw_tile_gradient *out, tw_task *t, const tw_conv_shapes *s,
                                  const tw_attr *a, const tw_tile_form *form);
void tw_tile_gradient_destroy(tw_tile_gradient *d);

/* out[0] = gradient of in[0] = x and in[1] = gy */
void tw_tile_gradient_run(const tw_tile_gradient *d, const tw_task *t);

#endif
