/* Copying, cleaning and ordering of a plan's graph. */
#include "graph/program.h"

#include <stdlib.h>
#include <string.h>

typedef struct copier {
    tw_graph *to;
    tw_value **map; /* by id of the old value */
} copier;

static tw_status copy_leaf(copier *c, const tw_leaf *l)
{
    tw_status st = TW_OK;
    tw_leaf *copy = NULL;
    TW_TRY(tw_alloc(&copy, 1, sizeof *copy, "a leaf of a plan"));
    *copy = *l;
    copy->value.id = c->to->value_count++;
    copy->value.name = copy->name;
    copy->gradient = NULL;
    copy->next = NULL;
    if (c->to->last_leaf)
        c->to->last_leaf->next = copy;
    else
        c->to->leaves = copy;
    c->to->last_leaf = copy;
    c->map[l->value.id] = &copy->value;
done:
    return st;
}

static tw_status copy_node(copier *c, const tw_node *n)
{
    tw_status st = TW_OK;
    tw_value *in[TW_OP_IN_MAX] = {0};
    unsigned optional = 0;
    for (int i = 0; i < n->nin; i++) {
        if (n->in[i])
            in[i] = c->map[n->in[i]->id];
        else
            optional |= 1u << i;
    }
    tw_value *first = tw_emit_optional(c->to, n->op, in, n->nin, optional, &n->attr);
    TW_TRY(tw_graph_status(c->to));
    for (int k = 0; k < n->nout; k++) c->map[n->out[k].id] = tw_output_of(first, k);
done:
    return st;
}

static tw_status copy_graph(copier *c, const tw_graph *g)
{
    tw_status st = TW_OK;
    for (const tw_leaf *l = g->leaves; l; l = l->next) TW_TRY(copy_leaf(c, l));
    for (const tw_node *n = g->first; n; n = n->next) TW_TRY(copy_node(c, n));
    for (tw_leaf *l = g->leaves; l; l = l->next)
        if (l->gradient) tw_leaf_of(c->map[l->value.id])->gradient = c->map[l->gradient->id];
    for (int i = 0; i < g->output_count; i++) {
        c->to->outputs[i] = g->outputs[i];
        c->to->outputs[i].value = c->map[g->outputs[i].value->id];
    }
    c->to->output_count = g->output_count;
done:
    return st;
}

tw_status tw_program_create(tw_program **out, const tw_graph *g)
{
    tw_status st = TW_OK;
    tw_program *p = NULL;
    copier c = {0};
    TW_TRY(tw_graph_status(g));
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a plan's program"));
    TW_TRY(tw_graph_create(&p->g));
    TW_TRY(tw_alloc(&c.map, g->value_count, sizeof *c.map, "a plan's program"));
    c.to = p->g;
    TW_TRY(copy_graph(&c, g));
    TW_TRY(tw_program_settle(p));
    *out = p;
    p = NULL;
done:
    tw_free(&c.map);
    tw_program_destroy(&p);
    return st;
}

void tw_program_destroy(tw_program **program)
{
    if (!*program) return;
    tw_graph_destroy(&(*program)->g);
    tw_free(&(*program)->nodes);
    tw_free(&(*program)->uses);
    tw_free(&(*program)->user);
    tw_free(program);
}

/* The new node itself keeps reading the old value: passes put a node behind what it replaces the
 * use of. The old value stays in the graph; tw_program_settle drops it where nobody reads it. */
void tw_program_replace(tw_program *p, const tw_value *old, tw_value *new_value)
{
    for (tw_node *n = p->g->first; n; n = n->next)
        for (int i = 0; i < n->nin; i++)
            if (n->in[i] == old && n != new_value->node) n->in[i] = new_value;
    for (tw_leaf *l = p->g->leaves; l; l = l->next)
        if (l->gradient == old) l->gradient = new_value;
    for (int i = 0; i < p->g->output_count; i++)
        if (p->g->outputs[i].value == old) p->g->outputs[i].value = new_value;
}

typedef struct visitor {
    tw_program *p;
    bool *live, *placed; /* by node id */
} visitor;

static void mark(visitor *v, const tw_value *value)
{
    if (!value || value->role != TW_ROLE_NODE || v->live[value->node->id]) return;
    v->live[value->node->id] = true;
    for (int i = 0; i < value->node->nin; i++) mark(v, value->node->in[i]);
}

/* Inputs first; the depth is that of chains which a pass has put behind their users, not of the
 * graph. */
static void place(visitor *v, tw_node *n)
{
    if (v->placed[n->id]) return;
    v->placed[n->id] = true;
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] && n->in[i]->role == TW_ROLE_NODE) place(v, n->in[i]->node);
    v->p->nodes[v->p->count++] = n;
}

static void count_use(tw_program *p, const tw_value *value, tw_node *user)
{
    if (!value) return;
    p->uses[value->id]++;
    p->user[value->id] = user;
}

static void count_uses(tw_program *p)
{
    memset(p->uses, 0, (size_t)p->g->value_count * sizeof *p->uses);
    for (int k = 0; k < p->count; k++)
        for (int i = 0; i < p->nodes[k]->nin; i++) count_use(p, p->nodes[k]->in[i], p->nodes[k]);
    for (const tw_leaf *l = p->g->leaves; l; l = l->next) count_use(p, l->gradient, NULL);
    for (int i = 0; i < p->g->output_count; i++) count_use(p, p->g->outputs[i].value, NULL);
}

/* Nodes that a pass emits come last in the graph but take the order of what they replace, so that a
 * value lives as long as it did before, and the memory plan with it. */
static int by_order(const void *a, const void *b)
{
    const tw_node *x = *(tw_node *const *)a, *y = *(tw_node *const *)b;
    return x->order != y->order ? x->order - y->order : x->id - y->id;
}

tw_status tw_program_settle(tw_program *p)
{
    tw_status st = TW_OK;
    visitor v = {.p = p};
    tw_node **order = NULL;
    const int nodes = p->g->node_count;
    int n = 0;
    TW_TRY(tw_graph_status(p->g));
    p->settled = p->g->value_count;
    tw_free(&p->nodes);
    tw_free(&p->uses);
    tw_free(&p->user);
    TW_TRY(tw_alloc(&p->nodes, nodes, sizeof(tw_node *), "a plan's nodes"));
    TW_TRY(tw_alloc(&p->uses, p->g->value_count, sizeof *p->uses, "a plan's values"));
    TW_TRY(tw_alloc(&p->user, p->g->value_count, sizeof(tw_node *), "a plan's values"));
    TW_TRY(tw_alloc(&v.live, nodes, sizeof *v.live, "a plan's nodes"));
    TW_TRY(tw_alloc(&v.placed, nodes, sizeof *v.placed, "a plan's nodes"));
    TW_TRY(tw_alloc(&order, nodes, sizeof(tw_node *), "a plan's nodes"));
    for (const tw_leaf *l = p->g->leaves; l; l = l->next) mark(&v, l->gradient);
    for (int i = 0; i < p->g->output_count; i++) mark(&v, p->g->outputs[i].value);
    for (tw_node *node = p->g->first; node; node = node->next)
        if (v.live[node->id]) order[n++] = node;
    qsort(order, (size_t)n, sizeof(tw_node *), by_order);
    p->count = 0;
    for (int i = 0; i < n; i++) place(&v, order[i]);
    count_uses(p);
done:
    tw_free(&v.live);
    tw_free(&v.placed);
    tw_free(&order);
    return st;
}
