/* What the three operations of a convolution share: attributes, shapes, and descriptions for
 * oneDNN. */
#ifndef TW_OPS_CONV_H
#define TW_OPS_CONV_H

#include "ops/weights.h"

extern const tw_op tw_op_conv, tw_op_conv_backward_data, tw_op_conv_backward_weights;

/* attr.i: [0..2] stride, [3..5] dilation, [6..8] padding before, [9..11] after, [12..14] spatial
 * extent of the gradient's shape (the input's of backward-data, the kernel's of backward-weights),
 * [15] layout of backward-weights' gradient; attr.f[0] != 0: a bias gradient is wanted of
 * backward-weights; and what a plan alone sets: attr.f[1]: factor of the forward result, 0 for
 * none; attr.f[2] != 0: of backward-data's result only sums over squares of 2 × 2 pixels (or
 * multiples) are read, which begin at even ones. */
enum {
    CONV_STRIDE = 0,
    CONV_DILATION = 3,
    CONV_BEFORE = 6,
    CONV_AFTER = 9,
    CONV_EXTENT = 12,
    CONV_LAYOUT = 15,
    CONV_POOLED = 2
};

/* A convolution seen from its forward side, whatever the direction. */
typedef struct tw_conv_shapes {
    tw_shape x, w, y; /* x and y channels last, w [O, I, kernel…] */
} tw_conv_shapes;

/* Output extent of one dimension. */
int64_t tw_conv_extent(const tw_attr *a, int d, int64_t in, int64_t kernel);

/* Is it a matrix product over pixels: kernel 1, stride 1, no padding? */
bool tw_conv_is_pointwise(const tw_conv_shapes *s, const tw_attr *a);

/* Fills a problem for oneDNN: activations channels last in `act`, weights of any format in `act`
 * (f32 for backward-weights), bias f32 where `bias`. Release with tw_conv_problem_destroy. */
tw_status tw_conv_describe(tw_conv_problem *out, tw_conv_direction direction,
                           const tw_conv_shapes *s, const tw_attr *a, tw_dtype act, bool bias);
/* Leaves the layout of a problem's activations to oneDNN as well. */
tw_status tw_conv_free_layout(tw_conv_problem *p, const tw_conv_shapes *s, tw_dtype act);
void tw_conv_problem_destroy(tw_conv_problem *p);

/* Puts the tensor that the task's convolution will add to where its output goes, unless the plan
 * has let it lie there. */
void tw_conv_add_from(const tw_task *t, const void *summand);

/* 2 · multiply-adds of one pass. */
double tw_conv_flops(const tw_conv_shapes *s);

#endif
