/* The cut of a product, and its pieces. */
#include "ops/product.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "ops/element.h"
#include "tweedie/memory.h"

/* A piece of 2 Mflop takes 20 us and more, against some 3 us for handing it out. 64 pieces are
 * enough for the threads of a rank. Pieces of fewer rows or columns than 64 leave the inner loops
 * of oneDNN half empty, and sums of fewer than 512 terms cost more in adding their parts. */
enum { PIECES = 64, LEAST = 64, INNER_LEAST = 512, VARIANTS = 8 };
static const double piece_flops = 0x1p21;

static int64_t pieces_of(int64_t n, int64_t each)
{
    return (n + each - 1) / each;
}

/* Half, in whole vectors. */
static int64_t half(int64_t n)
{
    return (n / 2 + 15) / 16 * 16;
}

static int64_t count_pieces(tw_product *p)
{
    p->row_pieces = pieces_of(p->shape.rows, p->rows);
    p->inner_pieces = pieces_of(p->shape.inner, p->inner);
    p->column_pieces = pieces_of(p->shape.columns, p->columns);
    return p->shape.count * p->row_pieces * p->inner_pieces * p->column_pieces;
}

/* Rows first, since each piece of rows packs B anew and each piece of columns reads A again. */
static void cut(tw_product *p)
{
    const tw_product_shape *s = &p->shape;
    p->rows = s->rows;
    p->inner = s->inner;
    p->columns = s->columns;
    while (count_pieces(p) < PIECES &&
           2.0 * (double)p->rows * (double)p->inner * (double)p->columns > piece_flops) {
        if (p->rows >= 4 * LEAST)
            p->rows = half(p->rows);
        else if (p->columns >= 4 * LEAST)
            p->columns = half(p->columns);
        else if (p->rows >= 2 * LEAST)
            p->rows = half(p->rows);
        else if (p->columns >= 2 * LEAST)
            p->columns = half(p->columns);
        else if (p->inner >= 2 * INNER_LEAST)
            p->inner = half(p->inner);
        else
            break;
    }
    p->jobs = count_pieces(p);
}

static tw_status make_piece(tw_primitive *out, const tw_product *p, int64_t rows, int64_t inner,
                            int64_t columns)
{
    tw_status st = TW_OK;
    const tw_product_shape *s = &p->shape;
    const bool whole = p->inner_pieces == 1, bias = s->bias && whole;
    tw_md a = {.set = false}, b = {.set = false}, c = {.set = false}, y = {.set = false};
    dnnl_primitive_desc_t pd = NULL;
    TW_TRY(tw_md_strides(&a, 2, (int64_t[]){rows, inner}, s->a.type,
                         (int64_t[]){s->a.row_stride, s->a.column_stride}));
    TW_TRY(tw_md_strides(&b, 2, (int64_t[]){inner, columns}, s->b.type,
                         (int64_t[]){s->b.row_stride, s->b.column_stride}));
    TW_TRY(tw_md_strides(&y, 2, (int64_t[]){rows, columns}, whole ? s->y : TW_DTYPE_F32,
                         (int64_t[]){s->columns, 1}));
    if (bias)
        TW_TRY(
            tw_md_strides(&c, 2, (int64_t[]){1, columns}, TW_DTYPE_F32, (int64_t[]){columns, 1}));
    TW_TRY(tw_pd_matmul(&pd, &a, &b, bias ? &c : NULL, &y, false));
    if (tw_pd_widens(pd, DNNL_ARG_SRC, &a)) { /* a copy would run over the neighbours of a piece */
        dnnl_primitive_desc_destroy(pd);
        TW_FAIL(TW_EUNSUPPORTED, "oneDNN has no bf16 product of these shapes on this processor");
    }
    TW_TRY(tw_primitive_create(out, pd,
                               (const tw_primitive_arg[]){{DNNL_ARG_SRC, &a},
                                                          {DNNL_ARG_WEIGHTS, &b},
                                                          {DNNL_ARG_DST, &y},
                                                          {bias ? DNNL_ARG_BIAS : 0, &c},
                                                          {0, NULL}}));
done:
    tw_md_destroy(&a);
    tw_md_destroy(&b);
    tw_md_destroy(&c);
    tw_md_destroy(&y);
    return st;
}

/* The extent of piece number i of `pieces`. */
static int64_t extent(int64_t n, int64_t each, int64_t pieces, bool last)
{
    return last ? n - (pieces - 1) * each : each;
}

/* A thread's pieces: those at an edge have their own shape. What occurs nowhere is not made. */
static tw_status make_pieces(tw_primitive *out, const tw_product *p)
{
    tw_status st = TW_OK;
    const tw_product_shape *s = &p->shape;
    for (int v = 0; v < VARIANTS; v++) {
        const bool row = v >> 2 & 1, inner = v >> 1 & 1, column = v & 1;
        if ((!row && p->row_pieces == 1) || (!inner && p->inner_pieces == 1) ||
            (!column && p->column_pieces == 1))
            continue;
        TW_TRY(make_piece(&out[v], p, extent(s->rows, p->rows, p->row_pieces, row),
                          extent(s->inner, p->inner, p->inner_pieces, inner),
                          extent(s->columns, p->columns, p->column_pieces, column)));
    }
done:
    return st;
}

static size_t aligned(size_t bytes)
{
    return (bytes + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

static void plan_scratch(tw_product *p)
{
    for (int i = 0; i < p->threads * VARIANTS; i++) {
        const size_t bytes = aligned(p->pieces[i].scratch_bytes);
        if (p->thread_bytes < bytes) p->thread_bytes = bytes;
    }
    p->sums_offset = (size_t)p->threads * p->thread_bytes;
    p->scratch_bytes = p->sums_offset;
    if (p->inner_pieces > 1)
        p->scratch_bytes +=
            (size_t)(p->inner_pieces * p->shape.count * p->shape.rows * p->shape.columns) *
            sizeof(float);
}

tw_status tw_product_create(tw_product *out, const tw_product_shape *shape)
{
    tw_status st = TW_OK;
    const int threads = omp_get_max_threads();
    tw_product p = {.shape = *shape};
    cut(&p);
    p.threads = p.jobs < threads ? (int)p.jobs : threads;
    TW_TRY(tw_alloc(&p.pieces, (int64_t)p.threads * VARIANTS, sizeof *p.pieces,
                    "the pieces of a matrix product"));
    omp_set_num_threads(1); /* oneDNN cuts by what there is when a primitive is made */
    for (int t = 0; t < p.threads && st == TW_OK; t++)
        st = make_pieces(p.pieces + (ptrdiff_t)t * VARIANTS, &p);
    omp_set_num_threads(threads);
    TW_TRY(st);
    plan_scratch(&p);
    memcpy(p.implementation, p.pieces[VARIANTS - 1].implementation, sizeof p.implementation);
    *out = p;
    p.pieces = NULL;
done:
    tw_product_destroy(&p);
    return st;
}

void tw_product_destroy(tw_product *p)
{
    for (int i = 0; p->pieces && i < p->threads * VARIANTS; i++)
        tw_primitive_destroy(&p->pieces[i]);
    tw_free(&p->pieces);
}

/* Job number `job` on the calling thread: columns fastest, then the inner dimension, rows, count.
 */
static void run_piece(const tw_product *p, int64_t job, const void *a, const void *b,
                      const float *bias, void *y, char *scratch)
{
    const tw_product_shape *s = &p->shape;
    const int64_t column = job % p->column_pieces, inner = job / p->column_pieces % p->inner_pieces,
                  row = job / (p->column_pieces * p->inner_pieces) % p->row_pieces,
                  which = job / (p->column_pieces * p->inner_pieces * p->row_pieces);
    const int64_t r = row * p->rows, k = inner * p->inner, c = column * p->columns;
    const int variant = (row == p->row_pieces - 1) << 2 | (inner == p->inner_pieces - 1) << 1 |
                        (column == p->column_pieces - 1);
    const int64_t a_at = which * s->rows * s->inner + r * s->a.row_stride + k * s->a.column_stride,
                  b_at =
                      which * s->inner * s->columns + k * s->b.row_stride + c * s->b.column_stride,
                  y_at = (which * s->rows + r) * s->columns + c;
    float *sums =
        (float *)(void *)(scratch + p->sums_offset) + inner * s->count * s->rows * s->columns;
    const int thread = omp_get_thread_num();
    void *data[4] = {(void *)(uintptr_t)tw_at_const(a, a_at, s->a.type),
                     (void *)(uintptr_t)tw_at_const(b, b_at, s->b.type),
                     p->inner_pieces == 1 ? tw_at(y, y_at, s->y) : sums + y_at,
                     bias ? (void *)(uintptr_t)(bias + c) : NULL};
    tw_primitive_run(&p->pieces[thread * VARIANTS + variant], data,
                     scratch + (size_t)thread * p->thread_bytes);
}

/* The calling thread's share of y = bias + Σ over the inner pieces, row by row. */
static void add_row(const tw_product *p, int64_t row, const float *bias, void *y, const float *sums)
{
    const tw_product_shape *s = &p->shape;
    const int64_t size = s->count * s->rows * s->columns;
    for (int64_t c = 0; c < s->columns; c++) {
        const int64_t at = row * s->columns + c;
        float sum = bias ? bias[c] : 0;
        for (int64_t i = 0; i < p->inner_pieces; i++) sum += sums[i * size + at];
        tw_store(y, at, s->y, sum);
    }
}

void tw_product_run(const tw_product *p, const void *a, const void *b, const float *bias, void *y,
                    void *scratch)
{
    const int64_t rows = p->inner_pieces > 1 ? p->shape.count * p->shape.rows : 0;
#pragma omp parallel num_threads(p->threads)
    {
        omp_set_num_threads(1); /* of this region's tasks alone: a primitive asks when it runs, too,
                                   and a region of one thread is none to it */
#pragma omp for schedule(static)
        for (int64_t job = 0; job < p->jobs; job++) run_piece(p, job, a, b, bias, y, scratch);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++)
            add_row(p, row, bias, y, (float *)(void *)((char *)scratch + p->sums_offset));
    }
}
