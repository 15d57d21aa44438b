/* y[n][k] = 1 where k = label[n], else 0, f32 [N, classes]; a row of zeros for a label outside of
 * 0 … classes − 1. i[0] = classes. Labels have no slopes, so it has no gradient. */
#include "ops/task.h"

extern const tw_op tw_op_one_hot;

tw_value *tw_one_hot(tw_graph *g, tw_value *label, int64_t classes)
{
    const tw_attr attr = {.i = {classes}};
    return tw_emit(g, &tw_op_one_hot, &label, 1, &attr);
}

static tw_status infer(tw_node *n)
{
    const tw_value *label = n->in[0];
    if (label->type != TW_I32 || label->shape.rank != 1)
        return tw_op_shape_error(n, "wanted integer labels [N]");
    if (n->attr.i[0] < 1) return tw_op_shape_error(n, "wanted at least one class");
    tw_set_output(n, 0, TW_F32, TW_SHAPE(label->shape.dims[0], n->attr.i[0]));
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, (double)tw_task_out_count(t));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const int64_t n = t->node->in[0]->shape.dims[0], classes = t->node->attr.i[0];
    const int32_t *label = t->in[0];
    float *y = t->out[0];
    memset(y, 0, (size_t)(n * classes) * sizeof *y);
    for (int64_t i = 0; i < n; i++)
        if (label[i] >= 0 && label[i] < classes) y[i * classes + label[i]] = 1;
}

const tw_op tw_op_one_hot = {
    .name = "one_hot",
    .summary = "1 at the label, else 0",
    .infer = infer,
    .plan = plan,
    .run = run,
};
