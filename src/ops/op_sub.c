/* a - b, elementwise; dimensions of b that are 1 repeat. */
#include "ops/binary.h"

extern const tw_op tw_op_sub;

tw_value *tw_sub(tw_graph *g, tw_value *a, tw_value *b)
{
    return tw_emit(g, &tw_op_sub, (tw_value *[]){a, b}, 2, NULL);
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = gout[0];
    if (want[1])
        gin[1] = tw_affine(g, tw_sum_to_as(g, gout[0], n->in[1]->shape, n->in[1]->type), -1, 0);
    return TW_OK;
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    tw_binary_run(t, TW_BINARY_SUB);
}

static tw_value *example(tw_graph *g, int variant)
{
    return tw_binary_example(g, &tw_op_sub, variant);
}

const tw_op tw_op_sub = {
    .name = "sub",
    .summary = "a - b",
    .infer = tw_binary_infer,
    .gradient = gradient,
    .plan = tw_binary_plan,
    .run = run,
    .destroy = tw_binary_destroy,
    .in_place = 1u << 0,
    .example = example,
    .twice = true,
};
