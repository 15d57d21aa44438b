/* ranks: 1 2 */
/* A step of training is planned before the first: none of them allocates memory or looks anything
 * up by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocations.h"
#include "train/trainer.h"
#include "train/trainer_files.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"

/* Classes of which some are dropped, microbatches of unequal sizes, EMA, clipping. Convolutions,
 * normalisation, attention and dropout are in the plans of tests/model/test_plans.c. */
static const char text[] =
    "[data]\npath = points.h5\n[network]\nkind = mlp\nwidth = 24\ndepth = 2\nclasses = 2\n"
    "label_dropout = 0.2\n[train]\nsteps = 40\nbatch = 16\nmicrobatch = 3\n"
    "[process]\nkind = ddpm\nschedule = cosine\ntimesteps = 4\n"
    "[optimizer]\nlearning_rate = 0.01\nclip = 0.3\n[ema]\nrates = 0.9, 0.25\n"
    "[compute]\nprecision = f32\nthreads = 2\n[log]\nevery = 1000\n";

static tw_comm *comm;
static trainer_files files;

static inline void ok(tw_status st)
{
    if (st != TW_OK) fail_msg("%s", tw_error_message());
}

#if ALLOCATIONS_COUNTED
static void steps_allocate_nothing(const char *name, const char *assignments)
{
    char run[600], words[256], *list[8];
    int count = 0;
    tw_step_result result;
    const int before_opening = allocations, compared_before_opening = comparisons;
    snprintf(run, sizeof run, "%s/%s", files.directory, name);
    snprintf(words, sizeof words, "%s", assignments);
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) list[count++] = w;
    tw_train_options o = {
        .config = files.config, .run = run, .assignment_count = count, .assignments = list};
    tw_trainer t = {.comm = comm, .options = &o, .start = tw_clock_seconds()};
    ok(tw_trainer_open(&t));
    assert_true(allocations > before_opening && comparisons > compared_before_opening);
    assert_true(t.stepper.micro_count > 1);
    ok(tw_trainer_step(&t, &result)); /* OpenMP starts its threads */
    const int before = allocations, compared = comparisons;
    while (t.stepper.step < 12) ok(tw_trainer_step(&t, &result));
    assert_int_equal(allocations, before);
    assert_int_equal(comparisons, compared);
    tw_trainer_close(&t);
}
#endif

static void a_step_allocates_nothing_and_looks_up_no_name(void **state)
{
    (void)state;
#if ALLOCATIONS_COUNTED
    static const char denoising[] = "objective.weighting=min_snr";
    /* Its times depend on losses once ten of each time are known: within ten steps. */
    static const char history[] = "prediction.variance=learned_range objective.kind=hybrid "
                                  "objective.decoder=gaussian objective.times=second_moment";
    static const char tree[] = "train.rank_independent=yes train.microbatch=2";
    steps_allocate_nothing("denoising", denoising);
    steps_allocate_nothing("history", history);
    steps_allocate_nothing("tree", tree);
#else
    skip();
#endif
}

static int set_up(void **state)
{
    (void)state;
    return trainer_files_make(&files, comm, "modes", text);
}

static int tear_down(void **state)
{
    (void)state;
    return trainer_files_remove(&files, comm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_allocates_nothing_and_looks_up_no_name),
    };
    if (tw_comm_create(&comm) != TW_OK) {
        fprintf(stderr, "%s\n", tw_error_message());
        return 1;
    }
    const int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    tw_comm_destroy(&comm);
    return failed;
}
