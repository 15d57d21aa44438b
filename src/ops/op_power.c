/* x^p where x exceeds a floor, elementwise; where it does not, floor^p or zero. The reciprocal of a
 * deviation that is kept from vanishing, and its derivatives: (max(x, f)^p)' is p x^(p-1) above the
 * floor and zero below. f[0] = p, f[1] = floor > 0, i[0] = zero below. Meant for a few numbers of
 * each sample: it takes libm's pow in double. */
#include <math.h>

#include "ops/ops.h"
#include "ops/task.h"

extern const tw_op tw_op_power;

static tw_value *power(tw_graph *g, tw_value *x, double p, double lowest, bool zero_below)
{
    const tw_attr attr = {.i = {zero_below}, .f = {p, lowest}};
    return tw_emit(g, &tw_op_power, &x, 1, &attr);
}

tw_value *tw_power(tw_graph *g, tw_value *x, double p, double lowest)
{
    return power(g, x, p, lowest, false);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_floating(n));
    if (!(n->attr.f[1] > 0))
        return tw_op_shape_error(n, "a floor of %g is not positive", n->attr.f[1]);
    tw_set_output(n, 0, n->in[0]->type, n->in[0]->shape);
    n->out[0].layout = n->in[0]->layout;
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    const double p = n->attr.f[0];
    if (want[0])
        gin[0] =
            tw_mul(g, gout[0], tw_affine(g, power(g, n->in[0], p - 1, n->attr.f[1], true), p, 0));
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    t->flops = 50.0 * (double)tw_task_out_count(t);
    return tw_format(t->implementation, sizeof t->implementation, "c:libm");
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_dtype type = tw_task_out_dtype(t);
    const double p = t->node->attr.f[0], lowest = t->node->attr.f[1];
    const double below = t->node->attr.i[0] ? 0 : pow(lowest, p);
    for (int64_t i = 0; i < tw_task_out_count(t); i++) {
        const double x = (double)tw_load(t->in[0], i, type);
        tw_store(t->out[0], i, type, (float)(x <= lowest ? below : pow(x, p)));
    }
}

/* Noise is ±[0.15, 1.15]: both sides of a floor of 0.02, far from it. */
static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_power(g, tw_input(g, "x", TW_F32, TW_SHAPE(5, 1)), -0.5, 0.02);
    case 1:
        return tw_power(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3)), 2, 0.02);
    default:
        return NULL;
    }
}

const tw_op tw_op_power = {
    .name = "power",
    .summary = "x^p above a floor",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .in_place = 1u << 0,
    .example = example,
    .twice = true,
};
