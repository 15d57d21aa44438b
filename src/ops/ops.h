/* Operations that gradient rules reach and users of a graph do not, and the checks that infer()
 * functions share. */
#ifndef TW_OPS_OPS_H
#define TW_OPS_OPS_H

#include "ops/op.h"

/* sum_to and broadcast to a value of another floating type: sums of TW_ACT for a TW_F32 parameter
 * are not rounded to bf16 on the way. */
tw_value *tw_sum_to_as(tw_graph *g, tw_value *x, tw_shape shape, tw_type type);
tw_value *tw_broadcast_as(tw_graph *g, tw_value *x, tw_shape shape, tw_type type);

/* gy · f^(order)(x), order in 1 … 3 */
tw_value *tw_activation_grad(tw_graph *g, tw_value *x, tw_value *gy, tw_activation_kind kind,
                             int order);

/* scale · y ∘ (gy - Σ gy y) over the last dimension: the gradient of y = softmax(scale · x) */
tw_value *tw_softmax_grad(tw_graph *g, tw_value *y, tw_value *gy, double scale);

/* As the public ones, times `scale`: the nearest neighbour's repeated values, and the sum over each
 * window. */
tw_value *tw_upsample_scaled(tw_graph *g, tw_value *x, int64_t factor, double scale);
tw_value *tw_pool_scaled(tw_graph *g, tw_value *x, int64_t factor, double scale);

/* Σ_q m[p, q] x[…, q, …] along one dimension, m being a sparse matrix that op_mix_axis.c knows by
 * its kind; and its transpose. */
typedef enum tw_mix_kind {
    TW_MIX_BOX,
    TW_MIX_MEAN,
    TW_MIX_LINEAR,
    TW_MIX_CENTRES,
    TW_MIX_STARTS,
    TW_MIX_PERIODIC,
    TW_MIX_COUNT
} tw_mix_kind;
tw_value *tw_mix_axis(tw_graph *g, tw_value *x, int axis, tw_mix_kind kind, int64_t extent,
                      int64_t window, bool transposed);

/* The largest of the positions within `window` around each along one dimension, and the gradient:
 * gy goes to where that was, the first of several. */
tw_value *tw_max_axis(tw_graph *g, tw_value *x, int axis, int64_t window);
tw_value *tw_max_axis_grad(tw_graph *g, tw_value *x, tw_value *gy, int axis, int64_t window);

/* Table of `rows` rows, each the sum of the rows gout[n] with index[n] = row. */
tw_value *tw_embed_table_grad(tw_graph *g, tw_value *gout, tw_value *index, int64_t rows);

/* Each dimension of `small`, aligned with the last ones of `big`, is 1 or equal to big's. */
bool tw_shape_repeats_to(tw_shape small, tw_shape big);

/* Shapes in attributes: rank in i[at], dimensions behind it, six numbers in all. */
void tw_attr_set_shape(tw_attr *a, int at, tw_shape s);
tw_shape tw_attr_shape(const tw_attr *a, int at);

/* The shape that attributes ask for (see above) and, behind it, the type: fails unless its
 * dimensions are positive, and the type floating.
 */
tw_status tw_infer_wanted_shape(const tw_node *n, int at, tw_shape *out);
tw_status tw_infer_wanted_type(const tw_node *n, int at, tw_type *out);

/* Fails unless all inputs are floating (TW_ACT or TW_F32), respectively plainly laid out too. */
tw_status tw_infer_floating(const tw_node *n);
tw_status tw_infer_plain(const tw_node *n);

#endif
