/* What is left of each image without its borders: the adjoint of padding with zeros. Attributes are
 * in border.h. */
#include "ops/border.h"
#include "ops/task.h"

static tw_status infer(tw_node *n)
{
    return tw_border_infer(n, false);
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0])
        gin[0] =
            tw_pad(g, gout[0], n->attr.i + BORDER_BEFORE, n->attr.i + BORDER_AFTER, TW_PAD_ZERO);
    return TW_OK;
}

static tw_value *example(tw_graph *g, int variant)
{
    static const int64_t a[3] = {1, 0, 2}, b[3] = {0, 3, 1};
    switch (variant) {
    case 0:
        return tw_crop(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 5, 3)), a, b);
    case 1:
        return tw_crop(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 2, 4, 5, 2)), a, b);
    default:
        return NULL;
    }
}

const tw_op tw_op_crop = {
    .name = "crop",
    .summary = "cuts borders off each image",
    .infer = infer,
    .gradient = gradient,
    .plan = tw_border_plan,
    .run = tw_border_run,
    .destroy = tw_task_free_state,
    .example = example,
    .twice = true,
};
