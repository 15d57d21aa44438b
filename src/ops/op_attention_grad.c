/* The gradient of attention: inputs qkv, A (its probabilities), go; output gqkv. i[0] = heads, i[1]
 * = order, f[0] = scale. The derivation is in attention.h. It has no derivative itself. */
#include "ops/attention.h"
#include "ops/task.h"

enum { GV, GA, GQ, GK }; /* products */
enum {
    Q,
    K,
    V,
    GO,
    DQ,
    DK,
    DV,
    MA,
    MS,
    BUFFERS
}; /* buffers of a thread: DX holds gX, MA gA and MS gS */

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_attention_check(n));
    const tw_value *qkv = n->in[0], *a = n->in[1], *go = n->in[2];
    tw_shape o = qkv->shape;
    o.dims[o.rank - 1] /= 3;
    const int64_t positions = tw_shape_count(o) / (o.dims[0] * tw_shape_channels(o));
    if (!tw_shape_equal(go->shape, o) ||
        !tw_shape_equal(a->shape, TW_SHAPE(o.dims[0], n->attr.i[0], positions, positions)))
        return tw_op_shape_error(n, "the probabilities or the gradient do not fit");
    if (a->type != qkv->type || go->type != qkv->type) return tw_op_shape_error(n, "types differ");
    tw_set_output(n, 0, qkv->type, qkv->shape);
done:
    return st;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    TW_TRY(tw_attention_create(t));
    const tw_attention_state *s = t->state;
    const int64_t p = s->positions, d = s->width;
    const tw_attention_matrix rows = {s->qkv_stride, 1, s->type}, go = {s->o_stride, 1, s->type};
    const tw_attention_matrix a = {p, 1, s->type}, transposed = {1, p, s->type};
    const tw_attention_product products[] = {
        [GV] = {p, d, p, transposed, go, rows},
        [GA] = {p, p, d, go, {1, s->qkv_stride, s->type}, {p, 1, TW_DTYPE_F32}},
        [GQ] = {p, d, p, a, rows, rows},
        [GK] = {p, d, p, transposed, rows, rows},
    };
    const size_t size = tw_dtype_size(s->type), matrix = s->packed ? (size_t)(p * d) * size : 0;
    const size_t square = (size_t)(p * p) * sizeof(float),
                 stored = s->type == TW_DTYPE_F32 ? 0 : (size_t)(p * p) * size;
    const size_t bytes[BUFFERS] = {matrix, matrix, matrix, matrix, matrix,
                                   matrix, matrix, square, stored};
    TW_TRY(tw_attention_prepare(t, products, 4, bytes, BUFFERS));
    t->flops = 8.0 * (double)(s->images * s->heads) * (double)(p * p * d);
done:
    return st;
}

static void one_head(const tw_task *t, int64_t image, int64_t head)
{
    const tw_attention_state *s = t->state;
    void *buffer[BUFFERS];
    for (int i = 0; i < BUFFERS; i++) buffer[i] = tw_attention_buffer(s, t->scratch, i);
    const int64_t p = s->positions, c = s->channels, stride = 3 * c;
    const int64_t q_at = image * p * stride + head * s->head_step, k_at = q_at + s->part_step,
                  v_at = k_at + s->part_step, o_at = image * p * c + head * s->width;
    const void *q = tw_attention_gather(s, buffer[Q], t->in[0], q_at, stride);
    const void *k = tw_attention_gather(s, buffer[K], t->in[0], k_at, stride);
    const void *v = tw_attention_gather(s, buffer[V], t->in[0], v_at, stride);
    const void *go = tw_attention_gather(s, buffer[GO], t->in[2], o_at, c);
    const void *a = tw_at_const(t->in[1], (image * s->heads + head) * p * p, s->type);
    void *gq = tw_attention_target(s, buffer[DQ], t->out[0], q_at, stride);
    void *gk = tw_attention_target(s, buffer[DK], t->out[0], k_at, stride);
    void *gv = tw_attention_target(s, buffer[DV], t->out[0], v_at, stride);
    float *ga = buffer[MA];
    void *gs = s->type == TW_DTYPE_F32 ? buffer[MA] : buffer[MS];
    tw_attention_multiply(s, GV, a, go, gv, t->scratch);
    tw_attention_multiply(s, GA, go, v, ga, t->scratch);
    s->kernel->softmax_grad[s->stored](gs, a, ga, p, p, s->scale);
    tw_attention_multiply(s, GQ, gs, k, gq, t->scratch);
    tw_attention_multiply(s, GK, gs, q, gk, t->scratch);
    tw_attention_scatter(s, t->out[0], q_at, stride, gq);
    tw_attention_scatter(s, t->out[0], k_at, stride, gk);
    tw_attention_scatter(s, t->out[0], v_at, stride, gv);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_attention_state *s = t->state;
#pragma omp parallel for schedule(static) num_threads(s->threads)
    for (int64_t i = 0; i < s->images * s->heads; i++) one_head(t, i / s->heads, i % s->heads);
}

const tw_op tw_op_attention_grad = {
    .name = "attention_grad",
    .summary = "gradient of attention",
    .infer = infer,
    .plan = plan,
    .run = run,
    .destroy = tw_attention_destroy,
};
