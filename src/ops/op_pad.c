/* Zeros, reflections about the first and last positions, or the period again, around each image.
 * Attributes are in border.h. */
#include <string.h>

#include "ops/border.h"
#include "ops/task.h"

static tw_value *emit(tw_graph *g, const tw_op *op, tw_value *x, const int64_t before[3],
                      const int64_t after[3], tw_padding kind)
{
    tw_attr a = {0};
    memcpy(a.i + BORDER_BEFORE, before, 3 * sizeof *before);
    memcpy(a.i + BORDER_AFTER, after, 3 * sizeof *after);
    a.i[BORDER_KIND] = kind;
    return tw_emit(g, op, &x, 1, &a);
}

tw_value *tw_pad(tw_graph *g, tw_value *x, const int64_t before[3], const int64_t after[3],
                 tw_padding kind)
{
    return emit(g, &tw_op_pad, x, before, after, kind);
}

tw_value *tw_crop(tw_graph *g, tw_value *x, const int64_t before[3], const int64_t after[3])
{
    return emit(g, &tw_op_crop, x, before, after, TW_PAD_ZERO);
}

static tw_status infer(tw_node *n)
{
    return tw_border_infer(n, true);
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    const tw_op *adjoint = n->attr.i[BORDER_KIND] == TW_PAD_ZERO ? &tw_op_crop : &tw_op_pad_fold;
    if (want[0]) gin[0] = tw_emit(g, adjoint, (tw_value *[]){gout[0]}, 1, &n->attr);
    return TW_OK;
}

static tw_value *example(tw_graph *g, int variant)
{
    static const int64_t a[3] = {1, 0, 2}, b[3] = {2, 3, 0}, far[3] = {5, 7, 9};
    switch (variant) {
    case 0:
        return tw_pad(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 5, 3)), a, b, TW_PAD_ZERO);
    case 1:
        return tw_pad(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 5, 3)), a, b, TW_PAD_REFLECT);
    case 2:
        return tw_pad(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 4, 1)), far, b, TW_PAD_REFLECT);
    case 3:
        return tw_pad(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 2, 1, 3, 2)), far, far,
                      TW_PAD_REFLECT);
    case 4:
        return tw_pad(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 5, 3)), a, b, TW_PAD_CIRCULAR);
    case 5:
        return tw_pad(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 2, 1, 3, 2)), far, far,
                      TW_PAD_CIRCULAR);
    default:
        return NULL;
    }
}

const tw_op tw_op_pad = {
    .name = "pad",
    .summary = "zeros, reflections or the period again around each image",
    .infer = infer,
    .gradient = gradient,
    .plan = tw_border_plan,
    .run = tw_border_run,
    .destroy = tw_task_free_state,
    .example = example,
    .twice = true,
    .cheap = true,
};
