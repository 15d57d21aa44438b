/* The gradient of group_norm: inputs x, gamma, stats, gy; outputs gx, ggamma, gbeta. i[0] = groups,
 * f[0] = ε as there. The derivation is in norm.h. It has no derivative itself. */
#include "ops/norm.h"
#include "ops/task.h"

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const tw_value *x = n->in[0];
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_norm_check(n, x, n->in[1], NULL));
    if (!tw_shape_equal(n->in[3]->shape, x->shape) || n->in[3]->type != x->type)
        return tw_op_shape_error(n, "the gradient of y differs from x in shape or type");
    tw_set_output(n, 0, x->type, x->shape);
    tw_set_output(n, 1, TW_F32, n->in[1]->shape);
    tw_set_output(n, 2, TW_F32, n->in[1]->shape);
done:
    return st;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    tw_norm *p = NULL;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a gradient of group normalisation"));
    t->state = p;
    TW_TRY(tw_norm_plan(p, t, true));
done:
    return st;
}

static void run(const tw_task *t, const tw_run *r)
{
    const tw_norm_tensors x = {.x = t->in[0],
                               .gamma = t->in[1],
                               .stats = t->in[2],
                               .gy = t->in[3],
                               .gx = t->out[0],
                               .ggamma = t->out[1],
                               .gbeta = t->out[2]};
    tw_norm_backward(t->state, &x, r, t->scratch);
}

const tw_op tw_op_group_norm_grad = {
    .name = "group_norm_grad",
    .summary = "gradients of group normalisation",
    .infer = infer,
    .plan = plan,
    .run = run,
    .destroy = tw_task_free_state,
    .in_place = 1u << 3,
};
