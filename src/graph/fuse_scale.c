/* scale · v, where v is made for it alone, is made by the operation that makes v and writes it in
 * any case: a convolution with or without a sum, the gradient of a normalisation, a cut of
 * channels. Networks that divide their skip connections by √2 have one such factor for each block,
 * forwards and backwards. */
#include "graph/program.h"
#include "ops/conv.h"
#include "ops/norm.h"

extern const tw_op tw_op_affine, tw_op_slice;

/* Where the node of v keeps a factor of v; NULL: it has none. */
static double *factor_of(const tw_program *p, const tw_value *v)
{
    tw_node *n = v->node;
    if (n->op == &tw_op_conv) return &n->attr.f[1];
    if (n->op == &tw_op_slice) return &n->attr.f[0];
    if (n->op == &tw_op_norm_act_grad && v->output == 0 && p->uses[n->out[3].id] == 0)
        return &n->attr.f[2];
    return NULL;
}

static void fuse(tw_program *p, tw_node *scale)
{
    tw_value *v = scale->in[0];
    if (scale->attr.f[1] != 0 || scale->attr.f[0] == 0 || v->role != TW_ROLE_NODE ||
        v->id >= p->settled || p->uses[v->id] != 1)
        return;
    double *factor = factor_of(p, v);
    if (!factor) return;
    *factor = (*factor != 0 ? *factor : 1) * scale->attr.f[0];
    p->uses[v->id] = p->uses[scale->out[0].id];
    tw_program_replace(p, &scale->out[0], v);
}

tw_status tw_fuse_scale(tw_program *p)
{
    for (int i = 0; i < p->count; i++)
        if (p->nodes[i]->op == &tw_op_affine) fuse(p, p->nodes[i]);
    return tw_program_settle(p);
}
