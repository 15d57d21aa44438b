/* Elementwise operations, broadcasting and sums against naive loops in double. */
#include "ops/ops.h"
#include "ops/reference.h"

static const tw_run plain_run = {.seed = 1};

/* Every broadcast that has a loop of its own, at sizes that no vector divides, with one channel,
 * one image and more than one job. */
static const struct {
    tw_shape a, b;
} broadcasts[] = {
    {{4, {2, 3, 5, 7}}, {4, {2, 3, 5, 7}}},
    {{4, {3, 5, 3, 19}}, {4, {3, 1, 1, 19}}},
    {{4, {3, 37, 33, 5}}, {1, {5}}},
    {{4, {2, 61, 67, 1}}, {1, {1}}},
    {{4, {2, 130, 131, 3}}, {4, {2, 1, 1, 3}}},
    {{4, {2, 131, 130, 3}}, {4, {2, 1, 1, 1}}},
    {{2, {1, 40001}}, {0, {0}}},
    {{2, {3, 40001}}, {2, {1, 40001}}},
    {{4, {2, 3, 2, 5}}, {4, {2, 3, 2, 1}}},
    {{5, {2, 3, 4, 3, 2}}, {5, {2, 1, 4, 1, 2}}},
    {{5, {2, 3, 4, 3, 2}}, {3, {4, 1, 2}}},
    {{4, {1, 1, 1, 1}}, {4, {1, 1, 1, 1}}},
    {{0, {0}}, {0, {0}}},
    {{4, {7, 2, 129, 64}}, {4, {7, 2, 1, 64}}},
    {{3, {2, 40001, 2}}, {3, {2, 40001, 1}}},
};
enum { BROADCASTS = sizeof broadcasts / sizeof *broadcasts };

static void naive_binary(const tw_node *n, double *const *in, double *out)
{
    for (int64_t j = 0; j < tw_shape_count(n->out[0].shape); j++) {
        const double a = in[0][j], b = in[1][repeated_index(n->out[0].shape, n->in[1]->shape, j)];
        out[j] = n->op->name[0] == 'a' ? a + b : n->op->name[0] == 's' ? a - b : a * b;
    }
}

static void add_sub_and_mul_repeat_the_second_operand(void **state)
{
    (void)state;
    static tw_value *(*const build[])(tw_graph *, tw_value *, tw_value *) = {tw_add, tw_sub,
                                                                             tw_mul};
    for (int i = 0; i < BROADCASTS; i++)
        for (int types = 0; types < 4; types++)
            for (int o = 0; o < 3; o++) {
                tw_graph *g = new_graph();
                tw_value *a = tw_input(g, "a", types & 1 ? TW_F32 : TW_ACT, broadcasts[i].a);
                tw_value *b = tw_input(g, "b", types & 2 ? TW_F32 : TW_ACT, broadcasts[i].b);
                agrees(build[o](g, a, b), naive_binary, 1, 1, &plain_run);
                tw_graph_destroy(&g);
            }
}

static void naive_broadcast(const tw_node *n, double *const *in, double *out)
{
    for (int64_t j = 0; j < tw_shape_count(n->out[0].shape); j++)
        out[j] = in[0][repeated_index(n->out[0].shape, n->in[0]->shape, j)];
}

static void broadcast_repeats(void **state)
{
    (void)state;
    for (int i = 0; i < BROADCASTS; i++)
        for (int types = 0; types < 4; types++) {
            tw_graph *g = new_graph();
            tw_value *x = tw_input(g, "x", types & 1 ? TW_F32 : TW_ACT, broadcasts[i].b);
            tw_value *y = tw_broadcast_as(g, x, broadcasts[i].a, types & 2 ? TW_F32 : TW_ACT);
            if (y != x && y->node->op->name[0] == 'b') agrees(y, naive_broadcast, 1, 0, &plain_run);
            tw_graph_destroy(&g);
        }
}

static void naive_sum(const tw_node *n, double *const *in, double *out)
{
    for (int64_t k = 0; k < tw_shape_count(n->out[0].shape); k++) out[k] = 0;
    for (int64_t j = 0; j < tw_shape_count(n->in[0]->shape); j++)
        out[repeated_index(n->in[0]->shape, n->out[0].shape, j)] += in[0][j];
}

/* f32 sums of up to 256 terms err by a few last places of what they have reached, and these errors
 * add up like a random walk. */
static void sums_are_those_of_double(void **state)
{
    (void)state;
    for (int i = 0; i < BROADCASTS; i++)
        for (int types = 0; types < 4; types++) {
            tw_graph *g = new_graph();
            tw_value *x = tw_input(g, "x", types & 1 ? TW_F32 : TW_ACT, broadcasts[i].a);
            tw_value *y = tw_sum_to_as(g, x, broadcasts[i].b, types & 2 ? TW_F32 : TW_ACT);
            if (y != x && y->node->op->name[0] == 's')
                agrees(y, naive_sum, 1, 16 + 4 * sqrt((double)tw_shape_count(x->shape)),
                       &plain_run);
            tw_graph_destroy(&g);
        }
}

/* Adding 0.1 four million times in plain f32 errs by over a percent. */
static void long_sums_do_not_drift(void **state)
{
    (void)state;
    tw_graph *g = new_graph();
    single s;
    const int64_t n = 1 << 22;
    float *x = malloc((size_t)n * sizeof *x), y;
    for (int64_t j = 0; j < n; j++) x[j] = 0.1f;
    single_create(&s, tw_sum_to(g, tw_input(g, "x", TW_F32, TW_SHAPE(n)), (tw_shape){.rank = 0}),
                  TW_DTYPE_F32, 0);
    single_set(&s, 0, x);
    single_run(&s, &plain_run);
    single_get(&s, 0, &y);
    assert_true(fabs((double)y / ((double)n * (double)0.1f) - 1) < 1e-5);
    single_destroy(&s);
    tw_graph_destroy(&g);
    free(x);
}

static void naive_affine(const tw_node *n, double *const *in, double *out)
{
    for (int64_t j = 0; j < tw_shape_count(n->out[0].shape); j++)
        out[j] = n->attr.f[0] * in[0][j] + n->attr.f[1];
}

static void naive_copy(const tw_node *n, double *const *in, double *out)
{
    memcpy(out, in[0], (size_t)tw_shape_count(n->out[0].shape) * sizeof *out);
}

static void affine_and_cast_are_elementwise(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 19, 16384, 40001};
    for (int i = 0; i < 4; i++)
        for (int type = TW_ACT; type <= TW_F32; type++) {
            tw_graph *g = new_graph();
            tw_value *x = tw_input(g, "x", (tw_type)type, TW_SHAPE(sizes[i]));
            agrees(tw_affine(g, x, -1.5, 0.25), naive_affine, 1, 1, &plain_run);
            agrees(tw_affine(g, x, 0, 3), naive_affine, 1, 0, &plain_run);
            agrees(tw_cast(g, x, type == TW_ACT ? TW_F32 : TW_ACT), naive_copy, 1, 0, &plain_run);
            tw_graph_destroy(&g);
        }
}

static double sigmoid(double x, int order)
{
    const double s = 1 / (1 + exp(-x)), s1 = s * (1 - s);
    return order == 0 ? s : order == 1 ? s1 : order == 2 ? s1 * (1 - 2 * s) : s1 * (1 - 6 * s1);
}

/* Derivatives as in the textbooks; the loops use forms without cancellation. */
static double activation(double x, tw_activation_kind kind, int order)
{
    const double t = tanh(x), t1 = 1 - t * t;
    switch (kind) {
    case TW_SILU:
        return x * sigmoid(x, order) + (order ? order * sigmoid(x, order - 1) : 0);
    case TW_RELU:
        return x > 0 ? (order == 0 ? x : order == 1) : 0;
    case TW_LEAKY_RELU:
        return (order == 0 ? x : order == 1) * (x > 0 ? 1 : 0.2);
    case TW_ELU:
        return x > 0 ? (order == 0 ? x : order == 1) : order == 0 ? expm1(x) : exp(x);
    case TW_SOFTPLUS:
        return order ? sigmoid(x, order - 1) : log1p(exp(-fabs(x))) + (x > 0 ? x : 0);
    case TW_TANH:
        return order == 0   ? t
               : order == 1 ? t1
               : order == 2 ? -2 * t * t1
                            : -2 * t1 * (1 - 3 * t * t);
    default:
        return sigmoid(x, order);
    }
}

static void naive_activation(const tw_node *n, double *const *in, double *out)
{
    const int order = n->nin == 1 ? 0 : (int)n->attr.i[1];
    for (int64_t j = 0; j < tw_shape_count(n->out[0].shape); j++)
        out[j] =
            activation(in[0][j], (tw_activation_kind)n->attr.i[0], order) * (order ? in[1][j] : 1);
}

static void activations_and_their_derivatives_are_those_of_libm(void **state)
{
    (void)state;
    static const float gains[] = {1e-3f, 1, 8, 200};
    for (int kind = 0; kind < TW_ACTIVATION_COUNT; kind++)
        for (int order = 0; order <= 3; order++)
            for (int i = 0; i < 4; i++) {
                tw_graph *g = new_graph();
                tw_value *x = tw_input(g, "x", TW_ACT, TW_SHAPE(5, i == 1 ? 4001 : 19)),
                         *gy = tw_input(g, "gy", TW_ACT, x->shape);
                tw_value *y = order ? tw_activation_grad(g, x, gy, (tw_activation_kind)kind, order)
                                    : tw_activation(g, x, (tw_activation_kind)kind);
                agrees(y, naive_activation, gains[i], order ? 4 * (double)gains[i] + 4 : 4,
                       &plain_run);
                tw_graph_destroy(&g);
            }
}

/* Relative accuracy where the absolute one says little: tails and the neighbourhood of 0. */
static void activations_keep_their_relative_accuracy(void **state)
{
    (void)state;
    static const struct {
        tw_activation_kind kind;
        float x;
    } cases[] = {{TW_SILU, -60},   {TW_SIGMOID, -60}, {TW_SOFTPLUS, -60}, {TW_ELU, -1e-5f},
                 {TW_TANH, 1e-5f}, {TW_ELU, -0.339f}, {TW_TANH, 0.624f}};
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        tw_graph *g = new_graph();
        single s;
        float y;
        single_create(&s, tw_activation(g, tw_input(g, "x", TW_F32, TW_SHAPE(1)), cases[i].kind),
                      TW_DTYPE_F32, 0);
        single_set(&s, 0, &cases[i].x);
        single_run(&s, &plain_run);
        single_get(&s, 0, &y);
        const double want = activation((double)cases[i].x, cases[i].kind, 0);
        if (!(fabs((double)y - want) <= 5e-7 * fabs(want)))
            fail_msg("kind %d at %g: %.9g, wanted %.9g", (int)cases[i].kind, (double)cases[i].x,
                     (double)y, want);
        single_destroy(&s);
        tw_graph_destroy(&g);
    }
}

static void nan_stays_nan(void **state)
{
    (void)state;
    const float x[3] = {1, NAN, -1};
    for (int kind = 0; kind < TW_ACTIVATION_COUNT; kind++)
        for (int act = TW_DTYPE_F32; act <= TW_DTYPE_BF16; act++) {
            tw_graph *g = new_graph();
            single s;
            float y[3];
            single_create(
                &s,
                tw_activation(g, tw_input(g, "x", TW_ACT, TW_SHAPE(3)), (tw_activation_kind)kind),
                (tw_dtype)act, 0);
            single_set(&s, 0, x);
            single_run(&s, &plain_run);
            single_get(&s, 0, y);
            assert_true(!isnan(y[0]) && isnan(y[1]) && !isnan(y[2]));
            single_destroy(&s);
            tw_graph_destroy(&g);
        }
}

/* Output in the memory of an input, where the op says that it may be. */
static void working_in_place_changes_nothing(void **state)
{
    (void)state;
    for (int k = 0; k < tw_op_count; k++)
        for (int variant = 0;; variant++) {
            tw_graph *g = new_graph();
            tw_value *v = tw_op_table[k]->example ? tw_op_table[k]->example(g, variant) : NULL;
            if (!v) {
                tw_graph_destroy(&g);
                break;
            }
            const tw_node *n = v->node;
            for (int i = 0; i < n->nin; i++) {
                single s;
                if (n->op->alias || !(n->op->in_place >> i & 1u) || !n->in[i] ||
                    !tw_shape_equal(n->in[i]->shape, n->out[0].shape))
                    continue;
                single_create(&s, v, TW_DTYPE_BF16, 0);
                const tw_run training = {.seed = 3, .training = true};
                const size_t bytes = single_bytes(&s, &n->out[0]);
                void *own = s.task.out[0], *kept = malloc(bytes);
                fill_inputs(&s, 1);
                single_run(&s, &training);
                memcpy(kept, own, bytes);
                s.task.out[0] = s.task.in[i];
                n->op->run(&s.task, &training);
                if (memcmp(kept, s.task.in[i], bytes) != 0)
                    fail_msg("%s, variant %d, in place of input %d", n->op->name, variant, i);
                s.task.out[0] = own;
                free(kept);
                single_destroy(&s);
            }
            tw_graph_destroy(&g);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_sub_and_mul_repeat_the_second_operand),
        cmocka_unit_test(broadcast_repeats),
        cmocka_unit_test(sums_are_those_of_double),
        cmocka_unit_test(long_sums_do_not_drift),
        cmocka_unit_test(affine_and_cast_are_elementwise),
        cmocka_unit_test(activations_and_their_derivatives_are_those_of_libm),
        cmocka_unit_test(activations_keep_their_relative_accuracy),
        cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(working_in_place_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
