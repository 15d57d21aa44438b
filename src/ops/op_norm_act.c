/* What a plan puts in the place of [+ embedding] → group_norm → [SiLU] →
 * [dropout]: one operation that reads x twice, the second time from cache, and writes y once.
 * Inputs, outputs and attributes are in norm.h. Made by plans alone, so it has no gradient rule:
 * gradients are taken of the primitives. */
#include "ops/norm.h"
#include "ops/task.h"

enum { X, GAMMA, BETA, EMBEDDING };

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const tw_value *x = n->in[X];
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_norm_check(n, x, n->in[GAMMA], n->in[BETA]));
    TW_TRY(tw_norm_check_rows(n, n->in[EMBEDDING], x->shape));
    tw_set_output(n, 0, x->type, x->shape);
    tw_set_output(n, 1, TW_F32, TW_SHAPE(x->shape.dims[0], n->attr.i[0], 2));
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
done:
    return st;
}

static void run(const tw_task *t, const tw_run *r)
{
    const tw_norm_tensors x = {.x = t->in[X],
                               .gamma = t->in[GAMMA],
                               .beta = t->in[BETA],
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
