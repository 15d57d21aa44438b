/* Forgetting activations and computing them again.
 *
 * The backward pass reads what the forward pass has computed, so every such value lives from one
 * to the other: they are most of a training step's memory. Values of operations that cost little
 * (tw_op.cheap: normalisations, activations, concatenations, attention, resampling) are forgotten
 * instead. Where the backward pass first reads one, its operation runs again, on inputs that are
 * kept or that are computed again themselves. What remains are the outputs of convolutions and of
 * sums, so the chain ends within a block: a recomputed sum would lead from each block to the one
 * before. The copies are the same operations on the same numbers (dropout's mask is a function of
 * its layer), so gradients have the same bits.
 *
 * The forward pass is what the graph's outputs need; the backward pass is the rest. */
#include <string.h>

#include "graph/program.h"

/* What is smaller, for all of a batch, is kept: it is not worth an operation. */
enum { SMALL_ELEMENTS = 4096 };

typedef struct pass {
    tw_program *p;
    tw_recompute how;
    bool *forward;   /* by node id */
    tw_node **again; /* by node id: its copy */
    int nodes;       /* that there were when the pass began */
    int order;       /* of the backward node whose inputs are looked at */
} pass;

static void mark_forward(pass *s, const tw_value *v)
{
    if (!v || v->role != TW_ROLE_NODE || s->forward[v->node->id]) return;
    s->forward[v->node->id] = true;
    for (int i = 0; i < v->node->nin; i++) mark_forward(s, v->node->in[i]);
}

static tw_value *again(pass *s, tw_value *v);

/* The node's copy on inputs that are there; NULL after an error. */
static tw_node *copy(pass *s, tw_node *n)
{
    tw_value *in[TW_OP_IN_MAX] = {0};
    unsigned optional = 0;
    for (int i = 0; i < n->nin; i++) {
        in[i] = n->in[i] ? again(s, n->in[i]) : NULL;
        if (!n->in[i]) optional |= 1u << i;
    }
    tw_value *out = tw_emit_optional(s->p->g, n->op, in, n->nin, optional, &n->attr);
    if (!out) return NULL;
    out->node->order = s->order;
    return out->node;
}

/* One pass over memory, or a normalisation of what is computed again anyway. Those of what is kept,
 * as are half of a U-Net's, cost as much time again for a quarter of the memory. */
static bool is_pass(pass *s, const tw_node *n)
{
    bool normalises = false;
    for (int i = 0; i < n->nin; i++)
        normalises = normalises || (n->in[i] && n->in[i]->role == TW_ROLE_PARAM);
    return !n->op->multiplies && (!normalises || again(s, n->in[0]) != n->in[0]);
}

/* v itself where it is kept, else as computed again. */
static tw_value *again(pass *s, tw_value *v)
{
    if (v->role != TW_ROLE_NODE || v->node->id >= s->nodes || !s->forward[v->node->id] ||
        tw_shape_count(v->shape) < SMALL_ELEMENTS)
        return v;
    tw_node *n = v->node;
    if (!n->op->cheap && !n->op->alias) return v;
    if (s->how == TW_RECOMPUTE_PASSES && !is_pass(s, n)) return v;
    if (n->op->alias && again(s, n->in[0]) == n->in[0]) return v; /* of something that is kept */
    if (!s->again[n->id]) s->again[n->id] = copy(s, n);
    return s->again[n->id] ? &s->again[n->id]->out[v->output] : v;
}

tw_status tw_recompute_cheap(tw_program *p, tw_recompute how)
{
    tw_status st = TW_OK;
    pass s = {.p = p, .how = how, .nodes = p->g->node_count};
    if (how == TW_RECOMPUTE_NO) return TW_OK;
    TW_TRY(tw_alloc(&s.forward, s.nodes, sizeof *s.forward, "a plan's forward pass"));
    TW_TRY(tw_alloc(&s.again, s.nodes, sizeof(tw_node *), "a plan's forward pass"));
    for (int i = 0; i < p->g->output_count; i++) mark_forward(&s, p->g->outputs[i].value);
    for (int k = 0; k < p->count; k++) {
        tw_node *n = p->nodes[k];
        if (s.forward[n->id]) continue;
        s.order = n->order;
        for (int i = 0; i < n->nin; i++)
            if (n->in[i]) n->in[i] = again(&s, n->in[i]);
    }
    TW_TRY(tw_program_settle(p));
done:
    tw_free(&s.forward);
    tw_free(&s.again);
    return st;
}
