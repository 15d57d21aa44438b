/* A convolution's weights on their way from the parameter store to the layout and type that a primitive wants. */
#ifndef TW_OPS_WEIGHTS_H
#define TW_OPS_WEIGHTS_H

#include "ops/dnnl_primitive.h"

/* Descriptor of weights as the parameter store keeps them (f32, plain or blocked), for oneDNN. */
tw_status tw_weights_md(tw_md *out, tw_shape shape, tw_layout layout);

/* The shape of `flipped` weights: [in, out, kernel…]. */
tw_shape tw_weights_flipped_shape(tw_shape shape);

/* flipped[i][o][k] = weights[o][i][K - 1 - k], both in `layout`: a backward-data convolution of stride 1 is a forward one with these. */
void tw_weights_flip(tw_shape shape, tw_layout layout, const float *weights, float *flipped);

/* Weights packed for one primitive. Where the store's layout is the wanted one nothing is packed and the parameter itself is read. */
typedef struct tw_packed_weights {
    tw_primitive reorder;
    bool direct, reordered, flip;
    tw_layout layout;
    tw_shape shape;
    size_t flip_bytes; /* scratch for the flipped copy that the reorder then reads */
} tw_packed_weights;

/* @param w        a parameter's value
 * @param wanted   descriptor of the primitive's weights
 * Adds to the task's packed_bytes, and raises its scratch_bytes. */
tw_status tw_packed_weights_plan(tw_packed_weights *out, tw_task *t, const tw_value *w, bool flip, const tw_md *wanted);
void tw_packed_weights_destroy(tw_packed_weights *p);
void tw_packed_weights_pack(tw_packed_weights *p, const tw_task *t, float *param);
void *tw_packed_weights_data(const tw_packed_weights *p, const tw_task *t, float *param);

#endif
