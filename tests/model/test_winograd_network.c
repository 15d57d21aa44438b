/* slow */
/* The published CIFAR-10 network with Winograd's convolutions against the same with direct ones:
 * outputs and gradients of all parameters differ by less than 1e-4 of their size. In bf16 both err
 * alike. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tweedie/memory.h"
#include "tweedie/model.h"

enum { N = 4 };

/* Uniform in ±1, a function of (which, i). */
static float noise(uint64_t which, int64_t i)
{
    uint64_t z = (which << 40) + (uint64_t)i + 1;
    z = (z ^ z >> 31) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 29) * 0xbf58476d1ce4e5b9u;
    z ^= z >> 32;
    return (float)(z >> 8 & 0xffffff) / 8388608.0f - 1;
}

static void must(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

static tw_model *make(void)
{
    static char text[][48] = {"network.kind=unet",    "network.base=128",
                              "network.mult=1,2,2,2", "network.blocks=2",
                              "network.attention=16", "network.attention_placement=ho",
                              "process.kind=ddpm"};
    char *args[7];
    tw_config *c = NULL;
    tw_model *m = NULL;
    for (int i = 0; i < 7; i++) args[i] = text[i];
    must(tw_config_create(&c));
    must(tw_config_override(c, 7, args));
    must(tw_model_configure(&m, c));
    must(tw_config_finish(c));
    must(tw_model_create(m, TW_SHAPE(32, 32, 3), 1));
    must(tw_params_use_gradient(m->params, NULL));
    tw_config_destroy(&c);
    return m;
}

/* Weights of the variance that keeps activations at theirs, none of them zero. */
static void fill(tw_model *m)
{
    float *plain = NULL;
    must(tw_alloc(&plain, m->params->size, sizeof *plain, "a parameter"));
    for (int k = 0; k < m->params->view_count; k++) {
        const tw_param_view *v = &m->params->views[k];
        const int64_t n = tw_shape_count(v->shape);
        const size_t length = strlen(v->name);
        const float scale =
            v->shape.rank > 1 ? sqrtf(3.0f * (float)v->shape.dims[0] / (float)n) : 0.1f;
        const bool norm =
            v->shape.rank == 1 && length > 6 && strcmp(v->name + length - 6, "weight") == 0;
        for (int64_t i = 0; i < n; i++)
            plain[i] = (norm ? 1 : 0) + scale * noise((uint64_t)k + 3, i);
        tw_params_from_plain(v, plain, m->params->value);
    }
    tw_free(&plain);
}

/* Outputs, then the gradients of all parameters. */
static float *compute(tw_model *m, tw_precision precision, tw_convolution convolution,
                      int64_t *outputs, int64_t *all)
{
    tw_graph *g = NULL;
    tw_plan *p = NULL;
    tw_model_inputs in;
    const tw_plan_options options = {.precision = precision, .convolution = convolution};
    const tw_plan_run run = {0};
    must(tw_graph_create(&g));
    tw_value *y = tw_model_build(g, m, N, NULL).net;
    must(tw_graph_status(g));
    tw_value *loss =
        tw_sum_to(g, tw_mul(g, y, tw_input(g, "seed", TW_F32, y->shape)), (tw_shape){0});
    tw_graph_output(g, "y", y);
    tw_graph_gradient_of_params(g, loss);
    must(tw_plan_create(&p, g, m->params, &options));
    *outputs = tw_shape_count(y->shape);
    *all = *outputs + m->params->trainable;
    tw_model_inputs_find(&in, p);
    for (int64_t i = 0; i < *outputs; i++) {
        in.x[i] = 1.7f * noise(1, i);
        ((float *)tw_plan_input(p, "seed"))[i] = noise(2, i);
    }
    for (int64_t i = 0; i < N; i++) in.t[i] = (float)(100 + 250 * i);
    tw_plan_refresh(p);
    tw_plan_execute(p, &run);
    float *result = malloc((size_t)*all * sizeof *result);
    memcpy(result, tw_plan_output(p, "y"), (size_t)*outputs * sizeof *result);
    memcpy(result + *outputs, m->params->gradient, (size_t)m->params->trainable * sizeof *result);
    tw_plan_destroy(&p);
    tw_graph_destroy(&g);
    return result;
}

/* The root mean square of a - b over that of b. */
static double difference(const float *a, const float *b, int64_t n)
{
    double error = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return size > 0 ? sqrt(error / size) : error > 0 ? INFINITY : 0;
}

static void cifar10_network_with_winograd_is_that_with_direct_convolutions(void **state)
{
    (void)state;
    tw_model *m = make();
    int64_t outputs, all;
    double worst = 0;
    const char *where = "";
    fill(m);
    float *direct = compute(m, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT, &outputs, &all),
          *winograd = compute(m, TW_PRECISION_F32, TW_CONVOLUTION_AUTO, &outputs, &all);
    const double of_outputs = difference(winograd, direct, outputs),
                 of_gradients = difference(winograd + outputs, direct + outputs, all - outputs);
    for (int k = 0; k < m->params->view_count; k++) {
        const tw_param_view *v = &m->params->views[k];
        if (!v->trainable) continue;
        const double d = difference(winograd + outputs + v->offset, direct + outputs + v->offset,
                                    tw_shape_count(v->shape));
        if (d > worst) {
            worst = d;
            where = v->name;
        }
    }
    print_message("outputs %.2g, gradients %.2g, worst of a parameter %.2g (%s)\n", of_outputs,
                  of_gradients, worst, where);
    assert_true(of_outputs > 0 && of_outputs < 1e-4);
    assert_true(of_gradients > 0 && of_gradients < 1e-4);
    free(direct);
    free(winograd);
    tw_model_destroy(&m);
}

/* Errors of bf16 networks, of f32's size. */
static void cifar10_network_in_bf16_errs_with_winograd_as_with_direct_convolutions(void **state)
{
    (void)state;
    static const tw_convolution ways[] = {TW_CONVOLUTION_DIRECT, TW_CONVOLUTION_AUTO};
    tw_model *m = make();
    int64_t outputs, all;
    double of_outputs[2], of_gradients[2];
    fill(m);
    float *exact = compute(m, TW_PRECISION_F32, TW_CONVOLUTION_DIRECT, &outputs, &all);
    for (int k = 0; k < 2; k++) {
        float *halves = compute(m, TW_PRECISION_BF16, ways[k], &outputs, &all);
        of_outputs[k] = difference(halves, exact, outputs);
        of_gradients[k] = difference(halves + outputs, exact + outputs, all - outputs);
        free(halves);
    }
    print_message("outputs %.2g and %.2g, gradients %.2g and %.2g\n", of_outputs[0], of_outputs[1],
                  of_gradients[0], of_gradients[1]);
    assert_true(of_outputs[1] < 1.25 * of_outputs[0]);
    assert_true(of_gradients[1] < 1.25 * of_gradients[0]);
    free(exact);
    tw_model_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cifar10_network_in_bf16_errs_with_winograd_as_with_direct_convolutions),
        cmocka_unit_test(cifar10_network_with_winograd_is_that_with_direct_convolutions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
