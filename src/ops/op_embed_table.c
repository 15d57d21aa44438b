/* Row index[n] of an f32 table [rows, dim]; zeros for an index outside of it. */
#include "ops/task.h"

extern const tw_op tw_op_embed_table;

tw_value *tw_embed_table(tw_graph *g, tw_value *table, tw_value *index)
{
    return tw_emit(g, &tw_op_embed_table, (tw_value *[]){table, index}, 2, NULL);
}

static tw_status infer(tw_node *n)
{
    const tw_value *table = n->in[0], *index = n->in[1];
    if (table->type != TW_F32 || table->shape.rank != 2)
        return tw_op_shape_error(n, "wanted an f32 table [rows, dim]");
    if (index->type != TW_I32 || index->shape.rank != 1)
        return tw_op_shape_error(n, "wanted integer indices [N]");
    tw_set_output(n, 0, TW_F32, TW_SHAPE(index->shape.dims[0], table->shape.dims[1]));
    return TW_OK;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    if (want[0]) gin[0] = tw_embed_table_grad(g, gout[0], n->in[1], n->in[0]->shape.dims[0]);
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_format(t->implementation, sizeof t->implementation, "c:copy");
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const int64_t rows = t->node->in[0]->shape.dims[0], dim = t->node->in[0]->shape.dims[1];
    const int32_t *index = t->in[1];
    const size_t bytes = (size_t)dim * sizeof(float);
    for (int64_t n = 0; n < t->node->out[0].shape.dims[0]; n++) {
        float *out = (float *)t->out[0] + n * dim;
        if (index[n] >= 0 && index[n] < rows)
            memcpy(out, (const float *)t->in[0] + index[n] * dim, bytes);
        else
            memset(out, 0, bytes);
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    if (variant > 1) return NULL;
    const int64_t rows = variant ? 1 : 4, dim = variant ? 1 : 7;
    return tw_embed_table(g, tw_param(g, "table", TW_SHAPE(rows, dim), tw_init_zeros),
                          tw_input(g, "index", TW_I32, TW_SHAPE(5)));
}

const tw_op tw_op_embed_table = {
    .name = "embed_table",
    .summary = "rows of a table",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
    .twice = true,
};
