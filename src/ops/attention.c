/* What attention and its gradient share. */
#include "ops/attention.h"

#include <omp.h>
#include <string.h>

#include "ops/task.h"

/* f32 matrices up to this size are copied too: their seven copies stay in the second-level cache.
 */
enum { PACKED_ELEMENTS = 8192 };

tw_status tw_attention_check(const tw_node *n)
{
    const tw_shape s = n->in[0]->shape;
    const int64_t heads = n->attr.i[0], channels = tw_shape_channels(s);
    if (s.rank < 2) return tw_op_shape_error(n, "wanted [N, spatial…, 3 C]");
    if (channels % 3)
        return tw_op_shape_error(n, "%lld channels are not three equal parts", (long long)channels);
    if (heads < 1 || channels / 3 % heads)
        return tw_op_shape_error(n, "%lld heads do not divide the channels", (long long)heads);
    if (n->attr.i[1] != TW_QKV_BY_PART && n->attr.i[1] != TW_QKV_BY_HEAD)
        return tw_error_set(TW_EINTERNAL, "%s: there is no order %lld of q, k and v", n->op->name,
                            (long long)n->attr.i[1]);
    if (!(n->attr.f[0] > 0))
        return tw_error_set(TW_EINTERNAL, "%s: the scale is %g, not positive", n->op->name,
                            n->attr.f[0]);
    return TW_OK;
}

static int64_t positions_of(tw_shape o)
{
    return tw_shape_count(o) / (o.dims[0] * tw_shape_channels(o));
}

/* A row of A has P numbers for each head, one of O has C. */
bool tw_attention_keeps(tw_shape o, int64_t heads)
{
    return heads * positions_of(o) <= tw_shape_channels(o);
}

tw_shape tw_attention_kept_shape(tw_shape o, int64_t heads)
{
    const int64_t p = positions_of(o);
    return TW_SHAPE(o.dims[0], heads, tw_attention_keeps(o, heads) ? p : 2, p);
}

tw_type tw_attention_kept_type(tw_shape o, int64_t heads, tw_type type)
{
    return tw_attention_keeps(o, heads) ? type : TW_F32;
}

tw_status tw_attention_create(tw_task *t)
{
    tw_status st = TW_OK;
    tw_attention_state *s = NULL;
    const tw_shape x = t->node->in[0]->shape;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "an attention"));
    t->state = s;
    s->images = x.dims[0];
    s->channels = tw_shape_channels(x) / 3;
    s->positions = tw_shape_count(x) / (s->images * 3 * s->channels);
    s->heads = t->node->attr.i[0];
    s->width = s->channels / s->heads;
    s->keeps = s->heads * s->positions <= s->channels;
    const bool by_head = t->node->attr.i[1] == TW_QKV_BY_HEAD;
    s->head_step = by_head ? 3 * s->width : s->width;
    s->part_step = by_head ? s->width : s->channels;
    s->type = tw_task_dtype(t, t->node->in[0]);
    s->stored = tw_stored_of(s->type);
    s->scale = (float)t->node->attr.f[0];
    s->packed = s->type == TW_DTYPE_BF16 || s->positions * s->width <= PACKED_ELEMENTS;
    s->qkv_stride = s->packed ? s->width : 3 * s->channels;
    s->o_stride = s->packed ? s->width : s->channels;
    s->threads = omp_get_max_threads();
    s->kernel = TW_KERNEL_SELECT(tw_kern_attention);
done:
    return st;
}

/* A block's scores and what replaces them fill half of a second-level cache of 1 MiB. For blocks of
 * fewer than 64 rows oneDNN takes long to pack the other operand of a product (f32, 4096 positions
 * of 64 channels, backward: twice the time with 16 rows). */
enum { ROOM = 512 << 10, SHARED_LEAST = 32, LEAST = 64, MULTIPLE = 16 };

static int64_t pieces(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

void tw_attention_cut(tw_attention_state *s, int64_t bytes, int64_t jobs)
{
    const int64_t most = ROOM / (bytes * s->positions);
    int64_t blocks = pieces(s->positions, most < LEAST ? LEAST : most);
    while (s->images * s->heads * blocks < jobs && s->positions / (2 * blocks) >= SHARED_LEAST)
        blocks *= 2;
    s->block = pieces(pieces(s->positions, blocks), MULTIPLE) * MULTIPLE;
    if (s->block > s->positions) s->block = s->positions;
    s->blocks = pieces(s->positions, s->block);
}

void tw_attention_destroy(tw_task *t)
{
    tw_attention_state *s = t->state;
    if (!s) return;
    for (int i = 0; s->products && i < s->threads * s->count; i++)
        tw_primitive_destroy(&s->products[i]);
    tw_free(&s->products);
    tw_free(&t->state);
}

static tw_status describe(tw_md *out, int64_t rows, int64_t columns, const tw_attention_matrix *m)
{
    return tw_md_strides(out, 2, (const int64_t[]){rows, columns}, m->type,
                         (const int64_t[]){m->row_stride, m->column_stride});
}

static tw_status make_product(tw_primitive *out, const tw_attention_product *p)
{
    tw_status st = TW_OK;
    tw_md a = {.set = false}, b = {.set = false}, c = {.set = false};
    dnnl_primitive_desc_t pd = NULL;
    TW_TRY(describe(&a, p->m, p->k, &p->a));
    TW_TRY(describe(&b, p->k, p->n, &p->b));
    TW_TRY(describe(&c, p->m, p->n, &p->c));
    TW_TRY(tw_pd_matmul(&pd, &a, &b, NULL, &c, p->add));
    TW_TRY(tw_primitive_create(
        out, pd,
        (const tw_primitive_arg[]){
            {DNNL_ARG_SRC, &a}, {DNNL_ARG_WEIGHTS, &b}, {DNNL_ARG_DST, &c}, {0, NULL}}));
done:
    tw_md_destroy(&a);
    tw_md_destroy(&b);
    tw_md_destroy(&c);
    return st;
}

static size_t aligned(size_t bytes)
{
    return (bytes + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

/* oneDNN divides a primitive's work among as many threads as OpenMP has when it is made: one, since
 * it will run inside of a region. */
static tw_status make_products(tw_attention_state *s, const tw_attention_product *products)
{
    tw_status st = TW_OK;
    omp_set_num_threads(1);
    for (int i = 0; i < s->threads * s->count; i++)
        TW_TRY(make_product(&s->products[i], &products[i % s->count]));
done:
    omp_set_num_threads(s->threads);
    return st;
}

tw_status tw_attention_prepare(tw_task *t, const tw_attention_product *products, int count,
                               const size_t *bytes, int buffers)
{
    tw_status st = TW_OK;
    tw_attention_state *s = t->state;
    size_t scratchpad = 0;
    s->count = count;
    TW_TRY(tw_alloc(&s->products, s->threads * count, sizeof *s->products,
                    "the products of an attention"));
    TW_TRY(make_products(s, products));
    for (int i = 0; i < count; i++)
        scratchpad =
            scratchpad > s->products[i].scratch_bytes ? scratchpad : s->products[i].scratch_bytes;
    for (int i = 0; i < buffers; i++) {
        s->offset[i] = s->thread_bytes;
        s->thread_bytes += aligned(bytes[i]);
    }
    s->scratchpad = s->thread_bytes;
    s->thread_bytes += aligned(scratchpad);
    t->scratch_bytes = s->thread_bytes * (size_t)s->threads;
    const char *name =
        s->products[0].implementation; /* one of the library's slow ones must be seen */
    for (int i = 1; i < count; i++)
        if (strstr(s->products[i].implementation, "ref")) name = s->products[i].implementation;
    TW_TRY(tw_format(t->implementation, sizeof t->implementation, "%s", name));
done:
    return st;
}

static char *of_thread(const tw_attention_state *s, void *scratch)
{
    return (char *)scratch + (size_t)omp_get_thread_num() * s->thread_bytes;
}

void *tw_attention_buffer(const tw_attention_state *s, void *scratch, int i)
{
    return of_thread(s, scratch) + s->offset[i];
}

void tw_attention_multiply(const tw_attention_state *s, int i, const void *a, const void *b,
                           void *c, void *scratch)
{
    void *data[3] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, c};
    tw_primitive_run(&s->products[omp_get_thread_num() * s->count + i], data,
                     of_thread(s, scratch) + s->scratchpad);
}

/* Is a matrix of that stride one that products take? */
static bool fits(const tw_attention_state *s, int64_t stride)
{
    return !s->packed || stride == s->width;
}

const void *tw_attention_gather(const tw_attention_state *s, void *buffer, const void *data,
                                int64_t first, int64_t stride, int64_t rows)
{
    if (fits(s, stride)) return tw_at_const(data, first, s->type);
    const size_t bytes = (size_t)s->width * tw_dtype_size(s->type);
    for (int64_t r = 0; r < rows; r++)
        memcpy((char *)buffer + (size_t)r * bytes, tw_at_const(data, first + r * stride, s->type),
               bytes);
    return buffer;
}

void *tw_attention_target(const tw_attention_state *s, void *buffer, void *data, int64_t first,
                          int64_t stride)
{
    return fits(s, stride) ? tw_at(data, first, s->type) : buffer;
}

void tw_attention_scatter(const tw_attention_state *s, void *data, int64_t first, int64_t stride,
                          const void *buffer, int64_t rows)
{
    if (fits(s, stride)) return;
    const size_t bytes = (size_t)s->width * tw_dtype_size(s->type);
    for (int64_t r = 0; r < rows; r++)
        memcpy(tw_at(data, first + r * stride, s->type), (const char *)buffer + (size_t)r * bytes,
               bytes);
}
