/* ranks: 1 2 */
/* A step of training is planned before the first: none of them allocates memory or looks anything
 * up by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocations.h"
#include "train/trainer.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"

/* Classes of which some are dropped, microbatches of unequal sizes, EMA, clipping. Convolutions,
 * normalisation, attention and dropout are in the plans of tests/model/test_plans.c. */
static const char text[] =
    "[data]\npath = modes.h5\n[network]\nkind = mlp\nwidth = 24\ndepth = 2\nclasses = 2\n"
    "label_dropout = 0.2\n[train]\nsteps = 40\nbatch = 16\nmicrobatch = 3\n"
    "[process]\nkind = ddpm\nschedule = cosine\ntimesteps = 4\n"
    "[optimizer]\nlearning_rate = 0.01\nclip = 0.3\n[ema]\nrates = 0.9, 0.25\n"
    "[compute]\nprecision = f32\nthreads = 2\n[log]\nevery = 1000\n";

static tw_comm *comm;
static char directory[256], data_path[512], config_path[512];

static void ok(tw_status st)
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
    snprintf(run, sizeof run, "%s/%s", directory, name);
    snprintf(words, sizeof words, "%s", assignments);
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) list[count++] = w;
    tw_train_options o = {
        .config = config_path, .run = run, .assignment_count = count, .assignments = list};
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

static tw_status make_files(void)
{
    tw_status st = TW_OK;
    const char *base = getenv("TMPDIR");
    const tw_import_options import = {
        .format = "modes", .path = data_path, .count = 200, .seed = 4};
    snprintf(directory, sizeof directory, "%s/tweedie-test-XXXXXX", base ? base : "/tmp");
    TW_CHECK(mkdtemp(directory), TW_EIO, "%s: cannot be made", directory);
    snprintf(data_path, sizeof data_path, "%s/modes.h5", directory);
    snprintf(config_path, sizeof config_path, "%s/modes.ini", directory);
    TW_TRY(tw_dataset_import(&import, NULL));
    FILE *file = fopen(config_path, "w");
    TW_CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0, TW_EIO, "%s: cannot be written",
             config_path);
done:
    return st;
}

static int set_up(void **state)
{
    (void)state;
    tw_log_quiet(true);
    tw_status st = tw_comm_rank(comm) == 0 ? make_files() : TW_OK;
    if (tw_comm_agree(comm, st) != TW_OK ||
        tw_comm_broadcast(comm, directory, sizeof directory, 0) != TW_OK) {
        print_error("%s\n", tw_error_message());
        return -1;
    }
    snprintf(config_path, sizeof config_path, "%s/modes.ini", directory);
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    tw_log_close();
    if (tw_comm_barrier(comm) != TW_OK) return -1;
    return tw_comm_rank(comm) == 0 ? nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) : 0;
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
