/* Shapes and descriptions of convolutions. */
#include "ops/conv.h"

#include <string.h>

#include "ops/convert.h"

int64_t tw_conv_extent(const tw_attr *a, int d, int64_t in, int64_t kernel)
{
    int64_t reach = a->i[CONV_DILATION + d] * (kernel - 1) + 1;
    int64_t padded = in + a->i[CONV_BEFORE + d] + a->i[CONV_AFTER + d];
    return padded < reach ? 0 : (padded - reach) / a->i[CONV_STRIDE + d] + 1;
}

bool tw_conv_is_pointwise(const tw_conv_shapes *s, const tw_attr *a)
{
    for (int d = 0; d < s->x.rank - 2; d++)
        if (s->w.dims[2 + d] != 1 || a->i[CONV_STRIDE + d] != 1 || a->i[CONV_BEFORE + d] ||
            a->i[CONV_AFTER + d])
            return false;
    return true;
}

/* [N, spatial…, C] in memory is [N, C, spatial…] with strides for oneDNN. */
static tw_status activation_md(tw_md *out, tw_shape s, tw_dtype type)
{
    static const dnnl_format_tag_t channels_last[] = {dnnl_acb, dnnl_acdb, dnnl_acdeb};
    int64_t dims[TW_RANK_MAX] = {s.dims[0], s.dims[s.rank - 1]};
    memcpy(dims + 2, s.dims + 1, (size_t)(s.rank - 2) * sizeof *dims);
    return tw_md_tag(out, s.rank, dims, type, channels_last[s.rank - 3]);
}

tw_status tw_conv_describe(tw_conv_problem *out, tw_conv_direction direction,
                           const tw_conv_shapes *s, const tw_attr *a, tw_dtype act, bool bias)
{
    tw_status st = TW_OK;
    tw_conv_problem p = {.direction = direction};
    tw_dtype weights = direction == TW_CONV_BACKWARD_WEIGHTS ? TW_DTYPE_F32 : act;
    TW_TRY(activation_md(&p.src, s->x, act));
    TW_TRY(activation_md(&p.dst, s->y, act));
    TW_TRY(tw_md_tag(&p.weights, s->w.rank, s->w.dims, weights, dnnl_format_tag_any));
    if (bias) TW_TRY(tw_md_tag(&p.bias, 1, s->w.dims, TW_DTYPE_F32, dnnl_a));
    for (int d = 0; d < s->x.rank - 2; d++) {
        p.stride[d] = a->i[CONV_STRIDE + d];
        p.dilation[d] = a->i[CONV_DILATION + d] - 1;
        p.before[d] = a->i[CONV_BEFORE + d];
        p.after[d] = a->i[CONV_AFTER + d];
    }
    *out = p;
    memset(&p, 0, sizeof p);
done:
    tw_conv_problem_destroy(&p);
    return st;
}

static tw_status free_md(tw_md *md, tw_shape s, tw_dtype act)
{
    int64_t dims[TW_RANK_MAX] = {s.dims[0], s.dims[s.rank - 1]};
    memcpy(dims + 2, s.dims + 1, (size_t)(s.rank - 2) * sizeof *dims);
    tw_md_destroy(md);
    return tw_md_tag(md, s.rank, dims, act, dnnl_format_tag_any);
}

tw_status tw_conv_free_layout(tw_conv_problem *p, const tw_conv_shapes *s, tw_dtype act)
{
    tw_status st = TW_OK;
    TW_TRY(free_md(&p->src, s->x, act));
    TW_TRY(free_md(&p->dst, s->y, act));
done:
    return st;
}

void tw_conv_problem_destroy(tw_conv_problem *p)
{
    tw_md_destroy(&p->src);
    tw_md_destroy(&p->weights);
    tw_md_destroy(&p->bias);
    tw_md_destroy(&p->dst);
}

double tw_conv_flops(const tw_conv_shapes *s)
{
    double taps = (double)s->w.dims[1];
    for (int d = 2; d < s->w.rank; d++) taps *= (double)s->w.dims[d];
    return 2 * taps * (double)tw_shape_count(s->y);
}

void tw_conv_add_from(const tw_task *t, const void *summand)
{
    if (summand != t->out[0])
        tw_convert(t->out[0], t->act, summand, t->act, tw_shape_count(t->node->out[0].shape));
}
