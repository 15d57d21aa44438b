/* Cross-entropy of logits z f32 [N, K] and labels i32 [N], f32 [N], times a weight [N] (or none):
 *
 *   y[n] = weight[n] (log Σ_k e^z_k − z_label) = −weight[n] log softmax(z)[label],
 *
 * in double, the largest z taken out. A label outside of 0 … K − 1 has z_label = 0. The gradient,
 * gout weight (softmax(z) − one hot), is built of primitives: logits are small. */
#include <math.h>

#include "ops/task.h"

extern const tw_op tw_op_cross_entropy;

enum { LOGITS, LABEL, WEIGHT };

tw_value *tw_cross_entropy(tw_graph *g, tw_value *logits, tw_value *label, tw_value *weight)
{
    return tw_emit_optional(g, &tw_op_cross_entropy, (tw_value *[]){logits, label, weight}, 3,
                            1u << WEIGHT, NULL);
}

static tw_status infer(tw_node *n)
{
    const tw_value *z = n->in[LOGITS], *label = n->in[LABEL], *weight = n->in[WEIGHT];
    if (z->type != TW_F32 || z->shape.rank != 2)
        return tw_op_shape_error(n, "wanted f32 logits [N, K]");
    if (label->type != TW_I32 || !tw_shape_equal(label->shape, TW_SHAPE(z->shape.dims[0])))
        return tw_op_shape_error(n, "wanted an integer label for each row of logits");
    if (weight && (weight->type != TW_F32 || !tw_shape_equal(weight->shape, label->shape)))
        return tw_op_shape_error(n, "wanted an f32 weight for each row of logits");
    tw_set_output(n, 0, TW_F32, TW_SHAPE(z->shape.dims[0]));
    return TW_OK;
}

static tw_status gradient(tw_graph *g, const tw_node *n, tw_value *const *gout, const bool *want,
                          tw_value **gin)
{
    tw_value *z = n->in[LOGITS], *label = n->in[LABEL], *weight = n->in[WEIGHT];
    const int64_t rows = z->shape.dims[0];
    if (want[LOGITS]) {
        tw_value *factor = weight ? tw_mul(g, gout[0], weight) : gout[0];
        tw_value *hot = tw_one_hot(g, label, z->shape.dims[1]);
        gin[LOGITS] = tw_mul(g, tw_sub(g, tw_softmax(g, z, 1), hot),
                             tw_reshape(g, factor, TW_SHAPE(rows, 1)));
    }
    if (weight && want[WEIGHT])
        gin[WEIGHT] = tw_mul(g, gout[0], tw_cross_entropy(g, z, label, NULL));
    return TW_OK;
}

static tw_status plan(tw_task *t)
{
    return tw_task_plan_c(t, 20.0 * (double)tw_shape_count(t->node->in[LOGITS]->shape));
}

static double one(const float *z, int64_t classes, int32_t label)
{
    double top = -INFINITY, sum = 0;
    for (int64_t k = 0; k < classes; k++) top = (double)z[k] > top ? (double)z[k] : top;
    for (int64_t k = 0; k < classes; k++) sum += exp((double)z[k] - top);
    return top + log(sum) - (label >= 0 && label < classes ? (double)z[label] : 0);
}

static void run(const tw_task *t, const tw_run *r)
{
    (void)r;
    const tw_shape shape = t->node->in[LOGITS]->shape;
    const float *z = t->in[LOGITS], *weight = t->in[WEIGHT];
    const int32_t *label = t->in[LABEL];
    float *y = t->out[0];
    for (int64_t i = 0; i < shape.dims[0]; i++)
        y[i] = (float)((weight ? (double)weight[i] : 1.0) *
                       one(z + i * shape.dims[1], shape.dims[1], label[i]));
}

static tw_value *example(tw_graph *g, int variant)
{
    if (variant > 2) return NULL;
    const int64_t classes = variant == 2 ? 1 : 4;
    return tw_cross_entropy(g, tw_input(g, "z", TW_F32, TW_SHAPE(5, classes)),
                            tw_input(g, "label", TW_I32, TW_SHAPE(5)),
                            variant ? tw_input(g, "weight", TW_F32, TW_SHAPE(5)) : NULL);
}

const tw_op tw_op_cross_entropy = {
    .name = "cross_entropy",
    .summary = "cross-entropy of logits and labels",
    .infer = infer,
    .gradient = gradient,
    .plan = plan,
    .run = run,
    .example = example,
    .twice = true,
};
