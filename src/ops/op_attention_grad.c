/* The gradient of attention: inputs qkv, what attention keeps, go; output gqkv. i[0] = heads, i[1]
 * = order, f[0] = scale. The derivation is in attention.h. It has no derivative itself. */
#include "ops/attention.h"
#include "ops/task.h"

/* Products of the first blocks, and of the last one, which may have fewer rows; gV and gK are added
 * to from the second block on. */
enum { S, GA, GQ, GV, GK, KINDS, GV_ADDED = 2 * KINDS, GK_ADDED, PRODUCTS };
enum { Q, K, V, GO, DQ, DK, DV, MS, MA, BUFFERS }; /* of a thread: DX holds gX, MS S and MA gA */

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_attention_check(n));
    const tw_value *qkv = n->in[0], *kept = n->in[1], *go = n->in[2];
    const int64_t heads = n->attr.i[0];
    tw_shape o = qkv->shape;
    o.dims[o.rank - 1] /= 3;
    if (!tw_shape_equal(go->shape, o) ||
        !tw_shape_equal(kept->shape, tw_attention_kept_shape(o, heads)))
        return tw_op_shape_error(n, "what attention keeps or the gradient do not fit");
    if (go->type != qkv->type || kept->type != tw_attention_kept_type(o, heads, qkv->type))
        return tw_op_shape_error(n, "types differ");
    tw_set_output(n, 0, qkv->type, qkv->shape);
done:
    return st;
}

/* Sums over several blocks are in f32. */
static bool sums_apart(const tw_attention_state *s)
{
    return s->blocks > 1 && s->type != TW_DTYPE_F32;
}

static void list_products(tw_attention_product *products, const tw_attention_state *s)
{
    const int64_t p = s->positions, d = s->width;
    const tw_attention_matrix rows = {s->qkv_stride, 1, s->type}, go = {s->o_stride, 1, s->type},
                              turned = {1, s->qkv_stride, s->type}, scores = {p, 1, TW_DTYPE_F32},
                              a = {p, 1, s->type}, at = {1, p, s->type},
                              sums = {d, 1, TW_DTYPE_F32}, sum = sums_apart(s) ? sums : rows;
    for (int last = 0; last < 2; last++) {
        const int64_t m = tw_attention_rows(s, last ? s->blocks - 1 : 0);
        const bool add = last && s->blocks > 1;
        tw_attention_product *k = products + last * KINDS;
        k[S] = (tw_attention_product){m, p, d, rows, turned, scores, false};
        k[GA] = (tw_attention_product){m, p, d, go, turned, scores, false};
        k[GQ] = (tw_attention_product){m, d, p, a, rows, rows, false};
        k[GV] = (tw_attention_product){p, d, m, at, go, sum, add};
        k[GK] = (tw_attention_product){p, d, m, at, rows, sum, add};
    }
    products[GV_ADDED] = products[GV];
    products[GK_ADDED] = products[GK];
    products[GV_ADDED].add = products[GK_ADDED].add = true;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    tw_attention_product products[PRODUCTS];
    TW_TRY(tw_attention_create(t));
    tw_attention_state *s = t->state;
    const int64_t p = s->positions, d = s->width;
    tw_attention_cut(s, 2 * sizeof(float), 1);
    list_products(products, s);
    const size_t matrix = s->packed ? (size_t)(p * d) * tw_dtype_size(s->type) : 0,
                 rows = s->packed ? (size_t)(s->block * d) * tw_dtype_size(s->type) : 0,
                 block = (size_t)(s->block * p) * sizeof(float),
                 sums = sums_apart(s) ? (size_t)(p * d) * sizeof(float) : matrix;
    const size_t bytes[BUFFERS] = {rows, matrix, matrix, rows, rows, sums, sums, block, block};
    TW_TRY(tw_attention_prepare(t, products, PRODUCTS, bytes, BUFFERS));
    t->flops = (s->keeps ? 8.0 : 10.0) * (double)(s->images * s->heads) * (double)(p * p * d);
done:
    return st;
}

/* Of one head: where it begins in qkv, o and what is kept, and matrices. */
typedef struct head {
    int64_t qkv_at, o_at, row;
    const void *k, *v;
    void *gk, *gv;
} head;

/* The probabilities of a block. */
static const void *probabilities(const tw_task *t, const head *h, int64_t block, const void *q)
{
    const tw_attention_state *s = t->state;
    const int64_t p = s->positions, row = h->row + block * s->block;
    if (s->keeps) return tw_at_const(t->in[1], row * p, s->type);
    const float *top = (const float *)t->in[1] + h->row + row;
    float *scores = tw_attention_buffer(s, t->scratch, MS);
    tw_attention_multiply(s, block < s->blocks - 1 ? S : KINDS + S, q, h->k, scores, t->scratch);
    s->kernel->again[s->stored](scores, scores, top, top + p, tw_attention_rows(s, block), p,
                                s->scale);
    return scores;
}

/* The queries of one block: their gradients, and what they add to those of keys and values. */
static void one_block(const tw_task *t, const head *h, int64_t block)
{
    const tw_attention_state *s = t->state;
    const bool last = block == s->blocks - 1;
    const int kinds = last ? KINDS : 0;
    const int64_t rows = tw_attention_rows(s, block), c = s->channels,
                  q_at = h->qkv_at + block * s->block * 3 * c;
    const void *q =
        tw_attention_gather(s, tw_attention_buffer(s, t->scratch, Q), t->in[0], q_at, 3 * c, rows);
    const void *go = tw_attention_gather(s, tw_attention_buffer(s, t->scratch, GO), t->in[2],
                                         h->o_at + block * s->block * c, c, rows);
    void *gq =
        tw_attention_target(s, tw_attention_buffer(s, t->scratch, DQ), t->out[0], q_at, 3 * c);
    float *ga = tw_attention_buffer(s, t->scratch, MA);
    const void *a = probabilities(t, h, block, q);
    tw_attention_multiply(s, kinds + GA, go, h->v, ga, t->scratch);
    tw_attention_multiply(s, block && !last ? GV_ADDED : kinds + GV, a, go, h->gv, t->scratch);
    s->kernel->softmax_grad[s->stored](ga, a, ga, rows, s->positions, s->scale);
    tw_attention_multiply(s, kinds + GQ, ga, h->k, gq, t->scratch);
    tw_attention_multiply(s, block && !last ? GK_ADDED : kinds + GK, ga, q, h->gk, t->scratch);
    tw_attention_scatter(s, t->out[0], q_at, 3 * c, gq, rows);
}

/* A sum over blocks to where it is wanted. */
static void store_sum(const tw_attention_state *s, void *data, int64_t first, const void *sum)
{
    const int64_t stride = 3 * s->channels;
    if (!sums_apart(s)) {
        tw_attention_scatter(s, data, first, stride, sum, s->positions);
        return;
    }
    for (int64_t r = 0; r < s->positions; r++)
        for (int64_t e = 0; e < s->width; e++)
            tw_store(data, first + r * stride + e, s->type, ((const float *)sum)[r * s->width + e]);
}

static void *sum_target(const tw_task *t, int buffer, int64_t first)
{
    const tw_attention_state *s = t->state;
    void *own = tw_attention_buffer(s, t->scratch, buffer);
    return sums_apart(s) ? own : tw_attention_target(s, own, t->out[0], first, 3 * s->channels);
}

static void one_head(const tw_task *t, int64_t image, int64_t which)
{
    const tw_attention_state *s = t->state;
    const int64_t p = s->positions, c = s->channels,
                  q_at = image * p * 3 * c + which * s->head_step, k_at = q_at + s->part_step,
                  v_at = k_at + s->part_step;
    const head h = {.qkv_at = q_at,
                    .o_at = image * p * c + which * s->width,
                    .row = (image * s->heads + which) * p,
                    .k = tw_attention_gather(s, tw_attention_buffer(s, t->scratch, K), t->in[0],
                                             k_at, 3 * c, p),
                    .v = tw_attention_gather(s, tw_attention_buffer(s, t->scratch, V), t->in[0],
                                             v_at, 3 * c, p),
                    .gk = sum_target(t, DK, k_at),
                    .gv = sum_target(t, DV, v_at)};
    for (int64_t b = 0; b < s->blocks; b++) one_block(t, &h, b);
    store_sum(s, t->out[0], k_at, h.gk);
    store_sum(s, t->out[0], v_at, h.gv);
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
