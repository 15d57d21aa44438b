/* The gradient of a convolution whose input is an upsampled image is read by the sum over the
 * repeated pixels alone: the convolution's backward-data learns so, and may leave out what such
 * sums cancel. */
#include "graph/program.h"
#include "ops/conv.h"

extern const tw_op tw_op_average_pool;

tw_status tw_fuse_pool(tw_program *p)
{
    for (int i = 0; i < p->count; i++) {
        const tw_node *pool = p->nodes[i];
        if (pool->op != &tw_op_average_pool || pool->attr.i[0] % 2) continue;
        const tw_value *v = pool->in[0];
        if (v->role == TW_ROLE_NODE && v->id < p->settled && p->uses[v->id] == 1 &&
            v->node->op == &tw_op_conv_backward_data)
            v->node->attr.f[CONV_POOLED] = 1;
    }
    return TW_OK;
}
