/* Zeros around x in the last dimension, the adjoint of slice: i[0] = how many in front, i[1] = the
 * channels of the result. */
#include "ops/task.h"

extern const tw_op tw_op_pad_channels;

tw_value *tw_pad_channels(tw_graph *g, tw_value *x, int64_t first, int64_t total)
{
    const tw_attr attr = {.i = {first, total}};
    return tw_emit(g, &tw_op_pad_channels, &x, 1, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    tw_shape shape = n->in[0]->shape;
    const int64_t first = n->attr.i[0], total = n->attr.i[1];
    TW_TRY(tw_infer_plain(n));
    if (shape.rank < 1 || first < 0 || first > total - tw_shape_channels(shape))
        return tw_op_shape_error(n, "does not fit into %lld channels at %lld", (long long)total,
                                 (long long)first);
    shape.dims[shape.rank - 1] = total;
    tw_set_output(n, 0, n->in[0]->type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = tw_slice(g, gout[0], n->attr.i[0], tw_shape_channels(n->in[0]->shape));
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_format(t->implementation, sizeof t->implementation, "c:copy");
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const size_t width = tw_dtype_size(tw_task_out_dtype(t));
    const int64_t total = t->node->attr.i[1], c = tw_shape_channels(t->node->in[0]->shape);
    const size_t before = (size_t)t->node->attr.i[0] * width, kept = (size_t)c * width,
                 all = (size_t)total * width;
    const tw_cut cut = tw_cut_of(tw_task_out_count(t) / total, total);
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++)
        for (int64_t i = tw_cut_first(&cut, j), end = i + tw_cut_count(&cut, j); i < end; i++) {
            char *out = (char *)t->out[0] + (size_t)i * all;
            memset(out, 0, before);
            memcpy(out + before, (const char *)t->in[0] + (size_t)i * kept, kept);
            memset(out + before + kept, 0, all - before - kept);
        }
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_pad_channels(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 5, 3)), 2, 7);
    case 1:
        return tw_pad_channels(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 1)), 18, 19);
    default:
        return NULL;
    }
}

const tw_op tw_op_pad_channels = {
    .name = "pad_channels",
    .summary = "zeros around the channels",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
    .twice = true,
    .cheap = true,
};
