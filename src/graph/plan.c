/* Making and running plans. */
#include "graph/plan_internal.h"

#include <stdlib.h>
#include <string.h>

#include "tweedie/clock.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

static tw_status check_params(const tw_graph *g, const tw_params *params)
{
    tw_status st = TW_OK;
    char wanted[64], met[64];
    for (const tw_leaf *l = g->leaves; l; l = l->next) {
        if (l->value.role == TW_ROLE_INPUT) continue;
        const tw_param_view *v = tw_params_find(params, l->name);
        TW_CHECK(v, TW_EINTERNAL, "the parameter store has no \"%s\"", l->name);
        TW_CHECK(tw_shape_equal(v->shape, l->value.shape), TW_ESHAPE,
                 "%s is %s in the parameter store, %s in the graph", l->name,
                 tw_shape_text(v->shape, met), tw_shape_text(l->value.shape, wanted));
        TW_CHECK(!l->gradient || params->gradient, TW_EINTERNAL,
                 "the parameter store has no gradient buffer");
        TW_CHECK(!l->gradient || l->gradient->layout == l->value.layout, TW_EINTERNAL,
                 "%s and its gradient differ in layout", l->name);
    }
done:
    return st;
}

/* Each op decides here for good: implementation, scratch, primitives. step_count grows as it goes,
 * so that tw_plan_destroy of a plan that failed half-way destroys what was planned and no more. */
static tw_status plan_steps(tw_plan *p)
{
    tw_status st = TW_OK;
    const tw_dtype act = p->options.precision == TW_PRECISION_BF16 ? TW_DTYPE_BF16 : TW_DTYPE_F32;
    TW_TRY(tw_alloc(&p->steps, p->program->count, sizeof *p->steps, "a plan's steps"));
    for (int k = 0; k < p->program->count; k++) {
        tw_task *t = &p->steps[k].task;
        const tw_node *n = p->program->nodes[k];
        *t = (tw_task){.node = n, .op = n->op, .act = act, .convolution = p->options.convolution};
        p->step_count = k + 1;
        if (n->op->alias) continue;
        TW_TRY(n->op->plan(t));
        t->packs_each_run = tw_plan_packs_each_run(p, t);
    }
done:
    return st;
}

static void start_poison(tw_plan *p)
{
    const char *wish = getenv("TWEEDIE_POISON");
    if (wish && strcmp(wish, "0") != 0) p->options.poison = true;
    if (!p->options.poison) return;
    memset(p->arena, 0xff, p->memory.arena);
    memset(p->scratch, 0xff, p->memory.scratch);
}

tw_status tw_plan_create(tw_plan **out, const tw_graph *g, tw_params *params,
                         const tw_plan_options *options)
{
    tw_status st = TW_OK;
    tw_plan *p = NULL;
    TW_TRY(tw_graph_status(g));
    TW_TRY(check_params(g, params));
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a plan"));
    p->options = *options;
    p->params = params;
    TW_TRY(tw_program_create(&p->program, g));
    if (!options->no_fusion) {
        TW_TRY(tw_fuse_norm(p->program));
        TW_TRY(tw_fuse_residual(p->program));
        TW_TRY(tw_fuse_scale(p->program));
        TW_TRY(tw_fuse_pool(p->program));
    }
    TW_TRY(tw_recompute_cheap(p->program, options->recompute));
    TW_TRY(plan_steps(p));
    TW_TRY(tw_plan_place(p));
    TW_TRY(tw_plan_list_parts(p));
    start_poison(p);
    *out = p;
    p = NULL;
done:
    tw_plan_destroy(&p);
    return st;
}

void tw_plan_destroy(tw_plan **plan)
{
    tw_plan *p = *plan;
    if (!p) return;
    for (int k = 0; k < p->step_count; k++)
        if (p->steps[k].task.op->destroy) p->steps[k].task.op->destroy(&p->steps[k].task);
    if (p->arena) ASAN_UNPOISON_MEMORY_REGION(p->arena, p->memory.arena);
    tw_program_destroy(&p->program);
    tw_free(&p->steps);
    tw_free(&p->slots);
    tw_free(&p->buffers);
    tw_free(&p->sinks);
    tw_free(&p->dead);
    tw_free(&p->arena);
    tw_free(&p->inputs);
    tw_free(&p->scratch);
    tw_free(&p->packed);
    tw_free(&p->packers);
    tw_free(&p->parts);
    tw_free(plan);
}

/* Under the address sanitizer a step may touch its own inputs and outputs alone. */
static void fence(const tw_plan *p, const tw_step *s)
{
    ASAN_POISON_MEMORY_REGION(p->arena, p->memory.arena);
    for (int i = 0; i < s->task.node->nin; i++) {
        const tw_value *v = s->task.node->in[i];
        if (v && p->slots[v->id].place == TW_PLACE_ARENA)
            ASAN_UNPOISON_MEMORY_REGION(p->slots[v->id].data,
                                        p->buffers[p->slots[v->id].buffer].bytes);
    }
    for (int o = 0; o < s->task.node->nout; o++) {
        const tw_slot *slot = &p->slots[s->task.node->out[o].id];
        if (slot->place == TW_PLACE_ARENA)
            ASAN_UNPOISON_MEMORY_REGION(slot->data, p->buffers[slot->buffer].bytes);
    }
}

static void bury(const tw_plan *p, const tw_step *s)
{
    ASAN_UNPOISON_MEMORY_REGION(p->arena, p->memory.arena);
    for (int i = 0; i < s->dead_count; i++) {
        const tw_buffer *b = &p->buffers[p->dead[s->first_dead + i]];
        memset(tw_plan_buffer(p, p->dead[s->first_dead + i]), 0xff, b->bytes);
    }
    memset(p->scratch, 0xff, p->memory.scratch);
}

static void add_into(float *to, const float *from, int64_t n, bool add)
{
#pragma omp parallel for schedule(static) if (n > 65536)
    for (int64_t i = 0; i < n; i++) to[i] = add ? to[i] + from[i] : from[i];
}

/* A listener hears of every float of the buffer, the zeros up to the next view too; a buffer that
 * was lent has them again with the gradient. */
static void finish(const tw_plan *p, const tw_gradient_sink *k, const tw_plan_run *run)
{
    const int64_t all = tw_plan_padded(k->count);
    if (p->lent)
        memset(p->params->gradient + k->offset + k->count, 0,
               (size_t)(all - k->count) * sizeof(float));
    if (run->ready) run->ready(run->self, k->offset, all);
}

/* Gradients that have become final with this step. An op writes its gradient to its place in the
 * flat buffer where it can; with accumulation, or from a shared buffer, it is copied or added from
 * the arena here, before the arena's memory is used again. */
static void sink(tw_plan *p, const tw_step *s, const tw_plan_run *run)
{
    for (int i = s->first_sink; i < s->first_sink + s->sink_count; i++) {
        const tw_gradient_sink *k = &p->sinks[i];
        if (k->from)
            add_into(p->params->gradient + k->offset, k->from, k->count, run->add_gradients);
        finish(p, k, run);
    }
}

/* Parameters that the loss does not depend on: their gradients are zero, and final at the end. */
static void sink_orphans(const tw_plan *p, const tw_plan_run *run)
{
    for (int i = p->sink_count; i < p->sink_count + p->orphan_count; i++) {
        const tw_gradient_sink *k = &p->sinks[i];
        if (!run->add_gradients)
            memset(p->params->gradient + k->offset, 0, (size_t)k->count * sizeof(float));
        finish(p, k, run);
    }
}

/* Not collective and on the calling thread, which is the one that `ready` and `between` are called
 * on; parallel regions are inside of the ops and closed when run() returns. */
void tw_plan_execute(tw_plan *p, const tw_plan_run *run)
{
    const tw_run r = {
        .seed = run->seed, .step = run->step, .position = run->position, .training = run->training};
    for (int k = 0; k < p->step_count; k++) {
        tw_step *s = &p->steps[k];
        const double start = p->options.profile ? tw_clock_seconds() : 0;
        if (!s->task.op->alias) {
            if (p->options.poison) fence(p, s);
            if (s->task.packs_each_run) tw_plan_pack_task(&s->task);
            s->task.op->run(&s->task, &r);
        }
        sink(p, s, run);
        if (run->between) run->between(run->self);
        if (p->options.poison) bury(p, s);
        if (p->options.profile) s->seconds += tw_clock_seconds() - start;
    }
    sink_orphans(p, run);
}

static const tw_slot *named(const tw_plan *p, const char *name, tw_shape *shape, bool inputs)
{
    for (const tw_leaf *l = p->program->g->leaves; inputs && l; l = l->next)
        if (l->value.role == TW_ROLE_INPUT && strcmp(l->name, name) == 0) {
            *shape = l->value.shape;
            return &p->slots[l->value.id];
        }
    for (int i = 0; i < p->program->g->output_count; i++)
        if (strcmp(p->program->g->outputs[i].name, name) == 0) {
            *shape = p->program->g->outputs[i].value->shape;
            return &p->slots[p->program->g->outputs[i].value->id];
        }
    return NULL;
}

void *tw_plan_input(tw_plan *p, const char *name)
{
    tw_shape shape;
    const tw_slot *s = named(p, name, &shape, true);
    return s && s->place == TW_PLACE_INPUT ? s->data : NULL;
}

const void *tw_plan_output(const tw_plan *p, const char *name)
{
    tw_shape shape;
    const tw_slot *s = named(p, name, &shape, false);
    return s ? s->data : NULL;
}

tw_shape tw_plan_shape(const tw_plan *p, const char *name)
{
    tw_shape shape = {0};
    named(p, name, &shape, true);
    return shape;
}
