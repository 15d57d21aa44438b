/* Each spatial position repeated `factor` times in every spatial dimension, times a scale that is 1
 * but in the gradient of the average. i[0] = factor, f[0] = scale. The adjoint of average_pool. */
#include "ops/kern_resample.h"
#include "ops/resample.h"
#include "ops/task.h"

extern const tw_op tw_op_upsample_nearest;

tw_value *tw_upsample_scaled(tw_graph *g, tw_value *x, int64_t factor, double scale)
{
    const tw_attr attr = {.i = {factor}, .f = {scale}};
    return tw_emit(g, &tw_op_upsample_nearest, &x, 1, &attr);
}

tw_value *tw_upsample_nearest(tw_graph *g, tw_value *x, int64_t factor)
{
    return tw_upsample_scaled(g, x, factor, 1);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    tw_shape shape = n->in[0]->shape;
    TW_TRY(tw_infer_plain(n));
    if (shape.rank < 3) return tw_op_shape_error(n, "wanted [N, spatial..., C]");
    if (n->attr.i[0] < 1)
        return tw_op_shape_error(n, "factor %lld, wanted at least 1", (long long)n->attr.i[0]);
    for (int d = 1; d < shape.rank - 1; d++) shape.dims[d] *= n->attr.i[0];
    tw_set_output(n, 0, n->in[0]->type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = tw_pool_scaled(g, gout[0], n->attr.i[0], n->attr.f[0]);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, (double)tw_task_out_count(t));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype type = tw_task_out_dtype(t);
    const tw_resample m = tw_resample_of(t->node->in[0]->shape, t->node->attr.i[0]);
    const int64_t in_row = m.w * m.c, out_row = in_row * m.fw;
    const tw_cut cut = tw_cut_of(m.n * m.d * m.h, out_row * m.fd * m.fh);
    tw_repeat_pixels *repeat = TW_KERNEL_SELECT(tw_kern_resample)->repeat[type];
    const float scale = (float)t->node->attr.f[0];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++)
        for (int64_t i = tw_cut_first(&cut, j), end = i + tw_cut_count(&cut, j); i < end; i++) {
            const int64_t big = tw_resample_big_row(&m, i);
            void *first = tw_at(t->out[0], big * out_row, type);
            repeat(first, tw_at_const(t->in[0], i * in_row, type), m.w, m.c, m.fw, scale);
            for (int64_t k = 1; k < m.fd * m.fh; k++) {
                const int64_t to = big + k / m.fh * m.h * m.fh + k % m.fh;
                memcpy(tw_at(t->out[0], to * out_row, type), first,
                       (size_t)out_row * tw_dtype_size(type));
            }
        }
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_upsample_nearest(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 5, 7)), 2);
    case 1:
        return tw_upsample_nearest(g, tw_input(g, "x", TW_ACT, TW_SHAPE(1, 3, 1)), 3);
    case 2:
        return tw_upsample_nearest(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 2, 1, 3, 2)), 2);
    case 3:
        return tw_upsample_scaled(g, tw_input(g, "x", TW_ACT, TW_SHAPE(1, 1, 3, 3)), 3, 0.5);
    default:
        return NULL;
    }
}

const tw_op tw_op_upsample_nearest = {
    .name = "upsample_nearest",
    .summary = "repeats each spatial position",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
    .twice = true,
    .cheap = true,
};
