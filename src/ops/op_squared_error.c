/* weight[n] · Σ (a - b)² / D of each sample, f32 [N]; D = elements of a sample. Inputs a, b, weight
 * [N] f32 (or none).
 *
 * Pieces of a sample, cut by shape alone, are added in f32 lanes and then, in their order, in
 * double. The gradient, 2 gout[n] weight[n] (a - b) / D, is built of primitives: it has the size of
 * the data, not of an activation. */
#include "ops/kern_sum.h"
#include "ops/task.h"

extern const tw_op tw_op_squared_error;

tw_value *tw_squared_error(tw_graph *g, tw_value *a, tw_value *b, tw_value *weight)
{
    return tw_emit_optional(g, &tw_op_squared_error, (tw_value *[]){a, b, weight}, 3, 1u << 2,
                            NULL);
}

static tw_status infer(tw_node *n)
{
    tw_status st = TW_OK;
    const tw_value *a = n->in[0], *b = n->in[1], *weight = n->in[2];
    TW_TRY(tw_infer_plain(n));
    if (a->shape.rank < 1 || !tw_shape_equal(a->shape, b->shape))
        return tw_op_shape_error(n, "the two have different shapes, or none");
    if (weight && (weight->type != TW_F32 || weight->shape.rank != 1 ||
                   weight->shape.dims[0] != a->shape.dims[0]))
        return tw_op_shape_error(n, "wanted an f32 weight for each sample");
    tw_set_output(n, 0, TW_F32, TW_SHAPE(a->shape.dims[0]));
done:
    return st;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    tw_value *a = n->in[0], *b = n->in[1], *weight = n->in[2];
    tw_shape each = {.rank = a->shape.rank, .dims = {a->shape.dims[0], 1, 1, 1, 1}};
    tw_value *factor = weight && (want[0] || want[1]) ? tw_mul(g, gout[0], weight) : gout[0];
    factor = tw_reshape(g, tw_affine(g, factor, 2.0 / (double)tw_sample_count(a->shape), 0), each);
    if (want[0]) gin[0] = tw_mul(g, tw_sub(g, a, b), factor);
    if (want[1]) gin[1] = tw_mul(g, tw_sub(g, b, a), factor);
    if (want[2]) gin[2] = tw_mul(g, gout[0], tw_squared_error(g, a, b, NULL));
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    const tw_shape shape = t->node->in[0]->shape;
    const tw_cut cut = tw_cut_of(tw_sample_count(shape), 1);
    t->scratch_bytes = (size_t)(shape.dims[0] * cut.jobs) * sizeof(double);
    return tw_task_plan_c(t, 3.0 * (double)tw_shape_count(shape));
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_shape shape = t->node->in[0]->shape;
    const tw_dtype ta = tw_task_in_dtype(t, 0), tb = tw_task_in_dtype(t, 1);
    const int64_t n = tw_sample_count(shape);
    const tw_cut cut = tw_cut_of(n, 1);
    tw_sum_squares *squares = TW_KERNEL_SELECT(tw_kern_sum)->squares[ta][tb];
    const float *weight = t->in[2];
    float *out = t->out[0];
    double *part = t->scratch;
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < shape.dims[0] * cut.jobs; j++) {
        const int64_t at = j / cut.jobs * n + tw_cut_first(&cut, j % cut.jobs);
        part[j] = squares(tw_at_const(t->in[0], at, ta), tw_at_const(t->in[1], at, tb),
                          tw_cut_count(&cut, j % cut.jobs));
    }
    for (int64_t i = 0; i < shape.dims[0]; i++) {
        double total = 0;
        for (int64_t k = 0; k < cut.jobs; k++) total += part[i * cut.jobs + k];
        out[i] = (float)((weight ? (double)weight[i] : 1.0) * total / (double)n);
    }
}

static tw_value *example(tw_graph *g, int variant)
{
    const tw_shape shape = variant == 2 ? TW_SHAPE(1, 1)
                           : variant    ? TW_SHAPE(3, 19)
                                        : TW_SHAPE(2, 3, 5, 3);
    if (variant > 3) return NULL;
    tw_value *a = tw_input(g, "a", variant == 3 ? TW_F32 : TW_ACT, shape),
             *b = tw_input(g, "b", variant ? TW_F32 : TW_ACT, shape);
    return tw_squared_error(
        g, a, b, variant % 2 ? tw_input(g, "weight", TW_F32, TW_SHAPE(shape.dims[0])) : NULL);
}

const tw_op tw_op_squared_error = {
    .name = "squared_error",
    .summary = "mean squared difference of each sample",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
    .twice = true,
};
