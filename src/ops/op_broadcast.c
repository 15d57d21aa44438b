/* Dimensions of 1 (or missing in front) repeated up to a shape; the adjoint of sum_to. i[0 … 5] =
 * the shape, i[6] = the type of the result. */
#include "ops/binary.h"
#include "ops/task.h"

extern const tw_op tw_op_broadcast;

tw_value *tw_broadcast_as(tw_graph *g, tw_value *x, tw_shape shape, tw_type type)
{
    tw_attr attr = {.i = {[6] = type}};
    tw_attr_set_shape(&attr, 0, shape);
    if (x && tw_shape_equal(x->shape, shape)) return tw_cast(g, x, type);
    return tw_emit(g, &tw_op_broadcast, &x, 1, &attr);
}

tw_value *tw_broadcast(tw_graph *g, tw_value *x, tw_shape shape)
{
    return tw_broadcast_as(g, x, shape, x ? x->type : TW_ACT);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    char text[64];
    tw_shape shape;
    tw_type type;
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_infer_wanted_shape(n, 0, &shape));
    TW_TRY(tw_infer_wanted_type(n, 6, &type));
    if (!tw_shape_repeats_to(n->in[0]->shape, shape))
        return tw_op_shape_error(n, "does not repeat up to %s", tw_shape_text(shape, text));
    tw_set_output(n, 0, type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = tw_sum_to_as(g, gout[0], n->in[0]->shape, n->in[0]->type);
    return TW_OK;
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    tw_binary_run(t, TW_BINARY_SECOND);
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_broadcast(g, tw_input(g, "x", TW_ACT, TW_SHAPE(3, 1, 1, 5)),
                            TW_SHAPE(3, 2, 3, 5));
    case 1:
        return tw_broadcast(g, tw_input(g, "x", TW_F32, TW_SHAPE(3)), TW_SHAPE(2, 5, 3));
    case 2:
        return tw_broadcast(g, tw_input(g, "x", TW_ACT, (tw_shape){.rank = 0}), TW_SHAPE(7));
    case 3:
        return tw_broadcast(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 1)), TW_SHAPE(2, 3, 3));
    case 4:
        return tw_broadcast_as(g, tw_input(g, "x", TW_F32, TW_SHAPE(2, 1, 3, 1)),
                               TW_SHAPE(2, 2, 3, 2), TW_ACT);
    default:
        return NULL;
    }
}

const tw_op tw_op_broadcast = {
    .name = "broadcast",
    .summary = "repeats dimensions of 1",
    .infer = infer,
    .gradient = gradient,
    .plan = tw_binary_plan,
    .run = run,
    .destroy = tw_binary_destroy,
    .example = example,
    .twice = true,
};
