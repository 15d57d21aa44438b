/* e^x, elementwise. */
#include <math.h>

#include "ops/ops.h"
#include "ops/task.h"

extern const tw_op tw_op_exp;

tw_value *tw_exp(tw_graph *g, tw_value *x)
{
    return tw_emit(g, &tw_op_exp, &x, 1, NULL);
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
    if (want[0]) gin[0] = tw_mul(g, gout[0], (tw_value *)(uintptr_t)&n->out[0]);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, 20.0 * (double)tw_task_out_count(t));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype type = tw_task_out_dtype(t);
    const tw_cut cut = tw_cut_of(tw_task_out_count(t), 1);
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++) {
        const int64_t first = tw_cut_first(&cut, j), end = first + tw_cut_count(&cut, j);
        for (int64_t i = first; i < end; i++)
            tw_store(t->out[0], i, type, expf(tw_load(t->in[0], i, type)));
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    if (variant > 1) return NULL;
    return tw_exp(g, variant ? tw_input(g, "x", TW_F32, TW_SHAPE(1, 1))
                             : tw_input(g, "x", TW_ACT, TW_SHAPE(3, 5, 7)));
}

const tw_op tw_op_exp = {
    .name = "exp",
    .summary = "e^x",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .in_place = 1u << 0,
    .example = example,
    .twice = true,
};
