/* The way up of a U-Net normalises concatenations, and cuts their gradients in two. The
 * normalisation reads everything that is joined in any case, so it writes the concatenation for
 * those others that read it (a shortcut, the backward pass); and its gradient writes the two parts
 * instead of a whole that is cut. */
#include "graph/program.h"
#include "ops/norm.h"

extern const tw_op tw_op_concat, tw_op_slice;

enum { SPLIT = 3 };

/* The first normalisation that reads a concatenation, if it may come before all others. */
static tw_node *reader(const tw_program *p, const tw_node *concat)
{
    for (int k = 0; k < p->count; k++) {
        tw_node *n = p->nodes[k];
        if (n->op != &tw_op_norm_act || n->in[0] != &concat->out[0] || n->nin != 4) continue;
        for (int i = 1; i < n->nin; i++)
            if (tw_program_depends(n->in[i], concat)) return NULL;
        return n;
    }
    return NULL;
}

static void join(tw_program *p, tw_node *concat)
{
    const tw_node *n = reader(p, concat);
    if (!n || tw_shape_channels(concat->in[0]->shape) % TW_LANES_MAX) return;
    tw_value *in[5] = {concat->in[0], n->in[1], n->in[2], n->in[3], concat->in[1]};
    tw_value *y = tw_emit_optional(p->g, n->op, in, 5, 1u << 3, &n->attr);
    if (!y) return;
    y->node->order = n->order;
    tw_program_replace(p, &n->out[0], y);
    tw_program_replace(p, &n->out[1], tw_output_of(y, 1));
    tw_program_replace(p, &concat->out[0], tw_output_of(y, 2));
}

/* The cut of a value that begins with a channel. */
static tw_node *slice_at(const tw_program *p, const tw_value *v, int64_t first)
{
    for (int k = 0; k < p->count; k++) {
        tw_node *n = p->nodes[k];
        if (n->op == &tw_op_slice && n->in[0] == v && n->attr.i[0] == first && n->attr.f[0] == 0)
            return n;
    }
    return NULL;
}

static void split(tw_program *p, tw_node *n)
{
    const tw_value *gx = &n->out[0];
    if (n->nout != 4 || p->uses[gx->id] != 2) return;
    const tw_node *one = slice_at(p, gx, 0), *two = one ? slice_at(p, gx, one->attr.i[1]) : NULL;
    if (!two || one->attr.i[1] % TW_LANES_MAX ||
        two->attr.i[0] + two->attr.i[1] != tw_shape_channels(gx->shape))
        return;
    tw_attr attr = n->attr;
    attr.i[SPLIT] = one->attr.i[1];
    tw_value *parts = tw_emit_optional(p->g, n->op, n->in, n->nin, 3u << 5, &attr);
    if (!parts) return;
    parts->node->order = n->order;
    tw_program_replace(p, &one->out[0], parts);
    tw_program_replace(p, &two->out[0], tw_output_of(parts, 4));
    for (int k = 1; k < 4; k++) tw_program_replace(p, &n->out[k], tw_output_of(parts, k));
}

tw_status tw_fuse_concat(tw_program *p)
{
    tw_status st = TW_OK;
    for (int i = 0; i < p->count; i++)
        if (p->nodes[i]->op == &tw_op_concat) join(p, p->nodes[i]);
    TW_TRY(tw_program_settle(p));
    for (int i = 0; i < p->count; i++)
        if (p->nodes[i]->op == &tw_op_norm_act_grad) split(p, p->nodes[i]);
    TW_TRY(tw_program_settle(p));
done:
    return st;
}
