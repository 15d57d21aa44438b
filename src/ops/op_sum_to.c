/* Sums over dimensions, the adjoint of broadcast. i[0 … 5] = the shape of the result, i[6] = its
 * type.
 *
 * x is seen as [outer][summed][inner]; sums over dimensions with kept ones between them are made by
 * several operations. The summed part is cut by shape alone, each piece is added as kern_sum.h says
 * into doubles of its own, and the pieces are added in their order: the result depends neither on
 * the number of threads nor, beyond double rounding, on how long the sum is. */
#include "ops/kern_sum.h"
#include "ops/repeat.h"
#include "ops/task.h"

extern const tw_op tw_op_sum_to;

/* The sums of [outer][summed][inner] in pieces: per_piece of `summed` each, inner in blocks. */
typedef struct sum {
    int64_t outer, summed, inner;
    int64_t pieces, per_piece;
    int64_t blocks, per_block;
} sum;

enum { PIECE = 32768, BLOCK = 2048 };

/* False where kept dimensions lie between summed ones. */
static bool view(sum *s, tw_shape big, tw_shape small)
{
    tw_repeat m;
    tw_repeat_make(&m, big, small);
    *s = (sum){.outer = 1, .summed = 1, .inner = 1};
    if (m.constant) {
        s->summed = m.n;
        s->outer = m.rows;
        return m.levels <= 1;
    }
    s->inner = m.n;
    if (m.levels > 0) s->summed = m.size[0];
    if (m.levels > 1) s->outer = m.size[1];
    return m.levels <= 2;
}

static void cut(sum *s)
{
    s->per_block = s->inner < BLOCK ? s->inner : BLOCK;
    s->blocks = (s->inner + s->per_block - 1) / s->per_block;
    s->per_piece = PIECE / s->per_block;
    s->pieces = (s->summed + s->per_piece - 1) / s->per_piece;
}

/* The shape of x with its last run of summed dimensions made 1. */
static tw_shape without_last_run(tw_shape x, tw_shape small)
{
    bool begun = false;
    for (int d = x.rank - 1; d >= 0; d--) {
        const int k = d - (x.rank - small.rank);
        const bool summed = x.dims[d] != 1 && (k < 0 || small.dims[k] == 1);
        if (begun && !summed && x.dims[d] != 1) break;
        if (summed) {
            begun = true;
            x.dims[d] = 1;
        }
    }
    return x;
}

tw_value *tw_sum_to_as(tw_graph *g, tw_value *x, tw_shape shape, tw_type type)
{
    sum s;
    tw_attr attr = {.i = {[6] = type}};
    if (!x) return NULL;
    if (tw_shape_equal(x->shape, shape)) return tw_cast(g, x, type);
    if (tw_shape_repeats_to(shape, x->shape) && !view(&s, x->shape, shape))
        return tw_sum_to_as(g, tw_sum_to_as(g, x, without_last_run(x->shape, shape), TW_F32), shape,
                            type);
    tw_attr_set_shape(&attr, 0, shape);
    return tw_emit(g, &tw_op_sum_to, &x, 1, &attr);
}

tw_value *tw_sum_to(tw_graph *g, tw_value *x, tw_shape shape)
{
    return tw_sum_to_as(g, x, shape, x ? x->type : TW_ACT);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    sum s;
    char text[64];
    tw_shape shape;
    tw_type type;
    TW_TRY(tw_infer_plain(n));
    TW_TRY(tw_infer_wanted_shape(n, 0, &shape));
    TW_TRY(tw_infer_wanted_type(n, 6, &type));
    if (!tw_shape_repeats_to(shape, n->in[0]->shape))
        return tw_op_shape_error(n, "does not sum down to %s", tw_shape_text(shape, text));
    if (!view(&s, n->in[0]->shape, shape))
        return tw_op_shape_error(n, "to %s: kept dimensions between summed ones",
                                 tw_shape_text(shape, text));
    tw_set_output(n, 0, type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = tw_broadcast_as(g, gout[0], n->in[0]->shape, n->in[0]->type);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    sum *s = NULL;
    TW_TRY(tw_task_plan_c(t, (double)tw_shape_count(t->node->in[0]->shape)));
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a sum"));
    view(s, t->node->in[0]->shape, t->node->out[0].shape);
    cut(s);
    t->state = s;
    t->scratch_bytes = (size_t)(s->outer * s->pieces * s->inner) * sizeof(double);
done:
    return st;
}

/* The pieces of a block of sums, in their order. */
static void finish(const tw_task *t, const sum *s, int64_t outer, int64_t block)
{
    const double *part = (const double *)t->scratch + outer * s->pieces * s->inner;
    const tw_dtype type = tw_task_out_dtype(t);
    const int64_t first = block * s->per_block;
    const int64_t end = s->inner - first < s->per_block ? s->inner : first + s->per_block;
    for (int64_t i = first; i < end; i++) {
        double total = part[i];
        for (int64_t p = 1; p < s->pieces; p++) total += part[p * s->inner + i];
        tw_store(t->out[0], outer * s->inner + i, type, (float)total);
    }
}

static void add_piece(const tw_task *t, const sum *s, int64_t outer, int64_t piece, int64_t block)
{
    const tw_kern_sum *k = TW_KERNEL_SELECT(tw_kern_sum);
    const tw_dtype type = tw_task_in_dtype(t, 0);
    const int64_t first = piece * s->per_piece, column = block * s->per_block;
    const int64_t rows = s->summed - first < s->per_piece ? s->summed - first : s->per_piece;
    const int64_t wide = s->inner - column < s->per_block ? s->inner - column : s->per_block;
    const void *x = tw_at_const(t->in[0], (outer * s->summed + first) * s->inner + column, type);
    double *part = (double *)t->scratch + (outer * s->pieces + piece) * s->inner + column;
    if (s->inner == 1)
        *part = k->row[type](x, rows);
    else
        k->columns[type](part, x, rows, wide, s->inner);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const sum *s = t->state;
    const tw_cut parts =
        tw_cut_of(s->outer * s->pieces * s->blocks, (s->summed / s->pieces) * s->per_block);
    const tw_cut ends = tw_cut_of(s->outer * s->blocks, s->pieces * s->per_block);
#pragma omp parallel for schedule(static) if (parts.jobs > 1)
    for (int64_t j = 0; j < parts.jobs; j++)
        for (int64_t i = tw_cut_first(&parts, j), last = i + tw_cut_count(&parts, j); i < last; i++)
            add_piece(t, s, i / s->blocks / s->pieces, i / s->blocks % s->pieces, i % s->blocks);
#pragma omp parallel for schedule(static) if (ends.jobs > 1)
    for (int64_t j = 0; j < ends.jobs; j++)
        for (int64_t i = tw_cut_first(&ends, j), last = i + tw_cut_count(&ends, j); i < last; i++)
            finish(t, s, i / s->blocks, i % s->blocks);
}

static tw_value *example(tw_graph *g, int variant)
{
    const tw_shape x = TW_SHAPE(2, 3, 5, 7);
    switch (variant) {
    case 0:
        return tw_sum_to(g, tw_input(g, "x", TW_ACT, x), TW_SHAPE(7));
    case 1:
        return tw_sum_to(g, tw_input(g, "x", TW_ACT, x), TW_SHAPE(2, 1, 1, 7));
    case 2:
        return tw_sum_to(g, tw_input(g, "x", TW_ACT, x), TW_SHAPE(2, 1, 1, 1));
    case 3:
        return tw_sum_to(g, tw_input(g, "x", TW_F32, x), (tw_shape){.rank = 0});
    case 4:
        return tw_sum_to(g, tw_input(g, "x", TW_ACT, x), TW_SHAPE(1, 3, 1, 7));
    case 5:
        return tw_sum_to(g, tw_input(g, "x", TW_F32, TW_SHAPE(3, 2, 5, 1)), TW_SHAPE(1, 2, 1, 1));
    case 6:
        return tw_sum_to_as(g, tw_input(g, "x", TW_ACT, TW_SHAPE(1, 3)), TW_SHAPE(3), TW_F32);
    default:
        return NULL;
    }
}

const tw_op tw_op_sum_to = {
    .name = "sum_to",
    .summary = "sums over dimensions",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .destroy = tw_task_free_state,
    .example = example,
    .twice = true,
};
