/* The published DDPM network, filled by a rule, against numbers that its own code gave in double: outputs, loss and gradients. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tweedie/fingerprint.h"
#include "tweedie/memory.h"

/* score_sde's DDPM: nf 32, ch_mult (1, 2), 1 block, attention at 8, 16 x 16 images, labels 249.75 and 749.25. */
static const tw_fingerprint golden = {
    .params = 685731,
    .first8 = {-0.367799633179, -0.406565369372, -0.273505953009, -0.133471231918, -0.139353103765, -0.338185019049, -0.680406427811,
               -1.0684748959},
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
    /* the schedule's name has been used; the strings of a configuration live as long as it */
    m->objective.schedule = "linear";
    tw_config_destroy(&c);
    return m;
}

static void close_to(double met, double wanted, double relative)
{
    if (!(met >= wanted - relative * (wanted < 0 ? -wanted : wanted) && met <= wanted + relative * (wanted < 0 ? -wanted : wanted)))
        fail_msg("%.12g met, %.12g wanted", met, wanted);
}

static void ddpm_small_agrees_with_the_published_code(void **state)
{
    (void)state;
    static const char *const config[] = {"network.kind=unet", "network.base=32",     "network.mult=1,2",
                                         "network.blocks=1",  "network.attention=8", "network.attention_placement=score_sde",
                                         "network.dropout=0"};
    tw_model *m = make(config, 7, TW_SHAPE(16, 16, 3));
    tw_fingerprint f;
    if (tw_fingerprint_measure(&f, m, (const double[]){249.75, 749.25}, 2, TW_PRECISION_F32) != TW_OK) fail_msg("%s", tw_error_message());
    assert_int_equal(f.params, golden.params);
    /* outputs as a vector: an error is relative to their root mean square, since one that passes zero has no relative error of its own */
    const double rms = sqrt(golden.sumsq / (2 * 16 * 16 * 3));
    for (int i = 0; i < 8; i++) assert_true(fabs(f.first8[i] - golden.first8[i]) <= 1e-5 * rms);
    close_to(f.sum, golden.sum, 1e-5);
    close_to(f.sumsq, golden.sumsq, 1e-5);
    close_to(f.loss, golden.loss, 1e-5);
    close_to(f.input_grad_sumsq, golden.input_grad_sumsq, 1e-5);
    close_to(f.param_grad_norm, golden.param_grad_norm, 1e-5);
    tw_model_destroy(&m);
}

static void parameter_counts_are_the_published_ones(void **state)
{
    (void)state;
    static const char *const ho[] = {"network.kind=unet", "network.attention_placement=ho"};
    static const char *const song[] = {"network.kind=unet", "network.attention_placement=score_sde"};
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
        cmocka_unit_test(parameter_counts_are_the_published_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
