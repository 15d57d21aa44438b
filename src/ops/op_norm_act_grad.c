/* The gradient of norm_act, with the gradient that reaches x by other ways added while gx is
 * written. Inputs, outputs and attributes are in norm.h; the derivation too. */
#include "ops/norm.h"
#include "ops/task.h"

enum { X, GAMMA, BETA, STATS, GY, EMBEDDING, ADD };

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const tw_value *x = n->in[X], *gy = n->in[GY], *add = n->in[ADD];
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_norm_check(n, x, n->in[GAMMA], n->in[BETA]));
    TW_TRY(tw_norm_check_rows(n, n->in[EMBEDDING], x->shape));
    if (!tw_shape_equal(gy->shape, x->shape) || gy->type != x->type)
        return tw_op_shape_error(n, "the gradient of y has another shape or type than y");
    if (add && (!tw_shape_equal(add->shape, x->shape) || add->type != x->type))
        return tw_op_shape_error(n, "the gradient to be added has another shape or type than x");
    tw_set_output(n, 0, x->type, x->shape);
    tw_set_output(n, 1, TW_F32, n->in[GAMMA]->shape);
    tw_set_output(n, 2, TW_F32, n->in[GAMMA]->shape);
    tw_set_output(n, 3, x->type, TW_SHAPE(x->shape.dims[0], tw_shape_channels(x->shape)));
done:
    return st;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    tw_norm *p = NULL;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a gradient of a fused normalisation"));
    t->state = p;
    TW_TRY(tw_norm_plan(p, t, true));
    tw_norm_fuse(p, &t->node->attr);
done:
    return st;
}

static void run(const tw_task *t, const tw_run *r)
{
    const tw_norm_tensors x = {.x = t->in[X],
                               .gamma = t->in[GAMMA],
                               .beta = t->in[BETA],
                               .stats = t->in[STATS],
                               .gy = t->in[GY],
                               .embedding = t->in[EMBEDDING],
                               .add = t->in[ADD],
                               .gx = t->out[0],
                               .ggamma = t->out[1],
                               .gbeta = t->out[2],
                               .gembedding = t->out[3]};
    tw_norm_backward(t->state, &x, r, t->scratch);
}

const tw_op tw_op_norm_act_grad = {
    .name = "norm_act_grad",
    .summary = "gradients of norm_act",
    .infer = infer,
    .plan = plan,
    .run = run,
    .destroy = tw_task_free_state,
    .in_place = 1u << GY,
};
