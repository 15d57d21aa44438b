/* The gradient of norm_act, with gradients that reach x and x2 by other ways added while it is
 * written. Inputs, outputs and attributes are in norm.h; the derivation too. */
#include "ops/norm.h"
#include "ops/task.h"

enum { X, GAMMA, BETA, STATS, GY, EMBEDDING, X2, ADD, ADD2 };

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const tw_value *x = n->in[X], *x2 = n->in[X2], *add = n->in[ADD], *add2 = n->in[ADD2];
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_norm_check(n, x, x2, n->in[GAMMA], n->in[BETA]));
    tw_shape y = x->shape;
    y.dims[y.rank - 1] += x2 ? tw_shape_channels(x2->shape) : 0;
    TW_TRY(tw_norm_check_rows(n, n->in[EMBEDDING], y));
    if (!tw_shape_equal(n->in[GY]->shape, y) || n->in[GY]->type != x->type)
        return tw_op_shape_error(n, "the gradient of y has another shape or type than y");
    if ((add && (!tw_shape_equal(add->shape, x->shape) || add->type != x->type)) ||
        (add2 && (!x2 || !tw_shape_equal(add2->shape, x2->shape) || add2->type != x->type)))
        return tw_op_shape_error(
            n, "a gradient to be added has another shape or type than what it is the gradient of");
    tw_set_output(n, 0, x->type, x->shape);
    tw_set_output(n, 1, TW_F32, n->in[GAMMA]->shape);
    tw_set_output(n, 2, TW_F32, n->in[GAMMA]->shape);
    tw_set_output(n, 3, x->type, TW_SHAPE(y.dims[0], tw_shape_channels(y)));
    if (x2) tw_set_output(n, 4, x->type, x2->shape);
done:
    return st;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    tw_norm *p = NULL;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a gradient of a fused normalisation"));
    t->state = p;
    TW_TRY(tw_norm_plan(p, t, t->node->in[X2], true));
    tw_norm_fuse(p, &t->node->attr);
done:
    return st;
}

static void run(const tw_task *t, const tw_run *r)
{
    const tw_norm_tensors x = {.x = {t->in[X], t->in[X2]},
                               .gamma = t->in[GAMMA],
                               .beta = t->in[BETA],
                               .stats = t->in[STATS],
                               .gy = t->in[GY],
                               .embedding = t->in[EMBEDDING],
                               .add = {t->in[ADD], t->in[ADD2]},
                               .gx = {t->out[0], t->out[4]},
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
