/* The convolution limit of a plan: its convolutions alone, as oneDNN's own convolution primitives
 * compute them (forward, backward-data, backward-weights, each direct and in the layouts that
 * oneDNN chooses for the weights), at the plan's sizes, in the plan's order, on the plan's
 * activations. What a step is measured against.
 *
 * Each is there twice where oneDNN would lay out the activations otherwise than the plan, which has
 * them channels last: tw_conv_limit_choose keeps the faster. */
#include <stdio.h>
#include <string.h>

#include "graph/plan_internal.h"
#include "ops/conv.h"
#include "tweedie/clock.h"

enum { ARGUMENTS = 4 }; /* of a primitive: source, weights, destination, bias */

/* One way of computing a convolution. */
typedef struct way {
    tw_primitive primitive;
    void *data[ARGUMENTS];
    bool owned[ARGUMENTS];
} way;

typedef struct item {
    tw_conv_direction direction;
    way way[2]; /* on the plan's layout; on oneDNN's, if it is another */
    int count, chosen;
    char shape[64];
} item;

struct tw_conv_limit {
    item *items;
    int count;
    void *scratch;
};

/* The convolution behind a task, from its forward side. */
static bool describe(const tw_task *t, tw_conv_direction *direction, tw_conv_shapes *s)
{
    const tw_node *n = t->node;
    if (t->op == &tw_op_conv) {
        *direction = TW_CONV_FORWARD;
        *s = (tw_conv_shapes){n->in[0]->shape, n->in[1]->shape, n->out[0].shape};
    } else if (t->op == &tw_op_conv_backward_data) {
        *direction = TW_CONV_BACKWARD_DATA;
        *s = (tw_conv_shapes){n->out[0].shape, n->in[1]->shape, n->in[0]->shape};
    } else if (t->op == &tw_op_conv_backward_weights) {
        *direction = TW_CONV_BACKWARD_WEIGHTS;
        *s = (tw_conv_shapes){n->in[0]->shape, n->out[0].shape, n->in[1]->shape};
    } else {
        return false;
    }
    return true;
}

static const tw_pd_what queries[3][3] = {
    [TW_CONV_FORWARD] = {TW_PD_SRC, TW_PD_WEIGHTS, TW_PD_DST},
    [TW_CONV_BACKWARD_DATA] = {TW_PD_DIFF_SRC, TW_PD_WEIGHTS, TW_PD_DIFF_DST},
    [TW_CONV_BACKWARD_WEIGHTS] = {TW_PD_SRC, TW_PD_DIFF_WEIGHTS, TW_PD_DIFF_DST}};

static const int arguments[3][ARGUMENTS] = {
    [TW_CONV_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS},
    [TW_CONV_BACKWARD_DATA] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST, 0},
    [TW_CONV_BACKWARD_WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST,
                                  DNNL_ARG_DIFF_BIAS}};

/* An activation lies in the plan's memory where that is large enough, everything else in its own.
 */
static tw_status give_memory(way *w, int k, const tw_md *md, void *theirs, size_t room)
{
    tw_status st = TW_OK;
    w->data[k] = theirs;
    if (theirs && tw_md_size(md) <= room) return TW_OK;
    w->data[k] = NULL;
    TW_TRY(tw_alloc(&w->data[k], (int64_t)tw_md_size(md), 1, "memory of the convolution limit"));
    w->owned[k] = true;
done:
    return st;
}

/* Memory and primitive of a descriptor, which it destroys in any case. */
static tw_status make_way(way *w, const tw_task *t, tw_conv_direction direction,
                          dnnl_primitive_desc_t pd, const tw_conv_problem *p,
                          const tw_conv_shapes *s)
{
    tw_status st = TW_OK;
    const bool forward = direction == TW_CONV_FORWARD, data = direction == TW_CONV_BACKWARD_DATA;
    void *theirs[3] = {data ? t->out[0] : t->in[0], NULL,
                       forward ? t->out[0]
                       : data  ? t->in[0]
                               : t->in[1]};
    const tw_shape shape[3] = {s->x, s->w, s->y};
    tw_md md[ARGUMENTS] = {{.set = false}};
    tw_primitive_arg args[ARGUMENTS + 1] = {{0}};
    for (int k = 0; k < 3; k++) {
        TW_TRY(tw_pd_md(&md[k], pd, queries[direction][k]));
        TW_TRY(give_memory(w, k, &md[k], theirs[k],
                           (size_t)tw_shape_count(shape[k]) * tw_dtype_size(t->act)));
        args[k] = (tw_primitive_arg){arguments[direction][k], &md[k]};
    }
    if (p->bias.set) {
        TW_TRY(give_memory(w, 3, &p->bias, NULL, 0));
        args[3] = (tw_primitive_arg){arguments[direction][3], &p->bias};
    }
    {
        dnnl_primitive_desc_t given = pd;
        pd = NULL;
        TW_TRY(tw_primitive_create(&w->primitive, given, args));
    }
done:
    if (pd) dnnl_primitive_desc_destroy(pd);
    for (int k = 0; k < 3; k++) tw_md_destroy(&md[k]);
    return st;
}

/* Whether a descriptor takes the activations as the problem has them. */
static tw_status takes(bool *out, dnnl_primitive_desc_t pd, tw_conv_direction direction,
                       const tw_conv_problem *p)
{
    tw_status st = TW_OK;
    tw_md src = {.set = false}, dst = {.set = false};
    TW_TRY(tw_pd_md(&src, pd, queries[direction][0]));
    TW_TRY(tw_pd_md(&dst, pd, queries[direction][2]));
    *out = tw_md_equal(&src, &p->src) && tw_md_equal(&dst, &p->dst);
done:
    tw_md_destroy(&src);
    tw_md_destroy(&dst);
    return st;
}

static void name_shape(item *it, const tw_conv_shapes *s)
{
    char x[64], w[64];
    static const char *const name[] = {"forward", "backward-data", "backward-weights"};
    snprintf(it->shape, sizeof it->shape, "%s x %.20s w %.20s", name[it->direction],
             tw_shape_text(s->x, x), tw_shape_text(s->w, w));
}

static tw_status make(item *it, const tw_task *t, tw_conv_direction direction,
                      const tw_conv_shapes *s)
{
    tw_status st = TW_OK;
    dnnl_primitive_desc_t pd = NULL;
    tw_conv_problem p = {0}, free = {0};
    const bool bias = direction == TW_CONV_FORWARD
                          ? t->node->in[2] != NULL
                          : direction == TW_CONV_BACKWARD_WEIGHTS && t->node->nout > 1;
    bool same = true;
    it->direction = direction;
    name_shape(it, s);
    TW_TRY(tw_conv_describe(&p, direction, s, &t->node->attr, t->act, bias));
    TW_TRY(tw_pd_conv(&pd, &p));
    it->count = 1;
    TW_TRY(make_way(&it->way[0], t, direction, pd, &p, s));
    TW_TRY(tw_conv_describe(&free, direction, s, &t->node->attr, t->act, bias));
    TW_TRY(tw_conv_free_layout(&free, s, t->act));
    TW_TRY(tw_pd_conv(&pd, &free));
    if ((st = takes(&same, pd, direction, &p)) != TW_OK || same) {
        dnnl_primitive_desc_destroy(pd);
        goto done;
    }
    it->count = 2;
    TW_TRY(make_way(&it->way[1], t, direction, pd, &free, s));
done:
    tw_conv_problem_destroy(&p);
    tw_conv_problem_destroy(&free);
    return st;
}

tw_status tw_conv_limit_create(tw_conv_limit **out, const tw_plan *p)
{
    tw_status st = TW_OK;
    tw_conv_limit *l = NULL;
    size_t scratch = 0;
    TW_TRY(tw_alloc(&l, 1, sizeof *l, "the convolution limit"));
    TW_TRY(tw_alloc(&l->items, p->step_count, sizeof *l->items, "the convolution limit"));
    for (int k = 0; k < p->step_count; k++) {
        tw_conv_direction direction;
        tw_conv_shapes shapes;
        if (!describe(&p->steps[k].task, &direction, &shapes)) continue;
        item *it = &l->items[l->count++];
        TW_TRY(make(it, &p->steps[k].task, direction, &shapes));
        for (int w = 0; w < it->count; w++)
            if (scratch < it->way[w].primitive.scratch_bytes)
                scratch = it->way[w].primitive.scratch_bytes;
    }
    TW_TRY(tw_alloc_arena(&l->scratch, scratch, "scratch memory of the convolution limit"));
    *out = l;
    l = NULL;
done:
    tw_conv_limit_destroy(&l);
    return st;
}

static void destroy_way(way *w)
{
    tw_primitive_destroy(&w->primitive);
    for (int k = 0; k < ARGUMENTS; k++)
        if (w->owned[k]) tw_free(&w->data[k]);
    *w = (way){.owned = {false}};
}

void tw_conv_limit_destroy(tw_conv_limit **limit)
{
    tw_conv_limit *l = *limit;
    if (!l) return;
    for (int i = 0; i < l->count; i++)
        for (int w = 0; w < l->items[i].count; w++) destroy_way(&l->items[i].way[w]);
    tw_free(&l->items);
    tw_free(&l->scratch);
    tw_free(limit);
}

static double seconds_of(tw_conv_limit *l, way *w)
{
    const double start = tw_clock_seconds();
    tw_primitive_run(&w->primitive, w->data, l->scratch);
    return tw_clock_seconds() - start;
}

void tw_conv_limit_choose(tw_conv_limit *l)
{
    enum { RUNS = 3 };
    for (int i = 0; i < l->count; i++) {
        item *it = &l->items[i];
        double least[2] = {1e300, 1e300};
        if (it->count < 2) continue;
        for (int r = 0; r <= RUNS; r++) /* the first touches the memory */
            for (int w = 0; w < 2; w++) {
                const double t = seconds_of(l, &it->way[w]);
                if (r > 0 && t < least[w]) least[w] = t;
            }
        it->chosen = least[1] < least[0];
        destroy_way(&it->way[1 - it->chosen]);
    }
}

tw_conv_limit_times tw_conv_limit_run(tw_conv_limit *l)
{
    double seconds[3] = {0};
    for (int i = 0; i < l->count; i++)
        seconds[l->items[i].direction] += seconds_of(l, &l->items[i].way[l->items[i].chosen]);
    return (tw_conv_limit_times){seconds[TW_CONV_FORWARD], seconds[TW_CONV_BACKWARD_DATA],
                                 seconds[TW_CONV_BACKWARD_WEIGHTS]};
}

int tw_conv_limit_count(const tw_conv_limit *l)
{
    return l->count;
}

tw_conv_limit_item tw_conv_limit_get(const tw_conv_limit *l, int i)
{
    const item *it = &l->items[i];
    return (tw_conv_limit_item){.convolution = it->shape,
                                .implementation = it->way[it->chosen].primitive.implementation,
                                .own_layout = it->chosen != 0};
}
