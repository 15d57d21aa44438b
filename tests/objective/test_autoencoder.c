/* The autoencoder of latent diffusion: against numbers that diffusers' AutoencoderKL gave in
 * double, its halves against the whole, and its objective against the formula. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/model_fixture.h"
#include "tweedie/fingerprint.h"
#include "tweedie/memory.h"
#include "tweedie/objective.h"

#define SMALL                                                                                      \
    "[network]\nkind = autoencoder\nblock_out_channels = 16, 16, 32\nlayers_per_block = 1\n"       \
    "latent_channels = 2\nnorm_num_groups = 8\n"

/* block_out_channels 16, 16, 32, one layer, two latent channels, 8 groups, samples of 16 x 16,
 * filled by the rule of the fingerprint (diffusers 0.42 on torch 2.15, float64). */
static const tw_fingerprint golden = {
    .params = 184913,
    .first8 = {0.847985533452, 1.36670671976, 1.83374864349, 2.29051524656, 2.77749110572,
               3.19853654476, 3.50570340692, 3.65888447152},
    .sum = -162.697367722,
    .sumsq = 1805.98577311,
    .loss = 9.84172092594,
    .input_grad_sumsq = 148.277910874,
    .param_grad_norm = 594.701315655,
};

static void close_to(const char *what, double met, double wanted, double allowed)
{
    if (!(fabs(met - wanted) <= allowed))
        fail_msg("%s: %.12g met, %.12g wanted, off by %.2g", what, met, wanted, met - wanted);
}

static void a_small_one_agrees_with_the_published_code(void **state)
{
    tw_config *c = NULL;
    tw_model *m = make_model(&c, SMALL, TW_SHAPE(16, 16, 3));
    tw_fingerprint f;
    const tw_plan_options options = {.precision = TW_PRECISION_F32,
                                     .convolution = TW_CONVOLUTION_DIRECT};
    (void)state;
    const tw_fingerprint_inputs inputs = {.n = 2, .times = (const double[]){0, 0}};
    ok(tw_fingerprint_measure(&f, m, &inputs, &options));
    const double size = sqrt(golden.sumsq / (2 * 16 * 16 * 3));
    assert_int_equal(f.params, golden.params);
    for (int i = 0; i < 8; i++) close_to("an output", f.first8[i], golden.first8[i], 1e-5 * size);
    close_to("their squares", f.sumsq, golden.sumsq, 1e-5 * golden.sumsq);
    close_to("the loss", f.loss, golden.loss, 1e-5 * sqrt(golden.sumsq));
    close_to("the input's gradient", f.input_grad_sumsq, golden.input_grad_sumsq, 2e-5 * 148.3);
    close_to("the gradient's norm", f.param_grad_norm, golden.param_grad_norm, 1e-5 * 594.7);
    destroy_model(&m, &c);
}

/* Rombach et al.'s KL-f8, as Stable Diffusion has it. */
static void the_published_one_has_its_number_of_parameters(void **state)
{
    static const char text[] = "[network]\nkind = autoencoder\nblock_out_channels = 128, 256, 512, "
                               "512\n";
    tw_config *c = NULL;
    tw_model *m = NULL;
    tw_graph *g = NULL;
    int64_t numbers = 0;
    (void)state;
    ok(tw_config_create(&c));
    ok(tw_config_parse(c, text, sizeof text - 1, "test"));
    ok(tw_model_configure(&m, c));
    ok(tw_config_finish(c));
    m->sample = TW_SHAPE(64, 64, 3);
    ok(tw_graph_create(&g));
    tw_model_build(g, m, 1, NULL);
    ok(tw_graph_status(g));
    for (int i = 0; i < tw_graph_param_count(g); i++)
        numbers += tw_shape_count(tw_graph_param(g, i)->shape);
    assert_int_equal(numbers, 83653863);
    tw_graph_destroy(&g);
    destroy_model(&m, &c);
}

static void halves_make_the_whole(void **state)
{
    tw_config *c = NULL;
    tw_model *m = make_model(&c, SMALL, TW_SHAPE(8, 12, 1));
    enum { N = 3, DIMS = 8 * 12, NUMBERS = 2 * 3 * 2 };
    float x[N * DIMS], z[N * NUMBERS], log_variance[N * NUMBERS], y[N * DIMS];
    tw_model_codec *codec = NULL;
    tw_graph *g = NULL;
    tw_plan *whole = NULL;
    const tw_plan_options options = {.precision = TW_PRECISION_F32,
                                     .convolution = TW_CONVOLUTION_DIRECT};
    (void)state;
    fill_normal(x, 1, N * DIMS);
    ok(tw_model_codec_create(&codec, m, TW_CODEC_ENCODER | TW_CODEC_DECODER, 2, TW_PRECISION_F32,
                             TW_CONVOLUTION_DIRECT));
    assert_int_equal(tw_model_codec_numbers(codec), NUMBERS);
    tw_model_codec_encode(codec, N, x, z, log_variance);
    tw_model_codec_decode(codec, N, z, y, NULL);
    ok(tw_graph_create(&g));
    const tw_model_values v = tw_model_build(g, m, N, NULL);
    tw_graph_output(g, "y", v.net);
    ok(tw_graph_status(g));
    ok(tw_plan_create(&whole, g, m->params, &options));
    tw_plan_refresh(whole);
    memcpy(tw_plan_input(whole, "x"), x, sizeof x);
    tw_plan_execute(whole, &(tw_plan_run){0});
    const float *at_once = tw_plan_output(whole, "y");
    for (int k = 0; k < N * DIMS; k++) close_to("a number", (double)y[k], (double)at_once[k], 1e-5);
    tw_plan_destroy(&whole);
    tw_graph_destroy(&g);
    tw_model_codec_destroy(&codec);
    destroy_model(&m, &c);
}

/* ---- the objective ---- */

enum { BATCH = 3, SIDE = 8, CHANNELS = 2, DIMS = SIDE * SIDE * CHANNELS, LATENT = 2 * 2 * 2 };

static double distance(double d, bool l2)
{
    return l2 ? d * d : fabs(d);
}

/* The loss of one sample, by the formula, in double. */
static double loss_of(const float *x, const float *y, const float *mean, const float *log_variance,
                      bool l2, double kl, double gradient)
{
    double all = 0, rows = 0, columns = 0, prior = 0, d[SIDE][SIDE][CHANNELS];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            for (int c = 0; c < CHANNELS; c++) {
                const int k = (i * SIDE + j) * CHANNELS + c;
                d[i][j][c] = (double)x[k] - (double)y[k];
                all += distance(d[i][j][c], l2);
                if (i) rows += distance(d[i][j][c] - d[i - 1][j][c], l2);
                if (j) columns += distance(d[i][j][c] - d[i][j - 1][c], l2);
            }
    for (int k = 0; k < LATENT; k++) {
        const double m = (double)mean[k], v = (double)log_variance[k];
        prior += 0.5 * (m * m + exp(v) - 1 - v);
    }
    const double edges = (SIDE - 1) * SIDE * CHANNELS;
    return all / DIMS + gradient * (rows + columns) / edges + kl * prior / DIMS;
}

static void loss_is_as_the_formula_says(const char *text, bool l2, double kl, double gradient)
{
    tw_config *c = NULL;
    tw_objective_config config = {0};
    tw_objective *o = NULL;
    tw_model_codec *codec = NULL;
    tw_model *m = NULL;
    float x[BATCH * DIMS], y[BATCH * DIMS], mean[BATCH * LATENT], log_variance[BATCH * LATENT],
        z[BATCH * LATENT], e[LATENT];
    const double *t, *loss;
    const tw_objective_options options = {.batch = BATCH,
                                          .global_batch = BATCH,
                                          .precision = TW_PRECISION_F32,
                                          .convolution = TW_CONVOLUTION_DIRECT};
    const tw_objective_step step = {
        .seed = 3, .step = 5, .position = 11, .count = BATCH, .weight = 1.0 / BATCH};
    ok(tw_config_create(&c));
    ok(tw_config_parse(c, text, (int64_t)strlen(text), "test"));
    ok(tw_model_configure(&m, c));
    ok(tw_objective_bind(&config, c));
    ok(tw_config_finish(c));
    ok(tw_model_create(m, TW_SHAPE(SIDE, SIDE, CHANNELS), 1));
    fill_normal(x, 2, BATCH * DIMS);
    ok(tw_objective_create(&o, m, &config, &options));
    tw_objective_refresh(o);
    tw_objective_run(o, &step, x);
    tw_objective_last(o, &t, &loss);
    ok(tw_model_codec_create(&codec, m, TW_CODEC_ENCODER | TW_CODEC_DECODER, BATCH,
                             TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    tw_model_codec_encode(codec, BATCH, x, mean, log_variance);
    for (int i = 0; i < BATCH; i++) {
        const tw_rng_stream noise = {
            .seed = 3, .step = 5, .position = 11 + i, .purpose = TW_RNG_PROBE};
        tw_rng_normal(e, &noise, 0, LATENT);
        for (int k = i * LATENT; k < (i + 1) * LATENT; k++)
            z[k] = (float)((double)mean[k] +
                           exp(0.5 * (double)log_variance[k]) * (double)e[k - i * LATENT]);
    }
    tw_model_codec_decode(codec, BATCH, z, y, NULL);
    for (int i = 0; i < BATCH; i++)
        close_to("a loss", loss[i],
                 loss_of(x + i * DIMS, y + i * DIMS, mean + i * LATENT, log_variance + i * LATENT,
                         l2, kl, gradient),
                 1e-5 * (1 + kl));
    tw_model_codec_destroy(&codec);
    tw_objective_destroy(&o);
    tw_objective_config_free(&config);
    destroy_model(&m, &c);
}

static void losses_are_as_the_formula_says(void **state)
{
    (void)state;
    loss_is_as_the_formula_says(SMALL "[objective]\nkind = autoencoder\n", false, 1e-6, 1);
    loss_is_as_the_formula_says(SMALL "[objective]\nkind = autoencoder\ndistance = l2\n"
                                      "kl_weight = 0.5\ngradient_weight = 0\n",
                                true, 0.5, 0);
    loss_is_as_the_formula_says(SMALL "[objective]\nkind = autoencoder\ndistance = l2\n"
                                      "kl_weight = 2\ngradient_weight = 0.25\n",
                                true, 2, 0.25);
}

/* ---- codes ---- */

/* Of hand-made vectors, at odd sizes, with a tie. */
static void the_nearest_row_is_found(void **state)
{
    const float table[3][2] = {{0, 0}, {2, 0}, {0, 4}},
                x[7][2] = {{0.4f, 0.1f}, {1, 0}, {1.1f, 0}, {0, 2.1f}, {-5, 9}, {2, 2}, {3, -1}};
    const int32_t wanted[7] = {0, 0, 1, 2, 2, 1, 1};
    tw_graph *g = NULL;
    tw_plan *plan = NULL;
    tw_params *params = NULL;
    (void)state;
    ok(tw_graph_create(&g));
    tw_value *rows = tw_input(g, "table", TW_F32, TW_SHAPE(3, 2));
    tw_graph_output(g, "index",
                    tw_nearest_row(g, tw_input(g, "x", TW_F32, TW_SHAPE(7, 1, 2)), rows));
    ok(tw_graph_status(g));
    ok(tw_params_create(&params, g));
    ok(tw_plan_create(&plan, g, params, &(tw_plan_options){.precision = TW_PRECISION_F32}));
    memcpy(tw_plan_input(plan, "table"), table, sizeof table);
    memcpy(tw_plan_input(plan, "x"), x, sizeof x);
    tw_plan_execute(plan, &(tw_plan_run){0});
    assert_memory_equal(tw_plan_output(plan, "index"), wanted, sizeof wanted);
    tw_plan_destroy(&plan);
    tw_params_destroy(&params);
    tw_graph_destroy(&g);
}

/* A slope of the loss beside a finite difference, and a gradient at the codes. */
static void codes_follow_their_vectors(void **state)
{
    static const char text[] = SMALL "codes = 3\n[objective]\nkind = vector_quantised\n"
                                     "distance = l2\n";
    tw_config *c = NULL;
    tw_objective_config config = {0};
    tw_objective *o = NULL;
    tw_model *m = NULL;
    float x[DIMS];
    double around[2];
    const tw_objective_options options = {.batch = 1,
                                          .global_batch = 1,
                                          .precision = TW_PRECISION_F32,
                                          .convolution = TW_CONVOLUTION_DIRECT,
                                          .gradients = true};
    const tw_objective_step step = {.seed = 3, .count = 1, .weight = 1};
    (void)state;
    ok(tw_config_create(&c));
    ok(tw_config_parse(c, text, sizeof text - 1, "test"));
    ok(tw_model_configure(&m, c));
    ok(tw_objective_bind(&config, c));
    ok(tw_config_finish(c));
    ok(tw_model_create(m, TW_SHAPE(SIDE, SIDE, CHANNELS), 1));
    ok(tw_params_use_gradient(m->params, NULL));
    fill_normal(x, 2, DIMS);
    ok(tw_objective_create(&o, m, &config, &options));
    tw_objective_refresh(o);
    tw_objective_run(o, &step, x);
    const tw_param_view *v = tw_params_find(m->params, "codes.weight"),
                        *bias = tw_params_find(m->params, "latent.bias");
    assert_non_null(v);
    assert_non_null(bias);
    const double slope = (double)m->params->gradient[bias->offset];
    for (int k = 0; k < 2; k++) {
        const float kept = m->params->value[bias->offset];
        m->params->value[bias->offset] = kept + (k ? 1e-2f : -1e-2f);
        tw_objective_refresh(o);
        around[k] = tw_objective_run(o, &step, x);
        m->params->value[bias->offset] = kept;
    }
    close_to("a slope", slope, (around[1] - around[0]) / 2e-2, 1e-2 * (1 + fabs(slope)));
    double size = 0;
    for (int64_t k = 0; k < v->count; k++) size += fabs((double)m->params->gradient[v->offset + k]);
    assert_true(size > 0);
    tw_objective_destroy(&o);
    tw_objective_config_free(&config);
    destroy_model(&m, &c);
}

static void what_does_not_go_together_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } refused[] = {
        {SMALL "[objective]\nkind = denoising\n", "objective.kind = autoencoder trains it"},
        {UNET "[objective]\nkind = autoencoder\n", "network.kind = autoencoder"},
        {SMALL "[objective]\nkind = autoencoder\nweighting = min_snr\n", "objective.weighting"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        tw_config *c = NULL;
        tw_objective_config config = {0};
        tw_model *m = NULL;
        ok(tw_config_create(&c));
        ok(tw_config_parse(c, refused[i].text, (int64_t)strlen(refused[i].text), "test"));
        ok(tw_model_configure(&m, c));
        ok(tw_objective_bind(&config, c));
        ok(tw_config_finish(c));
        ok(tw_model_create(m, TW_SHAPE(16, 16, 1), 1));
        assert_int_equal(tw_objective_check(&config, m), TW_ECONFIG);
        if (!strstr(tw_error_message(), refused[i].says)) fail_msg("%s", tw_error_message());
        tw_objective_config_free(&config);
        destroy_model(&m, &c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_one_agrees_with_the_published_code),
        cmocka_unit_test(the_published_one_has_its_number_of_parameters),
        cmocka_unit_test(halves_make_the_whole),
        cmocka_unit_test(losses_are_as_the_formula_says),
        cmocka_unit_test(the_nearest_row_is_found),
        cmocka_unit_test(codes_follow_their_vectors),
        cmocka_unit_test(what_does_not_go_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
