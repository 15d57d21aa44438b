/* The published DDPM network, filled by a rule, against numbers that its own code gave in double:
 * outputs, loss and gradients. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tweedie/fingerprint.h"
#include "tweedie/memory.h"

/* score_sde's DDPM: nf 32, ch_mult (1, 2), 1 block, attention at 8, 16 x 16 images, labels 249.75
 * and 749.25. */
static const tw_fingerprint golden = {
    .params = 685731,
    .first8 = {-0.367799633179, -0.406565369372, -0.273505953009, -0.133471231918, -0.139353103765,
               -0.338185019049, -0.680406427811, -1.0684748959},
    .sum = 78.0736680811,
    .sumsq = 1459.37945807,
    .loss = 51.4401848265,
    .input_grad_sumsq = 7730.12771376,
    .param_grad_norm = 5143.2095974,
};

static tw_model *make(const char *const *assignments, int n, tw_shape sample)
{
    tw_config *c = NULL;
    tw_model *m = NULL;
    tw_status st = TW_OK;
    char text[8][64], *args[8];
    for (int i = 0; i < n; i++) {
        snprintf(text[i], sizeof text[i], "%s", assignments[i]);
        args[i] = text[i];
    }
    TW_TRY(tw_config_create(&c));
    TW_TRY(tw_config_override(c, n, args));
    TW_TRY(tw_model_configure(&m, c));
    TW_TRY(tw_config_finish(c));
    TW_TRY(tw_model_create(m, sample, 1));
done:
    if (st != TW_OK) fail_msg("%s", tw_error_message());
    tw_config_destroy(&c);
    return m;
}

static void close_to(const char *what, double met, double wanted, double allowed)
{
    if (!(fabs(met - wanted) <= allowed))
        fail_msg("%s: %.12g met, %.12g wanted, off by %.2g", what, met, wanted, met - wanted);
}

/* Root mean square of the outputs. */
static double size_of_outputs(void)
{
    return sqrt(golden.sumsq / (2 * 16 * 16 * 3));
}

static tw_fingerprint measure(const tw_plan_options *options, const double *times, int64_t n)
{
    static const char *const config[] = {
        "network.kind=unet", "network.base=32",     "network.mult=1,2",
        "network.blocks=1",  "network.attention=8", "network.attention_placement=score_sde",
        "network.dropout=0"};
    tw_model *m = make(config, 7, TW_SHAPE(16, 16, 3));
    tw_fingerprint f;
    if (tw_fingerprint_measure(&f, m, &(tw_fingerprint_inputs){.n = n, .times = times}, options) !=
        TW_OK)
        fail_msg("%s", tw_error_message());
    assert_int_equal(f.params, golden.params);
    tw_model_destroy(&m);
    return f;
}

static void sums_agree(const tw_fingerprint *f, double relative)
{
    close_to("sum", f->sum, golden.sum, relative * golden.sum);
    close_to("sum of squares", f->sumsq, golden.sumsq, relative * golden.sumsq);
    close_to("loss", f->loss, golden.loss, relative * golden.loss);
    close_to("squares of the input's gradient", f->input_grad_sumsq, golden.input_grad_sumsq,
             relative * golden.input_grad_sumsq);
    close_to("norm of the parameters' gradient", f->param_grad_norm, golden.param_grad_norm,
             relative * golden.param_grad_norm);
}

static void ddpm_small_agrees_to_1e5_of_each_number(const tw_plan_options *options)
{
    const tw_fingerprint f = measure(options, (const double[]){249.75, 749.25}, 2);
    for (int i = 0; i < 8; i++)
        close_to("an output", f.first8[i], golden.first8[i], 1e-5 * fabs(golden.first8[i]));
    sums_agree(&f, 5e-6);
}

static void ddpm_small_agrees_with_the_published_code(void **state)
{
    (void)state;
    ddpm_small_agrees_to_1e5_of_each_number(&(tw_plan_options){.precision = TW_PRECISION_F32});
}

static void ddpm_small_agrees_without_fusion(void **state)
{
    (void)state;
    ddpm_small_agrees_to_1e5_of_each_number(
        &(tw_plan_options){.precision = TW_PRECISION_F32, .no_fusion = true});
}

/* Batches as large as this one are convolved by oneDNN, in longer chains of f32 sums than our own
 * kernel's: the published code run in f32 is off by 3e-5 of the fifth output, 4e-6 of the outputs'
 * root mean square. The input's rule goes on from image to image, so the first two images are those
 * of the golden run. */
static void ddpm_small_agrees_in_a_large_batch(void **state)
{
    (void)state;
    double times[32] = {249.75, 749.25};
    const tw_fingerprint f = measure(&(tw_plan_options){.precision = TW_PRECISION_F32}, times, 32);
    for (int i = 0; i < 8; i++)
        close_to("an output", f.first8[i], golden.first8[i], 2e-5 * size_of_outputs());
}

/* Every 3 x 3 convolution by Winograd's algorithm, the error of a whole network's outputs and
 * gradients stays far below 1e-4: 7e-6 of the root mean square was met. */
static void ddpm_small_agrees_with_winograds_convolutions(void **state)
{
    (void)state;
    const tw_fingerprint f = measure(
        &(tw_plan_options){.precision = TW_PRECISION_F32, .convolution = TW_CONVOLUTION_WINOGRAD},
        (const double[]){249.75, 749.25}, 2);
    for (int i = 0; i < 8; i++)
        close_to("an output", f.first8[i], golden.first8[i], 5e-5 * size_of_outputs());
    sums_agree(&f, 2e-5);
}

/* Perturbing each intermediate of the network in double by one rounding to f32 moves the first 8
 * outputs by up to 3.5e-7 of the outputs' root mean square (uniform noise, added in quadrature). A
 * rounding to bf16 is 2^15 times as large: 1.2e-2, of which this allows eight, since some
 * operations round twice and the worst of eight outputs counts. Sums and norms, over many of them,
 * are allowed three. */
static void ddpm_small_agrees_in_bf16_to_its_rounding(void **state)
{
    (void)state;
    const tw_fingerprint f = measure(&(tw_plan_options){.precision = TW_PRECISION_BF16},
                                     (const double[]){249.75, 749.25}, 2);
    for (int i = 0; i < 8; i++)
        close_to("an output", f.first8[i], golden.first8[i], 0.1 * size_of_outputs());
    sums_agree(&f, 3.6e-2);
}

static void parameter_counts_are_the_published_ones(void **state)
{
    (void)state;
    static const char *const ho[] = {"network.kind=unet", "network.attention_placement=ho"};
    static const char *const song[] = {"network.kind=unet",
                                       "network.attention_placement=score_sde"};
    tw_model *m = make(ho, 2, TW_SHAPE(32, 32, 3));
    assert_int_equal(tw_params_count(m->params), 35746307);
    tw_model_destroy(&m);
    m = make(song, 2, TW_SHAPE(32, 32, 3));
    assert_int_equal(tw_params_count(m->params), 35218947);
    tw_model_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ddpm_small_agrees_with_the_published_code),
        cmocka_unit_test(ddpm_small_agrees_without_fusion),
        cmocka_unit_test(ddpm_small_agrees_in_a_large_batch),
        cmocka_unit_test(ddpm_small_agrees_with_winograds_convolutions),
        cmocka_unit_test(ddpm_small_agrees_in_bf16_to_its_rounding),
        cmocka_unit_test(parameter_counts_are_the_published_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
