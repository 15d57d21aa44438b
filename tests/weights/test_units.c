/* Weights of data in 0 to 1 are imported in model units: x = 2 x' - 1, σ = 2 σ', and the score is
 * half. */
#include <math.h>

#include "archive_fixture.h"
#include "tweedie/model.h"

static tw_model *make(const char *units)
{
    char text[512];
    tw_config *c = NULL;
    tw_model *m = NULL;
    snprintf(text, sizeof text,
             "[network]\nkind = ncsnpp\nbase = 8\nmult = 1, 2\nblocks = 1\nattention = 4\n"
             "embedding = fourier\nfir = yes\nscale_by_sigma = yes\ninit_scale = 1\n%s\n"
             "[process]\nkind = ve\n",
             units);
    if (tw_config_create(&c) != TW_OK ||
        tw_config_parse(c, text, (int64_t)strlen(text), "test") != TW_OK ||
        tw_model_configure(&m, c) != TW_OK || tw_config_finish(c) != TW_OK ||
        tw_model_create(m, TW_SHAPE(8, 8, 3), 3) != TW_OK)
        fail_msg("%s", tw_error_message());
    tw_config_destroy(&c);
    return m;
}

static void evaluate(tw_model *m, double scale, double offset, double sigma, float *out)
{
    tw_graph *g = NULL;
    tw_plan *p = NULL;
    const tw_plan_options options = {.precision = TW_PRECISION_F32};
    const tw_plan_run run = {0};
    assert_int_equal(tw_graph_create(&g), TW_OK);
    tw_graph_output(g, "y", tw_model_build(g, m, 1, NULL).net);
    if (tw_plan_create(&p, g, m->params, &options) != TW_OK) fail_msg("%s", tw_error_message());
    float *x = tw_plan_input(p, "x"), *log_sigma = tw_plan_input(p, "log_sigma");
    for (int i = 0; i < 192; i++) x[i] = (float)(scale * (0.5 + 0.5 * sin(i)) + offset);
    log_sigma[0] = (float)log(sigma);
    tw_plan_refresh(p);
    tw_plan_execute(p, &run);
    memcpy(out, tw_plan_output(p, "y"), 192 * sizeof *out);
    tw_plan_destroy(&p);
    tw_graph_destroy(&g);
}

static void ncsnpp_in_model_units_gives_half_the_score(void **state)
{
    (void)state;
    float theirs[192], ours[192];
    double largest = 0;
    tw_model *m = make("centered = no");
    evaluate(m, 1, 0, 0.7, theirs);
    tw_model_destroy(&m);
    m = make("sigma_unit = 2");
    evaluate(m, 2, -1, 1.4, ours);
    tw_model_destroy(&m);
    for (int i = 0; i < 192; i++) largest = fmax(largest, fabs((double)theirs[i]));
    assert_true(largest > 0.1);
    for (int i = 0; i < 192; i++)
        if (fabs((double)ours[i] - (double)theirs[i] / 2) > 1e-5 * largest)
            fail_msg("output %d: %g, half of %g was expected", i, (double)ours[i],
                     (double)theirs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ncsnpp_in_model_units_gives_half_the_score),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
