/* The largest of the positions within window / 2 of each along one spatial dimension: i[0]
 * dimension, i[1] window, odd. Max pooling at stride 1 is this along one dimension after the other:
 * 2k - 2 comparisons for k², and the same winner as row by row where numbers are equal. */
#include "ops/axis.h"
#include "ops/border.h"

extern const tw_op tw_op_max_axis;

tw_value *tw_max_axis(tw_graph *g, tw_value *x, int axis, int64_t window)
{
    const tw_attr attr = {.i = {axis, window}};
    return tw_emit(g, &tw_op_max_axis, &x, 1, &attr);
}

/* The last dimension first: of equal numbers the first in its row, then the first row, gets the
 * gradient. */
tw_value *tw_max_pool_same(tw_graph *g, tw_value *x, int64_t window)
{
    const int rank = x ? x->shape.rank : 0;
    const int64_t half = window / 2, border[3] = {half, half, half};
    const bool circular = tw_border_is_circular(g) && half > 0;
    if (circular) x = tw_border_wrap(g, x, border, border);
    for (int d = rank - 2; x && d >= 1; d--) x = tw_max_axis(g, x, d, window);
    return circular ? tw_crop(g, x, border, border) : x;
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const int64_t window = n->attr.i[1];
    TW_TRY(tw_axis_check(n));
    if (window < 1 || window % 2 == 0 || window > TW_AXIS_WINDOW_MAX)
        return tw_op_shape_error(n, "a window of %lld is not odd, or above %d", (long long)window,
                                 TW_AXIS_WINDOW_MAX);
    tw_set_output(n, 0, n->in[0]->type, n->in[0]->shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = tw_max_axis_grad(g, n->in[0], gout[0], (int)n->attr.i[0], n->attr.i[1]);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, (double)(tw_task_out_count(t) * t->node->attr.i[1]));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype type = tw_task_out_dtype(t);
    const tw_axis a = tw_axis_of(t->node->in[0]->shape, t->node->attr.i[0]);
    const tw_cut cut = tw_cut_of(a.outer * a.pieces, a.inner / a.pieces * a.length);
    tw_axis_max *max = TW_KERNEL_SELECT(tw_kern_axis)->max[type];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++)
        for (int64_t k = tw_cut_first(&cut, j), end = k + tw_cut_count(&cut, j); k < end; k++) {
            const int64_t at = tw_axis_start(&a, k, a.length);
            max(tw_at(t->out[0], at, type), tw_at_const(t->in[0], at, type), a.length,
                t->node->attr.i[1], a.inner, tw_axis_width(&a, k));
        }
}

/* [1, 6, c], neighbours so far apart that no step of a finite difference changes which is the
 * largest. */
static tw_value *far_apart(tw_graph *g, int64_t c)
{
    static const double shift[6] = {3, 12, 6, 0, 15, 9};
    tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(1, 6 * c)), *y = NULL;
    for (int k = 0; k < 6; k++) {
        tw_value *part = tw_affine(g, tw_slice(g, x, k * c, c), 1, shift[k]);
        y = y ? tw_concat(g, y, part) : part;
    }
    return tw_reshape(g, y, TW_SHAPE(1, 6, c));
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_max_axis(g, far_apart(g, 1), 1, 3);
    case 1:
        return tw_max_axis(g, far_apart(g, 133), 1, 5);
    case 2:
        return tw_max_axis(g, tw_reshape(g, far_apart(g, 7), TW_SHAPE(1, 1, 6, 7)), 2, 7);
    default:
        return NULL;
    }
}

const tw_op tw_op_max_axis = {
    .name = "max_axis",
    .summary = "largest number of a window along a dimension",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
};
