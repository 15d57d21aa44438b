/* softmax(scale · x) over the last dimension: y_i = exp(scale x_i - m) / Σ_j exp(scale x_j - m), m
 * the largest scale x_j. f[0] = scale. */
#include "ops/kern_softmax.h"
#include "ops/task.h"

extern const tw_op tw_op_softmax;

tw_value *tw_softmax(tw_graph *g, tw_value *x, double scale)
{
    const tw_attr attr = {.f = {scale}};
    return tw_emit(g, &tw_op_softmax, &x, 1, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_plain(n));
    if (n->in[0]->shape.rank < 1) return tw_op_shape_error(n, "wanted at least one dimension");
    tw_set_output(n, 0, n->in[0]->type, n->in[0]->shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    tw_value *y = (tw_value *)&n->out[0];
    if (want[0]) gin[0] = tw_softmax_grad(g, y, gout[0], n->attr.f[0]);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, 20.0 * (double)tw_task_out_count(t));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype type = tw_task_out_dtype(t);
    const int64_t n = tw_shape_channels(t->node->out[0].shape);
    const tw_cut cut = tw_cut_of(tw_task_out_count(t) / n, n);
    tw_softmax_loop *loop = TW_KERNEL_SELECT(tw_kern_softmax)->forward[type];
    const float scale = (float)t->node->attr.f[0];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++) {
        const int64_t at = tw_cut_first(&cut, j) * n;
        loop(tw_at(t->out[0], at, type), tw_at_const(t->in[0], at, type), tw_cut_count(&cut, j), n,
             scale);
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_softmax(g, tw_input(g, "x", TW_ACT, TW_SHAPE(3, 5, 7)), 0.7);
    case 1:
        return tw_softmax(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 19)), -1);
    case 2:
        return tw_softmax(g, tw_input(g, "x", TW_F32, TW_SHAPE(3, 1)), 1);
    default:
        return NULL;
    }
}

const tw_op tw_op_softmax = {
    .name = "softmax",
    .summary = "softmax over the last dimension",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .in_place = 1u << 0,
    .example = example,
    .twice = true,
    .cheap = true,
};
