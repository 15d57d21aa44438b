/* Table of i[0] rows, each the sum of the rows gout[n] with index[n] = row, in the order of n: the
 * adjoint of embed_table. Threads share the rows of the table, so the sums do not depend on their
 * number. */
#include "ops/task.h"

extern const tw_op tw_op_embed_table_grad;

tw_value *tw_embed_table_grad(tw_graph *g, tw_value *gout, tw_value *index, int64_t rows)
{
    const tw_attr attr = {.i = {rows}};
    return tw_emit(g, &tw_op_embed_table_grad, (tw_value *[]){gout, index}, 2, &attr);
}

static tw_status infer(tw_node *n)
{
    const tw_value *gout = n->in[0], *index = n->in[1];
    if (gout->type != TW_F32 || gout->shape.rank != 2)
        return tw_op_shape_error(n, "wanted f32 rows [N, dim]");
    if (index->type != TW_I32 || index->shape.rank != 1 ||
        index->shape.dims[0] != gout->shape.dims[0])
        return tw_op_shape_error(n, "wanted as many integer indices as rows");
    if (n->attr.i[0] < 1)
        return tw_op_shape_error(n, "%lld rows, wanted at least 1", (long long)n->attr.i[0]);
    tw_set_output(n, 0, TW_F32, TW_SHAPE(n->attr.i[0], gout->shape.dims[1]));
    return TW_OK;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = tw_embed_table(g, gout[0], n->in[1]);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    t->flops = (double)tw_shape_count(t->node->in[0]->shape);
    return tw_format(t->implementation, sizeof t->implementation, "c");
}

/* Table rows [first, end). */
static void add_rows(const tw_task *t, int64_t first, int64_t end)
{
    const int64_t count = t->node->in[0]->shape.dims[0], dim = t->node->in[0]->shape.dims[1];
    const int32_t *index = t->in[1];
    float *table = t->out[0];
    memset(table + first * dim, 0, (size_t)((end - first) * dim) * sizeof *table);
    for (int64_t n = 0; n < count; n++) {
        const float *from = (const float *)t->in[0] + n * dim;
        if (index[n] < first || index[n] >= end) continue;
        for (int64_t i = 0; i < dim; i++) table[index[n] * dim + i] += from[i];
    }
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_cut cut = tw_cut_of(t->node->attr.i[0], t->node->in[0]->shape.dims[1]);
#pragma omp parallel for schedule(static) if (cut.jobs > 1)
    for (int64_t j = 0; j < cut.jobs; j++)
        add_rows(t, tw_cut_first(&cut, j), tw_cut_first(&cut, j) + tw_cut_count(&cut, j));
}

static tw_value *example(tw_graph *g, int variant)
{
    if (variant > 1) return NULL;
    const int64_t rows = variant ? 1 : 4, dim = variant ? 1 : 7;
    return tw_embed_table_grad(g, tw_input(g, "gout", TW_F32, TW_SHAPE(5, dim)),
                               tw_input(g, "index", TW_I32, TW_SHAPE(5)), rows);
}

const tw_op tw_op_embed_table_grad = {
    .name = "embed_table_grad",
    .summary = "rows summed into a table",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
    .twice = true,
};
