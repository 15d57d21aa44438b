/* add(conv(x), r) becomes conv(x) + r by the convolution's own post-op, which is free; the same for
 * the backward-data convolution, where gradients of one value meet. The other summand has the same
 * shape; it cannot itself need the convolution, whose one use the sum is. */
#include <string.h>

#include "graph/program.h"
#include "ops/conv.h"

static bool stride_one(const tw_node *n)
{
    for (int d = 0; d < n->in[0]->shape.rank - 2; d++) {
        int64_t reach = n->attr.i[CONV_DILATION + d] * (n->in[1]->shape.dims[2 + d] - 1);
        if (n->attr.i[CONV_STRIDE + d] != 1 || n->attr.i[CONV_BEFORE + d] > reach ||
            n->attr.i[CONV_AFTER + d] > reach)
            return false;
    }
    return true;
}

/* The convolution that produces `v` for this sum alone and can still take a summand, or NULL. */
static tw_node *convolution(const tw_program *p, const tw_value *v, const tw_value *other)
{
    if (v->role != TW_ROLE_NODE || v->id >= p->settled || p->uses[v->id] != 1 ||
        !tw_shape_equal(v->shape, other->shape) || other->type != TW_ACT)
        return NULL;
    tw_node *n = v->node;
    bool free_conv = n->op == &tw_op_conv && n->nin == 3;
    bool free_back = n->op == &tw_op_conv_backward_data && n->nin == 2 && stride_one(n);
    return free_conv || free_back ? n : NULL;
}

static void fuse(tw_program *p, tw_node *sum)
{
    for (int k = 0; k < 2; k++) {
        tw_value *other = sum->in[1 - k];
        tw_node *n = convolution(p, sum->in[k], other);
        if (!n) continue;
        tw_value *in[4] = {n->in[0], n->in[1], n->nin > 2 ? n->in[2] : other,
                           n->nin > 2 ? other : NULL};
        tw_value *fused = tw_emit_optional(p->g, n->op, in, n->nin + 1,
                                           n->op == &tw_op_conv ? 1u << 2 : 0, &n->attr);
        if (!fused) return;
        fused->node->order = sum->order; /* where the sum stood, both summands exist */
        tw_program_replace(p, &sum->out[0], fused);
        return;
    }
}

tw_status tw_fuse_residual(tw_program *p)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->nodes[i]->op->name, "add") == 0) fuse(p, p->nodes[i]);
    return tw_program_settle(p);
}
