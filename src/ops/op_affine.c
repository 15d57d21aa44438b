/* scale · x + shift, elementwise; f[0] = scale, f[1] = shift, used as f32. With scale 0 it is a
 * constant of x's shape. */
#include "ops/kern_affine.h"
#include "ops/task.h"

extern const tw_op tw_op_affine;

tw_value *tw_affine(tw_graph *g, tw_value *x, double scale, double shift)
{
    const tw_attr attr = {.f = {scale, shift}};
    return tw_emit(g, &tw_op_affine, &x, 1, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_floating(n));
    tw_set_output(n, 0, n->in[0]->type, n->in[0]->shape);
    n->out[0].layout = n->in[0]->layout;
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0] && n->attr.f[0] != 0) gin[0] = tw_affine(g, gout[0], n->attr.f[0], 0);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, 2.0 * (double)tw_task_out_count(t));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype type = tw_task_out_dtype(t);
    const tw_cut cut = tw_cut_of(tw_task_out_count(t), 1);
    tw_affine_loop *loop = TW_KERNEL_SELECT(tw_kern_affine)->affine[type];
    const float scale = (float)t->node->attr.f[0], shift = (float)t->node->attr.f[1];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++) {
        const int64_t at = tw_cut_first(&cut, j);
        loop(tw_at(t->out[0], at, type), tw_at_const(t->in[0], at, type), tw_cut_count(&cut, j),
             scale, shift);
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_affine(g, tw_input(g, "x", TW_ACT, TW_SHAPE(3, 5, 7)), -1.5, 0.25);
    case 1:
        return tw_affine(g, tw_input(g, "x", TW_F32, TW_SHAPE(1)), 2, -3);
    case 2:
        return tw_affine(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 1)), 0, 1);
    default:
        return NULL;
    }
}

const tw_op tw_op_affine = {
    .name = "affine",
    .summary = "scale x + shift",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .in_place = 1u << 0,
    .example = example,
    .twice = true,
    .cheap = true,
};
