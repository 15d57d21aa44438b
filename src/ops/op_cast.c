/* The same numbers as another floating type, rounded to nearest even; i[0] = the type wanted. */
#include "ops/kern_affine.h"
#include "ops/task.h"

extern const tw_op tw_op_cast;

tw_value *tw_cast(tw_graph *g, tw_value *x, tw_type type)
{
    const tw_attr attr = {.i = {type}};
    if (x && x->type == type) return x;
    return tw_emit(g, &tw_op_cast, &x, 1, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    tw_type type;
    TW_TRY(tw_infer_floating(n));
    TW_TRY(tw_infer_wanted_type(n, 0, &type));
    tw_set_output(n, 0, type, n->in[0]->shape);
    n->out[0].layout = n->in[0]->layout;
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = tw_cast(g, gout[0], n->in[0]->type);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, (double)tw_task_out_count(t));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype to = tw_task_out_dtype(t), from = tw_task_in_dtype(t, 0);
    const tw_cut cut = tw_cut_of(tw_task_out_count(t), 1);
    tw_cast_loop *loop = TW_KERNEL_SELECT(tw_kern_affine)->cast[to][from];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++) {
        const int64_t at = tw_cut_first(&cut, j);
        loop(tw_at(t->out[0], at, to), tw_at_const(t->in[0], at, from), tw_cut_count(&cut, j));
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_cast(g, tw_input(g, "x", TW_ACT, TW_SHAPE(3, 5, 7)), TW_F32);
    case 1:
        return tw_cast(g, tw_input(g, "x", TW_F32, TW_SHAPE(1, 1)), TW_ACT);
    default:
        return NULL;
    }
}

const tw_op tw_op_cast = {
    .name = "cast",
    .summary = "the same numbers in another type",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
    .twice = true,
    .cheap = true,
};
