/* gy · f^(k)(x), elementwise: the gradient of an activation for k = 1, and of such gradients for k
 * = 2 and 3 (exact score matching takes the trace of a Jacobian and then its gradient, and so needs
 * k = 3). Inputs x, gy; i[0] = tw_activation_kind, i[1] = k. */
#include "ops/kern_activation.h"
#include "ops/task.h"

extern const tw_op tw_op_activation_grad;

tw_value *tw_activation_grad(tw_graph *g, tw_value *x, tw_value *gy, tw_activation_kind kind,
                             int order)
{
    const tw_attr attr = {.i = {kind, order}};
    return tw_emit(g, &tw_op_activation_grad, (tw_value *[]){x, gy}, 2, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_floating(n));
    if (!tw_shape_equal(n->in[0]->shape, n->in[1]->shape) || n->in[0]->type != n->in[1]->type ||
        n->in[0]->layout != n->in[1]->layout)
        return tw_op_shape_error(n, "x and its gradient differ in shape, type or layout");
    if (n->attr.i[0] < 0 || n->attr.i[0] >= TW_ACTIVATION_COUNT)
        return tw_op_shape_error(n, "there is no activation number %lld", (long long)n->attr.i[0]);
    if (n->attr.i[1] < 1 || n->attr.i[1] > TW_ACTIVATION_ORDER_MAX)
        TW_FAIL(TW_EUNSUPPORTED, "activation_grad: derivatives of order 1 to %d exist, not %lld",
                TW_ACTIVATION_ORDER_MAX, (long long)n->attr.i[1]);
    tw_set_output(n, 0, n->in[0]->type, n->in[0]->shape);
    n->out[0].layout = n->in[0]->layout;
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    const tw_activation_kind kind = (tw_activation_kind)n->attr.i[0];
    const int order = (int)n->attr.i[1];
    if (want[0] && kind != TW_RELU && kind != TW_LEAKY_RELU)
        gin[0] = tw_activation_grad(g, n->in[0], tw_mul(g, gout[0], n->in[1]), kind, order + 1);
    if (want[1]) gin[1] = tw_activation_grad(g, n->in[0], gout[0], kind, order);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, 25.0 * (double)tw_task_out_count(t));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype type = tw_task_out_dtype(t);
    const tw_cut cut = tw_cut_of(tw_task_out_count(t), 1);
    tw_activation_loop *loop =
        TW_KERNEL_SELECT(tw_kern_activation)->loop[t->node->attr.i[0]][t->node->attr.i[1]][type];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++) {
        const int64_t at = tw_cut_first(&cut, j);
        loop(tw_at(t->out[0], at, type), tw_at_const(t->in[0], at, type),
             tw_at_const(t->in[1], at, type), tw_cut_count(&cut, j));
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    if (variant >= 2 * TW_ACTIVATION_COUNT) return NULL;
    const tw_type type = variant % 2 ? TW_F32 : TW_ACT;
    const tw_shape shape = TW_SHAPE(1, 19);
    return tw_activation_grad(g, tw_input(g, "x", type, shape), tw_input(g, "gy", type, shape),
                              (tw_activation_kind)(variant / 2), 1);
}

const tw_op tw_op_activation_grad = {
    .name = "activation_grad",
    .summary = "a gradient times a derivative of an activation",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .in_place = 1u << 0 | 1u << 1,
    .example = example,
    .twice = true,
};
