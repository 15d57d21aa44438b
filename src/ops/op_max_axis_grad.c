/* The gradient of max_axis: inputs x and gy, output gx. gy of a window goes to its largest number,
 * the first of several; i[0] = dimension, i[1] = window. Linear in gy, but its adjoint is no
 * operation here: it has no derivative. */
#include "ops/axis.h"

extern const tw_op tw_op_max_axis_grad;

tw_value *tw_max_axis_grad(tw_graph *g, tw_value *x, tw_value *gy, int axis, int64_t window)
{
    const tw_attr attr = {.i = {axis, window}};
    return tw_emit(g, &tw_op_max_axis_grad, (tw_value *[]){x, gy}, 2, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const int64_t window = n->attr.i[1];
    TW_TRY(tw_axis_check(n));
    if (window < 1 || window % 2 == 0 || window > TW_AXIS_WINDOW_MAX)
        return tw_op_shape_error(n, "a window of %lld is not odd, or above %d", (long long)window,
                                 TW_AXIS_WINDOW_MAX);
    if (!tw_shape_equal(n->in[0]->shape, n->in[1]->shape) || n->in[0]->type != n->in[1]->type)
        return tw_op_shape_error(n, "x and the gradient differ in shape or type");
    tw_set_output(n, 0, n->in[0]->type, n->in[0]->shape);
done:
    return st;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, 3.0 * (double)(tw_task_out_count(t) * t->node->attr.i[1]));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype type = tw_task_out_dtype(t);
    const tw_axis a = tw_axis_of(t->node->in[0]->shape, t->node->attr.i[0]);
    const tw_cut cut = tw_cut_of(a.outer * a.pieces, a.inner / a.pieces * a.length);
    tw_axis_max_grad *grad = TW_KERNEL_SELECT(tw_kern_axis)->max_grad[type];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++)
        for (int64_t k = tw_cut_first(&cut, j), end = k + tw_cut_count(&cut, j); k < end; k++) {
            const int64_t at = tw_axis_start(&a, k, a.length);
            grad(tw_at(t->out[0], at, type), tw_at_const(t->in[0], at, type),
                 tw_at_const(t->in[1], at, type), a.length, t->node->attr.i[1], a.inner,
                 tw_axis_width(&a, k));
        }
}

const tw_op tw_op_max_axis_grad = {
    .name = "max_axis_grad",
    .summary = "gradient of the largest number of a window",
    .infer = infer,
    .plan = plan,
    .run = run,
};
