/* scale · y ∘ (gy - Σ gy y) over the last dimension, the gradient of y = softmax(scale · x). Inputs
 * y, gy; f[0] = scale.
 *
 * It is linear and symmetric in gy, so its gradient with respect to gy is itself; with respect to
 * y, for an incoming u, scale (u ∘ gy - u Σ gy y - gy Σ u y). */
#include "ops/kern_softmax.h"
#include "ops/task.h"

extern const tw_op tw_op_softmax_grad;

tw_value *tw_softmax_grad(tw_graph *g, tw_value *y, tw_value *gy, double scale)
{
    const tw_attr attr = {.f = {scale}};
    return tw_emit(g, &tw_op_softmax_grad, (tw_value *[]){y, gy}, 2, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_plain(n));
    if (!tw_shape_equal(n->in[0]->shape, n->in[1]->shape) || n->in[0]->type != n->in[1]->type)
        return tw_op_shape_error(n, "y and its gradient differ in shape or type");
    if (n->in[0]->shape.rank < 1) return tw_op_shape_error(n, "wanted at least one dimension");
    tw_set_output(n, 0, n->in[0]->type, n->in[0]->shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    tw_value *u = gout[0], *y = n->in[0], *gy = n->in[1];
    tw_shape one = y->shape;
    one.dims[one.rank - 1] = 1;
    if (want[0]) {
        tw_value *from_gy = tw_mul(g, u, tw_sum_to(g, tw_mul(g, gy, y), one));
        tw_value *from_u = tw_mul(g, gy, tw_sum_to(g, tw_mul(g, u, y), one));
        gin[0] =
            tw_affine(g, tw_sub(g, tw_sub(g, tw_mul(g, u, gy), from_gy), from_u), n->attr.f[0], 0);
    }
    if (want[1]) gin[1] = tw_softmax_grad(g, y, u, n->attr.f[0]);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, 5.0 * (double)tw_task_out_count(t));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype type = tw_task_out_dtype(t);
    const int64_t n = tw_shape_channels(t->node->out[0].shape);
    const tw_cut cut = tw_cut_of(tw_task_out_count(t) / n, n);
    tw_softmax_grad_loop *loop = TW_KERNEL_SELECT(tw_kern_softmax)->backward[type];
    const float scale = (float)t->node->attr.f[0];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++) {
        const int64_t at = tw_cut_first(&cut, j) * n;
        loop(tw_at(t->out[0], at, type), tw_at_const(t->in[0], at, type),
             tw_at_const(t->in[1], at, type), tw_cut_count(&cut, j), n, scale);
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    if (variant > 1) return NULL;
    const tw_shape shape = variant ? TW_SHAPE(2, 1) : TW_SHAPE(2, 3, 19);
    return tw_softmax_grad(g, tw_input(g, "y", TW_ACT, shape), tw_input(g, "gy", TW_ACT, shape),
                           0.7);
}

const tw_op tw_op_softmax_grad = {
    .name = "softmax_grad",
    .summary = "the gradient of softmax",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .in_place = 1u << 0 | 1u << 1,
    .example = example,
    .twice = true,
};
