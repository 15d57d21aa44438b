/* Linear maps between an image and a larger one around it: padding, cropping and their adjoints.
 *
 * Each output position is the sum of some input positions, by dimension apart: a list of sources
 * for each index of each spatial dimension (none: zero). */
#ifndef TW_OPS_BORDER_H
#define TW_OPS_BORDER_H

#include "ops/op.h"

/* attr.i of all three: [0..2] before, [3..5] after each spatial dimension, [6] a tw_padding.
 * pad       x [N, spatial…, C] -> [N, before + spatial + after…, C]
 * crop      the inverse of pad's shapes: what lies inside
 * pad_fold  the same shapes as crop: the sum of what pad made of each position, its adjoint where
 *           it is no crop */
extern const tw_op tw_op_pad, tw_op_crop, tw_op_pad_fold;

enum { BORDER_BEFORE = 0, BORDER_AFTER = 3, BORDER_KIND = 6 };

/* Whether operations with borders are to be periodic (tw_graph_set_padding), and x with so many
 * positions of its period around it, or x itself where there are none; and its adjoint, which adds
 * those positions to the ones that they repeat. */
bool tw_border_is_circular(const tw_graph *g);
tw_value *tw_border_wrap(tw_graph *g, tw_value *x, const int64_t before[3], const int64_t after[3]);
tw_value *tw_border_unwrap(tw_graph *g, tw_value *x, const int64_t before[3],
                           const int64_t after[3]);

/* Of the graph. */
void tw_graph_note_padded(tw_graph *g);

/* The shape of the output; `larger`: pad's. */
tw_status tw_border_infer(tw_node *n, bool larger);

/* Which input index (or -1) padding puts at index i of a dimension of `extent` inside. */
int64_t tw_border_source(tw_padding kind, int64_t i, int64_t before, int64_t extent);

tw_status tw_border_plan(tw_task *t);
void tw_border_run(const tw_task *t, const tw_run *r);

#endif
