/* Sinusoidal embedding of a time (Vaswani et al. 2017, as Ho et al. 2020 use it): [sin(t f) ‖ cos(t
 * f)], f_i = exp(-ln(max_period) i / (half - 1)), half = dim / 2; an odd dim ends in a column of
 * zeros. i[0] = dim, f[0] = max_period.
 *
 * Every step is rounded to f32 as in the published code: ln(max_period) / (half - 1) is a double
 * that is rounded once, then exp(i · -that), t · f and the sines are f32. With half = 1 the one
 * frequency is 1. */
#include <math.h>

#include "ops/task.h"

extern const tw_op tw_op_embed_sinusoidal;

tw_value *tw_embed_sinusoidal(tw_graph *g, tw_value *t, int64_t dim, double max_period)
{
    const tw_attr attr = {.i = {dim}, .f = {max_period}};
    return tw_emit(g, &tw_op_embed_sinusoidal, &t, 1, &attr);
}

static tw_status infer(tw_node *n)
{
    const tw_value *t = n->in[0];
    if (t->type != TW_F32 || t->shape.rank != 1)
        return tw_op_shape_error(n, "wanted f32 times [N]");
    if (n->attr.i[0] < 2)
        return tw_op_shape_error(n, "dimension %lld, wanted at least 2", (long long)n->attr.i[0]);
    if (!(n->attr.f[0] > 0))
        return tw_op_shape_error(n, "longest period %g, wanted above 0", n->attr.f[0]);
    tw_set_output(n, 0, TW_F32, TW_SHAPE(t->shape.dims[0], n->attr.i[0]));
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_format(t->implementation, sizeof t->implementation, "c:libm");
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const int64_t count = t->node->out[0].shape.dims[0], dim = t->node->attr.i[0], half = dim / 2;
    const float step = (float)-(log(t->node->attr.f[0]) / (double)(half > 1 ? half - 1 : 1));
    const float *time = t->in[0];
    float *out = t->out[0];
    for (int64_t n = 0; n < count; n++) {
        for (int64_t i = 0; i < half; i++) {
            const float phase = time[n] * expf((float)i * step);
            out[n * dim + i] = sinf(phase);
            out[n * dim + half + i] = cosf(phase);
        }
        if (dim % 2) out[n * dim + dim - 1] = 0;
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_embed_sinusoidal(g, tw_input(g, "t", TW_F32, TW_SHAPE(3)), 10, 10000);
    case 1:
        return tw_embed_sinusoidal(g, tw_input(g, "t", TW_F32, TW_SHAPE(1)), 7, 100);
    case 2:
        return tw_embed_sinusoidal(g, tw_input(g, "t", TW_F32, TW_SHAPE(2)), 2, 10000);
    default:
        return NULL;
    }
}

const tw_op tw_op_embed_sinusoidal = {
    .name = "embed_sinusoidal",
    .summary = "sines and cosines of a time",
    .infer = infer,
    .plan = plan,
    .run = run,
    .example = example,
};
