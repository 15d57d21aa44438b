/* What a training step of NCSN++ at CIFAR-10 size takes, by its plan: activations are not touched,
 * so that this runs anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "tweedie/objective.h"
#include "tweedie/setup.h"

static tw_plan_memory plan(const tw_setup *s, int64_t batch, bool recompute)
{
    tw_objective *o = NULL;
    const tw_objective_options options = {.batch = batch,
                                          .global_batch = batch,
                                          .precision = s->precision,
                                          .convolution = s->convolution,
                                          .gradients = true,
                                          .recompute = recompute};
    if (tw_objective_create(&o, s->model, s->objective, &options) != TW_OK)
        fail_msg("%s", tw_error_message());
    const tw_plan_memory use = tw_plan_memory_use(tw_objective_plan(o));
    tw_objective_destroy(&o);
    return use;
}

static void ncsnpp_at_64_images_in_bf16_fits_5_gb_and_recomputing_halves_activations(void **state)
{
    (void)state;
    enum { IMAGES = 64, COPIES = 5 }; /* parameters, gradients, two moments, an EMA */
    const char *source = getenv("TWEEDIE_SOURCE_DIR");
    tw_setup setup = {0};
    char path[1024], shape[] = "data.shape=32,32,3", precision[] = "compute.precision=bf16";
    char *assignments[] = {shape, precision};
    if (!source) skip();
    snprintf(path, sizeof path, "%s/jobs/config/cifar10-ncsnpp-ve.ini", source);
    if (tw_setup_open(&setup, NULL, path, 2, assignments) != TW_OK ||
        tw_params_use_gradient(setup.model->params, NULL) != TW_OK)
        fail_msg("%s", tw_error_message());
    const tw_plan_memory kept = plan(&setup, IMAGES, false), again = plan(&setup, IMAGES, true);
    const double all = (double)(kept.arena + kept.scratch + kept.packed + kept.inputs) +
                       COPIES * sizeof(float) * (double)setup.model->params->size;
    tw_setup_close(&setup);
    print_message("activations %.2f GB, recomputed %.2f GB; all %.2f GB\n",
                  1e-9 * (double)kept.arena, 1e-9 * (double)again.arena, 1e-9 * all);
    assert_true(all <= 5e9);
    assert_true((double)again.arena <= 0.5 * (double)kept.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ncsnpp_at_64_images_in_bf16_fits_5_gb_and_recomputing_halves_activations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
