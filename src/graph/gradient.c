/* The gradient of a graph, as more operations of the same graph.
 *
 * Reverse accumulation over symbols: nodes are walked from the last to the first; each one that y
 * depends on and that depends on a wanted value adds its gradient rule; contributions to one value
 * are added as they come, which is a fixed order. */
#include <string.h>

#include "graph/graph.h"

typedef struct sweep {
    tw_graph *g;
    bool *wanted;        /* by value id: some wrt lies at or before it */
    tw_value **gradient; /* by value id */
    int count;           /* of values when the sweep began */
} sweep;

static void mark_wanted(sweep *s, tw_value *const *wrt, int n)
{
    for (int i = 0; i < n; i++)
        if (wrt[i]) s->wanted[wrt[i]->id] = true;
    for (const tw_node *node = s->g->first; node; node = node->next) {
        bool any = false;
        for (int i = 0; i < node->nin; i++)
            any = any || (node->in[i] && s->wanted[node->in[i]->id]);
        for (int k = 0; any && k < node->nout; k++)
            if (node->out[k].type != TW_I32) s->wanted[node->out[k].id] = true;
    }
}

static void accumulate(sweep *s, const tw_value *v, tw_value *contribution)
{
    if (!contribution) return;
    tw_value **slot = &s->gradient[v->id];
    *slot = *slot ? tw_add(s->g, *slot, contribution) : contribution;
}

static void visit(sweep *s, const tw_node *node)
{
    tw_value *gout[TW_OP_OUT_MAX] = {0}, *gin[TW_OP_IN_MAX] = {0};
    bool want[TW_OP_IN_MAX] = {0}, reached = false, any = false;
    for (int k = 0; k < node->nout; k++) {
        gout[k] = s->gradient[node->out[k].id];
        reached = reached || gout[k];
    }
    for (int i = 0; i < node->nin; i++) {
        want[i] = node->in[i] && node->in[i]->type != TW_I32 && s->wanted[node->in[i]->id];
        any = any || want[i];
    }
    if (!reached || !any) return;
    if (!node->op->gradient) {
        tw_graph_fail(s->g, TW_EUNSUPPORTED, "the operation %s has no derivative", node->op->name);
        return;
    }
    tw_status st = node->op->gradient(s->g, node, gout, want, gin);
    if (st != TW_OK) tw_graph_fail(s->g, st, "%s", tw_error_message());
    for (int i = 0; i < node->nin; i++)
        if (want[i]) accumulate(s, node->in[i], gin[i]);
}

/* Nodes are a forward list; the walk backward needs them in an array. */
static tw_status walk_back(sweep *s, const tw_value *y)
{
    tw_status st = TW_OK;
    const tw_node **order = NULL;
    int n = 0;
    if (y->role != TW_ROLE_NODE) return TW_OK;
    TW_TRY(tw_alloc(&order, y->node->id + 1, sizeof *order, "the order of a gradient"));
    for (const tw_node *node = s->g->first; node && node->id <= y->node->id; node = node->next)
        order[n++] = node;
    while (n-- > 0 && s->g->status == TW_OK) visit(s, order[n]);
done:
    tw_free(&order);
    return st;
}

static tw_value *ones_like(tw_graph *g, tw_value *y)
{
    return tw_affine(g, y, 0.0, 1.0);
}

void tw_graph_gradient(tw_graph *g, tw_value *y, tw_value *seed, tw_value *const *wrt, int n,
                       tw_value **gradient)
{
    tw_status st = TW_OK;
    sweep s = {.g = g};
    memset(gradient, 0, (size_t)n * sizeof *gradient);
    if (!y || g->status != TW_OK) return;
    TW_CHECK(!seed || tw_shape_equal(seed->shape, y->shape), TW_ESHAPE,
             "the seed of a gradient has another shape than its value");
    if (!seed) seed = ones_like(g, y);
    s.count = g->value_count;
    TW_TRY(tw_alloc(&s.wanted, s.count, sizeof *s.wanted, "a gradient"));
    TW_TRY(tw_alloc(&s.gradient, s.count, sizeof *s.gradient, "a gradient"));
    mark_wanted(&s, wrt, n);
    s.gradient[y->id] = seed;
    TW_TRY(walk_back(&s, y));
    for (int i = 0; i < n && g->status == TW_OK; i++)
        gradient[i] = wrt[i] ? s.gradient[wrt[i]->id] : NULL;
done:
    if (st != TW_OK) tw_graph_fail(g, st, "%s", tw_error_message());
    tw_free(&s.wanted);
    tw_free(&s.gradient);
}

void tw_graph_gradient_of_params(tw_graph *g, tw_value *loss)
{
    tw_status st = TW_OK;
    tw_value **params = NULL, **gradients = NULL;
    int n = tw_graph_param_count(g), i = 0;
    TW_TRY(tw_alloc(&params, n, sizeof *params, "the parameters of a gradient"));
    TW_TRY(tw_alloc(&gradients, n, sizeof *gradients, "the parameters of a gradient"));
    for (tw_leaf *l = g->leaves; l; l = l->next)
        if (l->value.role == TW_ROLE_PARAM) params[i++] = &l->value;
    if (g->further_loss) loss = tw_add(g, loss, g->further_loss);
    tw_graph_gradient(g, loss, NULL, params, n, gradients);
    for (i = 0; i < n; i++) tw_leaf_of(params[i])->gradient = gradients[i];
    for (tw_leaf *l = g->leaves; l; l = l->next)
        if (l->value.role == TW_ROLE_STATE) l->gradient = l->statistic;
done:
    if (st != TW_OK) tw_graph_fail(g, st, "%s", tw_error_message());
    tw_free(&params);
    tw_free(&gradients);
}
