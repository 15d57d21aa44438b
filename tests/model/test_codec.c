/* The derivative of an autoencoder's decoder: slopes of the decoder itself, and through codes those
 * at the codes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/model_fixture.h"

#define SMALL                                                                                      \
    "[network]\nkind = autoencoder\nblock_out_channels = 8, 16\nlayers_per_block = 1\n"            \
    "latent_channels = 2\nnorm_num_groups = 4\n"

enum { N = 3, DIMS = 4 * 6 * 3, NUMBERS = 2 * 3 * 2 };

static tw_model_codec *make_codec(tw_model *m)
{
    tw_model_codec *codec = NULL;
    ok(tw_model_codec_create(&codec, m, TW_CODEC_DECODER | TW_CODEC_DECODER_VJP, 2,
                             TW_PRECISION_F32, TW_CONVOLUTION_DIRECT));
    return codec;
}

/* Σ gx D(z) of one latent, D without codes: a plan of its own. */
typedef struct bare {
    tw_graph *g;
    tw_plan *plan;
} bare;

static bare make_bare(tw_model *m)
{
    bare b = {NULL, NULL};
    ok(tw_graph_create(&b.g));
    tw_value *z = tw_input(b.g, "z", TW_F32, TW_SHAPE(1, 2, 3, 2));
    tw_graph_output(b.g, "x", tw_model_build_decoder(b.g, m, z));
    ok(tw_graph_status(b.g));
    ok(tw_plan_create(
        &b.plan, b.g, m->params,
        &(tw_plan_options){.precision = TW_PRECISION_F32, .convolution = TW_CONVOLUTION_DIRECT}));
    tw_plan_refresh(b.plan);
    return b;
}

static double product(const bare *b, const float *z, const float *gx)
{
    double sum = 0;
    memcpy(tw_plan_input(b->plan, "z"), z, NUMBERS * sizeof *z);
    tw_plan_execute(b->plan, &(tw_plan_run){0});
    const float *x = tw_plan_output(b->plan, "x");
    for (int k = 0; k < DIMS; k++) sum += (double)gx[k] * (double)x[k];
    return sum;
}

/* gz beside central differences at z. */
static void slopes_are(const bare *b, float *z, const float *gx, const float *gz)
{
    const float h = 1e-2f;
    double size = 0;
    for (int k = 0; k < NUMBERS; k++) size = fmax(size, fabs((double)gz[k]));
    assert_true(size > 0);
    for (int k = 0; k < NUMBERS; k++) {
        const float kept = z[k];
        z[k] = kept + h;
        const double above = product(b, z, gx);
        z[k] = kept - h;
        const double slope = (above - product(b, z, gx)) / (2 * (double)h);
        z[k] = kept;
        if (!(fabs(slope - (double)gz[k]) <= 5e-3 * size))
            fail_msg("number %d: slope %g, gradient %g", k, slope, (double)gz[k]);
    }
}

static void the_decoders_gradient_is_its_slope(void **state)
{
    tw_config *c = NULL;
    tw_model *m = make_model(&c, SMALL, TW_SHAPE(4, 6, 3));
    tw_model_codec *codec = make_codec(m);
    bare b = make_bare(m);
    float z[N * NUMBERS], gx[N * DIMS], gz[N * NUMBERS];
    (void)state;
    fill_normal(z, 1, N * NUMBERS);
    fill_normal(gx, 2, N * DIMS);
    tw_model_codec_decoder_vjp(codec, N, z, gx, gz);
    for (int i = 0; i < N; i++) slopes_are(&b, z + i * NUMBERS, gx + i * DIMS, gz + i * NUMBERS);
    tw_plan_destroy(&b.plan);
    tw_graph_destroy(&b.g);
    tw_model_codec_destroy(&codec);
    destroy_model(&m, &c);
}

static void gradients_go_straight_through_codes(void **state)
{
    tw_config *c = NULL;
    tw_model *m = make_model(&c, SMALL "codes = 5\n", TW_SHAPE(4, 6, 3));
    tw_model_codec *codec = make_codec(m);
    bare b = make_bare(m);
    float z[N * NUMBERS], x[N * DIMS], gx[N * DIMS], gz[N * NUMBERS], q[N * NUMBERS],
        at_codes[N * NUMBERS];
    int32_t index[N * NUMBERS / 2];
    (void)state;
    fill_normal(z, 1, N * NUMBERS);
    fill_normal(gx, 2, N * DIMS);
    tw_model_codec_decode(codec, N, z, x, index);
    const tw_param_view *codes = tw_params_find(m->params, "codes.weight");
    assert_non_null(codes);
    for (int k = 0; k < N * NUMBERS; k++)
        q[k] = m->params->value[codes->offset + index[k / 2] * 2 + k % 2];
    tw_model_codec_decoder_vjp(codec, N, z, gx, gz);
    tw_model_codec_decoder_vjp(codec, N, q, gx, at_codes);
    assert_memory_equal(gz, at_codes, sizeof gz);
    for (int i = 0; i < N; i++) slopes_are(&b, q + i * NUMBERS, gx + i * DIMS, gz + i * NUMBERS);
    tw_plan_destroy(&b.plan);
    tw_graph_destroy(&b.g);
    tw_model_codec_destroy(&codec);
    destroy_model(&m, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_decoders_gradient_is_its_slope),
        cmocka_unit_test(gradients_go_straight_through_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
