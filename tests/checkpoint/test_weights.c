/* ranks: 1 2 4 */
/* Weights reach all ranks from one reader, and so do its failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkpoint/checkpoint_fixture.h"
#include "tweedie/comm.h"
#include "tweedie/log.h"

static tw_comm *comm;
static char run[256];
static fixture saved, loaded;

static int set_up(void **state)
{
    (void)state;
    tw_status st = TW_OK;
    if (tw_comm_rank(comm) == 0) {
        fixture_run(run, sizeof run);
        fixture_fill(&saved, 50);
        st = tw_checkpoint_write(run, saved.arrays, FIXTURE_ARRAYS, &saved.meta);
    }
    fixture_fill(&saved, 50);
    return tw_comm_agree(comm, st) == TW_OK && tw_comm_broadcast(comm, run, sizeof run, 0) == TW_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    if (tw_comm_barrier(comm) != TW_OK) return -1;
    if (tw_comm_rank(comm) == 0) fixture_remove(run);
    return 0;
}

static void every_rank_holds_the_same_weights(void **state)
{
    (void)state;
    tw_weights *w = NULL;
    assert_int_equal(tw_weights_load(&w, comm, run, "ema:0.999"), TW_OK);
    fixture_fill(&loaded, 1);
    assert_int_equal(tw_weights_copy(w, loaded.arrays, 2), TW_OK);
    assert_memory_equal(loaded.data[0], saved.data[4], 288 * sizeof(float));
    assert_memory_equal(loaded.data[1], saved.data[5], 17 * sizeof(float));
    assert_string_equal(w->meta.config, saved.meta.config);
    assert_true(fixture_same_samples(&w->meta));
    assert_int_equal(w->meta.step, 50);
    assert_int_equal(strlen(w->digest), 32);
    tw_weights_destroy(&w);
}

static void a_failure_of_the_reader_reaches_every_rank(void **state)
{
    (void)state;
    tw_weights *w = NULL;
    assert_int_equal(tw_weights_load(&w, comm, run, "ema:0.5"), TW_EDATA);
    assert_non_null(strstr(tw_error_message(), "has no weights ema:0.5"));
    assert_null(w);
    assert_int_equal(tw_weights_load(&w, comm, "/nowhere/at/all", NULL), TW_ENOINPUT);
    assert_non_null(strstr(tw_error_message(), "/nowhere/at/all"));
}

static void the_newest_checkpoint_is_agreed_upon(void **state)
{
    (void)state;
    char path[TW_CHECKPOINT_PATH];
    int64_t step;
    assert_int_equal(tw_checkpoint_find_newest_all(comm, run, path, sizeof path, &step), TW_OK);
    assert_int_equal(step, 50);
    assert_string_equal(path + strlen(run), "/checkpoints/step-000000050.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rank_holds_the_same_weights),
        cmocka_unit_test(a_failure_of_the_reader_reaches_every_rank),
        cmocka_unit_test(the_newest_checkpoint_is_agreed_upon),
    };
    if (tw_comm_create(&comm) != TW_OK) {
        fprintf(stderr, "%s\n", tw_error_message());
        return 1;
    }
    tw_log_quiet(true);
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    tw_comm_destroy(&comm);
    return failed;
}
