/* Attention: input qkv [N, spatial…, 3C], in the order of a tw_qkv_order; outputs o [N, spatial…,
 * C] and what the gradient reads. i[0] = heads, i[1] = order, f[0] = scale. The mathematics is in
 * attention.h. */
#include <omp.h>

#include "ops/attention.h"
#include "ops/share.h"
#include "ops/task.h"

enum { SCORES, VALUES, KINDS };  /* products; those of a last block that has fewer rows follow */
enum { Q, K, V, O, S, BUFFERS }; /* buffers of a thread */

/* Blocks, with images and heads, that keep the threads of a small rank busy at one image. */
enum { JOBS = 16 };

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
    tw_set_output(n, 0, n->in[0]->type, o);
    tw_set_output(n, 1, tw_attention_kept_type(o, n->attr.i[0], n->in[0]->type),
                  tw_attention_kept_shape(o, n->attr.i[0]));
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (gout[1]) return tw_error_set(TW_EUNSUPPORTED, "attention: what it keeps has no derivative");
    tw_value *in[3] = {n->in[0], (tw_value *)(uintptr_t)&n->out[1], gout[0]};
    if (want[0]) gin[0] = tw_emit(g, &tw_op_attention_grad, in, 3, &n->attr);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    TW_TRY(tw_attention_create(t));
    tw_attention_state *s = t->state;
    const int64_t p = s->positions, d = s->width;
    tw_attention_cut(s, sizeof(float), JOBS);
    const tw_attention_matrix qkv = {s->qkv_stride, 1, s->type},
                              turned = {1, s->qkv_stride, s->type};
    const tw_attention_product scores = {s->block, p, d, qkv, turned, {p, 1, TW_DTYPE_F32}, false},
                               values = {
                                   s->block, d, p, {p, 1, s->type}, qkv, {s->o_stride, 1, s->type},
                                   false};
    tw_attention_product products[2 * KINDS] = {scores, values, scores, values};
    for (int k = KINDS; k < 2 * KINDS; k++) products[k].m = tw_attention_rows(s, s->blocks - 1);
    const size_t size = tw_dtype_size(s->type), matrix = s->packed ? (size_t)(p * d) * size : 0,
                 rows = s->packed ? (size_t)(s->block * d) * size : 0;
    const size_t bytes[BUFFERS] = {rows, matrix, matrix, rows,
                                   (size_t)(s->block * p) * sizeof(float)};
    TW_TRY(tw_attention_prepare(t, products, 2 * KINDS, bytes, BUFFERS));
    t->flops = 4.0 * (double)(s->images * s->heads) * (double)(p * p * d);
done:
    return st;
}

/* Some queries of one head, whose keys and values are k and v. */
static void one_block(const tw_task *t, int64_t head, int64_t block, const void *k, const void *v)
{
    const tw_attention_state *s = t->state;
    const int64_t p = s->positions, c = s->channels, rows = tw_attention_rows(s, block),
                  at = head / s->heads * p + block * s->block, which = head % s->heads;
    const int kinds = block < s->blocks - 1 ? 0 : KINDS;
    const int64_t o_first = at * c + which * s->width;
    const int64_t row = (s->keeps ? head : 2 * head) * p + block * s->block; /* in kept ones */
    float *top = t->out[1] && !s->keeps ? (float *)t->out[1] + row : NULL;
    void *a = t->out[1] && s->keeps ? tw_at(t->out[1], row * p, s->type)
                                    : tw_attention_buffer(s, t->scratch, S);
    float *scores = s->type == TW_DTYPE_F32 ? a : tw_attention_buffer(s, t->scratch, S);
    const void *q = tw_attention_gather(s, tw_attention_buffer(s, t->scratch, Q), t->in[0],
                                        at * 3 * c + which * s->head_step, 3 * c, rows);
    void *o = tw_attention_target(s, tw_attention_buffer(s, t->scratch, O), t->out[0], o_first, c);
    tw_attention_multiply(s, kinds + SCORES, q, k, scores, t->scratch);
    s->kernel->softmax[s->stored](a, scores, top, top ? top + p : NULL, rows, p, s->scale);
    tw_attention_multiply(s, kinds + VALUES, a, v, o, t->scratch);
    tw_attention_scatter(s, t->out[0], o_first, c, o, rows);
}

/* Part 1 (keys) or 2 (values) of one head. */
static const void *part_of(const tw_task *t, int64_t head, int part)
{
    const tw_attention_state *s = t->state;
    const int64_t pixel = 3 * s->channels;
    return tw_attention_gather(s, tw_attention_buffer(s, t->scratch, Q + part), t->in[0],
                               head / s->heads * s->positions * pixel +
                                   head % s->heads * s->head_step + part * s->part_step,
                               pixel, s->positions);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_attention_state *s = t->state;
    tw_share share;
    tw_share_begin(&share, s->threads, s->images * s->heads * s->blocks);
#pragma omp parallel num_threads(s->threads)
    {
        const void *k = NULL, *v = NULL;
        int64_t have = -1; /* head whose keys and values they are */
        bool more;
        for (int64_t job; (job = tw_share_next(&share, omp_get_thread_num(), &more)) >= 0;) {
            const int64_t head = job / s->blocks;
            if (head != have) {
                k = part_of(t, head, 1);
                v = part_of(t, head, 2);
            }
            have = head;
            one_block(t, head, job % s->blocks, k, v);
        }
    }
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
    .cheap = true,
    .multiplies = true,
};
