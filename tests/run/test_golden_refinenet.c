/* NCSN's and NCSNv2's networks, filled by the rule, against numbers that the published code gave in
 * double; their parameters' number, names and order; and how their weights begin. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tweedie/fingerprint.h"
#include "tweedie/processor.h"
#include "tweedie/setup.h"

typedef struct golden {
    const char *config;
    double gradients; /* how far these may be off, relative */
    int64_t elements; /* of the output */
    tw_fingerprint f;
} golden;

/* Sums in the orders of AVX2 and SSE4.1 move the gradient of the second network by 3.4e-5. */
static const double gradients_of_lesser = 1e-4;

/* Moving the input by 10^-7, a last place, moves the norms of the gradients of the last network by
 * 10^-4: where two numbers of a window of max pooling are nearly the same, the gradient jumps, and
 * four max poolings and a factor of 1 / 0.01 follow each other. The first network has none. */
static const golden goldens[] = {
    {"ncsn_small_mnist",
     5e-6,
     2 * 28 * 28,
     {
         .params = 127233,
         .first8 = {0.380736189141, 0.770165864643, 0.689874129365, 0.683303702411, 0.936531906524,
                    1.20071659638, 1.35888999683, 1.45358180903},
         .sum = 61.4724402602,
         .sumsq = 3309.42450188,
         .loss = -59.6843942561,
         .input_grad_sumsq = 4852.00196944,
         .param_grad_norm = 1785.38800445,
     }},
    {"ncsnv2_small",
     1e-5,
     2 * 16 * 16 * 3,
     {
         .params = 117323,
         .first8 = {-0.088799725561, -0.412842033841, -0.164468667037, 0.057590758325,
                    0.153214586084, 0.17811804314, 0.20491234591, 0.250462652034},
         .sum = 5908.23131023,
         .sumsq = 47769940.3998,
         .loss = 200.295482592,
         .input_grad_sumsq = 50.7074825376,
         .param_grad_norm = 53165.4439128,
     }},
    {"ncsnv2_deepest_small",
     3e-4,
     2 * 32 * 32 * 3,
     {
         .params = 370011,
         .first8 = {0.602174333713, 0.991283225859, 1.1463770098, 0.954840651549, 0.660621951649,
                    0.474649293496, 0.403694083671, 0.332422447391},
         .sum = 26412.2419057,
         .sumsq = 130564795.001,
         .loss = 2249.87349207,
         .input_grad_sumsq = 137647.388631,
         .param_grad_norm = 1040522.4123,
     }},
};

static void close_to(const golden *g, const char *what, double met, double wanted, double allowed)
{
    if (!(fabs(met - wanted) <= allowed))
        fail_msg("%s: %s: %.12g met, %.12g wanted, off by %.2g", g->config, what, met, wanted,
                 met - wanted);
}

static void open_golden(tw_setup *setup, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/%s.ini", getenv("TWEEDIE_SOURCE_DIR"), name);
    if (tw_setup_open(setup, NULL, path, 0, NULL) != TW_OK) fail_msg("%s", tw_error_message());
}

static tw_fingerprint measure(const char *name, const tw_plan_options *options)
{
    const tw_fingerprint_inputs inputs = {.n = 2, .times = (const double[]){1, 3}};
    tw_setup setup = {0};
    tw_fingerprint f;
    open_golden(&setup, name);
    if (tw_fingerprint_measure(&f, setup.model, &inputs, options) != TW_OK)
        fail_msg("%s: %s", name, tw_error_message());
    tw_setup_close(&setup);
    return f;
}

/* Sums that cancel are held against the size of what they add up. */
static void agrees(const golden *g, const tw_fingerprint *f, double outputs, double gradients)
{
    const double size = sqrt(g->f.sumsq / (double)g->elements);
    assert_int_equal(f->params, g->f.params);
    for (int i = 0; i < 8; i++)
        close_to(g, "an output", f->first8[i], g->f.first8[i], outputs * size);
    close_to(g, "sum", f->sum, g->f.sum, outputs * sqrt(g->f.sumsq));
    close_to(g, "sum of squares", f->sumsq, g->f.sumsq, outputs * g->f.sumsq);
    close_to(g, "loss", f->loss, g->f.loss, outputs * sqrt(g->f.sumsq));
    close_to(g, "squares of the input's gradient", f->input_grad_sumsq, g->f.input_grad_sumsq,
             gradients * g->f.input_grad_sumsq);
    close_to(g, "norm of the parameters' gradient", f->param_grad_norm, g->f.param_grad_norm,
             gradients * g->f.param_grad_norm);
}

static void networks_agree_with_the_published_code(void **state)
{
    (void)state;
    if (!getenv("TWEEDIE_SOURCE_DIR")) skip();
    for (int i = 0; i < 3; i++)
        for (int no_fusion = 0; no_fusion < 2; no_fusion++) {
            const tw_fingerprint f =
                measure(goldens[i].config,
                        &(tw_plan_options){.precision = TW_PRECISION_F32, .no_fusion = no_fusion});
            const bool lesser = i == 1 && tw_isa_get() != TW_ISA_AVX512;
            agrees(&goldens[i], &f, 5e-6, lesser ? gradients_of_lesser : goldens[i].gradients);
        }
}

/* A rounding to bf16 is 2^15 times one to f32. The gradient of NCSNv2's input is what is left of
 * numbers thousands of times as large, and has no digits left. */
static void networks_agree_in_bf16_to_its_rounding(void **state)
{
    (void)state;
    if (!getenv("TWEEDIE_SOURCE_DIR")) skip();
    for (int i = 0; i < 2; i++) {
        tw_fingerprint f =
            measure(goldens[i].config, &(tw_plan_options){.precision = TW_PRECISION_BF16});
        if (i > 0) f.input_grad_sumsq = goldens[i].f.input_grad_sumsq;
        agrees(&goldens[i], &f, 0.1, 0.15);
    }
}

/* ---- full sizes ---- */

/* The list of a configuration's published parameters; nothing is allocated for the parameters. */
static void list(tw_reference_names *names, int count, const char *const *assignments,
                 tw_shape sample)
{
    tw_config *c = NULL;
    tw_model *m = NULL;
    char text[8][64], *args[8];
    tw_status st = TW_OK;
    for (int i = 0; i < count; i++) {
        snprintf(text[i], sizeof text[i], "%s", assignments[i]);
        args[i] = text[i];
    }
    TW_TRY(tw_config_create(&c));
    TW_TRY(tw_config_override(c, count, args));
    TW_TRY(tw_model_configure(&m, c));
    TW_TRY(tw_config_finish(c));
    TW_TRY(tw_process_prepare(m->process));
    m->sample = sample;
    TW_TRY(tw_model_reference_names(names, m));
done:
    if (st != TW_OK) fail_msg("%s", tw_error_message());
    tw_model_destroy(&m);
    tw_config_destroy(&c);
}

static int64_t elements(const tw_reference_names *names)
{
    int64_t n = 0;
    for (int i = 0; i < names->count; i++) n += tw_shape_count(names->items[i].shape);
    return n;
}

static void parameter_counts_are_the_published_ones(void **state)
{
    (void)state;
    static const struct {
        const char *variant, *base;
        int64_t side, channels, params;
        int tensors; /* the buffer of noise levels not counted; 0: nobody has published it */
    } cases[] = {
        {"network.variant=ncsn", "network.base=64", 28, 1, 7638657, 173},
        {"network.variant=ncsn", "network.base=128", 32, 3, 30117635, 173},
        {"network.variant=ncsnv2", "network.base=128", 64, 3, 29694083, 153},
        {"network.variant=ncsnv2_deeper", "network.base=128", 128, 3, 83445379, 0},
        {"network.variant=ncsnv2_deepest", "network.base=128", 256, 3, 94132611, 0},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        tw_reference_names names = {0};
        const char *const config[] = {"network.kind=refinenet", cases[i].variant, cases[i].base,
                                      "process.kind=ladder", "prediction.kind=score"};
        list(&names, 5, config, TW_SHAPE(cases[i].side, cases[i].side, cases[i].channels));
        assert_int_equal(elements(&names), cases[i].params);
        if (cases[i].tensors) assert_int_equal(names.count, cases[i].tensors);
        tw_reference_names_free(&names);
    }
}

static void names_come_in_the_published_order(void **state)
{
    (void)state;
    static const char *const first[][12] = {
        {"begin_conv.weight", "begin_conv.bias", "normalizer.embed.weight", "end_conv.weight",
         "end_conv.bias", "res1.0.conv1.weight", "res1.0.conv1.bias",
         "res1.0.normalize2.embed.weight", "res1.0.conv2.weight", "res1.0.conv2.bias",
         "res1.0.normalize1.embed.weight", "res1.1.conv1.weight"},
        {"begin_conv.weight", "begin_conv.bias", "normalizer.alpha", "normalizer.gamma",
         "normalizer.beta", "end_conv.weight", "end_conv.bias", "res1.0.conv1.weight",
         "res1.0.conv1.bias", "res1.0.normalize2.alpha", "res1.0.normalize2.gamma",
         "res1.0.normalize2.beta"}};
    static const char *const last[] = {"refine4.crp.norms.1.embed.weight",
                                       "refine4.crp.convs.1.weight"};
    for (int i = 0; i < 2; i++) {
        tw_reference_names names = {0};
        const char *const config[] = {"network.kind=refinenet",
                                      i ? "network.variant=ncsnv2" : "network.variant=ncsn",
                                      "process.kind=ladder", "prediction.kind=score"};
        list(&names, 4, config, TW_SHAPE(32, 32, 3));
        for (int k = 0; k < 12; k++) assert_string_equal(names.items[k].name, first[i][k]);
        assert_string_equal(names.items[names.count - 1].name, last[i]);
        tw_reference_names_free(&names);
    }
}

/* res31 has a number between 3 and 4, and its block of the way up is registered there too, though
 * it is used before refine3. */
static void deepest_registers_its_extra_stage_after_the_third(void **state)
{
    (void)state;
    tw_reference_names names = {0};
    const char *seen[4] = {0};
    static const char *const stages[4] = {"refine2.", "refine3.", "refine31.", "refine4."};
    const char *const config[] = {"network.kind=refinenet", "network.variant=ncsnv2_deepest",
                                  "prediction.kind=score"};
    int n = 0;
    list(&names, 3, config, TW_SHAPE(256, 256, 3));
    for (int i = 0; i < names.count && n < 4; i++)
        if (strncmp(names.items[i].name, stages[n], strlen(stages[n])) == 0)
            seen[n++] = names.items[i].name;
    assert_int_equal(n, 4);
    assert_non_null(seen[3]);
    tw_reference_names_free(&names);
}

/* ---- how weights begin ---- */

/* U(±b): mean 0, deviation b / √3, nothing beyond b and something near it. */
static void is_uniform(const tw_params *p, const char *name, double bound)
{
    const tw_param_view *v = tw_params_find(p, name);
    double sum = 0, square = 0, most = 0;
    assert_non_null(v);
    for (int64_t i = 0; i < v->count; i++) {
        const double x = (double)p->value[v->offset + i];
        sum += x;
        square += x * x;
        most = fmax(most, fabs(x));
    }
    const double n = (double)v->count, error = bound / sqrt(3 * n);
    assert_true(most <= bound * (1 + 1e-6) && most > bound * (1 - 20 / n));
    assert_true(fabs(sum / n) < 4 * error);
    assert_true(fabs(sqrt(3 * square / n) / bound - 1) < 4 / sqrt(n));
}

static void weights_begin_as_pytorch_begins_them(void **state)
{
    (void)state;
    tw_setup setup = {0};
    if (!getenv("TWEEDIE_SOURCE_DIR")) skip();
    open_golden(&setup, "ncsnv2_deepest_small");
    const tw_params *p = setup.model->params;
    is_uniform(p, "res1.0.conv1.weight", 1 / sqrt(9 * 8));
    is_uniform(p, "res5.1.conv2.weight", 1 / sqrt(9 * 32));
    is_uniform(p, "res5.1.conv2.bias", 1 / sqrt(9 * 32));
    is_uniform(p, "res2.0.shortcut.weight", 1 / sqrt(8));
    is_uniform(p, "end_conv.weight", 1 / sqrt(9 * 8)); /* no zeros at the end */
    tw_setup_close(&setup);
}

static void scales_begin_near_one_and_shifts_at_zero(void **state)
{
    (void)state;
    static const char *const configs[] = {"ncsn_small_mnist", "ncsnv2_small"};
    if (!getenv("TWEEDIE_SOURCE_DIR")) skip();
    for (int i = 0; i < 2; i++) {
        tw_setup setup = {0};
        double sum = 0, square = 0, n = 0;
        open_golden(&setup, configs[i]);
        const tw_params *p = setup.model->params;
        for (int k = 0; k < p->view_count; k++) {
            const tw_param_view *v = &p->views[k];
            if (!strstr(v->name, ".scales")) continue;
            const int64_t row = i ? v->count : v->shape.dims[1]; /* γ, α, β */
            for (int64_t j = 0; j < v->count; j++) {
                const double x = (double)p->value[v->offset + j];
                if (j % row >= 2 * row / 3) {
                    assert_true(x == 0);
                    continue;
                }
                sum += x - 1;
                square += (x - 1) * (x - 1);
                n++;
            }
        }
        assert_true(n > 100);
        assert_true(fabs(sum / n) < 4 * 0.02 / sqrt(n));
        assert_true(fabs(sqrt(square / n) / 0.02 - 1) < 4 / sqrt(2 * n));
        tw_setup_close(&setup);
    }
}

/* ---- what cannot be built ---- */

static void what_cannot_be_built_is_refused_by_its_key(void **state)
{
    (void)state;
    static const struct {
        const char *assignments[2], *word;
        tw_shape sample;
    } cases[] = {
        {{"network.variant=ncsnv2", "process.kind=ladder"}, "multiples of 2", {3, {15, 16, 1}}},
        {{"network.variant=ncsnv2_deepest", "process.kind=ladder"}, "of 8", {3, {36, 32, 1}}},
        {{"network.variant=ncsnv2", "process.kind=ladder"}, "wants images", {1, {2}}},
        {{"network.variant=ncsn", "process.kind=ve"}, "continuous", {3, {16, 16, 1}}},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        tw_config *c = NULL;
        tw_model *m = NULL;
        char text[4][64] = {"network.kind=refinenet", "network.base=4"};
        char *args[4] = {text[0], text[1], text[2], text[3]};
        for (int k = 0; k < 2; k++)
            snprintf(text[2 + k], sizeof text[2], "%s", cases[i].assignments[k]);
        assert_int_equal(tw_config_create(&c), TW_OK);
        assert_int_equal(tw_config_override(c, 4, args), TW_OK);
        assert_int_equal(tw_model_configure(&m, c), TW_OK);
        assert_int_equal(tw_config_finish(c), TW_OK);
        assert_int_equal(tw_model_create(m, cases[i].sample, 1), TW_ECONFIG);
        if (!strstr(tw_error_message(), "network.") || !strstr(tw_error_message(), cases[i].word))
            fail_msg("case %d: %s", i, tw_error_message());
        tw_model_destroy(&m);
        tw_config_destroy(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_agree_with_the_published_code),
        cmocka_unit_test(networks_agree_in_bf16_to_its_rounding),
        cmocka_unit_test(parameter_counts_are_the_published_ones),
        cmocka_unit_test(names_come_in_the_published_order),
        cmocka_unit_test(deepest_registers_its_extra_stage_after_the_third),
        cmocka_unit_test(weights_begin_as_pytorch_begins_them),
        cmocka_unit_test(scales_begin_near_one_and_shifts_at_zero),
        cmocka_unit_test(what_cannot_be_built_is_refused_by_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
