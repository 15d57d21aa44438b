/* The gradient of every operation is its slope, and the gradient of its gradient too where the
 * operation says so: over all examples of all operations in the table, so a new operation is tested
 * by being there.
 *
 * L(x) = Σ r y(x) with random r is summed in double from the outputs of an f32 plan. Along a
 * direction d of ±1 the slope is (8 (L(h) - L(-h)) - (L(2h) - L(-2h))) / 12 h with an error of h⁴
 * L⁗′ / 30, and of about 10^-7 |y| |r| / h from rounding; h = 1/32. It is held against ⟨gradient,
 * d⟩ within 2·10^-3 of the gradient's norm, where one wrong element among n is off by about 1 / √n.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "ops/kernel.h"
#include "tweedie/plan.h"

enum { LEAVES_MAX = 12, DIRECTIONS = 3 };

static const tw_plan_run run = {.seed = 5, .step = 3, .position = 11, .training = true};

/* ±[0.15, 1.15]: no closer to the kinks of ReLU and ELU than any step comes. */
static float noise(int which, int64_t j)
{
    uint64_t z = ((uint64_t)which << 40) + (uint64_t)j + 1;
    z = (z ^ z >> 31) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 29) * 0xbf58476d1ce4e5b9u;
    z ^= z >> 32;
    const float size = 0.15f + (float)(z >> 8 & 0xffffff) / 16777216.0f;
    return z & 1 ? size : -size;
}

typedef struct leaf {
    tw_value *value;
    int64_t count;
    float *data, *x; /* in the plan or store; what it holds when nothing is moved */
} leaf;

/* A value y of a graph, its gradients, and the plan that computes both. */
typedef struct slopes {
    tw_graph *g;
    tw_value *y, *seed;
    leaf leaves[LEAVES_MAX];
    int count;
    tw_value *gradient[LEAVES_MAX];
    tw_params *params;
    tw_plan *plan;
    float *r;
    const char *label;
} slopes;

static void collect_leaves(slopes *s)
{
    s->count = 0;
    for (tw_leaf *l = s->g->leaves; l; l = l->next) {
        if (l->value.type == TW_I32 || &l->value == s->seed) continue;
        assert_true(s->count < LEAVES_MAX);
        s->leaves[s->count++] = (leaf){.value = &l->value, .count = tw_shape_count(l->value.shape)};
    }
}

/* Outputs are nodes of their own: a gradient may be an input itself. */
static void name_output(tw_graph *g, const char *name, tw_value *v)
{
    tw_graph_output(g, name, tw_cast(g, tw_affine(g, v, 1, 0), TW_F32));
}

static void add_gradients(slopes *s)
{
    tw_value *wrt[LEAVES_MAX];
    char name[32];
    s->seed = tw_input(s->g, "seed of the test", s->y->type, s->y->shape);
    s->seed->layout = s->y->layout;
    collect_leaves(s);
    for (int i = 0; i < s->count; i++) wrt[i] = s->leaves[i].value;
    tw_graph_gradient(s->g, s->y, s->seed, wrt, s->count, s->gradient);
    name_output(s->g, "y", s->y);
    for (int i = 0; i < s->count; i++) {
        snprintf(name, sizeof name, "gradient %d", i);
        if (s->gradient[i]) name_output(s->g, name, s->gradient[i]);
    }
    if (tw_graph_status(s->g) != TW_OK) fail_msg("%s: %s", s->label, tw_error_message());
}

static void store(float *to, const tw_value *v, const float *x, int64_t n, bool half)
{
    if (half && v->type == TW_ACT)
        for (int64_t j = 0; j < n; j++) ((tw_bf16 *)(void *)to)[j] = tw_to_bf16(x[j]);
    else
        memcpy(to, x, (size_t)n * sizeof *x);
}

static void make_plan(slopes *s, tw_precision precision, bool fusion)
{
    const tw_plan_options options = {.precision = precision, .no_fusion = !fusion, .poison = true};
    const bool half = precision == TW_PRECISION_BF16;
    if (tw_params_create(&s->params, s->g) != TW_OK ||
        tw_plan_create(&s->plan, s->g, s->params, &options) != TW_OK)
        fail_msg("%s: %s", s->label, tw_error_message());
    for (int i = 0; i < s->count; i++) {
        leaf *l = &s->leaves[i];
        const bool input = l->value->role == TW_ROLE_INPUT;
        l->data = input ? tw_plan_input(s->plan, l->value->name)
                        : s->params->value + tw_params_find(s->params, l->value->name)->offset;
        l->x = malloc((size_t)l->count * sizeof *l->x);
        for (int64_t j = 0; j < l->count; j++) l->x[j] = noise(i, j);
        store(l->data, l->value, l->x, l->count, half);
    }
    for (const tw_leaf *l = s->g->leaves; l; l = l->next)
        if (l->value.type == TW_I32)
            for (int64_t j = 0; j < tw_shape_count(l->value.shape); j++)
                ((int32_t *)tw_plan_input(s->plan, l->name))[j] = (int32_t)((j * 7 + 2) % 5) - 1;
    const int64_t n = tw_shape_count(s->y->shape);
    s->r = malloc((size_t)n * sizeof *s->r);
    for (int64_t j = 0; j < n; j++) s->r[j] = noise(100, j);
    store(tw_plan_input(s->plan, "seed of the test"), s->seed, s->r, n, half);
    tw_plan_refresh(s->plan);
}

static void destroy_plan(slopes *s)
{
    for (int i = 0; i < s->count; i++) free(s->leaves[i].x);
    free(s->r);
    tw_plan_destroy(&s->plan);
    tw_params_destroy(&s->params);
}

/* L with leaf i moved by h d. */
static double moved(slopes *s, const leaf *l, int direction, float h)
{
    double sum = 0;
    for (int64_t j = 0; j < l->count; j++)
        l->data[j] = l->x[j] + (noise(200 + direction, j) > 0 ? h : -h);
    tw_plan_refresh(s->plan);
    tw_plan_execute(s->plan, &run);
    const float *y = tw_plan_output(s->plan, "y");
    for (int64_t j = 0; j < tw_shape_count(s->y->shape); j++) sum += (double)y[j] * (double)s->r[j];
    memcpy(l->data, l->x, (size_t)l->count * sizeof *l->x);
    tw_plan_refresh(s->plan);
    return sum;
}

static float *copy_gradient(slopes *s, int i)
{
    char name[32];
    snprintf(name, sizeof name, "gradient %d", i);
    const size_t bytes = (size_t)s->leaves[i].count * sizeof(float);
    float *copy = calloc(1, bytes);
    if (s->gradient[i]) memcpy(copy, tw_plan_output(s->plan, name), bytes);
    return copy;
}

static void check_leaf(slopes *s, int i)
{
    const leaf *l = &s->leaves[i];
    const float h = 1.0f / 32;
    tw_plan_execute(s->plan, &run);
    float *gradient = copy_gradient(s, i);
    double norm = 0;
    for (int64_t j = 0; j < l->count; j++) norm += (double)gradient[j] * (double)gradient[j];
    for (int d = 0; d < DIRECTIONS; d++) {
        double want = 0;
        for (int64_t j = 0; j < l->count; j++)
            want += noise(200 + d, j) > 0 ? (double)gradient[j] : -(double)gradient[j];
        const double near = moved(s, l, d, h) - moved(s, l, d, -h),
                     far = moved(s, l, d, 2 * h) - moved(s, l, d, -2 * h);
        const double slope = (8 * near - far) / (12 * (double)h);
        if (!(fabs(slope - want) <= 2e-3 * sqrt(norm) + 3e-4))
            fail_msg("%s: slope along %s %d is %.6g, gradient says %.6g (norm %.3g)", s->label,
                     l->value->name, d, slope, want, sqrt(norm));
    }
    free(gradient);
}

static void check(tw_graph *g, tw_value *y, const char *label, bool fusion)
{
    slopes s = {.g = g, .y = y, .label = label};
    add_gradients(&s);
    make_plan(&s, TW_PRECISION_F32, fusion);
    for (int i = 0; i < s.count; i++) check_leaf(&s, i);
    destroy_plan(&s);
}

/* The example of an op in a graph of its own, or NULL where there is no such variant. */
static tw_value *example(const tw_op *op, int variant, tw_graph **g)
{
    tw_value *y = NULL;
    *g = NULL;
    if (!op->example) return NULL;
    assert_int_equal(tw_graph_create(g), TW_OK);
    y = op->example(*g, variant);
    if (tw_graph_status(*g) != TW_OK)
        fail_msg("example %d of %s: %s", variant, op->name, tw_error_message());
    if (!y) tw_graph_destroy(g);
    return y;
}

static void gradients_are_slopes(void **state)
{
    (void)state;
    for (int k = 0; k < tw_op_count; k++)
        for (int variant = 0, more = tw_op_table[k]->gradient != NULL; more; variant++)
            for (int fusion = 0; fusion < 2; fusion++) {
                tw_graph *g;
                char label[96];
                tw_value *y = example(tw_op_table[k], variant, &g);
                more = y != NULL;
                snprintf(label, sizeof label, "%s, example %d%s", tw_op_table[k]->name, variant,
                         fusion ? ", fused" : "");
                if (y) check(g, y, label, fusion);
                tw_graph_destroy(&g);
                if (!y) break;
            }
}

/* The i-th gradient of an example that is not just an input; NULL where there are fewer. */
static tw_value *first_gradient(const tw_op *op, int variant, int i, tw_graph **g)
{
    slopes s = {0};
    tw_value *wrt[LEAVES_MAX];
    s.y = example(op, variant, g);
    s.g = *g;
    if (!s.y) return NULL;
    s.seed = tw_input(s.g, "seed", s.y->type, s.y->shape);
    s.seed->layout = s.y->layout;
    collect_leaves(&s);
    for (int k = 0; k < s.count; k++) wrt[k] = s.leaves[k].value;
    tw_graph_gradient(s.g, s.y, s.seed, wrt, s.count, s.gradient);
    for (int k = 0; k < s.count; k++)
        if (s.gradient[k] && s.gradient[k]->role == TW_ROLE_NODE && i-- == 0) return s.gradient[k];
    tw_graph_destroy(g);
    return NULL;
}

static void gradients_of_gradients_are_slopes_of_gradients(void **state)
{
    (void)state;
    for (int k = 0; k < tw_op_count; k++) {
        if (!tw_op_table[k]->twice) continue;
        for (int variant = 0;; variant++) {
            tw_graph *g;
            const bool more = example(tw_op_table[k], variant, &g) != NULL;
            tw_graph_destroy(&g);
            if (!more) break;
            for (int i = 0;; i++) {
                char label[96];
                tw_value *y = first_gradient(tw_op_table[k], variant, i, &g);
                if (!y) break;
                snprintf(label, sizeof label, "gradient %d of %s, example %d", i,
                         tw_op_table[k]->name, variant);
                check(g, y, label, false);
                tw_graph_destroy(&g);
            }
        }
    }
}

/* 2^-8 for each rounding; a gradient meets a few, and some are sums with cancellation. */
static void gradients_in_bf16_are_those_of_f32_to_its_rounding(void **state)
{
    (void)state;
    for (int k = 0; k < tw_op_count; k++) {
        if (!tw_op_table[k]->gradient) continue;
        for (int variant = 0;; variant++) {
            float *g[2][LEAVES_MAX] = {{0}};
            slopes s = {.label = tw_op_table[k]->name};
            s.y = example(tw_op_table[k], variant, &s.g);
            if (!s.y) break;
            add_gradients(&s);
            for (int half = 0; half < 2; half++) {
                make_plan(&s, half ? TW_PRECISION_BF16 : TW_PRECISION_F32, true);
                tw_plan_execute(s.plan, &run);
                for (int i = 0; i < s.count; i++) g[half][i] = copy_gradient(&s, i);
                destroy_plan(&s);
            }
            for (int i = 0; i < s.count; i++) {
                double difference = 0, norm = 0;
                for (int64_t j = 0; j < s.leaves[i].count; j++) {
                    difference += pow((double)g[0][i][j] - (double)g[1][i][j], 2);
                    norm += pow((double)g[0][i][j], 2);
                }
                if (!(sqrt(difference) <= 0.03 * sqrt(norm) + 1e-3))
                    fail_msg("%s, example %d: gradient %d in bf16 is off by %.3g of %.3g", s.label,
                             variant, i, sqrt(difference), sqrt(norm));
                free(g[0][i]);
                free(g[1][i]);
            }
            tw_graph_destroy(&s.g);
        }
    }
}

static void operations_without_a_derivative_say_so_by_name(void **state)
{
    (void)state;
    for (int k = 0; k < tw_op_count; k++) {
        tw_graph *g;
        tw_value *y = tw_op_table[k]->gradient ? NULL : example(tw_op_table[k], 0, &g), *gradient;
        if (!y) continue;
        for (int i = 0; i < y->node->nin; i++)
            if (y->node->in[i] && y->node->in[i]->type != TW_I32) {
                tw_graph_gradient(g, y, NULL, &y->node->in[i], 1, &gradient);
                break;
            }
        assert_int_equal(tw_graph_status(g), TW_EUNSUPPORTED);
        assert_non_null(strstr(tw_error_message(), tw_op_table[k]->name));
        tw_graph_destroy(&g);
    }
}

/* So that none escapes this file. Gradients without a derivative are walked by the examples of the
 * operations that they belong to. */
static void every_operation_with_a_derivative_has_an_example_that_ends_in_it(void **state)
{
    (void)state;
    for (int k = 0; k < tw_op_count; k++) {
        tw_graph *g;
        tw_value *y = example(tw_op_table[k], 0, &g);
        if (!y && tw_op_table[k]->gradient) fail_msg("%s has no example", tw_op_table[k]->name);
        if (y && y->node->op != tw_op_table[k])
            fail_msg("the example of %s ends in %s", tw_op_table[k]->name, y->node->op->name);
        tw_graph_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_with_a_derivative_has_an_example_that_ends_in_it),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(gradients_of_gradients_are_slopes_of_gradients),
        cmocka_unit_test(gradients_in_bf16_are_those_of_f32_to_its_rounding),
        cmocka_unit_test(operations_without_a_derivative_say_so_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
