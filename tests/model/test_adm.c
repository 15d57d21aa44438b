/* improved-diffusion, ADM and its classifier: numbers that the published code gave in double,
 * parameter counts, and that every part of a configuration is built and differentiated. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/model_fixture.h"
#include "tweedie/fingerprint.h"
#include "tweedie/plan.h"

#define ADM "[network]\nkind = adm\n"
#define CLASSIFIER "[network]\nkind = adm_classifier\n"
#define LEARNED "[prediction]\nvariance = learned_range\n[process]\nkind = ddpm\n"

/* improved-diffusion: 32 channels, mult (1, 2), 1 block, attention at a factor of 2, 4 heads in the
 * legacy order, scale-shift, 5 classes, learned variance; t = 100, 700, classes 1, 4. The published
 * attention computes its softmax in f32. */
static const tw_fingerprint golden = {
    .params = 757670,
    .first8 = {0.103537730755, -0.440264669557, -0.879175095491, -1.02304117818, -0.972922964757,
               -0.922883505972, -0.887287223133, -0.842598309137},
    .sum = 235.02598659,
    .sumsq = 2636.16350645,
    .loss = 21.8316219389,
    .input_grad_sumsq = 8133.94196868,
    .param_grad_norm = 5700.42667003,
};

static tw_model *create(tw_config **config, const char *text, tw_shape sample)
{
    tw_model *m = NULL;
    ok(tw_config_create(config));
    ok(tw_config_parse(*config, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&m, *config));
    ok(tw_config_finish(*config));
    ok(tw_model_create(m, sample, 1));
    return m;
}

static void near(const char *what, double met, double wanted, double allowed)
{
    if (!(fabs(met - wanted) <= allowed))
        fail_msg("%s: %.12g met, %.12g wanted, off by %.2g", what, met, wanted, met - wanted);
}

static void sums_agree(const tw_fingerprint *f, double relative)
{
    near("sum", f->sum, golden.sum, relative * golden.sum);
    near("sum of squares", f->sumsq, golden.sumsq, relative * golden.sumsq);
    near("loss", f->loss, golden.loss, relative * golden.loss);
    near("squares of the input's gradient", f->input_grad_sumsq, golden.input_grad_sumsq,
         relative * golden.input_grad_sumsq);
    near("norm of the parameters' gradient", f->param_grad_norm, golden.param_grad_norm,
         relative * golden.param_grad_norm);
}

static tw_fingerprint measure(const tw_plan_options *options)
{
    tw_config *c = NULL;
    tw_fingerprint f;
    tw_model *m = create(&c,
                         ADM "base = 32\nmult = 1, 2\nblocks = 1\nattention_downsample = 2\n"
                             "heads = 4\nclasses = 5\n" LEARNED,
                         TW_SHAPE(16, 16, 3));
    const tw_fingerprint_inputs inputs = {
        .n = 2, .times = (const double[]){100, 700}, .labels = (const int64_t[]){1, 4}};
    ok(tw_fingerprint_measure(&f, m, &inputs, options));
    assert_int_equal(f.params, golden.params);
    destroy_model(&m, &c);
    return f;
}

static void improved_diffusion_small_agrees_with_the_published_code(void **state)
{
    (void)state;
    for (int unfused = 0; unfused < 2; unfused++) {
        const tw_fingerprint f =
            measure(&(tw_plan_options){.precision = TW_PRECISION_F32, .no_fusion = unfused});
        for (int i = 0; i < 8; i++)
            near("an output", f.first8[i], golden.first8[i], 1e-5 * fabs(golden.first8[i]));
        sums_agree(&f, 5e-6);
    }
}

/* As the DDPM's in test_golden.c. */
static void improved_diffusion_small_agrees_in_bf16_to_its_rounding(void **state)
{
    (void)state;
    const tw_fingerprint f = measure(&(tw_plan_options){.precision = TW_PRECISION_BF16});
    const double size = sqrt(golden.sumsq / (2 * 16 * 16 * 6));
    for (int i = 0; i < 8; i++) near("an output", f.first8[i], golden.first8[i], 0.1 * size);
    sums_agree(&f, 3.6e-2);
}

/* ---- counts ---- */

static tw_model *configure(tw_config **config, const char *text)
{
    tw_model *m = NULL;
    ok(tw_config_create(config));
    ok(tw_config_parse(*config, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&m, *config));
    ok(tw_config_finish(*config));
    return m;
}

static int64_t count_parameters(const tw_reference_names *names)
{
    int64_t n = 0;
    for (int i = 0; i < names->count; i++) n += tw_shape_count(names->items[i].shape);
    return n;
}

static void parameter_counts_are_the_published_ones(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t side, count;
    } cases[] = {
        {ADM "blocks = 3\nattention_downsample = 2, 4\nheads = 4\n" LEARNED, 32, 52546438},
        {ADM "blocks = 2\nattention_downsample = 2\nheads = 1\nscale_shift = no\n", 32, 35746307},
        {ADM "mult = 1, 2, 3, 4\nblocks = 3\nattention_downsample = 4, 8\n" LEARNED, 64, 121063942},
        {ADM "base = 192\nmult = 1, 2, 3, 4\nblocks = 3\nattention_downsample = 4, 8\n"
             "classes = 1000\n" LEARNED,
         64, 273049350},
        {ADM "mult = 1, 1, 2, 2, 4, 4\nblocks = 2\nattention_downsample = 16\nheads = 1\n"
             "scale_shift = no\n" LEARNED,
         256, 113676678},
        {ADM "base = 192\nmult = 1, 2, 3, 4\nblocks = 3\nattention_downsample = 2, 4, 8\n"
             "head_channels = 64\nresblock_updown = yes\nclasses = 1000\n" LEARNED,
         64, 295904454},
        {ADM "base = 256\nmult = 1, 1, 2, 2, 4, 4\nblocks = 2\nattention_downsample = 8, 16, 32\n"
             "head_channels = 64\nresblock_updown = yes\n" LEARNED,
         256, 552814086}, /* the paper says 552 million */
        /* diffusers' example train_unconditional, which is Ho's of 256 x 256 in size */
        {"[network]\nkind = diffusers_unet\n", 64, 113673219},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_config *c = NULL;
        tw_graph *g = NULL;
        tw_reference_names names = {0};
        tw_model *m = configure(&c, cases[i].text);
        m->sample = TW_SHAPE(cases[i].side, cases[i].side, 3);
        ok(m->net->check(m->network.config, m->sample));
        ok(tw_graph_create(&g));
        tw_model_build(g, m, 1, &names); /* no store: the largest would have 1.2 GB */
        ok(tw_graph_status(g));
        if (count_parameters(&names) != cases[i].count)
            fail_msg("case %zu: %lld parameters, %lld published", i,
                     (long long)count_parameters(&names), (long long)cases[i].count);
        tw_reference_names_free(&names);
        tw_graph_destroy(&g);
        destroy_model(&m, &c);
    }
}

/* ---- the classifier ---- */

/* The classifier's graph for n images, its published names where asked. */
static tw_value *classify(tw_graph *g, const tw_model *m, tw_shape sample, int64_t n,
                          int64_t logits, tw_reference_names *names)
{
    tw_shape x = {.rank = sample.rank + 1, .dims = {n}};
    memcpy(x.dims + 1, sample.dims, (size_t)sample.rank * sizeof *x.dims);
    const tw_net_inputs in = {.x = tw_input(g, "x", TW_F32, x),
                              .t = tw_input(g, "t", TW_F32, TW_SHAPE(n)),
                              .sample = sample,
                              .outputs = logits,
                              .reference_names = names};
    return m->net->build(g, m->network.config, &in);
}

static void the_published_classifier_has_65438568_parameters(void **state)
{
    (void)state;
    tw_config *c = NULL;
    tw_graph *g = NULL;
    tw_reference_names names = {0};
    tw_model *m = configure(&c, CLASSIFIER "mult = 1, 2, 3, 4\nblocks = 4\n"
                                           "attention_downsample = 2, 4, 8\nhead_channels = 64\n"
                                           "resblock_updown = yes\n");
    ok(m->net->check(m->network.config, TW_SHAPE(64, 64, 3)));
    ok(tw_graph_create(&g));
    const tw_value *y = classify(g, m, TW_SHAPE(64, 64, 3), 2, 1000, &names);
    ok(tw_graph_status(g));
    assert_true(tw_shape_equal(y->shape, TW_SHAPE(2, 1000)));
    assert_int_equal(count_parameters(&names), 65438568);
    tw_reference_names_free(&names);
    tw_graph_destroy(&g);
    destroy_model(&m, &c);
}

/* Logits of two images in seven classes, and the squares of the input's gradient:
 * tests/golden/unet_reference.py, in double. */
static const struct {
    const char *pool;
    double squares;
    double logits[14];
} poolings[] = {
    {"adaptive",
     0.000604871759,
     {0.0938277475637, 0.00660629896955, -0.077251131817, -0.058866308832, -0.140221648318,
      0.0123080362912, -0.0217148947175, 0.08189951412, 0.0472059837732, -0.139829657642,
      0.0153753698278, -0.213888192039, 0.0732559647845, -0.0598973138187}},
    {"attention",
     4.32902968e-05,
     {0.194654832964, -0.383399951448, 0.27923501439, -0.146332865745, 0.1925647531, 0.121157166031,
      -0.116104430164, 0.169512895537, -0.359788728066, 0.261046671175, -0.136565640108,
      0.192828712596, 0.110905533514, -0.0975550437014}},
    {"spatial",
     3.87461473e-06,
     {-0.623795649584, -1.03376243308, -0.387933834567, 0.685654769064, 1.11816847934,
      0.453488891253, -0.690428694131, -0.627419622953, -1.03471055319, -0.38527997844,
      0.68931831685, 1.11926316819, 0.450945429959, -0.694125854576}},
    {"spatial_v2",
     5.55959951,
     {-0.280206032004, -5.65613729302, -5.502838073, -0.00357647959514, 5.450183354, 5.53446661521,
      0.191712048298, -1.62799302773, -13.2045838994, -11.8786275814, 1.02115728757, 12.8744812589,
      12.1062803032, -0.508300922689}},
};

enum { IMAGES = 2, PIXELS = 8 * 8 * 3, LOGITS = 7 };

typedef struct classifier {
    tw_config *config;
    tw_model *m;
    tw_params *params;
    tw_plan *plan;
} classifier;

/* The rule of tweedie/fingerprint.h. */
static void fill_by_rule(tw_params *params, const tw_reference_names *names)
{
    for (int k = 0; k < names->count; k++) {
        const tw_published *e = &names->items[k];
        const tw_param_view *view = tw_params_find(params, e->param);
        const int64_t count = tw_shape_count(e->shape), d = e->shape.dims[1];
        const bool scale = strcmp(e->name + strlen(e->name) - 6, "weight") == 0;
        uint32_t h = 2166136261u;
        float *plain = calloc((size_t)count, sizeof *plain);
        for (const char *c = e->name; *c; c++) h = (h ^ (unsigned char)*c) * 16777619u;
        for (int64_t i = 0; i < count; i++) {
            const double s = sin(2 * M_PI * (h % 1000) / 1000 + 0.7 * (double)i);
            const int64_t at = e->transposed ? i % d * e->shape.dims[0] + i / d : i;
            plain[at] =
                (float)(e->shape.rank > 1 ? s / sqrt((double)count / (double)e->shape.dims[0])
                                          : scale + 0.1 * s);
        }
        assert_int_equal(count, view->count);
        tw_params_from_plain(view, plain, params->value);
        free(plain);
    }
}

/* A small classifier filled by the fingerprint's rule, with the gradient of its image. */
static void open_classifier(classifier *f, const char *pool)
{
    char text[512];
    tw_graph *g = NULL;
    tw_reference_names names = {0};
    const tw_shape sample = TW_SHAPE(8, 8, 3);
    snprintf(text, sizeof text,
             CLASSIFIER "base = 16\ngroups = 8\nmult = 1, 2\nblocks = 1\n"
                        "attention_downsample = 2\nhead_channels = 8\n"
                        "resblock_updown = yes\npool = %s\n",
             pool);
    f->m = configure(&f->config, text);
    ok(f->m->net->check(f->m->network.config, sample));
    assert_true(f->m->net->logits);
    ok(tw_graph_create(&g));
    tw_value *y = classify(g, f->m, sample, IMAGES, LOGITS, &names), *gx = NULL,
             *x = tw_graph_input(g, "x");
    ok(tw_graph_status(g));
    tw_graph_gradient(g, y, tw_input(g, "seed", TW_F32, TW_SHAPE(IMAGES, LOGITS)), &x, 1, &gx);
    tw_graph_output(g, "y", y);
    tw_graph_output(g, "gx", gx);
    ok(tw_params_create(&f->params, g));
    fill_by_rule(f->params, &names);
    ok(tw_plan_create(&f->plan, g, f->params, &(tw_plan_options){.precision = TW_PRECISION_F32}));
    tw_plan_refresh(f->plan);
    tw_reference_names_free(&names);
    tw_graph_destroy(&g);
}

static void close_classifier(classifier *f)
{
    tw_plan_destroy(&f->plan);
    tw_params_destroy(&f->params);
    destroy_model(&f->m, &f->config);
}

static void every_pooling_agrees_with_a_reference_in_double(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        classifier f = {0};
        open_classifier(&f, poolings[k].pool);
        float *x = tw_plan_input(f.plan, "x"), *t = tw_plan_input(f.plan, "t"),
              *seed = tw_plan_input(f.plan, "seed");
        for (int i = 0; i < IMAGES * PIXELS; i++) { /* the rule counts channels first */
            const int channel = i % 3, pixel = i / 3 % 64, image = i / PIXELS;
            x[i] = (float)sin(0.3 + 0.11 * (image * PIXELS + channel * 64 + pixel));
        }
        for (int i = 0; i < IMAGES * LOGITS; i++) seed[i] = (float)sin(1 + 0.23 * i);
        t[0] = 100;
        t[1] = 700;
        tw_plan_execute(f.plan, &(tw_plan_run){0});
        double largest = 0, squares = 0;
        const float *y = tw_plan_output(f.plan, "y"), *gx = tw_plan_output(f.plan, "gx");
        for (int i = 0; i < IMAGES * LOGITS; i++)
            largest = fmax(largest, fabs(poolings[k].logits[i]));
        for (int i = 0; i < IMAGES * LOGITS; i++)
            near(poolings[k].pool, (double)y[i], poolings[k].logits[i], 1e-5 * largest);
        for (int i = 0; i < IMAGES * PIXELS; i++) squares += (double)gx[i] * (double)gx[i];
        near(poolings[k].pool, squares, poolings[k].squares, 1e-5 * poolings[k].squares);
        close_classifier(&f);
    }
}

/* ---- configurations ---- */

static void what_cannot_be_built_is_refused_by_key(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {ADM "mult = 1, 2, 2, 2, 2, 2\n", "network.mult: 6 levels halve each side 5 times"},
        {ADM "heads = 3\n", "network.heads: 3 do not divide the 256 channels"},
        {ADM "head_channels = 48\n", "network.head_channels: 48 does not divide the 256 channels"},
        {ADM "attention_downsample = 3\n", "network.attention_downsample: no level of 4"},
        {ADM "attention_downsample = 16\n", "network.attention_downsample: no level of 4"},
        {ADM "groups = 48\n", "network.groups: 48 does not divide the 128 channels"},
        {CLASSIFIER "\n", "network.pool: attention wants network.head_channels"},
        {CLASSIFIER "base = 120\nheads = 5\npool = spatial_v2\ngroups = 24\n",
         "network.groups: 24 does not divide the 2048"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_config *c = NULL;
        tw_model *m = configure(&c, cases[i].text);
        assert_int_equal(tw_model_create(m, TW_SHAPE(24, 24, 3), 1), TW_ECONFIG);
        if (!strstr(tw_error_message(), cases[i].message)) fail_msg("%s", tw_error_message());
        destroy_model(&m, &c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(improved_diffusion_small_agrees_with_the_published_code),
        cmocka_unit_test(improved_diffusion_small_agrees_in_bf16_to_its_rounding),
        cmocka_unit_test(parameter_counts_are_the_published_ones),
        cmocka_unit_test(the_published_classifier_has_65438568_parameters),
        cmocka_unit_test(every_pooling_agrees_with_a_reference_in_double),
        cmocka_unit_test(what_cannot_be_built_is_refused_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
