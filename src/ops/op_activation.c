/* f(x), elementwise: SiLU x / (1 + e^-x) (Hendrycks & Gimpel 2016; Ramachandran et al. 2017), ReLU,
 * ELU with α = 1 (Clevert et al. 2016), ReLU with slope 0.2 below zero, softplus ln(1 + e^x), tanh
 * and the logistic function. i[0] = tw_activation_kind. */
#include "ops/kern_activation.h"
#include "ops/task.h"

extern const tw_op tw_op_activation;

tw_value *tw_activation(tw_graph *g, tw_value *x, tw_activation_kind kind)
{
    const tw_attr attr = {.i = {kind}};
    return tw_emit(g, &tw_op_activation, &x, 1, &attr);
}

tw_value *tw_silu(tw_graph *g, tw_value *x)
{
    return tw_activation(g, x, TW_SILU);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_floating(n));
    if (n->attr.i[0] < 0 || n->attr.i[0] >= TW_ACTIVATION_COUNT)
        return tw_op_shape_error(n, "there is no activation number %lld", (long long)n->attr.i[0]);
    tw_set_output(n, 0, n->in[0]->type, n->in[0]->shape);
    n->out[0].layout = n->in[0]->layout;
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0])
        gin[0] = tw_activation_grad(g, n->in[0], gout[0], (tw_activation_kind)n->attr.i[0], 1);
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
    tw_activation_loop *loop =
        TW_KERNEL_SELECT(tw_kern_activation)->loop[t->node->attr.i[0]][0][type];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++) {
        const int64_t at = tw_cut_first(&cut, j);
        loop(tw_at(t->out[0], at, type), tw_at_const(t->in[0], at, type), NULL,
             tw_cut_count(&cut, j));
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    if (variant >= 2 * TW_ACTIVATION_COUNT) return NULL;
    tw_shape shape = variant % 2 ? TW_SHAPE(1, 1) : TW_SHAPE(3, 5, 7);
    return tw_activation(g, tw_input(g, "x", variant % 2 ? TW_F32 : TW_ACT, shape),
                         (tw_activation_kind)(variant / 2));
}

const tw_op tw_op_activation = {
    .name = "activation",
    .summary = "SiLU, ReLU, leaky ReLU, ELU, softplus, tanh or sigmoid",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .in_place = 1u << 0,
    .example = example,
    .twice = true,
    .cheap = true,
};
