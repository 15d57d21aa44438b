/* The gradients of a convolution with respect to its weights and bias: gw[o, i, k] = Σ_{n, p} gy[n,
 * p, o] x[n, p·stride + k·dilation - before, i] and gb[o] = Σ gy, in f32, gw in the parameter's
 * storage layout.
 *
 * Implementations: oneDNN's backward-weights primitive; and for kernels of one pixel a matrix
 * product gyᵀ x, which is up to three times faster in bf16 (performance of oneDNN 2.6 on AMX: 3.07
 * against 1.00 ms for 256 -> 768 channels at 16 x 16); Winograd's for kernels of 3 x 3; products of
 * bf16 tiles and of f32 panels. choose() is the table. */
#include <stdio.h>
#include <string.h>

#include "ops/column_sum.h"
#include "ops/panel_gradient.h"
#include "ops/pointwise_gradient.h"
#include "ops/tile_gradient.h"
#include "ops/winograd.h"

typedef enum choice {
    CHOICE_PRIMITIVE,
    CHOICE_MATMUL,
    CHOICE_WINOGRAD,
    CHOICE_TILES,
    CHOICE_PANELS,
    CHOICE_POINTWISE
} choice;

typedef struct state {
    choice choice;
    tw_primitive main;
    tw_winograd_gradient winograd;
    tw_tile_gradient tiles;
    tw_panel_gradient panels;
    tw_pointwise_gradient pointwise;
    tw_weights_copy unpack; /* of the primitive, where it writes another layout than the store's */
    size_t scratch_main, scratch_weights;
} state;

static choice choose(const tw_conv_shapes *s, const tw_task *t)
{
    const tw_attr *a = &t->node->attr;
    if (tw_winograd_suits(s, a, TW_CONV_BACKWARD_WEIGHTS, t->act, t->convolution))
        return CHOICE_WINOGRAD;
    if (tw_tile_gradient_form(s, a, t->act)) return CHOICE_TILES;
    if (tw_pointwise_gradient_suits(s, a, t->act)) return CHOICE_POINTWISE;
    if (tw_panel_gradient_suits(s, a, t->act)) return CHOICE_PANELS;
    return tw_conv_is_pointwise(s, a) ? CHOICE_MATMUL : CHOICE_PRIMITIVE;
}

/* Does it compute the bias's gradient as well? */
static bool adds_bias(const state *s)
{
    return s->choice == CHOICE_WINOGRAD || s->choice == CHOICE_POINTWISE;
}

static bool is_own(const state *s)
{
    return s->choice != CHOICE_PRIMITIVE && s->choice != CHOICE_MATMUL;
}

static tw_status infer(tw_node *n)
{
    const tw_shape x = n->in[0]->shape, gy = n->in[1]->shape;
    tw_shape w = {.rank = x.rank, .dims = {tw_shape_channels(gy), tw_shape_channels(x)}};
    for (int d = 0; d < w.rank - 2; d++) w.dims[2 + d] = n->attr.i[CONV_EXTENT + d];
    tw_set_output(n, 0, TW_F32, w);
    n->out[0].layout = (tw_layout)n->attr.i[CONV_LAYOUT];
    if (n->attr.f[0] != 0) tw_set_output(n, 1, TW_F32, TW_SHAPE(w.dims[0]));
    return TW_OK;
}

static void destroy(tw_task *t)
{
    state *s = t->state;
    if (!s) return;
    tw_primitive_destroy(&s->main);
    tw_winograd_gradient_destroy(&s->winograd);
    tw_tile_gradient_destroy(&s->tiles);
    tw_panel_gradient_destroy(&s->panels);
    tw_pointwise_gradient_destroy(&s->pointwise);
    tw_weights_copy_destroy(&s->unpack);
    tw_free(&t->state);
}

static size_t aligned(size_t bytes)
{
    return (bytes + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

static tw_status make_primitive(state *s, const tw_node *n, const tw_conv_shapes *shapes,
                                tw_dtype act)
{
    tw_status st = TW_OK;
    dnnl_primitive_desc_t pd = NULL, given;
    tw_md weights = {.set = false};
    tw_conv_problem p = {0};
    TW_TRY(tw_conv_describe(&p, TW_CONV_BACKWARD_WEIGHTS, shapes, &n->attr, act, n->nout > 1));
    TW_TRY(tw_pd_conv(&pd, &p));
    TW_TRY(tw_pd_md(&weights, pd, TW_PD_DIFF_WEIGHTS));
    TW_TRY(tw_weights_copy_unpack(&s->unpack, shapes->w, n->out[0].layout, &weights));
    if (!s->unpack.direct) s->scratch_weights = aligned(tw_md_size(&weights));
    {
        const tw_primitive_arg args[] = {{DNNL_ARG_SRC, &p.src},
                                         {DNNL_ARG_DIFF_DST, &p.dst},
                                         {DNNL_ARG_DIFF_WEIGHTS, &weights},
                                         {p.bias.set ? DNNL_ARG_DIFF_BIAS : 0, &p.bias},
                                         {0}};
        given = pd;
        pd = NULL;
        TW_TRY(tw_primitive_create(&s->main, given, args));
    }
    s->scratch_main = aligned(s->main.scratch_bytes);
done:
    if (pd) dnnl_primitive_desc_destroy(pd);
    tw_conv_problem_destroy(&p);
    tw_md_destroy(&weights);
    return st;
}

static tw_status make_matmul(state *s, const tw_conv_shapes *shapes, tw_dtype act)
{
    tw_status st = TW_OK;
    dnnl_primitive_desc_t pd = NULL;
    tw_md a = {.set = false}, b = {.set = false}, y = {.set = false};
    const int64_t out = shapes->w.dims[0], in = shapes->w.dims[1],
                  pixels = tw_shape_count(shapes->y) / out;
    TW_TRY(tw_md_strides(&a, 2, (int64_t[]){out, pixels}, act, (int64_t[]){1, out}));
    TW_TRY(tw_md_strides(&b, 2, (int64_t[]){pixels, in}, act, (int64_t[]){in, 1}));
    TW_TRY(tw_md_strides(&y, 2, (int64_t[]){out, in}, TW_DTYPE_F32, (int64_t[]){in, 1}));
    TW_TRY(tw_pd_matmul(&pd, &a, &b, NULL, &y, false));
    TW_TRY(tw_primitive_create(
        &s->main, pd,
        (const tw_primitive_arg[]){
            {DNNL_ARG_SRC, &a}, {DNNL_ARG_WEIGHTS, &b}, {DNNL_ARG_DST, &y}, {0}}));
    s->scratch_main = aligned(s->main.scratch_bytes);
done:
    tw_md_destroy(&a);
    tw_md_destroy(&b);
    tw_md_destroy(&y);
    return st;
}

/* Our own: the bias's gradient, where it comes after the weights', is made in the same scratch. */
static tw_status plan_own(state *s, tw_task *t, const tw_conv_shapes *shapes)
{
    tw_status st = TW_OK;
    const tw_attr *a = &t->node->attr;
    const size_t sums = tw_column_sum_scratch(shapes->w.dims[0]);
    if (s->choice == CHOICE_WINOGRAD)
        TW_TRY(tw_winograd_gradient_create(&s->winograd, t, shapes, a));
    else if (s->choice == CHOICE_PANELS)
        TW_TRY(tw_panel_gradient_create(&s->panels, t, shapes, a));
    else if (s->choice == CHOICE_POINTWISE)
        TW_TRY(tw_pointwise_gradient_create(&s->pointwise, t, shapes));
    else
        TW_TRY(tw_tile_gradient_create(&s->tiles, t, shapes, a,
                                       tw_tile_gradient_form(shapes, a, t->act)));
    if (t->node->nout > 1 && t->scratch_bytes < sums) t->scratch_bytes = sums;
done:
    return st;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    const tw_node *n = t->node;
    const tw_conv_shapes shapes = {n->in[0]->shape, n->out[0].shape, n->in[1]->shape};
    state *s = NULL;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a convolution"));
    t->state = s;
    s->choice = choose(&shapes, t);
    t->flops = tw_conv_flops(&shapes);
    if (is_own(s)) return plan_own(s, t, &shapes);
    if (s->choice == CHOICE_MATMUL) {
        TW_TRY(make_matmul(s, &shapes, t->act));
        if (n->nout > 1)
            s->scratch_weights = tw_column_sum_scratch(shapes.y.dims[shapes.y.rank - 1]);
    } else {
        TW_TRY(make_primitive(s, n, &shapes, t->act));
    }
    t->scratch_bytes = s->scratch_main + s->scratch_weights;
    snprintf(t->implementation, sizeof t->implementation, "%s%s",
             s->choice == CHOICE_MATMUL ? "matmul:" : "", s->main.implementation);
done:
    return st;
}

static void sum_bias(const tw_task *t, void *scratch)
{
    const tw_shape gy = t->node->in[1]->shape;
    const int64_t channels = tw_shape_channels(gy);
    if (t->out[1])
        tw_column_sum(t->out[1], t->in[1], t->act, tw_shape_count(gy) / channels, channels,
                      scratch);
}

static void run_own(const state *s, const tw_task *t)
{
    if (s->choice == CHOICE_WINOGRAD)
        tw_winograd_gradient_run(&s->winograd, t);
    else if (s->choice == CHOICE_PANELS)
        tw_panel_gradient_run(&s->panels, t);
    else if (s->choice == CHOICE_POINTWISE)
        tw_pointwise_gradient_run(&s->pointwise, t);
    else
        tw_tile_gradient_run(&s->tiles, t);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    state *s = t->state;
    char *scratch = t->scratch;
    if (s->choice == CHOICE_MATMUL) {
        tw_primitive_run(&s->main, (void *[]){t->in[1], t->in[0], t->out[0]}, scratch);
        sum_bias(t, scratch + s->scratch_main);
        return;
    }
    if (is_own(s)) {
        if (t->out[0]) run_own(s, t);
        if (!t->out[0] || !adds_bias(s)) sum_bias(t, scratch);
        return;
    }
    void *gw = s->unpack.direct ? t->out[0] : scratch + s->scratch_main;
    tw_primitive_run(&s->main, (void *[]){t->in[0], t->in[1], gw, t->out[1]}, scratch);
    if (!s->unpack.direct) tw_weights_copy_run(&s->unpack, t->out[0], gw);
}

const tw_op tw_op_conv_backward_weights = {
    .name = "conv_backward_weights",
    .summary = "gradients of conv with respect to its weights and bias",
    .infer = infer,
    .plan = plan,
    .run = run,
    .destroy = destroy,
};
