/* Inverted dropout (Srivastava et al. 2014): zero with probability `rate`, else x / (1 - rate);
 * identity where a run does not train. f[0] = rate, i[0] = number of the layer. The mask is that of
 * dropout_mask.h, so the gradient is the same operation on gout. */
#include "ops/kern_dropout.h"
#include "ops/task.h"

extern const tw_op tw_op_dropout;

static tw_value *emit(tw_graph *g, tw_value *x, double rate, int64_t layer)
{
    const tw_attr attr = {.i = {layer}, .f = {rate}};
    return tw_emit(g, &tw_op_dropout, &x, 1, &attr);
}

tw_value *tw_dropout(tw_graph *g, tw_value *x, double rate)
{
    if (!x || rate == 0) return x;
    const int64_t layer = tw_graph_next_dropout(g);
    return layer < 0 ? x
                     : emit(g, x, rate, layer); /* a frozen network is as where nothing trains */
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const double rate = n->attr.f[0];
    const tw_shape shape = n->in[0]->shape;
    TW_TRY(tw_infer_plain(n));
    if (shape.rank < 1) return tw_op_shape_error(n, "wanted samples in the first dimension");
    if (!(rate >= 0 && rate < 1))
        TW_FAIL(TW_ECONFIG, "dropout: rate %g, wanted 0 <= rate < 1", rate);
    if (n->attr.i[0] < 0 || n->attr.i[0] >= 1024)
        TW_FAIL(TW_EUNSUPPORTED, "dropout: layer %lld; at most 1024 layers have masks of their own",
                (long long)n->attr.i[0]);
    if (tw_shape_count(shape) / shape.dims[0] > (int64_t)1 << 26)
        return tw_op_shape_error(n, "a sample of over 2^26 elements");
    tw_set_output(n, 0, n->in[0]->type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = emit(g, gout[0], n->attr.f[0], n->attr.i[0]);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, 10.0 * (double)tw_task_out_count(t));
}

static void run(const tw_task *t, const tw_run *r)
{
    const tw_dtype type = tw_task_out_dtype(t);
    const int64_t n = tw_sample_count(t->node->out[0].shape);
    const tw_cut cut = tw_cut_of(n, 1);
    tw_dropout_loop *loop = TW_KERNEL_SELECT(tw_kern_dropout)->loop[type];
    tw_dropout_mask mask = tw_dropout_mask_of(t->node->attr.f[0], t->node->attr.i[0]);
    if (!r->training) {
        if (t->out[0] != t->in[0])
            memcpy(t->out[0], t->in[0], (size_t)tw_task_out_count(t) * tw_dtype_size(type));
        return;
    }
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < t->node->out[0].shape.dims[0] * cut.jobs; j++) {
        const int64_t sample = j / cut.jobs, first = tw_cut_first(&cut, j % cut.jobs),
                      at = sample * n + first;
        loop(tw_at(t->out[0], at, type), tw_at_const(t->in[0], at, type),
             tw_cut_count(&cut, j % cut.jobs), &mask, tw_dropout_key(r, sample), first);
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_dropout(g, tw_input(g, "x", TW_ACT, TW_SHAPE(3, 3, 5, 7)), 0.3);
    case 1:
        return tw_dropout(g, tw_input(g, "x", TW_ACT, TW_SHAPE(1, 1)), 0.5);
    case 2:
        return tw_dropout(g, tw_input(g, "x", TW_F32, TW_SHAPE(2, 301)), 0.1);
    default:
        return NULL;
    }
}

const tw_op tw_op_dropout = {
    .name = "dropout",
    .summary = "drops elements at random while training",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .in_place = 1u << 0,
    .example = example,
    .twice = true,
    .cheap = true,
};
