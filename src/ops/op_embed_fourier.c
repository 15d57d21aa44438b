/* Random Fourier features of a time (Tancik et al. 2020): [sin(2π t w) ‖ cos(2π t w)], frequencies
 * w [dim / 2].
 *
 * Phases reach 10³, where f32 rounding is 10⁻⁴: they are (t w) · 2π in f32, in this order, as in
 * the published code. */
#include <math.h>

#include "ops/task.h"

extern const tw_op tw_op_embed_fourier;

tw_value *tw_embed_fourier(tw_graph *g, tw_value *t, tw_value *frequencies)
{
    return tw_emit(g, &tw_op_embed_fourier, (tw_value *[]){t, frequencies}, 2, NULL);
}

static tw_status infer(tw_node *n)
{
    const tw_value *t = n->in[0], *w = n->in[1];
    if (t->type != TW_F32 || t->shape.rank != 1)
        return tw_op_shape_error(n, "wanted f32 times [N]");
    if (w->type != TW_F32 || w->shape.rank != 1)
        return tw_op_shape_error(n, "wanted f32 frequencies [dim / 2]");
    tw_set_output(n, 0, TW_F32, TW_SHAPE(t->shape.dims[0], 2 * w->shape.dims[0]));
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_format(t->implementation, sizeof t->implementation, "c:libm");
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const int64_t count = t->node->out[0].shape.dims[0], half = t->node->in[1]->shape.dims[0];
    const float *time = t->in[0], *w = t->in[1];
    float *out = t->out[0];
    for (int64_t n = 0; n < count; n++)
        for (int64_t i = 0; i < half; i++) {
            const float turns = time[n] * w[i], phase = turns * 6.28318530717958648f;
            out[n * 2 * half + i] = sinf(phase);
            out[n * 2 * half + half + i] = cosf(phase);
        }
}

static tw_value *example(tw_graph *g, int variant)
{
    if (variant > 1) return NULL;
    const int64_t n = variant ? 1 : 3, half = variant ? 1 : 5;
    return tw_embed_fourier(g, tw_input(g, "t", TW_F32, TW_SHAPE(n)),
                            tw_constant(g, "w", TW_SHAPE(half), tw_init_ones));
}

const tw_op tw_op_embed_fourier = {
    .name = "embed_fourier",
    .summary = "Fourier features of a time",
    .infer = infer,
    .plan = plan,
    .run = run,
    .example = example,
};
