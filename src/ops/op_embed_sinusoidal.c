/* Sinusoidal embedding of a time (Vaswani et al. 2017, as Ho et al. 2020 use it): [sin(t f) ‖ cos(t
 * f)], f_i = exp(-ln(max_period) i / (half - 1)), half = dim / 2; an odd dim ends in a column of
 * zeros. i[0] = dim, f[0] = max_period.
 *
 * Every step is rounded to f32 as in the published code: ln(max_period) / (half - 1) is a double
 * that is rounded once, then exp(i · -that), t · f and the sines are f32. With half = 1 the one
 * frequency is 1.
 *
 * i[1] = 1: as improved-diffusion and diffusers round it, (i · -ln(max_period)) / (half - f[1]);
 * i[2] = 1: the cosines in front. */
#include <math.h>

#include "ops/task.h"

extern const tw_op tw_op_embed_sinusoidal;

tw_value *tw_embed_sinusoidal(tw_graph *g, tw_value *t, int64_t dim, double max_period)
{
    const tw_attr attr = {.i = {dim}, .f = {max_period}};
    return tw_emit(g, &tw_op_embed_sinusoidal, &t, 1, &attr);
}

tw_value *tw_embed_timestep(tw_graph *g, tw_value *t, int64_t dim, double max_period, double shift,
                            bool cosines_first)
{
    const tw_attr attr = {.i = {dim, 1, cosines_first}, .f = {max_period, shift}};
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
    if (!(n->attr.f[1] >= 0 && n->attr.f[1] < (double)(n->attr.i[0] / 2)))
        return tw_op_shape_error(n, "shift %g, wanted at least 0 and below half the dimension",
                                 n->attr.f[1]);
    tw_set_output(n, 0, TW_F32, TW_SHAPE(t->shape.dims[0], n->attr.i[0]));
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_format(t->implementation, sizeof t->implementation, "c:libm");
}

static float frequency(const tw_attr *a, int64_t i)
{
    const int64_t half = a->i[0] / 2;
    if (a->i[1]) return expf((float)-log(a->f[0]) * (float)i / (float)((double)half - a->f[1]));
    const float step = (float)-(log(a->f[0]) / (double)(half > 1 ? half - 1 : 1));
    return expf((float)i * step);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_attr *a = &t->node->attr;
    const int64_t count = t->node->out[0].shape.dims[0], dim = a->i[0], half = dim / 2;
    const int64_t sines = a->i[2] ? half : 0, cosines = half - sines;
    const float *time = t->in[0];
    float *out = t->out[0];
    for (int64_t i = 0; i < half; i++) {
        const float f = frequency(a, i);
        for (int64_t n = 0; n < count; n++) {
            out[n * dim + sines + i] = sinf(time[n] * f);
            out[n * dim + cosines + i] = cosf(time[n] * f);
        }
    }
    for (int64_t n = 0; dim % 2 && n < count; n++) out[n * dim + dim - 1] = 0;
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
    case 3:
        return tw_embed_timestep(g, tw_input(g, "t", TW_F32, TW_SHAPE(2)), 9, 10000, 0, true);
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
