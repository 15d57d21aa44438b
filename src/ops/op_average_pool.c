/* The sum over windows of factor^d positions, times a scale: factor^-d for the average, another one
 * in gradients. i[0] = factor, f[0] = scale. The adjoint of upsample_nearest. */
#include <math.h>

#include "ops/kern_resample.h"
#include "ops/resample.h"
#include "ops/task.h"

extern const tw_op tw_op_average_pool;

tw_value *tw_pool_scaled(tw_graph *g, tw_value *x, int64_t factor, double scale)
{
    const tw_attr attr = {.i = {factor}, .f = {scale}};
    return tw_emit(g, &tw_op_average_pool, &x, 1, &attr);
}

tw_value *tw_average_pool(tw_graph *g, tw_value *x, int64_t factor)
{
    return tw_pool_scaled(g, x, factor, x ? pow((double)factor, 2 - x->shape.rank) : 1);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    tw_shape shape = n->in[0]->shape;
    const int64_t factor = n->attr.i[0];
    TW_TRY(tw_infer_plain(n));
    if (shape.rank < 3) return tw_op_shape_error(n, "wanted [N, spatial..., C]");
    if (factor < 1)
        return tw_op_shape_error(n, "factor %lld, wanted at least 1", (long long)factor);
    for (int d = 1; d < shape.rank - 1; d++) {
        if (shape.dims[d] % factor)
            return tw_op_shape_error(n, "factor %lld does not divide dimension %d",
                                     (long long)factor, d);
        shape.dims[d] /= factor;
    }
    tw_set_output(n, 0, n->in[0]->type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = tw_upsample_scaled(g, gout[0], n->attr.i[0], n->attr.f[0]);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, (double)tw_shape_count(t->node->in[0]->shape));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype type = tw_task_out_dtype(t);
    const tw_resample m = tw_resample_of(t->node->out[0].shape, t->node->attr.i[0]);
    const int64_t out_row = m.w * m.c, in_row = out_row * m.fw;
    const int64_t size[3] = {m.fd, m.fh, m.fw}, step[3] = {m.h * m.fh * in_row, in_row, m.c};
    const tw_cut cut = tw_cut_of(m.n * m.d * m.h, in_row * m.fd * m.fh);
    tw_pool_pixels *pool = TW_KERNEL_SELECT(tw_kern_resample)->pool[type];
    const float scale = (float)t->node->attr.f[0];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++)
        for (int64_t i = tw_cut_first(&cut, j), end = i + tw_cut_count(&cut, j); i < end; i++)
            pool(tw_at(t->out[0], i * out_row, type),
                 tw_at_const(t->in[0], tw_resample_big_row(&m, i) * in_row, type), m.w, m.c, size,
                 step, scale);
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_average_pool(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 4, 6, 7)), 2);
    case 1:
        return tw_average_pool(g, tw_input(g, "x", TW_ACT, TW_SHAPE(1, 9, 1)), 3);
    case 2:
        return tw_average_pool(g, tw_input(g, "x", TW_F32, TW_SHAPE(2, 4, 2, 6, 3)), 2);
    case 3:
        return tw_average_pool(g, tw_input(g, "x", TW_ACT, TW_SHAPE(1, 2, 2, 133)), 2);
    default:
        return NULL;
    }
}

const tw_op tw_op_average_pool = {
    .name = "average_pool",
    .summary = "sums or averages windows of positions",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
    .twice = true,
    .cheap = true,
};
