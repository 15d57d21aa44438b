/* Convolutions of one tap at stride 1 without padding, in f32: a matrix product of pixels, which
 * are read where they lie, with weights in panels. Those of blocked parameters are in panels
 * already.
 *
 * Threads take pixels as they come to want them, fewer towards the end: cores of unequal speed end
 * together. A result does not depend on the number of threads or on the batch. */
#ifndef TW_OPS_POINTWISE_H
#define TW_OPS_POINTWISE_H

#include "ops/conv.h"
#include "ops/kern_pointwise.h"

typedef struct tw_pointwise {
    const tw_kern_pointwise *kern;
    int64_t pixels, inputs, outputs; /* pixels: of all images */
    int64_t tiles;                   /* of output channels */
    int64_t group, groups;           /* tiles of output channels that a thread takes at a time */
    int threads;
    float gain;
    bool direct; /* weights are read where they are stored */
    tw_weights_copy weights;
} tw_pointwise;

/* Can the convolution be computed so, and should it? Of the gradient with respect to the input: the
 * shapes of the forward convolution that gives it. */
bool tw_pointwise_suits(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act);

/* Prepares it for a task: packed memory, implementation. With `flip`, the task's parameter has the
 * exchanged shape. */
tw_status tw_pointwise_create(tw_pointwise *out, tw_task *t, const tw_conv_shapes *s,
                              const tw_attr *a, bool flip);
void tw_pointwise_destroy(tw_pointwise *d);

/* out[0] = gain (conv(in[0]) [+ bias] [+ summand]); both may be NULL, and the summand may be
 * out[0]. */
void tw_pointwise_run(const tw_pointwise *d, const tw_task *t, const float *bias,
                      const void *summand);

#endif
