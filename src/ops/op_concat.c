/* Joins two values of one type at the last dimension. */
#include <omp.h>
#include <string.h>

#include "ops/share.h"
#include "ops/task.h"

extern const tw_op tw_op_concat;

tw_value *tw_concat(tw_graph *g, tw_value *a, tw_value *b)
{
    return tw_emit(g, &tw_op_concat, (tw_value *[]){a, b}, 2, NULL);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const tw_value *a = n->in[0], *b = n->in[1];
    tw_shape shape = a->shape, rest = b->shape;
    TW_TRY(tw_infer_plain(n));
    if (a->type != b->type) return tw_op_shape_error(n, "the two have different types");
    if (shape.rank < 1 || rest.rank != shape.rank)
        return tw_op_shape_error(n, "the two have different ranks, or none");
    rest.dims[rest.rank - 1] = shape.dims[shape.rank - 1];
    if (!tw_shape_equal(shape, rest))
        return tw_op_shape_error(n, "the two differ in more than the last dimension");
    shape.dims[shape.rank - 1] += b->shape.dims[shape.rank - 1];
    tw_set_output(n, 0, a->type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    const int64_t ca = tw_shape_channels(n->in[0]->shape), cb = tw_shape_channels(n->in[1]->shape);
    if (want[0]) gin[0] = tw_slice(g, gout[0], 0, ca);
    if (want[1]) gin[1] = tw_slice(g, gout[0], ca, cb);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_format(t->implementation, sizeof t->implementation, "c:copy");
}

/* Both halves of rows [i, end) of `na` and `nb` bytes. */
static void join(const tw_task *t, int64_t i, int64_t end, size_t na, size_t nb)
{
    for (; i < end; i++) {
        char *out = (char *)t->out[0] + (size_t)i * (na + nb);
        memcpy(out, (const char *)t->in[0] + (size_t)i * na, na);
        memcpy(out + na, (const char *)t->in[1] + (size_t)i * nb, nb);
    }
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const size_t width = tw_dtype_size(tw_task_out_dtype(t));
    const int64_t c = tw_shape_channels(t->node->out[0].shape);
    const size_t na = (size_t)tw_shape_channels(t->node->in[0]->shape) * width,
                 nb = (size_t)c * width - na;
    const tw_cut cut = tw_cut_of(tw_task_out_count(t) / c, c);
    tw_share share;
    tw_share_begin(&share, omp_get_max_threads(), cut.jobs);
#pragma omp parallel if (cut.jobs > 1)
    {
        bool more;
        for (int64_t j; (j = tw_share_next(&share, omp_get_thread_num(), &more)) >= 0;) {
            const int64_t first = tw_cut_first(&cut, j);
            join(t, first, first + tw_cut_count(&cut, j), na, nb);
        }
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_concat(g, tw_input(g, "a", TW_ACT, TW_SHAPE(2, 3, 5, 7)),
                         tw_input(g, "b", TW_ACT, TW_SHAPE(2, 3, 5, 4)));
    case 1:
        return tw_concat(g, tw_input(g, "a", TW_F32, TW_SHAPE(3, 1)),
                         tw_input(g, "b", TW_F32, TW_SHAPE(3, 1)));
    case 2:
        return tw_concat(g, tw_input(g, "a", TW_ACT, TW_SHAPE(1)),
                         tw_input(g, "b", TW_ACT, TW_SHAPE(19)));
    default:
        return NULL;
    }
}

const tw_op tw_op_concat = {
    .name = "concat",
    .summary = "joins two values at the last dimension",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
    .twice = true,
    .cheap = true,
};
