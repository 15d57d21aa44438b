/* What padding, cropping and their adjoints share. */
#include "ops/border.h"

#include <string.h>

#include "ops/task.h"

typedef struct axis {
    int64_t in, out; /* extents */
    int64_t *first;  /* [out + 1]: where an index's sources begin in `source` */
    int64_t *source;
} axis;

typedef struct border {
    int64_t images, channels;
    axis axes[3]; /* missing dimensions in front have extent 1 */
} border;

int64_t tw_border_source(tw_padding kind, int64_t i, int64_t before, int64_t extent)
{
    int64_t j = i - before;
    if (j >= 0 && j < extent) return j;
    if (kind == TW_PAD_ZERO) return -1;
    if (kind == TW_PAD_CIRCULAR) return (j % extent + extent) % extent;
    if (extent == 1) return 0;
    const int64_t period = 2 * (extent - 1); /* the border itself is not repeated */
    j = (j % period + period) % period;
    return j < extent ? j : period - j;
}

bool tw_border_is_circular(const tw_graph *g)
{
    return tw_graph_padding(g) == TW_PAD_CIRCULAR;
}

tw_value *tw_border_wrap(tw_graph *g, tw_value *x, const int64_t before[3], const int64_t after[3])
{
    bool any = false;
    for (int d = 0; x && d < x->shape.rank - 2 && d < 3; d++) any = any || before[d] || after[d];
    if (!any) return x;
    tw_graph_note_padded(g);
    return tw_pad(g, x, before, after, TW_PAD_CIRCULAR);
}

tw_value *tw_border_unwrap(tw_graph *g, tw_value *x, const int64_t before[3],
                           const int64_t after[3])
{
    tw_attr a = {.i = {[BORDER_KIND] = TW_PAD_CIRCULAR}};
    bool any = false;
    for (int d = 0; x && d < x->shape.rank - 2 && d < 3; d++) {
        a.i[BORDER_BEFORE + d] = before[d];
        a.i[BORDER_AFTER + d] = after[d];
        any = any || before[d] || after[d];
    }
    if (!any) return x;
    tw_graph_note_padded(g);
    return tw_emit(g, &tw_op_pad_fold, &x, 1, &a);
}

tw_status tw_border_infer(tw_node *n, bool larger)
{
    tw_status st = TW_OK;
    tw_shape s = n->in[0]->shape;
    TW_TRY(tw_infer_plain(n));
    if (s.rank < 3) return tw_op_shape_error(n, "wanted [N, spatial..., C]");
    for (int d = 0; d < s.rank - 2; d++) {
        const int64_t before = n->attr.i[BORDER_BEFORE + d], after = n->attr.i[BORDER_AFTER + d];
        if (before < 0 || after < 0)
            return tw_op_shape_error(n, "borders of %lld and %lld, wanted at least 0",
                                     (long long)before, (long long)after);
        s.dims[1 + d] += larger ? before + after : -(before + after);
        if (s.dims[1 + d] < 1) return tw_op_shape_error(n, "nothing is left of dimension %d", d);
    }
    tw_set_output(n, 0, n->in[0]->type, s);
done:
    return st;
}

/* Sources of an axis from its map. A fold's are all larger indices that the map leads to it. */
static void fill(axis *a, const tw_node *n, int d)
{
    const int64_t before = n->attr.i[BORDER_BEFORE + d];
    const tw_padding kind = (tw_padding)n->attr.i[BORDER_KIND];
    int64_t count = 0;
    for (int64_t o = 0; o < a->out; o++) {
        a->first[o] = count;
        if (n->op == &tw_op_pad_fold) {
            for (int64_t i = 0; i < a->in; i++)
                if (tw_border_source(kind, i, before, a->out) == o) a->source[count++] = i;
        } else {
            const int64_t i =
                n->op == &tw_op_crop ? o + before : tw_border_source(kind, o, before, a->in);
            if (i >= 0) a->source[count++] = i;
        }
    }
    a->first[a->out] = count;
}

tw_status tw_border_plan(tw_task *t)
{
    tw_status st = TW_OK;
    const tw_shape in = t->node->in[0]->shape, out = t->node->out[0].shape;
    const int spatial = in.rank - 2;
    int64_t words = 0;
    border *b = NULL;
    for (int d = 0; d < spatial; d++) words += 2 * out.dims[1 + d] + 1 + in.dims[1 + d];
    words += 3 * 4; /* of missing dimensions */
    TW_TRY(tw_alloc(&b, (int64_t)sizeof *b + words * (int64_t)sizeof(int64_t), 1, "a border"));
    t->state = b;
    b->images = in.dims[0];
    b->channels = tw_shape_channels(in);
    int64_t *memory = (int64_t *)(void *)(b + 1);
    for (int k = 0; k < 3; k++) {
        const int d = k - (3 - spatial);
        axis *a = &b->axes[k];
        *a = (axis){.in = d < 0 ? 1 : in.dims[1 + d], .out = d < 0 ? 1 : out.dims[1 + d]};
        a->first = memory;
        a->source = memory + a->out + 1;
        memory = a->source + (a->in > a->out ? a->in : a->out);
        if (d < 0)
            a->first[1] = 1;
        else
            fill(a, t->node, d);
    }
    TW_TRY(tw_task_plan_c(t, (double)tw_task_out_count(t)));
    if (t->node->op != &tw_op_crop && t->node->attr.i[BORDER_KIND] == TW_PAD_CIRCULAR)
        TW_TRY(tw_format(t->implementation, sizeof t->implementation, "c:circular"));
done:
    return st;
}

/* The same where each position has one source or none: pixels are copied, runs of them at once. */
static void copy_row(const tw_task *t, const border *b, int64_t row)
{
    const axis *az = &b->axes[0], *ay = &b->axes[1], *ax = &b->axes[2];
    const int64_t y = row % ay->out, z = row / ay->out % az->out, n = row / (ay->out * az->out);
    const size_t pixel = (size_t)b->channels * tw_dtype_size(tw_task_out_dtype(t));
    char *out = (char *)t->out[0] + (size_t)(row * ax->out) * pixel;
    if (az->first[z] == az->first[z + 1] || ay->first[y] == ay->first[y + 1]) {
        memset(out, 0, (size_t)ax->out * pixel);
        return;
    }
    const char *in =
        (const char *)t->in[0] +
        (size_t)(((n * az->in + az->source[az->first[z]]) * ay->in + ay->source[ay->first[y]]) *
                 ax->in) *
            pixel;
    for (int64_t x = 0, run; x < ax->out; x += run) {
        const bool none = ax->first[x] == ax->first[x + 1];
        const int64_t from = none ? 0 : ax->source[ax->first[x]];
        for (run = 1; x + run < ax->out; run++) {
            const bool other = ax->first[x + run] == ax->first[x + run + 1];
            if (other != none || (!none && ax->source[ax->first[x + run]] != from + run)) break;
        }
        if (none)
            memset(out + (size_t)x * pixel, 0, (size_t)run * pixel);
        else
            memcpy(out + (size_t)x * pixel, in + (size_t)from * pixel, (size_t)run * pixel);
    }
}

/* Row of output positions (image, z, y). */
static void sum_row(const tw_task *t, const border *b, int64_t row)
{
    const tw_dtype type = tw_task_out_dtype(t);
    const axis *az = &b->axes[0], *ay = &b->axes[1], *ax = &b->axes[2];
    const int64_t y = row % ay->out, z = row / ay->out % az->out, n = row / (ay->out * az->out),
                  c = b->channels;
    for (int64_t x = 0; x < ax->out; x++)
        for (int64_t k = 0; k < c; k++) {
            float sum = 0;
            for (int64_t i = az->first[z]; i < az->first[z + 1]; i++)
                for (int64_t j = ay->first[y]; j < ay->first[y + 1]; j++)
                    for (int64_t l = ax->first[x]; l < ax->first[x + 1]; l++)
                        sum += tw_load(
                            t->in[0],
                            (((n * az->in + az->source[i]) * ay->in + ay->source[j]) * ax->in +
                             ax->source[l]) *
                                    c +
                                k,
                            type);
            tw_store(t->out[0], (row * ax->out + x) * c + k, type, sum);
        }
}

void tw_border_run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const border *b = t->state;
    const int64_t rows = b->images * b->axes[0].out * b->axes[1].out;
    const tw_cut cut = tw_cut_of(rows, b->axes[2].out * b->channels);
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++)
        for (int64_t i = tw_cut_first(&cut, j), end = i + tw_cut_count(&cut, j); i < end; i++)
            (t->node->op == &tw_op_pad_fold ? sum_row : copy_row)(t, b, i);
}
