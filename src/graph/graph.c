/* Building a graph: leaves, nodes and sticky errors. */
#include "graph/graph.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ops/border.h"

const tw_init tw_init_zeros = {.kind = TW_INIT_ZEROS};
const tw_init tw_init_ones = {.kind = TW_INIT_ONES};

tw_init tw_init_variance_scaling(double scale, int64_t fan_in, int64_t fan_out)
{
    double average = 0.5 * (double)(fan_in + fan_out);
    return (tw_init){.kind = TW_INIT_UNIFORM,
                     .bound = sqrt(3 * (scale == 0 ? 1e-10 : scale) / average)};
}

tw_init tw_init_fan_in(int64_t fan_in)
{
    return (tw_init){.kind = TW_INIT_UNIFORM, .bound = 1 / sqrt((double)fan_in)};
}

tw_status tw_graph_create(tw_graph **out)
{
    return tw_alloc(out, 1, sizeof **out, "a graph");
}

void tw_graph_destroy(tw_graph **graph)
{
    if (!*graph) return;
    for (tw_node *n = (*graph)->first, *next; n; n = next) {
        next = n->next;
        tw_free(&n);
    }
    for (tw_leaf *l = (*graph)->leaves, *next; l; l = next) {
        next = l->next;
        tw_free(&l);
    }
    tw_free(graph);
}

tw_status tw_graph_status(const tw_graph *g)
{
    return g->status == TW_OK ? TW_OK : tw_error_set(g->status, "%s", g->message);
}

/* Keeps the thread's message as the graph's first error. */
static tw_value *keep_error(tw_graph *g, tw_status st)
{
    if (g->status != TW_OK) return NULL;
    g->status = st;
    snprintf(g->message, sizeof g->message, "%s", tw_error_message());
    return NULL;
}

tw_value *tw_graph_fail(tw_graph *g, tw_status code, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return keep_error(g, tw_error_set(code, "%s", text));
}

static tw_value *add_leaf(tw_graph *g, const char *name, tw_role role, tw_type type, tw_shape shape,
                          tw_init init)
{
    tw_leaf *leaf = NULL;
    if (g->status != TW_OK) return NULL;
    for (const tw_leaf *l = g->leaves; l; l = l->next)
        if (strcmp(l->name, name) == 0)
            return tw_graph_fail(g, TW_EINTERNAL, "two leaves of the graph are named \"%s\"", name);
    if (strlen(name) >= TW_NAME_MAX)
        return tw_graph_fail(g, TW_EINTERNAL, "a name of over %d characters: %s", TW_NAME_MAX - 1,
                             name);
    for (int d = 0; d < shape.rank; d++)
        if (shape.dims[d] < 1)
            return tw_graph_fail(g, TW_ESHAPE, "%s: dimension %d is %lld", name, d,
                                 (long long)shape.dims[d]);
    tw_status st = tw_alloc(&leaf, 1, sizeof *leaf, "a leaf of the graph");
    if (st != TW_OK) return keep_error(g, st);
    snprintf(leaf->name, sizeof leaf->name, "%s", name);
    leaf->init = init;
    leaf->value = (tw_value){
        .type = type, .role = role, .shape = shape, .id = g->value_count++, .name = leaf->name};
    if (g->last_leaf)
        g->last_leaf->next = leaf;
    else
        g->leaves = leaf;
    g->last_leaf = leaf;
    return &leaf->value;
}

tw_value *tw_input(tw_graph *g, const char *name, tw_type type, tw_shape shape)
{
    return add_leaf(g, name, TW_ROLE_INPUT, type, shape, tw_init_zeros);
}

tw_value *tw_graph_input(const tw_graph *g, const char *name)
{
    for (tw_leaf *l = g->leaves; l; l = l->next)
        if (l->value.role == TW_ROLE_INPUT && strcmp(l->name, name) == 0) return &l->value;
    return NULL;
}

void tw_graph_set_padding(tw_graph *g, tw_padding padding)
{
    g->padding = padding;
}

tw_padding tw_graph_padding(const tw_graph *g)
{
    return g->padding;
}

void tw_graph_note_padded(tw_graph *g)
{
    g->padded = true;
}

bool tw_graph_is_padded(const tw_graph *g)
{
    return g->padded;
}

bool tw_graph_reads(const tw_graph *g, const char *name)
{
    const tw_value *v = tw_graph_input(g, name);
    for (const tw_node *n = g->first; v && n; n = n->next)
        for (int i = 0; i < n->nin; i++)
            if (n->in[i] == v) return true;
    return false;
}

/* Blocks of 16 fit only where both channel counts are multiples of 16; a 1x1 kernel's gradient is a
 * matrix product and stays plain. */
static tw_layout storage_layout(tw_shape s)
{
    int64_t taps = 1;
    for (int d = 2; d < s.rank; d++) taps *= s.dims[d];
    return s.rank >= 3 && taps > 1 && s.dims[0] % 16 == 0 && s.dims[1] % 16 == 0 ? TW_BLOCKED
                                                                                 : TW_PLAIN;
}

/* A parameter's name, role and whether it may be there, as the open scopes say. */
static bool apply_scopes(const tw_graph *g, char *name, size_t size, const char *own, tw_role *role)
{
    bool again = false;
    size_t n = 0;
    for (int k = 0; k < g->scope_count && n < size; k++) {
        const tw_graph_scope *s = &g->scopes[k];
        n += (size_t)snprintf(name + n, size - n, "%s", s->prefix);
        if (s->frozen && *role == TW_ROLE_PARAM) *role = TW_ROLE_CONSTANT;
        again = again || s->again;
    }
    if (n < size) snprintf(name + n, size - n, "%s", own);
    return again;
}

static tw_value *find_param(const tw_graph *g, const char *name)
{
    for (tw_leaf *l = g->leaves; l; l = l->next)
        if (l->value.role != TW_ROLE_INPUT && strcmp(l->name, name) == 0) return &l->value;
    return NULL;
}

static tw_value *add_param(tw_graph *g, const char *own, tw_role role, tw_shape shape, tw_init init)
{
    char name[2 * TW_NAME_MAX];
    const bool again = apply_scopes(g, name, sizeof name, own, &role);
    tw_value *v = again ? find_param(g, name) : NULL;
    if (v && (v->role != role || !tw_shape_equal(v->shape, shape)))
        return tw_graph_fail(g, TW_EINTERNAL, "\"%s\" has another shape or role the second time",
                             name);
    if (v) return v;
    v = add_leaf(g, name, role, TW_F32, shape, init);
    if (v) v->layout = storage_layout(shape);
    return v;
}

void tw_graph_push_scope(tw_graph *g, const tw_graph_scope *scope)
{
    if (g->scope_count == TW_GRAPH_SCOPES_MAX)
        tw_graph_fail(g, TW_EINTERNAL, "over %d scopes are open", TW_GRAPH_SCOPES_MAX);
    else
        g->scopes[g->scope_count++] = *scope;
}

void tw_graph_pop_scope(tw_graph *g)
{
    if (g->scope_count) g->scope_count--;
}

void tw_graph_statistic(tw_graph *g, tw_value *state, tw_value *value)
{
    if (!state || !value || g->status != TW_OK) return;
    if (state->role != TW_ROLE_STATE || value->type != TW_F32 || value->layout != state->layout ||
        !tw_shape_equal(state->shape, value->shape))
        tw_graph_fail(g, TW_EINTERNAL, "the statistic of \"%s\" is not of its role, type or shape",
                      state->name);
    else
        tw_leaf_of(state)->statistic = value;
}

void tw_graph_add_loss(tw_graph *g, tw_value *term)
{
    g->further_loss = g->further_loss ? tw_add(g, g->further_loss, term) : term;
}

tw_value *tw_param(tw_graph *g, const char *name, tw_shape shape, tw_init init)
{
    return add_param(g, name, TW_ROLE_PARAM, shape, init);
}

tw_value *tw_constant(tw_graph *g, const char *name, tw_shape shape, tw_init init)
{
    return add_param(g, name, TW_ROLE_CONSTANT, shape, init);
}

tw_value *tw_state_param(tw_graph *g, const char *name, tw_shape shape, tw_init init)
{
    return add_param(g, name, TW_ROLE_STATE, shape, init);
}

void tw_graph_output(tw_graph *g, const char *name, tw_value *value)
{
    if (!value || g->status != TW_OK) return;
    if (g->output_count == TW_GRAPH_OUTPUTS_MAX || strlen(name) >= TW_NAME_MAX) {
        tw_graph_fail(g, TW_EINTERNAL, "output \"%s\": too many outputs or too long a name", name);
        return;
    }
    tw_named_output *o = &g->outputs[g->output_count++];
    snprintf(o->name, sizeof o->name, "%s", name);
    o->value = value;
}

tw_value *tw_emit_optional(tw_graph *g, const tw_op *op, tw_value *const *in, int n,
                           unsigned optional, const tw_attr *attr)
{
    tw_node *node = NULL;
    if (g->status != TW_OK) return NULL;
    for (int i = 0; i < n;
         i++) /* a NULL input without an error of the graph is a mistake of the caller */
        if (!in[i] && !(optional >> i & 1u))
            return tw_graph_fail(g, TW_EINTERNAL, "%s: input %d is missing", op->name, i);
    tw_status st = tw_alloc(&node, 1, sizeof *node, "a node of the graph");
    if (st != TW_OK) return keep_error(g, st);
    node->op = op;
    node->nin = n;
    node->id = node->order = g->node_count;
    memcpy(node->in, in, (size_t)n * sizeof *in);
    if (attr) node->attr = *attr;
    st = op->infer(node);
    if (st != TW_OK) {
        tw_free(&node);
        return keep_error(g, st);
    }
    for (int k = 0; k < node->nout; k++) {
        node->out[k].role = TW_ROLE_NODE;
        node->out[k].node = node;
        node->out[k].output = k;
        node->out[k].id = g->value_count++;
        node->out[k].name = "";
    }
    if (g->last)
        g->last->next = node;
    else
        g->first = node;
    g->last = node;
    g->node_count++;
    return &node->out[0];
}

tw_value *tw_emit(tw_graph *g, const tw_op *op, tw_value *const *in, int n, const tw_attr *attr)
{
    return tw_emit_optional(g, op, in, n, 0, attr);
}

tw_value *tw_apply(tw_graph *g, const char *name, tw_value *const *in, int n, const int64_t *i,
                   const double *f)
{
    tw_attr attr = {0};
    if (i) memcpy(attr.i, i, sizeof attr.i);
    if (f) memcpy(attr.f, f, sizeof attr.f);
    for (int k = 0; k < tw_op_count; k++)
        if (strcmp(tw_op_table[k]->name, name) == 0)
            return tw_emit(g, tw_op_table[k], in, n, &attr);
    return tw_graph_fail(g, TW_EINTERNAL, "there is no operation \"%s\"", name);
}

int64_t tw_graph_next_dropout(tw_graph *g)
{
    for (int k = 0; k < g->scope_count; k++)
        if (g->scopes[k].frozen) return -1;
    return g->dropout_count++;
}

int tw_graph_param_count(const tw_graph *g)
{
    int n = 0;
    for (const tw_leaf *l = g->leaves; l; l = l->next) n += l->value.role == TW_ROLE_PARAM;
    return n;
}

tw_value *tw_graph_param(const tw_graph *g, int i)
{
    for (tw_leaf *l = g->leaves; l; l = l->next)
        if (l->value.role == TW_ROLE_PARAM && i-- == 0) return &l->value;
    return NULL;
}
