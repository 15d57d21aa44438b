/* The gradient of instance_norm_plus: inputs x, γ α β, stats, gy; outputs gx and that of γ α β. The
 * derivation is in norm_plus.h. It has no derivative itself. */
#include "ops/norm_plus.h"
#include "ops/task.h"

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const tw_value *x = n->in[0];
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_norm_plus_check(n, x, n->in[1]));
    if (!tw_shape_equal(n->in[3]->shape, x->shape) || n->in[3]->type != x->type)
        return tw_op_shape_error(n, "the gradient of y differs from x in shape or type");
    tw_set_output(n, 0, x->type, x->shape);
    tw_set_output(n, 1, TW_F32, n->in[1]->shape);
done:
    return st;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    tw_norm_plus *p = NULL;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a gradient of instance normalisation"));
    t->state = p;
    TW_TRY(tw_norm_plus_plan(p, t, true));
done:
    return st;
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_norm_plus_tensors x = {.x = t->in[0],
                                    .p = t->in[1],
                                    .stats = t->in[2],
                                    .gy = t->in[3],
                                    .gx = t->out[0],
                                    .gp = t->out[1]};
    tw_norm_plus_backward(t->state, &x, t->scratch);
}

const tw_op tw_op_instance_norm_plus_grad = {
    .name = "instance_norm_plus_grad",
    .summary = "gradients of instance normalisation",
    .infer = infer,
    .plan = plan,
    .run = run,
    .destroy = tw_task_free_state,
    .in_place = 1u << 3,
};
