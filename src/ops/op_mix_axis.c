/* A sparse matrix m along one spatial dimension: y[…, p, …] = Σ_q m[p, q] x[…, q, …].
 *
 * box      m[p, q] = 1 / window where |p - q| <= window / 2: an average whose window counts
 *          positions outside as zeros
 * mean     the same over the positions that exist
 * linear   interpolation from x's extent to another one, the first and last positions staying where
 *          they are: s = p (from - 1) / (to - 1), m[p, ⌊s⌋] = 1 - (s - ⌊s⌋), m[p, ⌊s⌋ + 1] the rest
 * centres  the same with s = (p + 1/2) from / to - 1/2, within 0 and from - 1
 * starts   the same with s = p from / to, within 0 and from - 1
 * periodic interpolation likewise on a circle, of positions in the middles of equal pieces:
 *          s = (p + 1/2) from / to - 1/2, and what lies outside is the other end
 *
 * i[0] dimension, i[1] kind, i[2] extent of y, i[3] window of box and mean, i[4] m transposed. The
 * gradient is the same with the transpose. */
#include <math.h>

#include "ops/axis.h"
#include "ops/border.h"

extern const tw_op tw_op_mix_axis;

enum { AXIS, KIND, EXTENT, WINDOW, TRANSPOSED };

tw_value *tw_mix_axis(tw_graph *g, tw_value *x, int axis, tw_mix_kind kind, int64_t extent,
                      int64_t window, bool transposed)
{
    const tw_attr attr = {.i = {axis, kind, extent, window, transposed}};
    return tw_emit(g, &tw_op_mix_axis, &x, 1, &attr);
}

tw_value *tw_average_pool_same(tw_graph *g, tw_value *x, int64_t window)
{
    const int rank = x ? x->shape.rank : 0;
    const int64_t half = window / 2, border[3] = {half, half, half};
    const bool circular = tw_border_is_circular(g) && half > 0;
    if (circular) x = tw_border_wrap(g, x, border, border);
    for (int d = rank - 2; x && d >= 1; d--)
        x = tw_mix_axis(g, x, d, TW_MIX_BOX, x->shape.dims[d], window, false);
    return circular ? tw_crop(g, x, border, border) : x;
}

tw_value *tw_average_pool_inside(tw_graph *g, tw_value *x, int64_t window)
{
    if (tw_border_is_circular(g)) return tw_average_pool_same(g, x, window);
    for (int d = x ? x->shape.rank - 2 : 0; x && d >= 1; d--)
        x = tw_mix_axis(g, x, d, TW_MIX_MEAN, x->shape.dims[d], window, false);
    return x;
}

/* Every dimension whose extent changes. */
static tw_value *resize(tw_graph *g, tw_value *x, const int64_t *extent, tw_mix_kind kind)
{
    if (tw_border_is_circular(g)) kind = TW_MIX_PERIODIC;
    const int rank = x ? x->shape.rank : 0;
    for (int d = 1; x && d <= rank - 2; d++)
        if (extent[d - 1] != x->shape.dims[d])
            x = tw_mix_axis(g, x, d, kind, extent[d - 1], 1, false);
    return x;
}

tw_value *tw_resize_linear(tw_graph *g, tw_value *x, const int64_t *extent)
{
    return resize(g, x, extent, TW_MIX_LINEAR);
}

tw_value *tw_resize_picture(tw_graph *g, tw_value *x, const int64_t *extent, tw_resize kind)
{
    return resize(g, x, extent, kind == TW_RESIZE_CENTRES ? TW_MIX_CENTRES : TW_MIX_STARTS);
}

static bool has_window(const int64_t *attr)
{
    return attr[KIND] == TW_MIX_BOX || attr[KIND] == TW_MIX_MEAN;
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    tw_shape shape = n->in[0]->shape;
    const int64_t *i = n->attr.i;
    TW_TRY(tw_axis_check(n));
    if (i[KIND] < 0 || i[KIND] >= TW_MIX_COUNT || i[EXTENT] < 1)
        return tw_op_shape_error(n, "kind %lld with an extent of %lld does not exist",
                                 (long long)i[KIND], (long long)i[EXTENT]);
    if (has_window(i) && (i[WINDOW] < 1 || i[WINDOW] % 2 == 0))
        return tw_op_shape_error(n, "a window of %lld is not odd", (long long)i[WINDOW]);
    if (has_window(i) && i[EXTENT] != shape.dims[i[AXIS]])
        return tw_op_shape_error(n, "a window keeps the extent, and %lld is another one",
                                 (long long)i[EXTENT]);
    shape.dims[i[AXIS]] = i[EXTENT];
    tw_set_output(n, 0, n->in[0]->type, shape);
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    const int64_t *i = n->attr.i;
    if (want[0])
        gin[0] = tw_mix_axis(g, gout[0], (int)i[AXIS], (tw_mix_kind)i[KIND],
                             n->in[0]->shape.dims[i[AXIS]], i[WINDOW], !i[TRANSPOSED]);
    return TW_OK;
}

/* ---- the matrix ---- */

typedef struct entry {
    int64_t row, column;
    double weight;
} entry;

/* Where row p of a linear m, from `columns` positions to `rows`, interpolates. */
static double source_of(int64_t kind, int64_t rows, int64_t columns, int64_t p)
{
    const double last = (double)(columns - 1), ratio = (double)columns / (double)rows;
    if (kind == TW_MIX_LINEAR) return rows > 1 ? (double)p * last / (double)(rows - 1) : 0;
    const double s = kind == TW_MIX_CENTRES ? ((double)p + 0.5) * ratio - 0.5 : (double)p * ratio;
    return s < 0 ? 0 : s > last ? last : s;
}

/* Row p of m; at most `window` or 2 entries. */
static int64_t row_of(entry *out, const int64_t *attr, int64_t rows, int64_t columns, int64_t p)
{
    int64_t n = 0;
    if (has_window(attr)) {
        for (int64_t q = p - attr[WINDOW] / 2; q <= p + attr[WINDOW] / 2; q++)
            if (q >= 0 && q < columns) out[n++] = (entry){p, q, 1.0 / (double)attr[WINDOW]};
        for (int64_t k = 0; k < n && attr[KIND] == TW_MIX_MEAN; k++)
            out[k].weight = 1.0 / (double)n;
        return n;
    }
    if (attr[KIND] == TW_MIX_PERIODIC) {
        const double s = ((double)p + 0.5) * (double)columns / (double)rows - 0.5,
                     high = s - floor(s);
        const int64_t q = ((int64_t)floor(s) + columns) % columns;
        out[n++] = (entry){p, q, 1 - high};
        if (high > 0) out[n++] = (entry){p, (q + 1) % columns, high};
        return n;
    }
    const double s = source_of(attr[KIND], rows, columns, p);
    const int64_t q = (int64_t)floor(s);
    const double high = s - (double)q;
    out[n++] = (entry){p, q, 1 - high};
    if (high > 0 && q + 1 < columns) out[n++] = (entry){p, q + 1, high};
    return n;
}

typedef struct state {
    int64_t *first, *column;
    float *weight;
    entry *entries; /* while it is made */
} state;

static void destroy(tw_task *t)
{
    state *s = t->state;
    if (!s) return;
    tw_free(&s->first);
    tw_free(&s->column);
    tw_free(&s->weight);
    tw_free(&s->entries);
    tw_free(&t->state);
}

/* Entries in the order of m's rows, which is that of its columns within a row of the transpose. */
static void fill(state *s, int64_t count, int64_t rows, bool transposed)
{
    int64_t at = 0;
    for (int64_t p = 0; p < rows; p++) {
        s->first[p] = at;
        for (int64_t e = 0; e < count; e++) {
            const entry *m = &s->entries[e];
            if ((transposed ? m->column : m->row) != p) continue;
            s->column[at] = transposed ? m->row : m->column;
            s->weight[at++] = (float)m->weight;
        }
    }
    s->first[rows] = at;
}

static tw_status plan(tw_task *t)
{
    tw_status st = TW_OK;
    const int64_t *i = t->node->attr.i;
    const int64_t to = i[EXTENT], from = t->node->in[0]->shape.dims[i[AXIS]];
    const int64_t rows = i[TRANSPOSED] ? from : to, columns = i[TRANSPOSED] ? to : from;
    const int64_t most = rows * (has_window(i) ? i[WINDOW] : 2);
    int64_t count = 0;
    state *s = NULL;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a mix along a dimension"));
    t->state = s;
    TW_TRY(tw_alloc(&s->first, to + 1, sizeof *s->first, "a mix along a dimension"));
    TW_TRY(tw_alloc(&s->column, most, sizeof *s->column, "a mix along a dimension"));
    TW_TRY(tw_alloc(&s->weight, most, sizeof *s->weight, "a mix along a dimension"));
    TW_TRY(tw_alloc(&s->entries, most, sizeof *s->entries, "a mix along a dimension"));
    for (int64_t p = 0; p < rows; p++) count += row_of(s->entries + count, i, rows, columns, p);
    fill(s, count, to, i[TRANSPOSED] != 0);
    tw_free(&s->entries);
    TW_TRY(tw_task_plan_c(t, 2.0 * (double)tw_task_out_count(t) * (double)count / (double)to));
done:
    return st;
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const state *s = t->state;
    const tw_dtype type = tw_task_out_dtype(t);
    const int64_t to = t->node->attr.i[EXTENT];
    const tw_axis a = tw_axis_of(t->node->in[0]->shape, t->node->attr.i[AXIS]);
    const tw_cut cut = tw_cut_of(a.outer * a.pieces, a.inner / a.pieces * (a.length + to) / 2);
    const tw_axis_matrix m = {
        .rows = to, .first = s->first, .column = s->column, .weight = s->weight};
    tw_axis_mix *mix = TW_KERNEL_SELECT(tw_kern_axis)->mix[type];
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++)
        for (int64_t k = tw_cut_first(&cut, j), end = k + tw_cut_count(&cut, j); k < end; k++)
            mix(tw_at(t->out[0], tw_axis_start(&a, k, to), type),
                tw_at_const(t->in[0], tw_axis_start(&a, k, a.length), type), &m, a.inner,
                tw_axis_width(&a, k));
}

static tw_value *example(tw_graph *g, int variant)
{
    switch (variant) {
    case 0:
        return tw_average_pool_same(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 4, 6, 7)), 5);
    case 1:
        return tw_mix_axis(g, tw_input(g, "x", TW_ACT, TW_SHAPE(1, 9, 1)), 1, TW_MIX_BOX, 9, 3,
                           false);
    case 2:
        return tw_resize_linear(g, tw_input(g, "x", TW_F32, TW_SHAPE(2, 4, 2, 6, 3)),
                                (const int64_t[]){7, 2, 3});
    case 3:
        return tw_resize_linear(g, tw_input(g, "x", TW_ACT, TW_SHAPE(1, 2, 1, 133)),
                                (const int64_t[]){5, 4});
    case 4:
        return tw_mix_axis(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 6, 3, 5)), 1, TW_MIX_LINEAR, 4,
                           1, true);
    case 5:
        return tw_resize_linear(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 5, 3)),
                                (const int64_t[]){1});
    case 6:
        return tw_average_pool_inside(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 4, 5, 7)), 3);
    case 7:
        return tw_resize_picture(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 7, 3)),
                                 (const int64_t[]){8, 4}, TW_RESIZE_CENTRES);
    case 8:
        return tw_resize_picture(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 7, 3)),
                                 (const int64_t[]){8, 4}, TW_RESIZE_STARTS);
    case 9:
        return tw_mix_axis(g, tw_input(g, "x", TW_ACT, TW_SHAPE(2, 3, 4, 5)), 1, TW_MIX_PERIODIC, 6,
                           1, false);
    default:
        return NULL;
    }
}

const tw_op tw_op_mix_axis = {
    .name = "mix_axis",
    .summary = "averages or interpolates along a dimension",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .destroy = destroy,
    .example = example,
    .twice = true,
};
