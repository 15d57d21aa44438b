/* A plan's own copy of a graph, for its passes to change: dead code dropped, patterns replaced,
 * nodes in an order of execution. */
#ifndef TW_GRAPH_PROGRAM_H
#define TW_GRAPH_PROGRAM_H

#include "graph/graph.h"
#include "tweedie/plan.h"

typedef struct tw_program {
    tw_graph *g;     /* owned; its leaves' gradients and its outputs are what must be computed */
    tw_node **nodes; /* [count] in an order of execution */
    int count;
    int settled; /* values with ids below it are counted in uses and user; not those that a pass has
                    just added */
    int *uses;   /* by value id: how many inputs, outputs and gradients refer to it */
    tw_node **user; /* by value id: its only user where uses is 1 and that is a node */
} tw_program;

tw_status tw_program_create(tw_program **out, const tw_graph *g);
void tw_program_destroy(tw_program **program);

/* Drops what no output or gradient needs, orders nodes so that inputs come first (otherwise by
 * `order`), and counts uses anew. Passes call it after their changes. */
tw_status tw_program_settle(tw_program *p);

/* All uses of `old` become uses of `new`. */
void tw_program_replace(tw_program *p, const tw_value *old, tw_value *new_value);

/* ---- passes ---- */

/* [broadcast add] → group_norm → [silu] → [dropout], and its backward chain, become norm_act and
 * norm_act_grad. */
tw_status tw_fuse_norm(tw_program *p);

/* A sum behind a convolution (or its backward-data) becomes the convolution's own. */
tw_status tw_fuse_residual(tw_program *p);

/* A factor behind a convolution's sum, a gradient of a normalisation or a cut of channels becomes
 * theirs. */
tw_status tw_fuse_scale(tw_program *p);

/* A gradient that only a sum over repeated pixels reads need not be right pixel by pixel. */
tw_status tw_fuse_pool(tw_program *p);

/* What the backward pass reads of cheap operations' results is computed again where it reads it,
 * instead of kept since the forward pass. */
tw_status tw_recompute_cheap(tw_program *p, tw_recompute how);

#endif
