/* Group normalisation: inputs x [N, spatial…, C], gamma and beta [C] or [N, C]; outputs y like x,
 * and stats f32 [N, groups, 2], the mean and the reciprocal deviation of each group, which the
 * gradient reads. i[0] = groups, f[0] = ε. The mathematics is in norm.h. */
#include "ops/norm.h"
#include "ops/task.h"

tw_value *tw_group_norm(tw_graph *g, tw_value *x, tw_value *gamma, tw_value *beta, int64_t groups,
                        double eps)
{
    const tw_attr attr = {.i = {groups}, .f = {eps}};
    return tw_emit(g, &tw_op_group_norm, (tw_value *[]){x, gamma, beta}, 3, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_norm_check(n, n->in[0], n->in[1], n->in[2]));
    tw_set_output(n, 0, n->in[0]->type, n->in[0]->shape);
    tw_set_output(n, 1, TW_F32, TW_SHAPE(n->in[0]->shape.dims[0], n->attr.i[0], 2));
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (gout[1])
        return tw_error_set(TW_EUNSUPPORTED, "group_norm: its statistics have no derivative");
    tw_value *in[4] = {n->in[0], n->in[1], (tw_value *)(uintptr_t)&n->out[1], gout[0]};
    tw_value *gx = tw_emit(g, &tw_op_group_norm_grad, in, 4, &n->attr);
    for (int i = 0; i < 3; i++)
        if (want[i]) gin[i] = tw_output_of(gx, i);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    tw_norm *p = NULL;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "a group normalisation"));
    t->state = p;
    TW_TRY(tw_norm_plan(p, t, false));
done:
    return st;
}

static void run(const tw_task *t, const tw_run *r)
{
    const tw_norm_tensors x = {
        .x = t->in[0], .gamma = t->in[1], .beta = t->in[2], .y = t->out[0], .stats = t->out[1]};
    tw_norm_forward(t->state, &x, r, t->scratch);
}

static tw_value *example(tw_graph *g, int variant)
{
    static const struct {
        int rank;
        int64_t x[5], groups;
    } cases[] = {{4, {2, 3, 5, 6}, 3},    {3, {1, 7, 17}, 1},     {2, {3, 8}, 2},
                 {5, {1, 2, 3, 2, 4}, 2}, {4, {2, 4, 3, 33}, 11}, {4, {3, 2, 5, 18}, 3}};
    const int count = sizeof cases / sizeof *cases;
    if (variant >= count) return NULL;
    const tw_shape s = tw_shape_make(cases[variant].x, cases[variant].rank),
                   c = TW_SHAPE(tw_shape_channels(s)), rows = TW_SHAPE(s.dims[0], c.dims[0]);
    const bool of_sample = variant == count - 1;
    tw_value *beta = of_sample ? tw_input(g, "beta", TW_F32, rows)
                               : tw_param(g, "beta", c, tw_init_zeros),
             *gamma = of_sample ? tw_input(g, "gamma", TW_F32, rows)
                                : tw_param(g, "gamma", c, tw_init_ones);
    return tw_group_norm(g, tw_input(g, "x", TW_ACT, s), gamma, beta, cases[variant].groups, 1e-5);
}

const tw_op tw_op_group_norm = {
    .name = "group_norm",
    .summary = "group normalisation with affine parameters",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .destroy = tw_task_free_state,
    .in_place = 1u << 0,
    .example = example,
};
