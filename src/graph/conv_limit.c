/* The convolution limit of a plan: its convolutions alone, as oneDNN's own convolution primitives
 * compute them (forward, backward-data, backward-weights, each direct and in the layouts that
 * oneDNN chooses for the weights), at the plan's sizes, in the plan's order, on the plan's
 * activations. What a step is measured against. */
#include <string.h>

#include "graph/plan_internal.h"
#include "ops/conv.h"
#include "tweedie/clock.h"

typedef struct item {
    tw_primitive primitive;
    tw_conv_direction direction;
    void *data[4];
    int owned[2]; /* which of data are this item's own */
    int owned_count;
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

static tw_status own(item *it, int slot, size_t bytes)
{
    tw_status st = tw_alloc(&it->data[slot], (int64_t)bytes, 1, "weights of the convolution limit");
    if (st == TW_OK) it->owned[it->owned_count++] = slot;
    return st;
}

static tw_status make(item *it, const tw_task *t, tw_conv_direction direction,
                      const tw_conv_shapes *s)
{
    tw_status st = TW_OK;
    dnnl_primitive_desc_t pd = NULL, given;
    tw_md weights = {.set = false};
    tw_conv_problem p = {0};
    const bool forward = direction == TW_CONV_FORWARD, data = direction == TW_CONV_BACKWARD_DATA;
    const bool bias = forward ? t->node->in[2] != NULL : !data && t->node->nout > 1;
    it->direction = direction;
    TW_TRY(tw_conv_describe(&p, direction, s, &t->node->attr, t->act, bias));
    TW_TRY(tw_pd_conv(&pd, &p));
    TW_TRY(tw_pd_md(&weights, pd, forward || data ? TW_PD_WEIGHTS : TW_PD_DIFF_WEIGHTS));
    {
        const tw_primitive_arg args[] = {
            {data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, &p.src},
            {forward || data ? DNNL_ARG_WEIGHTS : DNNL_ARG_DIFF_WEIGHTS, &weights},
            {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, &p.dst},
            {!bias     ? 0
             : forward ? DNNL_ARG_BIAS
                       : DNNL_ARG_DIFF_BIAS,
             &p.bias},
            {0}};
        given = pd;
        pd = NULL;
        TW_TRY(tw_primitive_create(&it->primitive, given, args));
    }
    it->data[0] = data ? t->out[0] : t->in[0];
    it->data[2] = forward ? t->out[0] : data ? t->in[0] : t->in[1];
    TW_TRY(own(it, 1, tw_md_size(&weights)));
    if (bias) TW_TRY(own(it, 3, tw_md_size(&p.bias)));
done:
    if (pd) dnnl_primitive_desc_destroy(pd);
    tw_conv_problem_destroy(&p);
    tw_md_destroy(&weights);
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
        TW_TRY(make(&l->items[l->count++], &p->steps[k].task, direction, &shapes));
        if (scratch < l->items[l->count - 1].primitive.scratch_bytes)
            scratch = l->items[l->count - 1].primitive.scratch_bytes;
    }
    TW_TRY(tw_alloc_arena(&l->scratch, scratch, "scratch memory of the convolution limit"));
    *out = l;
    l = NULL;
done:
    tw_conv_limit_destroy(&l);
    return st;
}

void tw_conv_limit_destroy(tw_conv_limit **limit)
{
    tw_conv_limit *l = *limit;
    if (!l) return;
    for (int i = 0; i < l->count; i++) {
        tw_primitive_destroy(&l->items[i].primitive);
        for (int k = 0; k < l->items[i].owned_count; k++)
            tw_free(&l->items[i].data[l->items[i].owned[k]]);
    }
    tw_free(&l->items);
    tw_free(&l->scratch);
    tw_free(limit);
}

tw_conv_limit_times tw_conv_limit_run(tw_conv_limit *l)
{
    double seconds[3] = {0};
    for (int i = 0; i < l->count; i++) {
        item *it = &l->items[i];
        const double start = tw_clock_seconds();
        tw_primitive_run(&it->primitive, it->data, l->scratch);
        seconds[it->direction] += tw_clock_seconds() - start;
    }
    return (tw_conv_limit_times){seconds[TW_CONV_FORWARD], seconds[TW_CONV_BACKWARD_DATA],
                                 seconds[TW_CONV_BACKWARD_WEIGHTS]};
}
