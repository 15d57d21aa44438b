/* What a plan puts in the place of [+ embedding] → group_norm → [SiLU] →
 * [dropout]: one operation that reads x twice, the second time from cache, and writes y once.
 * Inputs, outputs and attributes are in norm.h. Made by plans alone, so it has no gradient rule:
 * gradients are taken of the primitives. */
#include "ops/norm.h"
#include "ops/task.h"

enum { X, GAMMA, BETA, EMBEDDING, X2 };

/* What is normalised where it comes in two parts. */
static tw_status join(const tw_node *n, tw_value *all)
{
    const tw_value *two = n->in[X2];
    const int last = all->shape.rank - 1;
    tw_shape rest = two->shape;
    if (rest.rank > 0) rest.dims[rest.rank - 1] = tw_shape_channels(all->shape);
    if (two->type != all->type || !tw_shape_equal(rest, all->shape) ||
        all->shape.dims[last] % TW_LANES_MAX)
        return tw_op_shape_error(n, "the two parts of x do not fit");
    all->shape.dims[last] += two->shape.dims[last];
    return TW_OK;
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    tw_value all = *n->in[X];
    const tw_value *x = &all;
    TW_TRY(tw_infer_plain(n));
    if (n->nin > X2) TW_TRY(join(n, &all));
    TW_TRY(tw_norm_check(n, x, n->in[GAMMA], n->in[BETA]));
    TW_TRY(tw_norm_check_rows(n, n->in[EMBEDDING], x->shape));
    tw_set_output(n, 0, x->type, x->shape);
    tw_set_output(n, 1, TW_F32, TW_SHAPE(x->shape.dims[0], n->attr.i[0], 2));
    if (n->nin > X2) tw_set_output(n, 2, x->type, x->shape);
done:
    return st;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    tw_norm *p = NULL;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a fused normalisation"));
    t->state = p;
    TW_TRY(tw_norm_plan(p, t, false));
    tw_norm_fuse(p, &t->node->attr);
    if (t->node->nin > X2) p->split = tw_shape_channels(t->node->in[X]->shape);
done:
    return st;
}

static void run(const tw_task *t, const tw_run *r)
{
    const tw_norm_tensors x = {.x = t->in[X],
                               .gamma = t->in[GAMMA],
                               .beta = t->in[BETA],
                               .x2 = t->node->nin > X2 ? t->in[X2] : NULL,
                               .joined = t->node->nin <= X2 ? NULL
                                         : t->out[2]        ? t->out[2]
                                                            : t->out[0],
                               .embedding = t->in[EMBEDDING],
                               .y = t->out[0],
                               .stats = t->out[1]};
    tw_norm_forward(t->state, &x, r, t->scratch);
}

const tw_op tw_op_norm_act = {
    .name = "norm_act",
    .summary = "embedding, group normalisation, SiLU and dropout in one",
    .infer = infer,
    .plan = plan,
    .run = run,
    .destroy = tw_task_free_state,
    .in_place = 1u << X,
    .cheap = true,
};
