/* What training steps of the published sizes take, by their plans: nothing of it is touched, so
 * that this runs anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/objective.h"
#include "tweedie/setup.h"

typedef struct planned {
    double activations;           /* bytes of the arena */
    double parameters, plan, all; /* with gradients, Adam's moments and an EMA; scratch, packed */
} planned;

static planned plan(const char *config, int64_t batch, bool recompute)
{
    tw_setup setup = {0};
    tw_objective *o = NULL;
    char path[1024], shape[] = "data.shape=32,32,3", precision[] = "compute.precision=bf16";
    char *assignments[] = {shape, precision};
    snprintf(path, sizeof path, "%s/jobs/config/%s.ini", getenv("TWEEDIE_SOURCE_DIR"), config);
    if (tw_setup_open(&setup, NULL, path, 2, assignments) != TW_OK)
        fail_msg("%s", tw_error_message());
    const tw_objective_options options = {.batch = batch,
                                          .global_batch = batch,
                                          .precision = setup.precision,
                                          .convolution = setup.convolution,
                                          .gradients = true,
                                          .recompute = recompute};
    if (tw_params_use_gradient(setup.model->params, NULL) != TW_OK ||
        tw_objective_create(&o, setup.model, setup.objective, &options) != TW_OK)
        fail_msg("%s: %s", config, tw_error_message());
    const tw_plan_memory use = tw_plan_memory_use(tw_objective_plan(o));
    planned p = {.activations = (double)use.arena,
                 .plan = (double)(use.arena + use.scratch + use.packed + use.inputs),
                 .parameters = 5.0 * sizeof(float) * (double)setup.model->params->size};
    p.all = p.plan + p.parameters;
    tw_objective_destroy(&o);
    tw_setup_close(&setup);
    return p;
}

static void ncsnpp_at_64_images_in_bf16_takes_less_than_5_gigabytes(void **state)
{
    (void)state;
    if (!getenv("TWEEDIE_SOURCE_DIR")) skip();
    const planned p = plan("cifar10-ncsnpp-ve", 64, false);
    print_message("activations %.2f GB, the plan %.2f GB, with parameters %.2f GB\n",
                  1e-9 * p.activations, 1e-9 * p.plan, 1e-9 * p.all);
    assert_true(p.all <= 5e9);
}

static void recomputing_halves_the_activations(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        double most;
    } cases[] = {{"cifar10-ncsnpp-ve", 0.5}, {"cifar10-ddpm", 0.55}};
    if (!getenv("TWEEDIE_SOURCE_DIR")) skip();
    for (int i = 0; i < 2; i++) {
        const planned kept = plan(cases[i].config, 64, false),
                      again = plan(cases[i].config, 64, true);
        print_message("%s: %.2f GB, %.2f GB\n", cases[i].config, 1e-9 * kept.activations,
                      1e-9 * again.activations);
        if (!(again.activations <= cases[i].most * kept.activations))
            fail_msg("%s: %.3g of %.3g bytes", cases[i].config, again.activations,
                     kept.activations);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ncsnpp_at_64_images_in_bf16_takes_less_than_5_gigabytes),
        cmocka_unit_test(recomputing_halves_the_activations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
