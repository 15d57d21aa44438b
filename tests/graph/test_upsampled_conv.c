/* Convolutions of upsampled images, for which Winograd's leave out products: what they give is what
 * direct convolutions of the same graph, unfused, give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/each_isa.h"
#include "tweedie/plan.h"

typedef struct problem {
    int64_t n, h, w, in, out;
    bool upsampled_before; /* by hand, so that the plan does not know */
} problem;

typedef struct results {
    float *y, *gx, *gradients;
    int64_t y_count, x_count, params;
} results;

static void fill(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)sin(0.7 * (double)i * (1 + 1e-4 * (double)i));
}

/* x, and where it is to be the upsampled image, that. */
static void fill_image(float *x, const problem *k)
{
    float *small = calloc((size_t)(k->n * k->h * k->w * k->in), sizeof *small);
    fill(small, k->n * k->h * k->w * k->in);
    const int64_t f = k->upsampled_before ? 2 : 1;
    for (int64_t r = 0; r < k->n * k->h * f; r++)
        for (int64_t c = 0; c < k->w * f; c++)
            memcpy(x + (r * k->w * f + c) * k->in, small + (r / f * k->w + c / f) * k->in,
                   (size_t)k->in * sizeof *x);
    free(small);
}

static float *copy_of(const float *x, int64_t n)
{
    float *y = calloc((size_t)n, sizeof *y);
    memcpy(y, x, (size_t)n * sizeof *y);
    return y;
}

static results compute(const problem *k, tw_precision precision, tw_convolution convolution,
                       bool no_fusion)
{
    const tw_plan_options options = {
        .precision = precision, .convolution = convolution, .no_fusion = no_fusion};
    const tw_plan_run run = {.training = true};
    const tw_conv_geometry same = tw_conv_square(1, 1, 1);
    const int64_t f = k->upsampled_before ? 2 : 1;
    tw_graph *g = NULL;
    tw_params *params = NULL;
    tw_plan *plan = NULL;
    assert_int_equal(tw_graph_create(&g), TW_OK);
    tw_value *x = tw_input(g, "x", TW_F32, TW_SHAPE(k->n, f * k->h, f * k->w, k->in)),
             *a = tw_cast(g, x, TW_ACT),
             *w = tw_param(g, "w", TW_SHAPE(k->out, k->in, 3, 3), tw_init_ones),
             *b = tw_param(g, "b", TW_SHAPE(k->out), tw_init_ones),
             *y = tw_cast(g, tw_conv(g, f == 1 ? tw_upsample_nearest(g, a, 2) : a, w, b, &same),
                          TW_F32),
             *gx = NULL;
    tw_value *loss =
        tw_sum_to(g, tw_mul(g, y, tw_input(g, "seed", TW_F32, y->shape)), (tw_shape){0});
    tw_graph_output(g, "y", y);
    tw_graph_gradient(g, loss, NULL, &x, 1, &gx);
    tw_graph_output(g, "gx", gx);
    tw_graph_gradient_of_params(g, loss);
    assert_int_equal(tw_graph_status(g), TW_OK);
    assert_int_equal(tw_params_create(&params, g), TW_OK);
    assert_int_equal(tw_params_use_gradient(params, NULL), TW_OK);
    results r = {.y_count = tw_shape_count(y->shape), .x_count = tw_shape_count(x->shape)};
    r.params = k->out * k->in * 9 + k->out;
    fill(params->value, r.params);
    assert_int_equal(tw_plan_create(&plan, g, params, &options), TW_OK);
    fill_image(tw_plan_input(plan, "x"), k);
    fill(tw_plan_input(plan, "seed"), r.y_count);
    tw_plan_refresh(plan);
    tw_plan_execute(plan, &run);
    r.y = copy_of(tw_plan_output(plan, "y"), r.y_count);
    r.gx = copy_of(tw_plan_output(plan, "gx"), r.x_count);
    r.gradients = copy_of(params->gradient, r.params);
    tw_plan_destroy(&plan);
    tw_params_destroy(&params);
    tw_graph_destroy(&g);
    return r;
}

static void forget(results *r)
{
    free(r->y);
    free(r->gx);
    free(r->gradients);
}

static void assert_near(const float *a, const float *b, int64_t n, double tolerance)
{
    double error = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    assert_true(error <= tolerance * tolerance * size);
}

static void compare_at(const problem *k, tw_precision precision, double tolerance)
{
    problem by_hand = *k;
    by_hand.upsampled_before = true;
    results direct = compute(k, precision, TW_CONVOLUTION_DIRECT, true),
            ours = compute(k, precision, TW_CONVOLUTION_WINOGRAD, false),
            unaware = compute(&by_hand, precision, TW_CONVOLUTION_WINOGRAD, false);
    assert_near(ours.y, direct.y, ours.y_count, tolerance);
    assert_near(ours.gx, direct.gx, ours.x_count, tolerance);
    assert_near(ours.gradients, direct.gradients, ours.params, tolerance);
    assert_memory_equal(ours.y, unaware.y, (size_t)ours.y_count * sizeof(float));
    assert_memory_equal(ours.gradients, unaware.gradients, (size_t)ours.params * sizeof(float));
    forget(&direct);
    forget(&ours);
    forget(&unaware);
}

/* F(2 × 2) at 2 x 2 and 6 x 2 pixels, F(4 × 4) else; channels that no vector divides. bf16 rounds
 * results and the gradients of upsampled pixels by 2^-9 each. */
static void *compare(void *arg)
{
    static const problem problems[] = {{1, 1, 1, 1, 1, false},    {2, 3, 1, 17, 19, false},
                                       {3, 3, 5, 17, 33, false},  {2, 7, 7, 40, 24, false},
                                       {20, 8, 4, 33, 65, false}, {1, 5, 2, 1, 3, false}};
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        compare_at(&problems[i], TW_PRECISION_F32, 2e-5);
        compare_at(&problems[i], TW_PRECISION_BF16, 0x1p-7);
    }
    return arg;
}

static void products_left_out_change_nothing_but_the_rounding_of_pooled_gradients(void **state)
{
    (void)state;
    on_each_isa(compare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_left_out_change_nothing_but_the_rounding_of_pooled_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
