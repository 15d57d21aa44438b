/* Cuts [first, first + count) out of the last dimension; i[0] = first, i[1] = count. A plan may put
 * a factor behind it: f[0], 0 for none. */
#include "ops/kern_affine.h"
#include "ops/task.h"

extern const tw_op tw_op_slice;

tw_value *tw_slice(tw_graph *g, tw_value *x, int64_t first, int64_t count)
{
    const tw_attr attr = {.i = {first, count}};
    if (x && first == 0 && x->shape.rank > 0 && count == tw_shape_channels(x->shape)) return x;
    return tw_emit(g, &tw_op_slice, &x, 1, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    tw_shape shape = n->in[0]->shape;
    const int64_t first = n->attr.i[0], count = n->attr.i[1], c = tw_shape_channels(shape);
    TW_TRY(tw_infer_plain(n));
    if (shape.rank < 1 || first < 0 || count < 1 || first > c - count)
        return tw_op_shape_error(n, "%lld from %lld on are not in its %lld channels",
                                 (long long)count, (long long)first, (long long)c);
    shape.dims[shape.rank - 1] = count;
    tw_set_output(n, 0, n->in[0]->type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0])
        gin[0] = tw_pad_channels(g, gout[0], n->attr.i[0], tw_shape_channels(n->in[0]->shape));
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    if (t->node->attr.f[0] != 0) return tw_task_plan_c(t, (double)tw_task_out_count(t));
    return tw_format(t->implementation, sizeof t->implementation, "c:copy");
}

/* Rows [i, end) of the pixels. */
static void run_scaled(const tw_task *t, int64_t i, int64_t end)
{
    const tw_dtype type = tw_task_out_dtype(t);
    const int64_t first = t->node->attr.i[0], count = t->node->attr.i[1],
                  c = tw_shape_channels(t->node->in[0]->shape);
    tw_affine_loop *loop = TW_KERNEL_SELECT(tw_kern_affine)->affine[type];
    for (; i < end; i++)
        loop(tw_at(t->out[0], i * count, type), tw_at_const(t->in[0], i * c + first, type), count,
             (float)t->node->attr.f[0], 0);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const size_t width = tw_dtype_size(tw_task_out_dtype(t));
    const int64_t count = t->node->attr.i[1], c = tw_shape_channels(t->node->in[0]->shape);
    const char *x = (const char *)t->in[0] + (size_t)t->node->attr.i[0] * width;
    const tw_cut cut = tw_cut_of(tw_task_out_count(t) / count, count);
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++) {
        int64_t i = tw_cut_first(&cut, j);
        const int64_t end = i + tw_cut_count(&cut, j);
        if (t->node->attr.f[0] != 0)
            run_scaled(t, i, end);
        else
            for (; i < end; i++)
                memcpy((char *)t->out[0] + (size_t)(i * count) * width, x + (size_t)(i * c) * width,
                       (size_t)count * width);
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_slice(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 5, 7)), 2, 3);
    case 1:
        return tw_slice(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 19)), 18, 1);
    case 2:
        return tw_slice(g, tw_input(g, "x", TW_ACT, TW_SHAPE(3)), 0, 2);
    default:
        return NULL;
    }
}

const tw_op tw_op_slice = {
    .name = "slice",
    .summary = "cuts channels out",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
    .twice = true,
};
