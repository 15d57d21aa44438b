/* The two C APIs of oneDNN. In 2.x a primitive descriptor is made in two steps (operation
 * descriptor, then primitive descriptor) and memory descriptors are structs; in 3.x it is one step
 * and they are pointers with a destructor. */
#include "ops/dnnl_compat.h"

#include <stdio.h>
#include <string.h>

static dnnl_data_type_t dnnl_type(tw_dtype type)
{
    return type == TW_DTYPE_F32 ? dnnl_f32 : type == TW_DTYPE_BF16 ? dnnl_bf16 : dnnl_s32;
}

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t md_ref;
static md_ref ref(const tw_md *m)
{
    return m && m->set ? m->md : NULL;
}
#else
typedef const dnnl_memory_desc_t *md_ref;
static md_ref ref(const tw_md *m)
{
    return m && m->set ? &m->md : NULL;
}
#endif

tw_status tw_md_tag(tw_md *out, int rank, const int64_t *dims, tw_dtype type, dnnl_format_tag_t tag)
{
    tw_status st = TW_OK;
    tw_md md = {.set = true};
#if DNNL_VERSION_MAJOR >= 3
    TRY_DNNL(dnnl_memory_desc_create_with_tag(&md.md, rank, dims, dnnl_type(type), tag));
#else
    TRY_DNNL(dnnl_memory_desc_init_by_tag(&md.md, rank, dims, dnnl_type(type), tag));
#endif
    *out = md;
done:
    return st;
}

tw_status tw_md_strides(tw_md *out, int rank, const int64_t *dims, tw_dtype type,
                        const int64_t *strides)
{
    tw_status st = TW_OK;
    tw_md md = {.set = true};
#if DNNL_VERSION_MAJOR >= 3
    TRY_DNNL(dnnl_memory_desc_create_with_strides(&md.md, rank, dims, dnnl_type(type), strides));
#else
    TRY_DNNL(dnnl_memory_desc_init_by_strides(&md.md, rank, dims, dnnl_type(type), strides));
#endif
    *out = md;
done:
    return st;
}

void tw_md_destroy(tw_md *md)
{
#if DNNL_VERSION_MAJOR >= 3
    if (md->set) dnnl_memory_desc_destroy(md->md);
#endif
    md->set = false;
}

bool tw_md_equal(const tw_md *a, const tw_md *b)
{
    return dnnl_memory_desc_equal(ref(a), ref(b)) != 0;
}

size_t tw_md_size(const tw_md *md)
{
    return md->set ? dnnl_memory_desc_get_size(ref(md)) : 0;
}

static dnnl_data_type_t type_of(md_ref md)
{
    dnnl_data_type_t type = dnnl_data_type_undef;
#if DNNL_VERSION_MAJOR >= 3
    if (md) dnnl_memory_desc_query(md, dnnl_query_data_type, &type);
#else
    if (md) type = md->data_type;
#endif
    return type;
}

bool tw_md_is_bf16(const tw_md *md)
{
    return type_of(ref(md)) == dnnl_bf16;
}

/* The same tensor in f32: its strides, or any format again. Unset where `md` is. */
#if DNNL_VERSION_MAJOR >= 3
static tw_status widened(tw_md *out, const tw_md *md)
{
    tw_status st = TW_OK;
    int rank;
    dnnl_format_kind_t kind;
    dnnl_dims_t *dims, *strides;
    if (!md->set) return TW_OK;
    TRY_DNNL(dnnl_memory_desc_query(md->md, dnnl_query_ndims_s32, &rank));
    TRY_DNNL(dnnl_memory_desc_query(md->md, dnnl_query_format_kind, &kind));
    TRY_DNNL(dnnl_memory_desc_query(md->md, dnnl_query_dims, (void *)&dims));
    if (kind == dnnl_format_kind_any)
        return tw_md_tag(out, rank, *dims, TW_DTYPE_F32, dnnl_format_tag_any);
    TRY_DNNL(dnnl_memory_desc_query(md->md, dnnl_query_strides, (void *)&strides));
    st = tw_md_strides(out, rank, *dims, TW_DTYPE_F32, *strides);
done:
    return st;
}
#else
static tw_status widened(tw_md *out, const tw_md *md)
{
    *out = *md;
    out->md.data_type = dnnl_f32;
    return TW_OK;
}
#endif

#if DNNL_VERSION_MAJOR >= 3
static tw_status query_blocking(tw_md_blocking *b, const tw_md *m, const int64_t **stride,
                                const int64_t **size, const int64_t **dim)
{
    tw_status st = TW_OK;
    dnnl_format_kind_t kind;
    dnnl_dims_t *strides, *sizes, *dims;
    TRY_DNNL(dnnl_memory_desc_query(m->md, dnnl_query_format_kind, &kind));
    TW_CHECK(kind == dnnl_blocked, TW_EUNSUPPORTED,
             "oneDNN chose weights in a layout that is not blocked");
    TRY_DNNL(dnnl_memory_desc_query(m->md, dnnl_query_ndims_s32, &b->rank));
    TRY_DNNL(dnnl_memory_desc_query(m->md, dnnl_query_strides, (void *)&strides));
    TRY_DNNL(dnnl_memory_desc_query(m->md, dnnl_query_inner_nblks_s32, &b->inner_count));
    TRY_DNNL(dnnl_memory_desc_query(m->md, dnnl_query_inner_blks, (void *)&sizes));
    TRY_DNNL(dnnl_memory_desc_query(m->md, dnnl_query_inner_idxs, (void *)&dims));
    *stride = *strides;
    *size = *sizes;
    *dim = *dims;
done:
    return st;
}
#else
static tw_status query_blocking(tw_md_blocking *b, const tw_md *m, const int64_t **stride,
                                const int64_t **size, const int64_t **dim)
{
    tw_status st = TW_OK;
    TW_CHECK(m->md.format_kind == dnnl_blocked, TW_EUNSUPPORTED,
             "oneDNN chose weights in a layout that is not blocked");
    b->rank = m->md.ndims;
    b->inner_count = m->md.format_desc.blocking.inner_nblks;
    *stride = m->md.format_desc.blocking.strides;
    *size = m->md.format_desc.blocking.inner_blks;
    *dim = m->md.format_desc.blocking.inner_idxs;
done:
    return st;
}
#endif

tw_status tw_md_get_blocking(tw_md_blocking *out, const tw_md *md)
{
    tw_status st = TW_OK;
    tw_md_blocking b = {0};
    const int64_t *stride, *size, *dim;
    TW_TRY(query_blocking(&b, md, &stride, &size, &dim));
    TW_CHECK(b.rank <= TW_RANK_MAX && b.inner_count <= 4, TW_EUNSUPPORTED,
             "oneDNN chose a layout of %d dimensions and %d inner blocks", b.rank, b.inner_count);
    for (int d = 0; d < b.rank; d++) b.stride[d] = stride[d];
    for (int i = 0; i < b.inner_count; i++) {
        b.inner_size[i] = size[i];
        b.inner_dim[i] = (int)dim[i];
    }
    *out = b;
done:
    return st;
}

#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
}

static dnnl_status_t append_gain(dnnl_post_ops_t ops, double gain)
{
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_linear, (float)gain, 0);
}
#else
static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1);
}

static dnnl_status_t append_gain(dnnl_post_ops_t ops, double gain)
{
    return dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_linear, (float)gain, 0);
}
#endif

/* Scratchpads come from the plan. Post-ops are a sum and a factor: with a binary one, which could
 * add a tensor that lies elsewhere, oneDNN 2.6 leaves its fastest convolutions, and for some
 * broadcasts all of them (3,000 times slower). */
static tw_status make_attr(dnnl_primitive_attr_t *out, bool sum, double gain)
{
    tw_status st = TW_OK;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    TRY_DNNL(dnnl_primitive_attr_create(&attr));
    TRY_DNNL(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    if (sum || gain != 0) {
        TRY_DNNL(dnnl_post_ops_create(&ops));
        if (sum) TRY_DNNL(append_sum(ops));
        if (gain != 0) TRY_DNNL(append_gain(ops, gain));
        TRY_DNNL(dnnl_primitive_attr_set_post_ops(attr, ops));
    }
    *out = attr;
    attr = NULL;
done:
    if (ops) dnnl_post_ops_destroy(ops);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return st;
}

#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t conv_forward_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t e,
                                     dnnl_primitive_attr_t attr, const tw_conv_problem *c)
{
    return dnnl_convolution_forward_primitive_desc_create(
        pd, e, dnnl_forward_training, dnnl_convolution_direct, ref(&c->src), ref(&c->weights),
        ref(&c->bias), ref(&c->dst), c->stride, c->dilation, c->before, c->after, attr);
}

static dnnl_status_t conv_backward_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t e,
                                      dnnl_primitive_attr_t attr, const tw_conv_problem *c,
                                      dnnl_primitive_desc_t hint)
{
    if (c->direction == TW_CONV_BACKWARD_DATA)
        return dnnl_convolution_backward_data_primitive_desc_create(
            pd, e, dnnl_convolution_direct, ref(&c->src), ref(&c->weights), ref(&c->dst), c->stride,
            c->dilation, c->before, c->after, hint, attr);
    return dnnl_convolution_backward_weights_primitive_desc_create(
        pd, e, dnnl_convolution_direct, ref(&c->src), ref(&c->weights), ref(&c->bias), ref(&c->dst),
        c->stride, c->dilation, c->before, c->after, hint, attr);
}

static dnnl_status_t matmul_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t e,
                               dnnl_primitive_attr_t attr, const tw_md *a, const tw_md *b,
                               const tw_md *bias, const tw_md *y)
{
    return dnnl_matmul_primitive_desc_create(pd, e, ref(a), ref(b), ref(bias), ref(y), attr);
}
#else
static dnnl_status_t conv_forward_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t e,
                                     dnnl_primitive_attr_t attr, const tw_conv_problem *c)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t st = dnnl_dilated_convolution_forward_desc_init(
        &d, dnnl_forward_training, dnnl_convolution_direct, ref(&c->src), ref(&c->weights),
        ref(&c->bias), ref(&c->dst), c->stride, c->dilation, c->before, c->after);
    return st == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, e, NULL) : st;
}

static dnnl_status_t conv_backward_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t e,
                                      dnnl_primitive_attr_t attr, const tw_conv_problem *c,
                                      dnnl_primitive_desc_t hint)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t st;
    if (c->direction == TW_CONV_BACKWARD_DATA)
        st = dnnl_dilated_convolution_backward_data_desc_init(
            &d, dnnl_convolution_direct, ref(&c->src), ref(&c->weights), ref(&c->dst), c->stride,
            c->dilation, c->before, c->after);
    else
        st = dnnl_dilated_convolution_backward_weights_desc_init(
            &d, dnnl_convolution_direct, ref(&c->src), ref(&c->weights), ref(&c->bias),
            ref(&c->dst), c->stride, c->dilation, c->before, c->after);
    return st == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, e, hint) : st;
}

static dnnl_status_t matmul_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t e,
                               dnnl_primitive_attr_t attr, const tw_md *a, const tw_md *b,
                               const tw_md *bias, const tw_md *y)
{
    dnnl_matmul_desc_t d;
    dnnl_status_t st = dnnl_matmul_desc_init(&d, ref(a), ref(b), ref(bias), ref(y));
    return st == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, e, NULL) : st;
}
#endif

/* A backward descriptor wants the forward one as a hint: forward in the plainest form, weights in
 * any format. */
static dnnl_status_t conv_hint(dnnl_primitive_desc_t *out, dnnl_engine_t e,
                               const tw_conv_problem *c, const tw_md *forward_weights)
{
    tw_conv_problem f = *c;
    f.direction = TW_CONV_FORWARD;
    f.bias.set = false;
    f.weights = *forward_weights;
    return conv_forward_pd(out, e, NULL, &f);
}

/* The weights of the forward convolution that a backward one needs as a hint: of any format. */
static tw_status hint_weights(tw_md *out, const tw_conv_problem *c)
{
    const tw_dtype type = tw_md_is_bf16(&c->src) ? TW_DTYPE_BF16 : TW_DTYPE_F32;
#if DNNL_VERSION_MAJOR >= 3
    tw_status st = TW_OK;
    int rank;
    dnnl_dims_t *dims;
    TRY_DNNL(dnnl_memory_desc_query(c->weights.md, dnnl_query_dims, (void *)&dims));
    TRY_DNNL(dnnl_memory_desc_query(c->weights.md, dnnl_query_ndims_s32, &rank));
    TW_TRY(tw_md_tag(out, rank, *dims, type, dnnl_format_tag_any));
done:
    return st;
#else
    return tw_md_tag(out, c->weights.md.ndims, c->weights.md.dims, type, dnnl_format_tag_any);
#endif
}

/* *out stays NULL where oneDNN has no primitive for the problem. */
static tw_status try_conv(dnnl_primitive_desc_t *out, const tw_conv_problem *c)
{
    tw_status st = TW_OK;
    dnnl_status_t made;
    dnnl_engine_t engine = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t hint = NULL, pd = NULL;
    tw_md any = {.set = false};
    TW_TRY(tw_dnnl_open(&engine, &stream));
    TW_TRY(make_attr(&attr, c->add, c->gain));
    if (c->direction == TW_CONV_FORWARD) {
        made = conv_forward_pd(&pd, engine, attr, c);
    } else {
        TW_TRY(hint_weights(&any, c));
        made = conv_hint(&hint, engine, c, &any);
        if (made == dnnl_success) made = conv_backward_pd(&pd, engine, attr, c, hint);
    }
    if (made != dnnl_unimplemented) TRY_DNNL(made);
    *out = pd;
done:
    tw_md_destroy(&any);
    if (hint) dnnl_primitive_desc_destroy(hint);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return st;
}

tw_status tw_pd_conv(dnnl_primitive_desc_t *out, const tw_conv_problem *c)
{
    tw_status st = TW_OK;
    dnnl_primitive_desc_t pd = NULL;
    tw_conv_problem wide = *c;
    wide.src.set = wide.weights.set = wide.bias.set = wide.dst.set = false;
    TW_TRY(try_conv(&pd, c));
    if (!pd && tw_md_is_bf16(&c->src)) {
        TW_TRY(widened(&wide.src, &c->src));
        TW_TRY(widened(&wide.weights, &c->weights));
        TW_TRY(widened(&wide.bias, &c->bias));
        TW_TRY(widened(&wide.dst, &c->dst));
        TW_TRY(try_conv(&pd, &wide));
    }
    TW_CHECK(pd, TW_EUNSUPPORTED, "oneDNN has no convolution of these shapes on this processor");
    *out = pd;
done:
    tw_md_destroy(&wide.src);
    tw_md_destroy(&wide.weights);
    tw_md_destroy(&wide.bias);
    tw_md_destroy(&wide.dst);
    return st;
}

/* As try_conv. */
static tw_status try_matmul(dnnl_primitive_desc_t *out, const tw_md *src, const tw_md *weights,
                            const tw_md *bias, const tw_md *dst, bool add)
{
    tw_status st = TW_OK;
    dnnl_status_t made;
    dnnl_engine_t engine = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    TW_TRY(tw_dnnl_open(&engine, &stream));
    TW_TRY(make_attr(&attr, add, 0));
    made = matmul_pd(&pd, engine, attr, src, weights, bias, dst);
    if (made != dnnl_unimplemented) TRY_DNNL(made);
    *out = pd;
done:
    if (attr) dnnl_primitive_attr_destroy(attr);
    return st;
}

tw_status tw_pd_matmul(dnnl_primitive_desc_t *out, const tw_md *src, const tw_md *weights,
                       const tw_md *bias, const tw_md *dst, bool add)
{
    tw_status st = TW_OK;
    dnnl_primitive_desc_t pd = NULL;
    tw_md a = {.set = false}, b = {.set = false}, y = {.set = false};
    TW_TRY(try_matmul(&pd, src, weights, bias, dst, add));
    if (!pd && tw_md_is_bf16(src)) {
        TW_TRY(widened(&a, src));
        TW_TRY(widened(&b, weights));
        TW_TRY(widened(&y, dst));
        TW_TRY(try_matmul(&pd, &a, &b, bias, &y, add));
    }
    TW_CHECK(pd, TW_EUNSUPPORTED, "oneDNN has no matrix product of these shapes on this processor");
    *out = pd;
done:
    tw_md_destroy(&a);
    tw_md_destroy(&b);
    tw_md_destroy(&y);
    return st;
}

bool tw_pd_widens(dnnl_primitive_desc_t pd, int arg, const tw_md *md)
{
    return tw_md_is_bf16(md) &&
           type_of(dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg)) == dnnl_f32;
}

bool tw_pd_adds(dnnl_primitive_desc_t pd)
{
    const_dnnl_primitive_attr_t attr;
    const_dnnl_post_ops_t ops;
    return dnnl_primitive_desc_get_attr(pd, &attr) == dnnl_success &&
           dnnl_primitive_attr_get_post_ops(attr, &ops) == dnnl_success &&
           dnnl_post_ops_len(ops) > 0;
}

tw_status tw_pd_md(tw_md *out, dnnl_primitive_desc_t pd, tw_pd_what what)
{
    tw_status st = TW_OK;
    tw_md md = {.set = true};
    static const dnnl_query_t query[] = {[TW_PD_WEIGHTS] = dnnl_query_weights_md,
                                         [TW_PD_DIFF_WEIGHTS] = dnnl_query_diff_weights_md,
                                         [TW_PD_SCRATCHPAD] = dnnl_query_scratchpad_md,
                                         [TW_PD_SRC] = dnnl_query_src_md,
                                         [TW_PD_DST] = dnnl_query_dst_md,
                                         [TW_PD_DIFF_SRC] = dnnl_query_diff_src_md,
                                         [TW_PD_DIFF_DST] = dnnl_query_diff_dst_md};
    md_ref found = dnnl_primitive_desc_query_md(pd, query[what], 0);
    TW_CHECK(found, TW_EINTERNAL,
             "oneDNN: a primitive descriptor without the memory descriptor asked for");
#if DNNL_VERSION_MAJOR >= 3
    TRY_DNNL(dnnl_memory_desc_clone(&md.md, found));
#else
    md.md = *found;
#endif
    *out = md;
done:
    return st;
}

void tw_pd_implementation(dnnl_primitive_desc_t pd, char *out, size_t size)
{
    const char *text = NULL;
    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&text) != dnnl_success ||
        !text)
        text = "unknown";
    snprintf(out, size, "%s", text);
}

static tw_status make_memory(dnnl_memory_t *out, md_ref md)
{
    tw_status st = TW_OK;
    dnnl_engine_t engine = NULL;
    dnnl_stream_t stream = NULL;
    TW_TRY(tw_dnnl_open(&engine, &stream));
    TRY_DNNL(dnnl_memory_create(out, md, engine, DNNL_MEMORY_NONE));
done:
    return st;
}

tw_status tw_dnnl_memory(dnnl_memory_t *out, const tw_md *md)
{
    return make_memory(out, ref(md));
}

tw_status tw_dnnl_argument(dnnl_memory_t *out, dnnl_primitive_desc_t pd, int arg)
{
    return make_memory(out, dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg));
}
