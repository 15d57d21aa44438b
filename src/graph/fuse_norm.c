/* Normalisation and what surrounds it as one pass over memory.
 *
 * Forward, [x + embedding] → group_norm → [silu] → [dropout] becomes norm_act; backward, [dropout]
 * → [activation_grad] → group_norm_grad, with the sum over positions for the embedding's gradient
 * and the sum with another gradient of x, becomes norm_act_grad. Values in between are then never
 * in memory, so both directions are replaced together or not at all: the pass looks at every user
 * of them, and leaves what it does not know. */
#include <string.h>

#include "graph/program.h"

extern const tw_op tw_op_norm_act, tw_op_norm_act_grad, tw_op_group_norm, tw_op_group_norm_grad;

enum { USERS_MAX = 8, GN_GROUPS = 0, ACT = 1, DROPOUT_ID = 2 };

typedef struct users {
    int count; /* USERS_MAX + 1: more than this pass looks at, or also an output or gradient of the
                  graph */
    tw_node *node[USERS_MAX];
} users;

/* One normalisation with everything that would be fused; NULL where absent. */
typedef struct pattern {
    tw_node *norm, *act, *drop;                /* forward */
    tw_node *drop_grad, *act_grad, *norm_grad; /* backward */
    tw_node *embed;                            /* the sum x + embedding */
    tw_node *embed_sum;                        /* sum of gx for the embedding */
    tw_node *add;                              /* gx + another gradient */
} pattern;

static bool is(const tw_node *n, const char *op)
{
    return n && strcmp(n->op->name, op) == 0;
}

static users users_of(const tw_program *p, const tw_value *v)
{
    users u = {0};
    int inputs = 0;
    for (int k = 0; k < p->count; k++)
        for (int i = 0; i < p->nodes[k]->nin; i++) {
            if (p->nodes[k]->in[i] != v) continue;
            inputs++;
            bool known = u.count > 0 && u.node[u.count - 1] == p->nodes[k];
            if (!known && u.count < USERS_MAX) u.node[u.count++] = p->nodes[k];
        }
    if (inputs != p->uses[v->id] || u.count == USERS_MAX) u.count = USERS_MAX + 1;
    return u;
}

static tw_node *pick(const users *u, const char *op)
{
    for (int i = 0; i < u->count && i < USERS_MAX; i++)
        if (is(u->node[i], op)) return u->node[i];
    return NULL;
}

/* All users of v are among these two (either may be NULL). */
static bool only(const tw_program *p, const tw_value *v, const tw_node *a, const tw_node *b)
{
    users u = users_of(p, v);
    if (u.count > USERS_MAX) return false;
    for (int i = 0; i < u.count; i++)
        if (u.node[i] != a && u.node[i] != b) return false;
    return true;
}

/* The activation and dropout behind the normalisation, and their gradients. */
static bool match_activation(const tw_program *p, pattern *m)
{
    users u = users_of(p, &m->norm->out[0]);
    tw_node *act = pick(&u, "activation");
    tw_node *grad = pick(&u, "activation_grad");
    if (!act || act->attr.i[0] != TW_SILU)
        return !grad; /* no SiLU: the normalisation alone, its output used by anything */
    if (!only(p, &m->norm->out[0], act, grad) ||
        (grad && (grad->attr.i[1] != 1 || grad->in[0] != &m->norm->out[0])))
        return false;
    m->act = act;
    m->act_grad = grad;
    users s = users_of(p, &act->out[0]);
    tw_node *drop = s.count == 1 ? pick(&s, "dropout") : NULL;
    m->drop = drop;
    if (grad && drop) {
        tw_value *gy = grad->in[1];
        if (gy->role != TW_ROLE_NODE || !is(gy->node, "dropout") ||
            gy->node->attr.i[0] != drop->attr.i[0] || p->uses[gy->id] != 1)
            return false;
        m->drop_grad = gy->node;
    }
    return true;
}

static bool match_gradient(const tw_program *p, pattern *m)
{
    users u = users_of(p, &m->norm->out[1]);
    if (u.count > 1) return false;
    tw_node *grad = u.count ? u.node[0] : NULL;
    if (grad && !is(grad, "group_norm_grad")) return false;
    if (!grad) return !m->act_grad;
    m->norm_grad = grad;
    if (!m->act) return true;
    return m->act_grad && grad->in[3] == &m->act_grad->out[0] && p->uses[grad->in[3]->id] == 1;
}

/* [N, 1…, C] against [N, spatial…, C] */
static bool per_channel(tw_shape small, tw_shape big)
{
    if (small.rank != big.rank || small.rank < 3 || small.dims[0] != big.dims[0]) return false;
    for (int d = 1; d < small.rank - 1; d++)
        if (small.dims[d] != 1) return false;
    return small.dims[small.rank - 1] == big.dims[big.rank - 1];
}

static void match_embedding(const tw_program *p, pattern *m)
{
    tw_value *x = m->norm->in[0];
    if (x->role != TW_ROLE_NODE || !is(x->node, "add") ||
        !per_channel(x->node->in[1]->shape, x->shape))
        return;
    if (x->node->in[1]->type != TW_ACT || x->node->in[0]->type != TW_ACT ||
        !only(p, x, m->norm, m->norm_grad))
        return;
    m->embed = x->node;
    if (!m->norm_grad) return;
    users u = users_of(p, &m->norm_grad->out[0]);
    for (int i = 0; i < u.count && i < USERS_MAX; i++)
        if (is(u.node[i], "sum_to") && u.node[i]->out[0].type == TW_ACT &&
            per_channel(u.node[i]->out[0].shape, x->shape))
            m->embed_sum = u.node[i];
}

static bool depends(const tw_value *value, const tw_node *node)
{
    if (!value || value->role != TW_ROLE_NODE || value->node->order < node->order) return false;
    if (value->node == node) return true;
    for (int i = 0; i < value->node->nin; i++)
        if (depends(value->node->in[i], node)) return true;
    return false;
}

/* Another gradient of x that gx is added to and nothing else reads. The sum may stand behind those
 * that read the gradients of gamma and beta where they are no parameters. */
static void match_add(const tw_program *p, pattern *m)
{
    if (!m->norm_grad || m->norm->in[1]->shape.rank > 1) return;
    const tw_value *gx = &m->norm_grad->out[0];
    users u = users_of(p, gx);
    tw_node *add = pick(&u, "add");
    if (!add || !only(p, gx, add, m->embed_sum) || add->in[0] == add->in[1]) return;
    tw_value *other = add->in[add->in[0] == gx ? 1 : 0];
    if (!tw_shape_equal(other->shape, gx->shape) || other->type != TW_ACT ||
        depends(other, m->norm_grad))
        return;
    m->add = add;
}

static tw_value *embedding(tw_program *p, const pattern *m)
{
    if (!m->embed) return NULL;
    const tw_shape s = m->embed->in[1]->shape;
    tw_value *flat = tw_reshape(p->g, m->embed->in[1], TW_SHAPE(s.dims[0], s.dims[s.rank - 1]));
    if (flat) flat->node->order = m->norm->order;
    return flat;
}

static tw_value *emit_forward(tw_program *p, const pattern *m, tw_value *x, tw_value *e)
{
    const tw_node *n = m->norm;
    tw_attr a = {.i = {n->attr.i[GN_GROUPS], m->act != NULL, m->drop ? m->drop->attr.i[0] : 0},
                 .f = {n->attr.f[0], m->drop ? m->drop->attr.f[0] : 0}};
    tw_value *y = tw_emit_optional(p->g, &tw_op_norm_act, (tw_value *[]){x, n->in[1], n->in[2], e},
                                   4, 1u << 3, &a);
    if (!y) return NULL;
    y->node->order = n->order;
    const tw_node *end = m->drop ? m->drop : m->act ? m->act : m->norm;
    tw_program_replace(p, &end->out[0], y);
    return y;
}

static void emit_backward(tw_program *p, const pattern *m, tw_value *x, tw_value *e, tw_value *y)
{
    const tw_node *n = m->norm, *k = m->norm_grad;
    tw_value *gy = m->drop_grad ? m->drop_grad->in[0] : m->act_grad ? m->act_grad->in[1] : k->in[3];
    tw_value *add = m->add ? m->add->in[m->add->in[0] == &k->out[0] ? 1 : 0] : NULL;
    tw_value *in[7] = {x, n->in[1], n->in[2], tw_output_of(y, 1), gy, e, add};
    tw_value *gx = tw_emit_optional(p->g, &tw_op_norm_act_grad, in, 7, 3u << 5, &y->node->attr);
    if (!gx) return;
    gx->node->order = m->add ? m->add->order : k->order;
    if (m->embed_sum) {
        tw_value *ge = tw_reshape(p->g, tw_output_of(gx, 3), m->embed_sum->out[0].shape);
        if (!ge) return;
        ge->node->order = gx->node->order;
        tw_program_replace(p, &m->embed_sum->out[0], ge);
    }
    tw_program_replace(p, m->add ? &m->add->out[0] : &k->out[0], gx);
    tw_program_replace(p, &k->out[1], tw_output_of(gx, 1));
    tw_program_replace(p, &k->out[2], tw_output_of(gx, 2));
}

static bool fuse(tw_program *p, tw_node *norm)
{
    pattern m = {.norm = norm};
    if (!match_activation(p, &m) || !match_gradient(p, &m)) return false;
    match_embedding(p, &m);
    match_add(p, &m);
    tw_value *x = m.embed ? m.embed->in[0] : norm->in[0];
    tw_value *e = embedding(p, &m);
    tw_value *y = emit_forward(p, &m, x, e);
    if (y && m.norm_grad) emit_backward(p, &m, x, e, y);
    return true;
}

tw_status tw_fuse_norm(tw_program *p)
{
    tw_status st = TW_OK;
    bool changed = true;
    while (changed) { /* users change with each replacement, so they are counted anew before the
                         next */
        changed = false;
        for (int i = 0; i < p->count && !changed; i++)
            if (p->nodes[i]->op == &tw_op_group_norm) changed = fuse(p, p->nodes[i]);
        if (changed) TW_TRY(tw_program_settle(p));
    }
done:
    return st;
}
