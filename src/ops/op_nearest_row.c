/* Which row of an f32 table [K, c] is nearest to each vector of x [.., c]: i32 [vectors], of equal
 * distances the first. A choice has no slopes, so it has no gradient. */
#include "ops/task.h"

extern const tw_op tw_op_nearest_row;

tw_value *tw_nearest_row(tw_graph *g, tw_value *x, tw_value *table)
{
    return tw_emit(g, &tw_op_nearest_row, (tw_value *[]){x, table}, 2, NULL);
}

static tw_status infer(tw_node *n)
{
    const tw_value *x = n->in[0], *table = n->in[1];
    if (table->type != TW_F32 || table->shape.rank != 2)
        return tw_op_shape_error(n, "wanted an f32 table [rows, numbers]");
    if (x->type != TW_F32 || tw_shape_channels(x->shape) != table->shape.dims[1])
        return tw_op_shape_error(n, "wanted f32 vectors as long as a row");
    tw_set_output(n, 0, TW_I32, TW_SHAPE(tw_shape_count(x->shape) / table->shape.dims[1]));
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, 3 * (double)tw_shape_count(t->node->in[0]->shape) *
                                 (double)t->node->in[1]->shape.dims[0]);
}

static int32_t nearest(const float *x, const float *table, int64_t rows, int64_t c)
{
    int32_t best = 0;
    float least = 0;
    for (int64_t k = 0; k < rows; k++) {
        float distance = 0;
        for (int64_t d = 0; d < c; d++) {
            const float one = x[d] - table[k * c + d];
            distance += one * one;
        }
        if (k == 0 || distance < least) {
            best = (int32_t)k;
            least = distance;
        }
    }
    return best;
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const int64_t rows = t->node->in[1]->shape.dims[0], c = t->node->in[1]->shape.dims[1],
                  vectors = t->node->out[0].shape.dims[0];
    const float *x = t->in[0], *table = t->in[1];
    int32_t *index = t->out[0];
#pragma omp parallel for schedule(static) if (vectors * rows > 4096)
    for (int64_t i = 0; i < vectors; i++) index[i] = nearest(x + i * c, table, rows, c);
}

const tw_op tw_op_nearest_row = {
    .name = "nearest_row",
    .summary = "the nearest row of a table",
    .infer = infer,
    .plan = plan,
    .run = run,
};
