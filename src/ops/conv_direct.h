/* Our own f32 convolution, with a fifth of the rounding error of oneDNN's, for images and batches
 * so small that its speed, 85 % of oneDNN's, is not felt.
 *
 * oneDNN sums the I · kernel terms of an output in one chain: for 64 channels and 3 x 3, 576
 * additions of f32 one after the other. kern_conv.c sums them in chains of at most 16 · kernel
 * columns, and in f64 where the kernel is one pixel. An image is first copied, with its padding, to
 * [chunk of 16 channels][row][column][16], so that neighbouring pixels lie at distances which the
 * compiler knows. */
#ifndef TW_OPS_CONV_DIRECT_H
#define TW_OPS_CONV_DIRECT_H

#include "ops/conv.h"
#include "ops/kern_conv.h"

typedef struct tw_conv_direct {
    int64_t images, in_height, in_width, in_channels, out_height, out_width, out_channels;
    int64_t kernel[2], stride[2], dilation[2], before[2];
    int64_t rows, columns, chunks; /* of the padded copy */
    int64_t blocks, lanes;         /* of output channels; channels in one block */
    int64_t at_once;               /* images whose copies exist at a time */
    int threads;
    const tw_kern_conv *kern;
    tw_conv_kind kind;
    float gain; /* of the result */
    tw_weights_copy weights;
} tw_conv_direct;

/* Is it a convolution that this does, and should? */
bool tw_conv_direct_suits(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act);

/* Prepares the convolution of shapes `s` for a task: its scratch and packed memory, its
 * implementation. With `flip`, the task's parameter has the exchanged shape and is turned round. */
tw_status tw_conv_direct_create(tw_conv_direct *out, tw_task *t, const tw_conv_shapes *s,
                                const tw_attr *a, bool flip);
void tw_conv_direct_destroy(tw_conv_direct *d);

/* out[0] = conv(in[0]) [+ bias] [+ summand]; both may be NULL, and the summand may be out[0]. */
void tw_conv_direct_run(const tw_conv_direct *d, const tw_task *t, const float *bias,
                        const float *summand);

#endif
