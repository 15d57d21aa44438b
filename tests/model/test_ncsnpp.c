/* DDPM++, NCSN++ and EDM's SongUNet, filled by a rule, against numbers that the published code gave
 * in double; and the combinations that no published configuration has, against an implementation of
 * the forward pass in double that was written from their description with other formulae (filters
 * in two dimensions, transposed convolutions before them). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/model_fixture.h"
#include "tweedie/fingerprint.h"

/* Numbers that are zero were not computed by the reference. */
typedef struct golden {
    const char *name; /* of a file in tests/golden, or the text of a configuration */
    double times[2];
    tw_fingerprint want;
} golden;

static const golden published[] = {
    {"ddpmpp_small",
     {249.75, 749.25},
     {749891,
      {-0.557325314763, -0.831461994805, -0.955666705532, -0.934244267691, -0.729002241845,
       -0.349556857809, 0.0841868396852, 0.43409614},
      50.6587736045,
      1048.76925675,
      23.4526204326,
      6976.79722134,
      1247.82189662}},
    {"ncsnpp_residual_small",
     {0.5, 10},
     {754915,
      {-0.961465145782, -1.80370708709, -2.11107468873, -2.02073287016, -1.96186445187,
       -1.93169364599, -1.86430145498, -1.76255059254},
      -132.47212921,
      1558.74422058,
      80.489519176,
      8451.08365997,
      1611.50834228}},
    {"edm_ddpmpp_small_F", /* ln(σ) / 4 of σ = 0.5 and 10; its softmax was computed in f32 */
     {-0.17328679513998632, 0.57564627324851148},
     {749891,
      {0.225497019378, 0.293825114667, 0.251388245091, 0.123011561233, 0.00238297732555,
       -0.109415468434, -0.215602749028, -0.309805753134},
      63.8563300756,
      1278.30269003,
      5.39656996276,
      7799.12367825,
      901.028629359}},
};

#define SMALL                                                                                      \
    "[process]\nkind = ve\n[network]\nkind = ncsnpp\nbase = 16\nmult = 1, 2, 2\nblocks = 1\n"      \
    "attention = 8\ndropout = 0\n"

static const golden combinations[] = {
    {SMALL "fir = yes\nprogressive = output_skip\nprogressive_input = input_skip\n"
           "embedding = fourier\nscale_by_sigma = yes\ncentered = no\n",
     {0.5, 10},
     {320793,
      {1.58633663829, 1.23405581472, 0.550238573577, 0.436824784412, 0.678876120799, 1.00457264613,
       1.30171639729, 1.42892134147},
      469.063028539,
      2998.18778959,
      -9.95170002305,
      0,
      0}},
    {SMALL "fir = yes\nprogressive = residual\nprogressive_input = residual\n",
     {0.5, 10},
     {345971,
      {0.621959810223, 1.15189524834, 1.49930046796, 1.65404452132, 1.69921666279, 1.69031416363,
       1.63733646207, 1.54373213358},
      -12.9083759564,
      983.836366548,
      -9.027882152,
      0,
      0}},
    {SMALL "fir = yes\nfir_kernel = 1, 2, 1\nprogressive = output_skip\nprogressive_input = "
           "input_skip\nprogressive_combine = cat\nskip_rescale = no\n",
     {0.5, 10},
     {350665,
      {-0.4657878061, -0.862401475474, -0.960138056752, -0.900682430439, -0.824793955543,
       -0.778539953467, -0.755782654995, -0.742932651747},
      -159.776527901,
      1476.62855968,
      3.84797773736,
      0,
      0}},
    {SMALL "resblock = ddpm\nprogressive = residual\nprogressive_input = residual\n",
     {0.5, 10},
     {304739,
      {0.495645594976, 0.836764512867, 1.01460576966, 1.04794272018, 0.999637901069, 0.901964429056,
       0.775763821068, 0.639972648485},
      -34.1781480683,
      827.212866852,
      -6.96060856502,
      0,
      0}},
    {SMALL "resblock = ddpm\nfir = yes\nresamp_with_conv = no\nprogressive = output_skip\n",
     {0.5, 10},
     {248265,
      {0.305660765129, 0.508529853789, 0.421114730944, 0.00460227398855, -0.639759036369,
       -1.30189276826, -1.88225989395, -2.22987088325},
      -28.2488221823,
      2541.64267629,
      -31.0910299851,
      0,
      0}},
};

static void close_to(const char *name, const char *what, double met, double wanted, double allowed)
{
    if (wanted != 0 && !(fabs(met - wanted) <= allowed))
        fail_msg("%s: %s: %.12g met, %.12g wanted, off by %.2g", name, what, met, wanted,
                 met - wanted);
}

/* Outputs to `relative` of their root mean square, which the smallest of them are far below. */
static void agree(const golden *g, tw_model *m, const tw_plan_options *options, double relative)
{
    tw_fingerprint f;
    const tw_fingerprint *w = &g->want;
    const double rms = sqrt(w->sumsq / (2.0 * (double)m->dims));
    ok(tw_fingerprint_measure(&f, m, &(tw_fingerprint_inputs){.n = 2, .times = g->times}, options));
    assert_int_equal(f.params, w->params);
    for (int i = 0; i < 8; i++)
        close_to(g->name, "an output", f.first8[i], w->first8[i], relative * rms);
    close_to(g->name, "sum", f.sum, w->sum, relative * fabs(w->sum));
    close_to(g->name, "sum of squares", f.sumsq, w->sumsq, relative * w->sumsq);
    close_to(g->name, "loss", f.loss, w->loss, relative * fabs(w->loss));
    close_to(g->name, "squares of the input's gradient", f.input_grad_sumsq, w->input_grad_sumsq,
             relative * w->input_grad_sumsq);
    close_to(g->name, "norm of the parameters' gradient", f.param_grad_norm, w->param_grad_norm,
             relative * w->param_grad_norm);
}

/* What a configuration of tests/golden says besides the model, which is the same for all. */
typedef struct beside {
    tw_config_ints shape;
    const char *precision;
} beside;

static tw_model *open_golden(tw_config **config, const char *name)
{
    static const tw_config_field fields[] = {
        {"data", "shape", TW_CONFIG_INTS, offsetof(beside, shape), NULL, .help = ""},
        {"compute", "precision", TW_CONFIG_STRING, offsetof(beside, precision), "", .help = ""}};
    static beside other;
    tw_model *m = NULL;
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/%s.ini", getenv("TWEEDIE_SOURCE_DIR"), name);
    ok(tw_config_create(config));
    ok(tw_config_read(*config, path));
    ok(tw_config_bind(*config, fields, 2, &other));
    ok(tw_model_configure(&m, *config));
    ok(tw_config_finish(*config));
    ok(tw_model_create(m, tw_shape_make(other.shape.values, (int)other.shape.count), 1));
    return m;
}

static void published_networks_agree_with_the_published_code(void **state)
{
    (void)state;
    if (!getenv("TWEEDIE_SOURCE_DIR")) skip();
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        for (int fused = 0; fused < 2; fused++) {
            tw_config *config = NULL;
            tw_model *m = open_golden(&config, published[i].name);
            agree(&published[i], m, &(tw_plan_options){.no_fusion = !fused}, 1e-5);
            destroy_model(&m, &config);
        }
}

static void other_combinations_agree_with_their_description(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof combinations / sizeof *combinations; i++) {
        tw_config *config = NULL;
        tw_model *m = make_model(&config, combinations[i].name, TW_SHAPE(16, 16, 3));
        agree(&combinations[i], m, &(tw_plan_options){.no_fusion = false}, 1e-5);
        destroy_model(&m, &config);
    }
}

/* The published code takes the noise level of a label from its table, largest first. */
static void labels_of_a_ladder_divide_by_their_noise_level(void **state)
{
    (void)state;
    static const char *const text[2] = {
        "[process]\nkind = ladder\nlevels = 4\nsigma_max = 10\n[network]\nkind = ncsnpp\nbase = "
        "8\nmult = 1\nblocks = 1\ndropout = 0\n",
        "[process]\nkind = ladder\nlevels = 4\nsigma_max = 10\n[network]\nkind = ncsnpp\nbase = "
        "8\nmult = 1\nblocks = 1\ndropout = 0\nscale_by_sigma = yes\n"};
    tw_fingerprint f[2];
    for (int i = 0; i < 2; i++) {
        tw_config *config = NULL;
        tw_model *m = make_model(&config, text[i], TW_SHAPE(8, 8, 1));
        ok(tw_fingerprint_measure(&f[i], m,
                                  &(tw_fingerprint_inputs){.n = 1, .times = (const double[]){1}},
                                  &(tw_plan_options){.no_fusion = false}));
        destroy_model(&m, &config);
    }
    close_to("ladder", "an output", f[1].first8[0], f[0].first8[0], 1e-5); /* 10, 1, 0.1, 0.01 */
    assert_true(fabs(f[0].first8[0]) > 1e-2);
}

static void what_cannot_be_built_is_refused_by_the_key(void **state)
{
    (void)state;
    static const struct {
        const char *text, *key;
        tw_shape sample;
    } cases[] = {
        {"", "network.mult", {3, {28, 28, 1}}},
        {"", "network.kind", {1, {2}}},
        {"base = 30\n", "network.base", {3, {32, 32, 3}}},
        {"base = 100\nmult = 1, 3\n", "network.base", {3, {32, 32, 3}}},
        {"fir = yes\nfir_kernel = 1, 2, 3\n", "network.fir_kernel", {3, {32, 32, 3}}},
        {"fir = yes\nfir_kernel = 1, -1, -1, 1\n", "network.fir_kernel", {3, {32, 32, 3}}},
        {"fir = yes\nfir_kernel = 1, 1, 1, 1, 1, 1, 1, 1, 1\n",
         "network.fir_kernel",
         {3, {32, 32, 3}}},
        {"library = edm\nresblock = ddpm\n", "network.resblock", {3, {32, 32, 3}}},
        {"library = edm\nskip_rescale = no\n", "network.skip_rescale", {3, {32, 32, 3}}},
        {"library = edm\nprogressive = residual\n", "network.progressive", {3, {32, 32, 3}}},
        {"library = edm\nprogressive_input = input_skip\nprogressive_combine = cat\n",
         "network.progressive_combine",
         {3, {32, 32, 3}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_config *c = NULL;
        tw_model *m = NULL;
        char text[256];
        snprintf(text, sizeof text, "[network]\nkind = ncsnpp\n%s", cases[i].text);
        ok(tw_config_create(&c));
        ok(tw_config_parse(c, text, (int64_t)strlen(text), "test"));
        ok(tw_model_configure(&m, c));
        ok(tw_config_finish(c));
        assert_int_equal(tw_model_create(m, cases[i].sample, 1), TW_ECONFIG);
        if (strncmp(tw_error_message(), cases[i].key, strlen(cases[i].key)) != 0)
            fail_msg("%s: \"%s\" does not begin with %s", cases[i].text, tw_error_message(),
                     cases[i].key);
        destroy_model(&m, &c);
    }
}

static void sides_that_cannot_be_halved_are_padded_where_asked(void **state)
{
    (void)state;
    tw_config *config = NULL;
    tw_graph *g = NULL;
    tw_model *m = make_model(&config, SMALL "pad = reflect\n", TW_SHAPE(10, 14, 1));
    ok(tw_graph_create(&g));
    const tw_value *y = tw_model_build(g, m, 2, NULL).net;
    ok(tw_graph_status(g));
    assert_true(tw_shape_equal(y->shape, TW_SHAPE(2, 10, 14, 1)));
    tw_graph_destroy(&g);
    destroy_model(&m, &config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_networks_agree_with_the_published_code),
        cmocka_unit_test(other_combinations_agree_with_their_description),
        cmocka_unit_test(labels_of_a_ladder_divide_by_their_noise_level),
        cmocka_unit_test(what_cannot_be_built_is_refused_by_the_key),
        cmocka_unit_test(sides_that_cannot_be_halved_are_padded_where_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
