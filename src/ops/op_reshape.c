/* The same elements under another shape; i[0 … 5] = the shape. */
#include "ops/ops.h"

extern const tw_op tw_op_reshape;

tw_value *tw_reshape(tw_graph *g, tw_value *x, tw_shape shape)
{
    tw_attr attr = {0};
    tw_attr_set_shape(&attr, 0, shape);
    if (x && tw_shape_equal(x->shape, shape)) return x;
    return tw_emit(g, &tw_op_reshape, &x, 1, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    char text[64];
    tw_shape shape;
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_infer_wanted_shape(n, 0, &shape));
    if (tw_shape_count(shape) != tw_shape_count(n->in[0]->shape))
        return tw_op_shape_error(n, "%s has another number of elements",
                                 tw_shape_text(shape, text));
    tw_set_output(n, 0, n->in[0]->type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = tw_reshape(g, gout[0], n->in[0]->shape);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_format(t->implementation, sizeof t->implementation, "none");
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_reshape(g, tw_input(g, "x", TW_ACT, TW_SHAPE(3, 2, 5)), TW_SHAPE(6, 5));
    case 1:
        return tw_reshape(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 1)), (tw_shape){.rank = 0});
    default:
        return NULL;
    }
}

const tw_op tw_op_reshape = {
    .name = "reshape",
    .summary = "the same elements under another shape",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .alias = true,
    .example = example,
    .twice = true,
};
