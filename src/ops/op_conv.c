/* Convolution over 1 to 3 spatial dimensions, channels last: y = w * x + b [+ residual].
 *
 * y[n, p, o] = b[o] + Σ_{k, i} w[o, i, k] x[n, p·stride + k·dilation - before, i]. The residual
 * (input 3) is no part of the graph's language: the plan puts it in where a sum follows the
 * convolution; nor is a factor of all of it. */
#include "ops/border.h"
#include "ops/conv_direct.h"
#include "ops/conv_gather.h"
#include "ops/pointwise.h"
#include "ops/winograd.h"

#include <stdio.h>
#include <string.h>

typedef enum choice {
    CHOICE_PRIMITIVE,
    CHOICE_DIRECT,
    CHOICE_GATHER,
    CHOICE_POINTWISE,
    CHOICE_WINOGRAD
} choice;

typedef struct state {
    choice choice;
    tw_conv_direct direct;
    tw_conv_gather gather;
    tw_pointwise pointwise;
    tw_winograd winograd;
    tw_primitive conv;
    tw_weights_copy weights;
} state;

tw_conv_geometry tw_conv_square(int64_t stride, int64_t before, int64_t after)
{
    tw_conv_geometry g;
    for (int d = 0; d < 3; d++) {
        g.stride[d] = stride;
        g.dilation[d] = 1;
        g.before[d] = before;
        g.after[d] = after;
    }
    return g;
}

/* On a torus an extent is kept, or divided by the stride. One without borders is left alone: a
 * filter in front of it may have left the positions that it takes away. */
static bool is_periodic(const tw_value *x, const tw_value *w, const tw_conv_geometry *c)
{
    for (int d = 0; d < x->shape.rank - 2 && d < w->shape.rank - 2; d++) {
        const int64_t in = x->shape.dims[1 + d],
                      reach = c->dilation[d] * (w->shape.dims[2 + d] - 1) + 1,
                      border = c->before[d] + c->after[d], rest = in + border - reach;
        if (border &&
            (rest < 0 || in % c->stride[d] || rest / c->stride[d] + 1 != in / c->stride[d]))
            return false;
    }
    return true;
}

/* The same convolution with its borders in x already. */
static tw_value *conv_wrapped(tw_graph *g, tw_value *x, tw_value *w, tw_value *b,
                              const tw_conv_geometry *geometry)
{
    tw_conv_geometry inside = *geometry;
    if (!x || !w) return NULL;
    if (!is_periodic(x, w, geometry)) {
        char text[64];
        return tw_graph_fail(g, TW_ECONFIG,
                             "network.padding: circular, and a convolution of %s neither keeps "
                             "the extents nor divides them by its stride",
                             tw_shape_text(x->shape, text));
    }
    memset(inside.before, 0, sizeof inside.before);
    memset(inside.after, 0, sizeof inside.after);
    x = tw_border_wrap(g, x, geometry->before, geometry->after);
    tw_graph_set_padding(g, TW_PAD_ZERO);
    tw_value *y = tw_conv(g, x, w, b, &inside);
    tw_graph_set_padding(g, TW_PAD_CIRCULAR);
    return y;
}

tw_value *tw_conv(tw_graph *g, tw_value *x, tw_value *w, tw_value *b,
                  const tw_conv_geometry *geometry)
{
    tw_attr a = {0};
    if (tw_border_is_circular(g)) return conv_wrapped(g, x, w, b, geometry);
    for (int d = 0; d < 3; d++) {
        a.i[CONV_STRIDE + d] = geometry->stride[d];
        a.i[CONV_DILATION + d] = geometry->dilation[d];
        a.i[CONV_BEFORE + d] = geometry->before[d];
        a.i[CONV_AFTER + d] = geometry->after[d];
    }
    return tw_emit_optional(g, &tw_op_conv, (tw_value *[]){x, w, b}, 3, 1u << 2, &a);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const tw_shape x = n->in[0]->shape, w = n->in[1]->shape;
    const int64_t *bias = n->in[2] ? n->in[2]->shape.dims : NULL;
    tw_shape y = x;
    if (x.rank < 3 || w.rank != x.rank || w.dims[1] != tw_shape_channels(x))
        return tw_op_shape_error(n, "wants x [N, spatial…, I], w [O, I, kernel…] and b [O]");
    if (n->in[1]->role == TW_ROLE_NODE || n->in[1]->role == TW_ROLE_INPUT)
        return tw_op_shape_error(n, "the weights must be a parameter");
    if (bias && (n->in[2]->shape.rank != 1 || bias[0] != w.dims[0]))
        return tw_op_shape_error(n, "the bias must be [%d]", (int)w.dims[0]);
    for (int d = 0; d < x.rank - 2; d++) {
        if (n->attr.i[CONV_STRIDE + d] < 1 || n->attr.i[CONV_DILATION + d] < 1 ||
            n->attr.i[CONV_BEFORE + d] < 0 || n->attr.i[CONV_AFTER + d] < 0)
            return tw_op_shape_error(n, "strides and dilations are at least 1, padding at least 0");
        y.dims[1 + d] = tw_conv_extent(&n->attr, d, x.dims[1 + d], w.dims[2 + d]);
        if (y.dims[1 + d] < 1)
            return tw_op_shape_error(n, "the kernel is larger than the padded input");
    }
    y.dims[y.rank - 1] = w.dims[0];
    if (n->nin > 3 && !tw_shape_equal(y, n->in[3]->shape))
        return tw_op_shape_error(n, "the residual must have the output's shape");
    tw_set_output(n, 0, TW_ACT, y);
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    tw_attr data = n->attr, weights = n->attr;
    const tw_shape x = n->in[0]->shape, w = n->in[1]->shape;
    memcpy(data.i + CONV_EXTENT, x.dims + 1, (size_t)(x.rank - 2) * sizeof *x.dims);
    memcpy(weights.i + CONV_EXTENT, w.dims + 2, (size_t)(w.rank - 2) * sizeof *w.dims);
    weights.i[CONV_LAYOUT] = n->in[1]->layout;
    weights.f[0] = want[2];
    if (want[0])
        gin[0] = tw_emit(g, &tw_op_conv_backward_data, (tw_value *[]){gout[0], n->in[1]}, 2, &data);
    if (want[1] || want[2]) {
        tw_value *gw = tw_emit(g, &tw_op_conv_backward_weights, (tw_value *[]){n->in[0], gout[0]},
                               2, &weights);
        if (want[1]) gin[1] = gw;
        if (want[2]) gin[2] = tw_output_of(gw, 1);
    }
    return TW_OK;
}

static void destroy(tw_task *t)
{
    state *s = t->state;
    if (!s) return;
    tw_conv_direct_destroy(&s->direct);
    tw_conv_gather_destroy(&s->gather);
    tw_pointwise_destroy(&s->pointwise);
    tw_winograd_destroy(&s->winograd);
    tw_primitive_destroy(&s->conv);
    tw_weights_copy_destroy(&s->weights);
    tw_free(&t->state);
}

static tw_status make(state *s, tw_task *t, const tw_conv_problem *p)
{
    tw_status st = TW_OK;
    dnnl_primitive_desc_t pd = NULL;
    tw_md weights = {.set = false};
    const tw_value *w = t->node->in[1];
    TW_TRY(tw_pd_conv(&pd, p));
    TW_TRY(tw_pd_md(&weights, pd, TW_PD_WEIGHTS));
    TW_TRY(tw_weights_copy_pack(&s->weights, w->shape, w->layout, false, &weights, t->act));
    if (!s->weights.direct) {
        t->packed_bytes = tw_md_size(&weights);
        t->packs_whole = tw_weights_copy_fills(&s->weights, t->packed_bytes);
        t->pack_unit[1] = tw_weights_unit(w->shape, w->layout);
    }
    {
        tw_primitive_arg args[5] = {
            {DNNL_ARG_SRC, &p->src}, {DNNL_ARG_WEIGHTS, &weights}, {DNNL_ARG_DST, &p->dst}};
        int n = 3;
        if (p->bias.set) args[n++] = (tw_primitive_arg){DNNL_ARG_BIAS, &p->bias};
        dnnl_primitive_desc_t given = pd;
        pd = NULL;
        TW_TRY(tw_primitive_create(&s->conv, given, args));
    }
done:
    if (pd) dnnl_primitive_desc_destroy(pd);
    tw_md_destroy(&weights);
    return st;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    const tw_node *n = t->node;
    const tw_conv_shapes shapes = {n->in[0]->shape, n->in[1]->shape, n->out[0].shape};
    tw_conv_problem p = {0};
    state *s = NULL;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a convolution"));
    t->state = s;
    if (tw_winograd_suits(&shapes, &n->attr, TW_CONV_FORWARD, t->act, t->convolution)) {
        s->choice = CHOICE_WINOGRAD;
        return tw_winograd_create(&s->winograd, t, &shapes, &n->attr, false);
    }
    if (tw_conv_direct_suits(&shapes, &n->attr, t->act)) {
        s->choice = CHOICE_DIRECT;
        return tw_conv_direct_create(&s->direct, t, &shapes, &n->attr, false);
    }
    if (tw_conv_gather_suits(&shapes, &n->attr, TW_CONV_FORWARD, t->act)) {
        s->choice = CHOICE_GATHER;
        return tw_conv_gather_create(&s->gather, t, &shapes, &n->attr, TW_CONV_FORWARD, false);
    }
    if (tw_pointwise_suits(&shapes, &n->attr, t->act)) {
        s->choice = CHOICE_POINTWISE;
        return tw_pointwise_create(&s->pointwise, t, &shapes, &n->attr, false);
    }
    TW_TRY(tw_conv_describe(&p, TW_CONV_FORWARD, &shapes, &n->attr, t->act, n->in[2] != NULL));
    p.add = n->nin > 3;
    p.gain = n->attr.f[1];
    TW_TRY(make(s, t, &p));
    if (t->scratch_bytes < s->conv.scratch_bytes) t->scratch_bytes = s->conv.scratch_bytes;
    snprintf(t->implementation, sizeof t->implementation, "%s", s->conv.implementation);
    t->flops = tw_conv_flops(&shapes);
done:
    tw_conv_problem_destroy(&p);
    return st;
}

static void pack(const tw_task *t, int input, int64_t unit)
{
    const state *s = t->state;
    (void)input; /* the weights alone are packed */
    if (s->choice == CHOICE_WINOGRAD)
        tw_winograd_pack(&s->winograd, t, unit);
    else if (s->choice == CHOICE_DIRECT)
        tw_weights_copy_unit(&s->direct.weights, t->packed, t->in[1], unit);
    else if (s->choice == CHOICE_GATHER)
        tw_weights_copy_unit(&s->gather.weights, t->packed, t->in[1], unit);
    else if (s->choice == CHOICE_POINTWISE)
        tw_weights_copy_unit(&s->pointwise.weights, t->packed, t->in[1], unit);
    else
        tw_weights_copy_unit(&s->weights, t->packed, t->in[1], unit);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    state *s = t->state;
    const void *residual = t->node->nin > 3 ? t->in[3] : NULL;
    if (s->choice == CHOICE_WINOGRAD) {
        tw_winograd_run(&s->winograd, t, t->in[2], residual);
        return;
    }
    if (s->choice == CHOICE_DIRECT) {
        tw_conv_direct_run(&s->direct, t, t->in[2], residual);
        return;
    }
    if (s->choice == CHOICE_POINTWISE) {
        tw_pointwise_run(&s->pointwise, t, t->in[2], residual);
        return;
    }
    if (s->choice == CHOICE_GATHER) {
        tw_conv_gather_run(&s->gather, t, t->in[2], residual);
        return;
    }
    void *data[4] = {t->in[0], s->weights.direct ? t->in[1] : t->packed, t->out[0]};
    int n = 3;
    if (t->in[2]) data[n++] = t->in[2];
    if (t->node->nin > 3) tw_conv_add_from(t, t->in[3]);
    tw_primitive_run(&s->conv, data, t->scratch);
}

/* Stride, padding that differs, dilation, one to three dimensions, one channel, blocked and plain
 * weights. */
static tw_value *example(tw_graph *g, int variant)
{
    static const struct {
        int rank;
        int64_t x[5], w[5], stride, dilation, before, after;
    } cases[] = {
        {4, {2, 5, 7, 3}, {4, 3, 3, 3}, 1, 1, 1, 1},
        {4, {1, 8, 8, 16}, {32, 16, 3, 3}, 1, 1, 1, 1},
        {4, {1, 8, 8, 16}, {16, 16, 3, 3}, 2, 1, 0, 1},
        {4, {3, 6, 5, 1}, {7, 1, 1, 1}, 1, 1, 0, 0},
        {4, {2, 9, 9, 5}, {3, 5, 3, 3}, 1, 2, 2, 2},
        {3, {2, 11, 4}, {6, 4, 3}, 1, 1, 1, 1},
        {5, {1, 4, 5, 3, 2}, {3, 2, 3, 3, 3}, 1, 1, 1, 1},
        {4, {2, 4, 4, 16}, {48, 16, 1, 1}, 1, 1, 0, 0},
        {4, {1, 7, 6, 2}, {2, 2, 2, 2}, 2, 1, 0, 0},
    };
    if (variant >= (int)(sizeof cases / sizeof *cases)) return NULL;
    tw_conv_geometry geometry =
        tw_conv_square(cases[variant].stride, cases[variant].before, cases[variant].after);
    for (int d = 0; d < 3; d++) geometry.dilation[d] = cases[variant].dilation;
    tw_value *x = tw_input(g, "x", TW_ACT, tw_shape_make(cases[variant].x, cases[variant].rank));
    tw_value *w =
        tw_param(g, "w", tw_shape_make(cases[variant].w, cases[variant].rank), tw_init_ones);
    tw_value *b =
        variant % 2 ? NULL : tw_param(g, "b", TW_SHAPE(cases[variant].w[0]), tw_init_ones);
    return tw_conv(g, x, w, b, &geometry);
}

const tw_op tw_op_conv = {
    .name = "conv",
    .summary = "convolution, channels last",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .pack = pack,
    .run = run,
    .destroy = destroy,
    .in_place = 1u << 3,
    .example = example,
};
