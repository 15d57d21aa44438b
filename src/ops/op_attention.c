/* Attention: input qkv [N, spatial…, 3C], in the order of a tw_qkv_order; outputs o [N, spatial…,
 * C] and the probabilities A [N, heads, P, P], P = positions, which the gradient reads. i[0] =
 * heads, i[1] = order, f[0] = scale. The mathematics is in attention.h. */
#include "ops/attention.h"
#include "ops/task.h"

enum { SCORES_BY_KEYS, VALUES };    /* products */
enum { Q, K, V, O, S, A, BUFFERS }; /* buffers of a thread */

tw_value *tw_attention(tw_graph *g, tw_value *qkv, int64_t heads, double scale)
{
    return tw_attention_ordered(g, qkv, heads, scale, TW_QKV_BY_PART);
}

tw_value *tw_attention_ordered(tw_graph *g, tw_value *qkv, int64_t heads, double scale,
                               tw_qkv_order order)
{
    const tw_attr attr = {.i = {heads, order}, .f = {scale}};
    return tw_emit(g, &tw_op_attention, &qkv, 1, &attr);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_attention_check(n));
    tw_shape o = n->in[0]->shape;
    o.dims[o.rank - 1] /= 3;
    const int64_t positions = tw_shape_count(o) / (o.dims[0] * tw_shape_channels(o));
    tw_set_output(n, 0, n->in[0]->type, o);
    tw_set_output(n, 1, n->in[0]->type, TW_SHAPE(o.dims[0], n->attr.i[0], positions, positions));
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (gout[1])
        return tw_error_set(TW_EUNSUPPORTED, "attention: its probabilities have no derivative");
    tw_value *in[3] = {n->in[0], (tw_value *)(uintptr_t)&n->out[1], gout[0]};
    if (want[0]) gin[0] = tw_emit(g, &tw_op_attention_grad, in, 3, &n->attr);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    TW_TRY(tw_attention_create(t));
    const tw_attention_state *s = t->state;
    const int64_t p = s->positions, d = s->width;
    const tw_attention_product products[] = {
        [SCORES_BY_KEYS] = {p,
                            p,
                            d,
                            {s->qkv_stride, 1, s->type},
                            {1, s->qkv_stride, s->type},
                            {p, 1, TW_DTYPE_F32}},
        [VALUES] =
            {p, d, p, {p, 1, s->type}, {s->qkv_stride, 1, s->type}, {s->o_stride, 1, s->type}},
    };
    /* A's buffer is for runs in which nobody reads A; f32 scores lie where A will. */
    const size_t size = tw_dtype_size(s->type), matrix = s->packed ? (size_t)(p * d) * size : 0,
                 square = (size_t)(p * p);
    const size_t bytes[BUFFERS] = {
        matrix,       matrix, matrix, matrix, s->type == TW_DTYPE_F32 ? 0 : square * sizeof(float),
        square * size};
    TW_TRY(tw_attention_prepare(t, products, 2, bytes, BUFFERS));
    t->flops = 4.0 * (double)(s->images * s->heads) * (double)(p * p * d);
done:
    return st;
}

static void one_head(const tw_task *t, int64_t image, int64_t head)
{
    const tw_attention_state *s = t->state;
    const int64_t p = s->positions, c = s->channels, step = s->part_step,
                  first = image * p * 3 * c + head * s->head_step,
                  o_first = image * p * c + head * s->width;
    const void *q =
        tw_attention_gather(s, tw_attention_buffer(s, t->scratch, Q), t->in[0], first, 3 * c);
    const void *k = tw_attention_gather(s, tw_attention_buffer(s, t->scratch, K), t->in[0],
                                        first + step, 3 * c);
    const void *v = tw_attention_gather(s, tw_attention_buffer(s, t->scratch, V), t->in[0],
                                        first + 2 * step, 3 * c);
    void *a = t->out[1] ? tw_at(t->out[1], (image * s->heads + head) * p * p, s->type)
                        : tw_attention_buffer(s, t->scratch, A);
    float *scores = s->type == TW_DTYPE_F32 ? a : tw_attention_buffer(s, t->scratch, S);
    tw_attention_multiply(s, SCORES_BY_KEYS, q, k, scores, t->scratch);
    s->kernel->softmax[s->stored](a, scores, p, p, s->scale);
    void *o = tw_attention_target(s, tw_attention_buffer(s, t->scratch, O), t->out[0], o_first, c);
    tw_attention_multiply(s, VALUES, a, v, o, t->scratch);
    tw_attention_scatter(s, t->out[0], o_first, c, o);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_attention_state *s = t->state;
#pragma omp parallel for schedule(static) num_threads(s->threads)
    for (int64_t i = 0; i < s->images * s->heads; i++) one_head(t, i / s->heads, i % s->heads);
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_attention(g, tw_input(g, "qkv", TW_ACT, TW_SHAPE(2, 3, 5, 24)), 2, 0.5);
    case 1:
        return tw_attention(g, tw_input(g, "qkv", TW_ACT, TW_SHAPE(1, 7, 9)), 1, 1.0);
    case 2:
        return tw_attention(g, tw_input(g, "qkv", TW_ACT, TW_SHAPE(3, 1, 1, 3)), 1, 1.0);
    case 3:
        return tw_attention_ordered(g, tw_input(g, "qkv", TW_ACT, TW_SHAPE(2, 2, 3, 36)), 3, 0.5,
                                    TW_QKV_BY_HEAD);
    default:
        return NULL;
    }
}

const tw_op tw_op_attention = {
    .name = "attention",
    .summary = "softmax(scale Q K') V over the positions of each image",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .destroy = tw_attention_destroy,
    .example = example,
};
