/* Adds what padding made of each position: the adjoint of padding by reflection or by the period.
 * Attributes are in border.h. */
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
        gin[0] = tw_pad(g, gout[0], n->attr.i + BORDER_BEFORE, n->attr.i + BORDER_AFTER,
                        (tw_padding)n->attr.i[BORDER_KIND]);
    return TW_OK;
}

static tw_value *example(tw_graph *g, int variant)
{
    const tw_attr small = {.i = {1, 0, 2, 1, 2, 0, TW_PAD_REFLECT}},
                  far = {.i = {3, 0, 0, 4, 0, 0, TW_PAD_REFLECT}},
                  round = {.i = {3, 1, 0, 4, 0, 0, TW_PAD_CIRCULAR}};
    tw_value *x;
    switch (variant) {
    case 0:
        x = tw_input(g, "x", TW_ACT, TW_SHAPE(2, 5, 5, 3));
        return tw_emit(g, &tw_op_pad_fold, &x, 1, &small);
    case 1:
        x = tw_input(g, "x", TW_F32, TW_SHAPE(1, 9, 2));
        return tw_emit(g, &tw_op_pad_fold, &x, 1, &far);
    case 2:
        x = tw_input(g, "x", TW_ACT, TW_SHAPE(2, 9, 4, 2));
        return tw_emit(g, &tw_op_pad_fold, &x, 1, &round);
    default:
        return NULL;
    }
}

const tw_op tw_op_pad_fold = {
    .name = "pad_fold",
    .summary = "adds what padding made of each position",
    .infer = infer,
    .gradient = gradient,
    .plan = tw_border_plan,
    .run = tw_border_run,
    .destroy = tw_task_free_state,
    .example = example,
    .twice = true,
};
