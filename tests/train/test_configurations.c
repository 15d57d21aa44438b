/* The shipped configurations: each is read, and no operation of its training plan runs in one of
 * oneDNN's reference implementations, which are thousands of times slower and give nothing else
 * away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/objective.h"
#include "tweedie/setup.h"

/* Samples as the configuration's dataset has them, which need not be here: CIFAR-10 and MNIST, sets
 * of images whose names end in their size, or points. */
static void shape_of(char out[64], const char *path)
{
    const char *name = strrchr(path, '/') + 1, *end = strpbrk(name, "-.");
    int side = 0;
    for (const char *p = end; p > name && p[-1] >= '0' && p[-1] <= '9'; p--) side = atoi(p - 1);
    if (strncmp(name, "cifar", 5) == 0)
        snprintf(out, 64, "data.shape=32,32,3");
    else if (strncmp(name, "mnist", 5) == 0)
        snprintf(out, 64, "data.shape=28,28,1");
    else if (side)
        snprintf(out, 64, "data.shape=%d,%d,3", side, side);
    else
        snprintf(out, 64, "data.shape=2");
}

static void check(const char *path, const char *precision)
{
    tw_setup setup = {0};
    tw_objective *objective = NULL;
    char shape[64], text[32], base[] = "network.base=64";
    char *assignments[] = {shape, text, base};
    /* hundreds of millions of parameters: the same network, a fraction of the width */
    const int count = strstr(path, "-adm.ini") ? 3 : 2;
    shape_of(shape, path);
    snprintf(text, sizeof text, "compute.precision=%s", precision);
    if (tw_setup_open(&setup, NULL, path, count, assignments) != TW_OK)
        fail_msg("%s", tw_error_message());
    const int64_t batch = setup.model->dims > 100000 ? 1 : 4; /* memory */
    const tw_objective_options options = {
        .batch = batch, .global_batch = batch, .precision = setup.precision, .gradients = true};
    if (tw_params_use_gradient(setup.model->params, NULL) != TW_OK ||
        tw_objective_create(&objective, setup.model, setup.objective, &options) != TW_OK)
        fail_msg("%s, %s: %s", path, precision, tw_error_message());
    const tw_plan *p = tw_objective_plan(objective);
    assert_true(tw_plan_task_count(p) > 10);
    for (int i = 0; i < tw_plan_task_count(p); i++) {
        const tw_plan_task_info t = tw_plan_task(p, i);
        assert_true(t.implementation[0] != '\0'); /* each says which it is */
        if (strstr(t.implementation, "ref"))
            fail_msg("%s, %s: task %d, %s, runs in %s", path, precision, i, t.op, t.implementation);
    }
    tw_objective_destroy(&objective);
    tw_setup_close(&setup);
}

static void shipped_plans_run_in_no_reference_implementation(void **state)
{
    (void)state;
    const char *source = getenv("TWEEDIE_SOURCE_DIR");
    char pattern[1024];
    glob_t found;
    if (!source) skip();
    snprintf(pattern, sizeof pattern, "%s/jobs/config/*.ini", source);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 3);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        check(found.gl_pathv[i], "f32");
        check(found.gl_pathv[i], "bf16");
    }
    globfree(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_plans_run_in_no_reference_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
