/* The gradient of a convolution with respect to its input: gx = wᵀ * gy [+ another gradient of x].
 *
 * With stride 1 it is itself a forward convolution, of gy with the kernel turned round and its
 * channels exchanged, padded by dilation·(k - 1) - padding: the forward primitives are faster than
 * oneDNN 2.6's backward-data ones on every shape measured (54.8 against 69.8 ms over the CIFAR-10
 * network in bf16), and they can add. Other strides take the backward-data primitive. */
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

static bool as_forward(const tw_attr *a, tw_shape w)
{
    for (int d = 0; d < w.rank - 2; d++) {
        int64_t reach = a->i[CONV_DILATION + d] * (w.dims[2 + d] - 1);
        if (a->i[CONV_STRIDE + d] != 1 || a->i[CONV_BEFORE + d] > reach ||
            a->i[CONV_AFTER + d] > reach)
            return false;
    }
    return true;
}

/* Padding and shapes of the forward convolution that computes gx. */
static tw_conv_shapes turn_round(const tw_node *n, tw_attr *a)
{
    const tw_shape w = n->in[1]->shape;
    *a = n->attr;
    for (int d = 0; d < w.rank - 2; d++) {
        int64_t reach = a->i[CONV_DILATION + d] * (w.dims[2 + d] - 1);
        a->i[CONV_BEFORE + d] = reach - n->attr.i[CONV_BEFORE + d];
        a->i[CONV_AFTER + d] = reach - n->attr.i[CONV_AFTER + d];
    }
    return (tw_conv_shapes){n->in[0]->shape, tw_weights_flipped_shape(w), n->out[0].shape};
}

/* The adjoint of a convolution of x with its borders in it: onto such an x, whose borders are then
 * added to the positions that they repeat. */
static tw_value *transposed_wrapped(tw_graph *g, tw_value *x, tw_value *w, tw_value *b,
                                    const tw_conv_geometry *geometry, const int64_t *extent)
{
    tw_conv_geometry inside = *geometry;
    int64_t whole[3] = {0};
    for (int d = 0; x && d < x->shape.rank - 2; d++) {
        whole[d] = extent[d] + geometry->before[d] + geometry->after[d];
        inside.before[d] = inside.after[d] = 0;
    }
    tw_graph_set_padding(g, TW_PAD_ZERO);
    tw_value *y = tw_conv_transposed(g, x, w, NULL, &inside, whole);
    tw_graph_set_padding(g, TW_PAD_CIRCULAR);
    y = tw_border_unwrap(g, y, geometry->before, geometry->after);
    return b ? tw_add(g, y, b) : y;
}

tw_value *tw_conv_transposed(tw_graph *g, tw_value *x, tw_value *w, tw_value *b,
                             const tw_conv_geometry *geometry, const int64_t *extent)
{
    tw_attr a = {0};
    if (tw_border_is_circular(g)) return transposed_wrapped(g, x, w, b, geometry, extent);
    for (int d = 0; d < 3; d++) {
        a.i[CONV_STRIDE + d] = geometry->stride[d];
        a.i[CONV_DILATION + d] = geometry->dilation[d];
        a.i[CONV_BEFORE + d] = geometry->before[d];
        a.i[CONV_AFTER + d] = geometry->after[d];
        if (x && d < x->shape.rank - 2) a.i[CONV_EXTENT + d] = extent[d];
    }
    tw_value *y = tw_emit(g, &tw_op_conv_backward_data, (tw_value *[]){x, w}, 2, &a);
    return b ? tw_add(g, y, b) : y;
}

/* The forward convolution must give gy's extents. */
static tw_status check_extents(const tw_node *n, tw_shape gx)
{
    const tw_shape gy = n->in[0]->shape, w = n->in[1]->shape;
    if (gy.rank < 3 || w.rank != gy.rank || w.dims[0] != tw_shape_channels(gy))
        return tw_op_shape_error(n, "wants gy [N, spatial…, O] and w [O, I, kernel…]");
    for (int d = 0; d < w.rank - 2; d++) {
        if (n->attr.i[CONV_STRIDE + d] < 1 || n->attr.i[CONV_DILATION + d] < 1 ||
            n->attr.i[CONV_BEFORE + d] < 0 || n->attr.i[CONV_AFTER + d] < 0)
            return tw_op_shape_error(n, "strides and dilations are at least 1, padding at least 0");
        if (tw_conv_extent(&n->attr, d, gx.dims[1 + d], w.dims[2 + d]) != gy.dims[1 + d])
            return tw_op_shape_error(n, "the convolution of an extent of %lld does not give this",
                                     (long long)gx.dims[1 + d]);
    }
    return TW_OK;
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    tw_shape gx = n->in[0]->shape;
    const tw_shape w = n->in[1]->shape;
    for (int d = 0; d + 2 < w.rank && d + 2 < gx.rank; d++)
        gx.dims[1 + d] = n->attr.i[CONV_EXTENT + d];
    gx.dims[gx.rank - 1] = w.dims[1];
    if (n->in[1]->role == TW_ROLE_NODE || n->in[1]->role == TW_ROLE_INPUT)
        return tw_op_shape_error(n, "the weights must be a parameter");
    if (n->nin > 2 && !(as_forward(&n->attr, w) && tw_shape_equal(gx, n->in[2]->shape)))
        return tw_op_shape_error(n, "a sum is possible at stride 1 and with the same shape");
    TW_TRY(check_extents(n, gx));
    tw_set_output(n, 0, TW_ACT, gx);
done:
    return st;
}

/* gx = wᵀ * gy is linear in both: its adjoint in gy is the convolution itself, and w meets gx's
 * gradient as it meets the input of a convolution whose output has the gradient gy. */
static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    tw_attr forward = n->attr, weights = n->attr;
    const tw_shape w = n->in[1]->shape;
    for (int d = 0; d < 3; d++) forward.i[CONV_EXTENT + d] = 0;
    memcpy(weights.i + CONV_EXTENT, w.dims + 2, (size_t)(w.rank - 2) * sizeof *w.dims);
    weights.i[CONV_LAYOUT] = n->in[1]->layout;
    if (want[0])
        gin[0] = tw_emit_optional(g, &tw_op_conv, (tw_value *[]){gout[0], n->in[1], NULL}, 3,
                                  1u << 2, &forward);
    if (want[1])
        gin[1] = tw_emit(g, &tw_op_conv_backward_weights, (tw_value *[]){gout[0], n->in[0]}, 2,
                         &weights);
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

static tw_status make(state *s, tw_task *t, const tw_conv_problem *p, bool forward)
{
    tw_status st = TW_OK;
    dnnl_primitive_desc_t pd = NULL, given;
    tw_md weights = {.set = false};
    const tw_value *w = t->node->in[1];
    TW_TRY(tw_pd_conv(&pd, p));
    TW_TRY(tw_pd_md(&weights, pd, TW_PD_WEIGHTS));
    TW_TRY(tw_weights_copy_pack(&s->weights, w->shape, w->layout, forward, &weights, t->act));
    if (!s->weights.direct) {
        t->packed_bytes = tw_md_size(&weights);
        t->packs_whole = tw_weights_copy_fills(&s->weights, t->packed_bytes);
        t->pack_unit[1] = tw_weights_unit(w->shape, w->layout);
    }
    {
        const tw_primitive_arg turned[] = {
            {DNNL_ARG_SRC, &p->src}, {DNNL_ARG_WEIGHTS, &weights}, {DNNL_ARG_DST, &p->dst}, {0}};
        const tw_primitive_arg back[] = {{DNNL_ARG_DIFF_DST, &p->dst},
                                         {DNNL_ARG_WEIGHTS, &weights},
                                         {DNNL_ARG_DIFF_SRC, &p->src},
                                         {0}};
        given = pd;
        pd = NULL;
        TW_TRY(tw_primitive_create(&s->conv, given, forward ? turned : back));
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
    const tw_conv_shapes backward = {n->out[0].shape, n->in[1]->shape, n->in[0]->shape};
    const bool forward = as_forward(&n->attr, n->in[1]->shape);
    tw_conv_problem p = {0};
    state *s = NULL;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a convolution"));
    t->state = s;
    if (forward) {
        tw_attr a;
        tw_conv_shapes shapes = turn_round(n, &a);
        if (tw_winograd_suits(&shapes, &a, TW_CONV_BACKWARD_DATA, t->act, t->convolution)) {
            s->choice = CHOICE_WINOGRAD;
            return tw_winograd_create(&s->winograd, t, &shapes, &a, true);
        }
        if (tw_conv_direct_suits(&shapes, &a, t->act)) {
            s->choice = CHOICE_DIRECT;
            return tw_conv_direct_create(&s->direct, t, &shapes, &a, true);
        }
        if (tw_conv_gather_suits(&shapes, &a, TW_CONV_FORWARD, t->act)) {
            s->choice = CHOICE_GATHER;
            return tw_conv_gather_create(&s->gather, t, &shapes, &a, TW_CONV_FORWARD, true);
        }
        if (tw_pointwise_suits(&shapes, &a, t->act)) {
            s->choice = CHOICE_POINTWISE;
            return tw_pointwise_create(&s->pointwise, t, &shapes, &a, true);
        }
        TW_TRY(tw_conv_describe(&p, TW_CONV_FORWARD, &shapes, &a, t->act, false));
        p.add = n->nin > 2;
    } else {
        if (tw_conv_gather_suits(&backward, &n->attr, TW_CONV_BACKWARD_DATA, t->act)) {
            s->choice = CHOICE_GATHER;
            return tw_conv_gather_create(&s->gather, t, &backward, &n->attr, TW_CONV_BACKWARD_DATA,
                                         true);
        }
        TW_TRY(tw_conv_describe(&p, TW_CONV_BACKWARD_DATA, &backward, &n->attr, t->act, false));
    }
    TW_TRY(make(s, t, &p, forward));
    if (t->scratch_bytes < s->conv.scratch_bytes) t->scratch_bytes = s->conv.scratch_bytes;
    snprintf(t->implementation, sizeof t->implementation, "%s%s", forward ? "forward:" : "",
             s->conv.implementation);
    t->flops = tw_conv_flops(&backward);
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
    const void *summand = t->node->nin > 2 ? t->in[2] : NULL;
    if (s->choice == CHOICE_WINOGRAD) {
        tw_winograd_run(&s->winograd, t, NULL, summand);
        return;
    }
    if (s->choice == CHOICE_DIRECT) {
        tw_conv_direct_run(&s->direct, t, NULL, summand);
        return;
    }
    if (s->choice == CHOICE_POINTWISE) {
        tw_pointwise_run(&s->pointwise, t, NULL, summand);
        return;
    }
    if (s->choice == CHOICE_GATHER) {
        tw_conv_gather_run(&s->gather, t, NULL, summand);
        return;
    }
    void *data[3] = {t->in[0], s->weights.direct ? t->in[1] : t->packed, t->out[0]};
    if (t->node->nin > 2) tw_conv_add_from(t, t->in[2]);
    tw_primitive_run(&s->conv, data, t->scratch);
}

/* Transposed convolutions: strides, padding that differs, dilation, one channel, blocked weights,
 * an extent that the convolution does not reach to the end. */
static tw_value *example(tw_graph *g, int variant)
{
    static const struct {
        int rank;
        int64_t x[5], w[5], stride, dilation, before, after, extent[3];
    } cases[] = {
        {4, {2, 2, 3, 3}, {3, 4, 3, 3}, 2, 1, 0, 0, {5, 7}},
        {4, {2, 5, 2, 16}, {16, 32, 3, 3}, 2, 1, 0, 0, {12, 6}},
        {4, {1, 4, 5, 7}, {7, 1, 3, 3}, 1, 1, 0, 0, {6, 7}},
        {4, {1, 6, 5, 4}, {4, 3, 3, 3}, 1, 2, 2, 2, {6, 5}},
        {3, {2, 4, 6}, {6, 4, 3}, 2, 1, 0, 1, {8}},
    };
    if (variant >= (int)(sizeof cases / sizeof *cases)) return NULL;
    tw_conv_geometry geometry =
        tw_conv_square(cases[variant].stride, cases[variant].before, cases[variant].after);
    for (int d = 0; d < 3; d++) geometry.dilation[d] = cases[variant].dilation;
    tw_value *x = tw_input(g, "x", TW_ACT, tw_shape_make(cases[variant].x, cases[variant].rank));
    tw_value *w =
        tw_param(g, "w", tw_shape_make(cases[variant].w, cases[variant].rank), tw_init_ones);
    return tw_conv_transposed(g, x, w, NULL, &geometry, cases[variant].extent);
}

const tw_op tw_op_conv_backward_data = {
    .name = "conv_backward_data",
    .summary = "gradient of conv with respect to its input: transposed convolution",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .pack = pack,
    .run = run,
    .destroy = destroy,
    .in_place = 1u << 2,
    .example = example,
};
