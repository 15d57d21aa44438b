/* What add, sub, mul and broadcast share: op_NAME.c adds the name and the gradient rule. */
#ifndef TW_OPS_BINARY_H
#define TW_OPS_BINARY_H

#include "ops/kern_binary.h"
#include "ops/ops.h"

/* a (any floating type) and b, which repeats up to a's shape; out is as a. */
tw_status tw_binary_infer(tw_node *n);

/* The last input repeats under the output; frees with tw_binary_destroy. */
tw_status tw_binary_plan(tw_task *t);
void tw_binary_destroy(tw_task *t);
void tw_binary_run(const tw_task *t, tw_binary op);

/* Every broadcast that networks use, and some that they do not. */
tw_value *tw_binary_example(tw_graph *g, const tw_op *op, int variant);

#endif
