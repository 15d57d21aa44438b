/* Matrix products y = op(a) op(b) [+ bias], op = transposition of the last two dimensions where
 * asked.
 *
 * Flat products (b of rank 2, or attribute FLAT) see an operand [d…, c] as the matrix of all its
 * rows [Π d, c]: a linear layer over any number of positions, and the gradient of its weights.
 * Batched ones multiply matrix by matrix. Products of two f32 values are computed in f32; where one
 * is an activation, in the plan's type, and the other is converted: parameters once per update,
 * others in each run.
 * Where oneDNN has no bf16 (below AVX-512) the product of a bf16 plan is one in f32 of operands
 * that are rounded to bf16, and its result is rounded. */
#include <stdio.h>
#include <string.h>

#include "ops/convert.h"
#include "ops/element.h"
#include "ops/ops.h"
#include "ops/product.h"
#include "ops/weights.h"

extern const tw_op tw_op_matmul;

enum { TRANSPOSE_A = 0, TRANSPOSE_B = 1, FLAT = 2, F32_OUT = 3 };

typedef struct operand {
    tw_dtype stored;
    bool converted, packed; /* into scratch in each run; into packed memory once per update */
    int64_t count;
    size_t offset; /* of its copy in scratch or packed memory */
} operand;

typedef struct state {
    tw_product product;
    tw_dtype compute;
    bool rounded; /* the operands are bf16 numbers in f32 */
    operand in[2];
    int64_t out_count; /* of a result in scratch that is rounded into the output; else 0 */
    size_t out_offset;
} state;

static tw_value *emit(tw_graph *g, tw_value *a, tw_value *b, tw_value *bias, bool ta, bool tb,
                      bool flat, bool f32)
{
    const tw_attr attr = {.i = {ta, tb, flat, f32}};
    return tw_emit_optional(g, &tw_op_matmul, (tw_value *[]){a, b, bias}, 3, 1u << 2, &attr);
}

tw_value *tw_matmul(tw_graph *g, tw_value *a, tw_value *b, bool transpose_a, bool transpose_b)
{
    return emit(g, a, b, NULL, transpose_a, transpose_b, b && b->shape.rank == 2, false);
}

tw_value *tw_linear(tw_graph *g, tw_value *x, tw_value *w, tw_value *b)
{
    return emit(g, x, w, b, false, true, true, false);
}

/* Rows and columns of an operand, before transposition. */
static void matrix_of(tw_shape s, bool flat, int64_t *rows, int64_t *columns)
{
    *columns = s.dims[s.rank - 1];
    *rows = flat ? tw_shape_count(s) / *columns : s.dims[s.rank - 2];
}

static bool same_batches(tw_shape a, tw_shape b)
{
    return a.rank == b.rank && memcmp(a.dims, b.dims, (size_t)(a.rank - 2) * sizeof *a.dims) == 0;
}

static tw_status infer(tw_node *n)
{
    const tw_shape a = n->in[0]->shape, b = n->in[1]->shape;
    const bool ta = n->attr.i[TRANSPOSE_A], tb = n->attr.i[TRANSPOSE_B], flat = n->attr.i[FLAT];
    int64_t ra, ca, rb, cb;
    if (a.rank < 2 || b.rank < 2 || (!flat && !same_batches(a, b)) || (flat && tb && b.rank > 2))
        return tw_op_shape_error(
            n, "wants matrices with the same leading dimensions, or a second one of rank 2");
    if (n->in[0]->layout != TW_PLAIN || n->in[1]->layout != TW_PLAIN)
        return tw_op_shape_error(n, "wants plain layouts");
    matrix_of(a, flat, &ra, &ca);
    matrix_of(b, flat, &rb, &cb);
    const int64_t inner_a = ta ? ra : ca, inner_b = tb ? cb : rb, rows = ta ? ca : ra,
                  columns = tb ? rb : cb;
    if (inner_a != inner_b)
        return tw_op_shape_error(n, "inner dimensions %d and %d differ", (int)inner_a,
                                 (int)inner_b);
    if (n->in[2] && (n->in[2]->shape.rank != 1 || n->in[2]->shape.dims[0] != columns))
        return tw_op_shape_error(n, "the bias must be [%d]", (int)columns);
    tw_shape y = a;
    if (flat && ta) y = TW_SHAPE(rows, columns);
    y.dims[y.rank - 1] = columns;
    if (!flat) y.dims[y.rank - 2] = rows;
    const bool f32 = n->attr.i[F32_OUT] || (n->in[0]->type == TW_F32 && n->in[1]->type == TW_F32);
    tw_set_output(n, 0, f32 ? TW_F32 : TW_ACT, y);
    return TW_OK;
}

/* With A = op(a), B = op(b): gA = gy Bᵀ, gB = Aᵀ gy; transposed operands exchange the factors. */
static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    const bool ta = n->attr.i[TRANSPOSE_A], tb = n->attr.i[TRANSPOSE_B], flat = n->attr.i[FLAT];
    tw_value *a = n->in[0], *b = n->in[1], *gy = gout[0];
    if (want[0]) {
        const bool f32 = a->type == TW_F32;
        gin[0] = ta ? emit(g, b, gy, NULL, tb, true, flat, f32)
                    : emit(g, gy, b, NULL, false, !tb, flat, f32);
    }
    if (want[1]) {
        const bool f32 = b->type == TW_F32;
        gin[1] = tb ? emit(g, gy, a, NULL, true, ta, flat, f32)
                    : emit(g, a, gy, NULL, !ta, false, flat, f32);
    }
    if (want[2]) gin[2] = tw_sum_to_as(g, gy, n->in[2]->shape, TW_F32);
    return TW_OK;
}

static void destroy(tw_task *t)
{
    state *s = t->state;
    if (!s) return;
    tw_product_destroy(&s->product);
    tw_free(&t->state);
}

/* Operand k as op(matrix): transposition is a matter of strides. */
static tw_product_matrix matrix(const tw_node *n, int k, tw_dtype type)
{
    int64_t rows, columns;
    matrix_of(n->in[k]->shape, n->attr.i[FLAT], &rows, &columns);
    const bool t = n->attr.i[k];
    return (tw_product_matrix){t ? 1 : columns, t ? columns : 1, type};
}

static tw_product_shape shape_of(const tw_node *n, tw_dtype compute, tw_dtype y)
{
    int64_t rows, columns;
    matrix_of(n->in[0]->shape, n->attr.i[FLAT], &rows, &columns);
    const bool t = n->attr.i[TRANSPOSE_A];
    return (tw_product_shape){.count = tw_shape_count(n->in[0]->shape) / (rows * columns),
                              .rows = t ? columns : rows,
                              .inner = t ? rows : columns,
                              .columns = tw_shape_channels(n->out[0].shape),
                              .a = matrix(n, 0, compute),
                              .b = matrix(n, 1, compute),
                              .y = y,
                              .bias = n->in[2] != NULL};
}

static size_t aligned(size_t bytes)
{
    return (bytes + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

static void plan_operand(state *s, tw_task *t, int k)
{
    operand *o = &s->in[k];
    const tw_value *v = t->node->in[k];
    o->stored = tw_task_dtype(t, v);
    o->count = tw_shape_count(v->shape);
    if (o->stored == s->compute && !s->rounded) return;
    o->packed = v->role != TW_ROLE_NODE && v->role != TW_ROLE_INPUT;
    o->converted = !o->packed;
    size_t *room = o->packed ? &t->packed_bytes : &t->scratch_bytes;
    if (o->packed) t->packs_whole = true; /* but for alignment */
    if (o->packed) t->pack_unit[k] = tw_weights_unit(v->shape, v->layout);
    o->offset = *room;
    *room += aligned((size_t)o->count * tw_dtype_size(s->compute));
}

static void plan_output(state *s, tw_task *t, tw_dtype y)
{
    if (tw_task_dtype(t, &t->node->out[0]) == y) return;
    s->out_count = tw_shape_count(t->node->out[0].shape);
    s->out_offset = t->scratch_bytes;
    t->scratch_bytes += aligned((size_t)s->out_count * tw_dtype_size(y));
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    const tw_node *n = t->node;
    state *s = NULL;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a matrix product"));
    t->state = s;
    s->compute = n->in[0]->type == TW_F32 && n->in[1]->type == TW_F32 ? TW_DTYPE_F32 : t->act;
    s->rounded = s->compute == TW_DTYPE_BF16 && tw_dnnl_bf16_unit() == TW_DNNL_BF16_NONE;
    if (s->rounded) s->compute = TW_DTYPE_F32;
    const tw_dtype y = s->rounded ? TW_DTYPE_F32 : tw_task_dtype(t, &n->out[0]);
    const tw_product_shape shape = shape_of(n, s->compute, y);
    TW_TRY(tw_product_create(&s->product, &shape));
    t->scratch_bytes = aligned(s->product.scratch_bytes);
    for (int k = 0; k < 2; k++) plan_operand(s, t, k);
    plan_output(s, t, y);
    snprintf(t->implementation, sizeof t->implementation, "%s%s", s->rounded ? "bf16-as-f32:" : "",
             s->product.implementation);
    t->flops = 2.0 * (double)(shape.count * shape.rows * shape.columns) * (double)shape.inner;
done:
    return st;
}

/* An operand as the product takes it. */
static void convert(const state *s, void *to, const void *from, const operand *o, int64_t count)
{
    if (s->rounded && o->stored == TW_DTYPE_F32)
        tw_round_to_bf16(to, from, count);
    else
        tw_convert(to, s->compute, from, o->stored, count);
}

static void pack(const tw_task *t, int input, int64_t unit)
{
    const state *s = t->state;
    const operand *o = &s->in[input];
    const int64_t each = t->pack_unit[input], first = unit * each, rest = o->count - first;
    convert(s, tw_at((char *)t->packed + o->offset, first, s->compute),
            tw_at_const(t->in[input], first, o->stored), o, rest < each ? rest : each);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const state *s = t->state;
    const void *data[2] = {t->in[0], t->in[1]};
    for (int k = 0; k < 2; k++) {
        const operand *o = &s->in[k];
        if (o->packed) data[k] = (char *)t->packed + o->offset;
        if (o->converted) {
            void *copy = (char *)t->scratch + o->offset;
            convert(s, copy, t->in[k], o, o->count);
            data[k] = copy;
        }
    }
    void *y = s->out_count ? (char *)t->scratch + s->out_offset : t->out[0];
    tw_product_run(&s->product, data[0], data[1], t->in[2], y, t->scratch);
    if (s->out_count) tw_convert(t->out[0], TW_DTYPE_BF16, y, TW_DTYPE_F32, s->out_count);
}

static tw_value *example(tw_graph *g, int variant)
{
    static const struct {
        int rank_a, rank_b;
        int64_t a[4], b[4];
        bool ta, tb, param, bias;
    } cases[] = {
        {2, 2, {3, 5}, {5, 4}, false, false, false, false},
        {2, 2, {5, 3}, {4, 5}, true, true, false, false},
        {3, 2, {2, 3, 5}, {4, 5}, false, true, true, true},
        {3, 3, {2, 3, 5}, {2, 5, 1}, false, false, false, false},
        {3, 3, {2, 5, 3}, {2, 5, 4}, true, false, false, false},
        {2, 2, {1, 1}, {1, 1}, false, false, true, false},
        {4, 2, {2, 2, 3, 16}, {16, 7}, false, false, true, true},
    };
    if (variant >= (int)(sizeof cases / sizeof *cases)) return NULL;
    tw_value *a = tw_input(g, "a", TW_ACT, tw_shape_make(cases[variant].a, cases[variant].rank_a));
    const tw_shape sb = tw_shape_make(cases[variant].b, cases[variant].rank_b);
    tw_value *b =
        cases[variant].param ? tw_param(g, "b", sb, tw_init_ones) : tw_input(g, "b", TW_ACT, sb);
    const int64_t columns = cases[variant].tb ? sb.dims[sb.rank - 2] : sb.dims[sb.rank - 1];
    tw_value *bias =
        cases[variant].bias ? tw_param(g, "bias", TW_SHAPE(columns), tw_init_ones) : NULL;
    return emit(g, a, b, bias, cases[variant].ta, cases[variant].tb, sb.rank == 2, false);
}

const tw_op tw_op_matmul = {
    .name = "matmul",
    .summary = "matrix product, batched or flat",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .pack = pack,
    .run = run,
    .destroy = destroy,
    .example = example,
    .twice = true,
};
