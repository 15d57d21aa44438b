/* x itself, as a constant of all gradients. */
#include "ops/ops.h"

extern const tw_op tw_op_detach;

tw_value *tw_detach(tw_graph *g, tw_value *x)
{
    return tw_emit(g, &tw_op_detach, &x, 1, NULL);
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
    (void)g, (void)n, (void)gout, (void)want, (void)gin; /* zero */
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_format(t->implementation, sizeof t->implementation, "none");
}

/* Of a constant: of anything else the slope is not what the gradient says, which is the point. */
static tw_value *example(tw_graph *g, int variant)
{
    if (variant > 0) return NULL;
    return tw_detach(g, tw_affine(g, tw_input(g, "x", TW_ACT, TW_SHAPE(3, 5)), 0, 1.5));
}

const tw_op tw_op_detach = {
    .name = "detach",
    .summary = "x, whose gradient stops here",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .alias = true,
    .example = example,
};
