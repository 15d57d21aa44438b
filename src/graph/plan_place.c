/* The memory of a plan.
 *
 * A value's buffer begins with the step that writes it. Aliases share their input's buffer, and so
 * do outputs of operations that may work in place where the input dies there. Gradients of
 * parameters are written straight to the gradient buffer, unless microbatches are to be added: then
 * they lie in the arena and a sink adds them. */
#include <string.h>

#include "graph/plan_internal.h"

static size_t value_bytes(const tw_plan *p, const tw_value *v)
{
    const tw_task t = {.act = p->options.precision == TW_PRECISION_BF16 ? TW_DTYPE_BF16
                                                                        : TW_DTYPE_F32};
    return (size_t)tw_shape_count(v->shape) * tw_dtype_size(tw_task_dtype(&t, v));
}

static size_t aligned(size_t bytes)
{
    return (bytes + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

static void place_leaves(tw_plan *p)
{
    size_t end = 0;
    for (const tw_leaf *l = p->program->g->leaves; l; l = l->next) {
        tw_slot *s = &p->slots[l->value.id];
        if (l->value.role != TW_ROLE_INPUT) {
            s->place = TW_PLACE_PARAM;
            s->data = p->params->value + tw_params_find(p->params, l->name)->offset;
            continue;
        }
        s->place = TW_PLACE_INPUT;
        s->offset = end;
        end += aligned(value_bytes(p, &l->value));
    }
    p->memory.inputs = end;
}

/* Last step that reads each value; outputs and gradients in the arena live to the end. */
static void find_lives(const tw_plan *p, int *last)
{
    for (int k = 0; k < p->step_count; k++)
        for (int i = 0; i < p->steps[k].task.node->nin; i++)
            if (p->steps[k].task.node->in[i]) last[p->steps[k].task.node->in[i]->id] = k;
    for (int i = 0; i < p->program->g->output_count; i++)
        last[p->program->g->outputs[i].value->id] = p->step_count;
}

/* The parameter of which v is the gradient, or NULL. */
static const tw_leaf *gradient_of(const tw_plan *p, const tw_value *v)
{
    for (const tw_leaf *l = p->program->g->leaves; l; l = l->next)
        if (l->gradient == v) return l;
    return NULL;
}

static int new_buffer(tw_plan *p, size_t bytes, int first, int last)
{
    p->buffers[p->buffer_count] =
        (tw_buffer){.bytes = bytes, .first = first, .last = last < first ? first : last};
    return p->buffer_count++;
}

/* An input whose memory output 0 of a step may take over, or -1. */
static int donor(const tw_plan *p, const tw_step *s, int k, const int *last)
{
    const tw_node *n = s->task.node;
    for (int i = 0; i < n->nin; i++) {
        if (!n->in[i] || !(n->op->alias ? i == 0 : (n->op->in_place >> i & 1u))) continue;
        const tw_slot *slot = &p->slots[n->in[i]->id];
        if (n->op->alias) return i;
        if (slot->place != TW_PLACE_ARENA || p->buffers[slot->buffer].last != k ||
            last[n->in[i]->id] != k)
            continue;
        if (value_bytes(p, n->in[i]) != value_bytes(p, &n->out[0])) continue;
        bool twice = false; /* another input of the same step in that memory */
        for (int j = 0; j < n->nin; j++)
            twice =
                twice || (j != i && n->in[j] && p->slots[n->in[j]->id].place == TW_PLACE_ARENA &&
                          p->slots[n->in[j]->id].buffer == slot->buffer);
        if (!twice) return i;
    }
    return -1;
}

static void place_output(tw_plan *p, int k, int o, const int *last)
{
    const tw_value *v = &p->steps[k].task.node->out[o];
    tw_slot *slot = &p->slots[v->id];
    if (p->program->uses[v->id] == 0) return;
    const tw_leaf *param = gradient_of(p, v);
    if (param && !p->options.accumulate && p->program->uses[v->id] == 1 &&
        !p->steps[k].task.op->alias) {
        slot->place = TW_PLACE_GRADIENT;
        slot->data = p->params->gradient + tw_params_find(p->params, param->name)->offset;
        return;
    }
    int from = o == 0 ? donor(p, &p->steps[k], k, last) : -1;
    if (from >= 0) {
        *slot = p->slots[p->steps[k].task.node->in[from]->id];
        if (slot->place == TW_PLACE_ARENA && p->buffers[slot->buffer].last < last[v->id])
            p->buffers[slot->buffer].last = last[v->id];
        return;
    }
    slot->place = TW_PLACE_ARENA;
    slot->buffer = new_buffer(p, value_bytes(p, v), k, last[v->id]);
}

/* An alias of a value keeps the value's buffer alive as long as itself; aliases are followed from
 * the last to the first. */
static void extend_aliases(const tw_plan *p, int *last)
{
    for (int k = p->step_count - 1; k >= 0; k--) {
        const tw_node *n = p->steps[k].task.node;
        if (n->op->alias && n->in[0] && last[n->in[0]->id] < last[n->out[0].id])
            last[n->in[0]->id] = last[n->out[0].id];
    }
}

/* Zeros, what layouts pad stays so: packing never writes it. Pages go in turn to the threads, and
 * so to the memory of all NUMA nodes that they run on: every thread reads all weights. */
static void clear_packed(tw_plan *p)
{
    enum { PAGE = 2 << 20 };
    const int64_t bytes = (int64_t)p->memory.packed;
#pragma omp parallel for schedule(static, 1) if (bytes > PAGE)
    for (int64_t at = 0; at < bytes; at += PAGE)
        memset(p->packed + at, 0, (size_t)(bytes - at < PAGE ? bytes - at : PAGE));
}

static tw_status allocate(tw_plan *p)
{
    tw_status st = TW_OK;
    tw_buffer *taken = NULL;
    int taken_count = 0;
    size_t end;
    for (int k = 0; k < p->step_count; k++) {
        const tw_task *t = &p->steps[k].task;
        const size_t brief =
            aligned(t->scratch_bytes) + (t->packs_each_run ? aligned(t->packed_bytes) : 0);
        if (p->memory.scratch < brief) p->memory.scratch = brief;
        if (!t->packs_each_run) p->memory.packed += aligned(t->packed_bytes);
    }
    TW_TRY(tw_plan_lend(p, &taken, &taken_count));
    TW_TRY(tw_memory_plan(p->buffers, p->buffer_count, taken, taken_count, &end));
    p->memory.arena = end > p->lent ? end - p->lent : 0;
    TW_TRY(tw_alloc_arena(&p->arena, p->memory.arena, "a plan's values"));
    TW_TRY(tw_alloc(&p->inputs, (int64_t)p->memory.inputs, 1, "a plan's inputs"));
    TW_TRY(tw_alloc_arena(&p->scratch, p->memory.scratch, "a plan's scratch memory"));
    TW_TRY(tw_alloc_arena(&p->packed, p->memory.packed, "a plan's packed weights"));
    clear_packed(p);
done:
    tw_free(&taken);
    return st;
}

static void point(tw_plan *p)
{
    size_t packed = 0;
    for (int id = 0; id < p->program->g->value_count; id++) {
        tw_slot *s = &p->slots[id];
        if (s->place == TW_PLACE_INPUT) s->data = p->inputs + s->offset;
        if (s->place == TW_PLACE_ARENA) s->data = tw_plan_buffer(p, s->buffer);
    }
    for (int k = 0; k < p->step_count; k++) {
        tw_task *t = &p->steps[k].task;
        for (int i = 0; i < t->node->nin; i++)
            t->in[i] = t->node->in[i] ? p->slots[t->node->in[i]->id].data : NULL;
        for (int o = 0; o < t->node->nout; o++) t->out[o] = p->slots[t->node->out[o].id].data;
        t->scratch = p->scratch;
        t->packed = t->packs_each_run ? p->scratch + aligned(t->scratch_bytes) : p->packed + packed;
        if (!t->packs_each_run) packed += aligned(t->packed_bytes);
    }
}

/* A parameter's gradient is final at the step that writes it. */
static void make_sinks(tw_plan *p)
{
    for (int k = 0; k < p->step_count; k++) {
        tw_step *s = &p->steps[k];
        s->first_sink = p->sink_count;
        for (const tw_leaf *l = p->program->g->leaves; l; l = l->next) {
            if (!l->gradient || l->gradient->node != s->task.node) continue;
            const tw_param_view *view = tw_params_find(p->params, l->name);
            const tw_slot *slot = &p->slots[l->gradient->id];
            p->sinks[p->sink_count++] = (tw_gradient_sink){
                view->offset, view->count, slot->place == TW_PLACE_GRADIENT ? NULL : slot->data};
        }
        s->sink_count = p->sink_count - s->first_sink;
    }
}

static void list_orphans(tw_plan *p)
{
    bool gradients = p->sink_count > 0;
    for (const tw_leaf *l = p->program->g->leaves; gradients && l; l = l->next) {
        const tw_role role = l->value.role;
        if ((role != TW_ROLE_PARAM && role != TW_ROLE_STATE) || l->gradient) continue;
        const tw_param_view *view = tw_params_find(p->params, l->name);
        p->sinks[p->sink_count + p->orphan_count++] =
            (tw_gradient_sink){view->offset, view->count, NULL};
    }
}

static void list_dead(tw_plan *p)
{
    int n = 0;
    for (int k = 0; k < p->step_count; k++) {
        p->steps[k].first_dead = n;
        for (int b = 0; b < p->buffer_count; b++)
            if (p->buffers[b].last == k) p->dead[n++] = b;
        p->steps[k].dead_count = n - p->steps[k].first_dead;
    }
}

tw_status tw_plan_place(tw_plan *p)
{
    tw_status st = TW_OK;
    int *last = NULL, leaves = 0;
    const int values = p->program->g->value_count;
    for (const tw_leaf *l = p->program->g->leaves; l; l = l->next) leaves++;
    TW_TRY(tw_alloc(&p->slots, values, sizeof *p->slots, "a plan's values"));
    TW_TRY(tw_alloc(&p->buffers, values, sizeof *p->buffers, "a plan's buffers"));
    TW_TRY(tw_alloc(&p->dead, values, sizeof *p->dead, "a plan's buffers"));
    TW_TRY(tw_alloc(&p->sinks, leaves, sizeof *p->sinks, "a plan's gradients"));
    TW_TRY(tw_alloc(&last, values, sizeof *last, "a plan's values"));
    place_leaves(p);
    find_lives(p, last);
    extend_aliases(p, last);
    for (int k = 0; k < p->step_count; k++)
        for (int o = 0; o < p->steps[k].task.node->nout; o++) place_output(p, k, o, last);
    TW_TRY(allocate(p));
    point(p);
    make_sinks(p);
    list_orphans(p);
    list_dead(p);
done:
    tw_free(&last);
    return st;
}
