/* The run directory and its lock. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "checkpoint/checkpoint_fixture.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/rundir.h"

static char base[256], path[400];

static int set_up(void **state)
{
    (void)state;
    fixture_run(base, sizeof base);
    snprintf(path, sizeof path, "%s/a/b/run", base);
    tw_log_quiet(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_remove(base);
    return 0;
}

/* A child that holds the run until it is killed; returns when it does. */
static pid_t hold_in_child(void)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        tw_rundir *run = NULL;
        alarm(60); /* never outlives the test */
        if (tw_rundir_create(&run, path) != TW_OK) _exit(1);
        if (write(ends[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return child;
}

static void the_parts_are_made_and_the_lock_given_back(void **state)
{
    (void)state;
    tw_rundir *run = NULL;
    char file[512];
    for (int k = 0; k < 2; k++) {
        assert_int_equal(tw_rundir_create(&run, path), TW_OK);
        static const char *const parts[] = {"checkpoints", "weights", "samples", "lock"};
        for (int i = 0; i < 4; i++) {
            assert_int_equal(tw_rundir_file(file, sizeof file, run, parts[i]), TW_OK);
            assert_true(tw_file_exists(file));
        }
        assert_int_equal(tw_rundir_check(run), TW_OK);
        tw_rundir_destroy(&run);
        assert_false(tw_file_exists(file)); /* the lock, the last of them */
    }
}

static void a_second_trainer_is_refused_with_the_holder_named(void **state)
{
    (void)state;
    tw_rundir *run = NULL, *second = NULL;
    char text[64], host[128] = "";
    pid_t child = hold_in_child();
    assert_int_equal(tw_rundir_create(&run, path), TW_ELOCKED);
    assert_int_equal(tw_status_exit_code(TW_ELOCKED), 73);
    snprintf(text, sizeof text, "process %ld,", (long)child);
    gethostname(host, sizeof host - 1);
    assert_non_null(strstr(tw_error_message(), text));
    assert_non_null(strstr(tw_error_message(), host));
    assert_non_null(strstr(tw_error_message(), path));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);

    /* the same in one process, and reading the lock file does not give it back */
    assert_int_equal(tw_rundir_create(&run, path), TW_OK);
    assert_int_equal(tw_rundir_create(&second, path), TW_ELOCKED);
    assert_int_equal(tw_rundir_create(&second, path), TW_ELOCKED);
    tw_rundir_destroy(&run);
}

static void a_lock_whose_holder_was_killed_is_taken_over(void **state)
{
    (void)state;
    tw_rundir *run = NULL;
    pid_t child = hold_in_child();
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    char lock[512];
    snprintf(lock, sizeof lock, "%s/lock", path);
    assert_true(tw_file_exists(lock));
    assert_int_equal(tw_rundir_create(&run, path), TW_OK);
    assert_int_equal(tw_rundir_check(run), TW_OK);
    tw_rundir_destroy(&run);
}

static void one_of_many_that_start_at_once_gets_it(void **state)
{
    (void)state;
    enum { N = 12 };
    pid_t children[N];
    int go[2], owners = 0;
    assert_int_equal(pipe(go), 0);
    for (int i = 0; i < N; i++) {
        children[i] = fork();
        if (children[i] != 0) continue;
        tw_rundir *run = NULL;
        char byte;
        close(go[1]);
        if (read(go[0], &byte, 1) != 0) _exit(9); /* the parent closes: all start */
        tw_status st = tw_rundir_create(&run, path);
        if (st == TW_OK) usleep(500000);
        tw_rundir_destroy(&run);
        _exit(st == TW_OK ? 0 : st == TW_ELOCKED ? 1 : 2);
    }
    close(go[0]);
    close(go[1]);
    for (int i = 0; i < N; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        owners += WEXITSTATUS(status) == 0;
    }
    assert_int_equal(owners, 1);
}

/* Takes and gives back the run many times; returns the number of times that somebody else was in it
 * too. */
static int contend(const char *mark)
{
    int intruders = 0;
    for (int k = 0; k < 300; k++) {
        tw_rundir *run = NULL;
        if (tw_rundir_create(&run, path) != TW_OK) continue;
        int file = open(mark, O_WRONLY | O_CREAT | O_EXCL, 0666);
        if (file < 0)
            intruders++;
        else
            close(file);
        if (k % 8 == 0) usleep(100);
        unlink(mark);
        tw_rundir_destroy(&run);
    }
    return intruders;
}

static void giving_back_never_lets_two_in(void **state)
{
    (void)state;
    enum { N = 6 };
    pid_t children[N];
    char mark[512];
    snprintf(mark, sizeof mark, "%s/inside", base);
    for (int i = 0; i < N; i++) {
        children[i] = fork();
        if (children[i] == 0) _exit(contend(mark) ? 1 : 0);
    }
    for (int i = 0; i < N; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static void losing_the_lock_is_noticed(void **state)
{
    (void)state;
    tw_rundir *run = NULL;
    char lock[512];
    assert_int_equal(tw_rundir_create(&run, path), TW_OK);
    snprintf(lock, sizeof lock, "%s/lock", path);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(tw_rundir_check(run), TW_ELOCKED);
    pid_t child = hold_in_child();
    assert_int_equal(tw_rundir_check(run), TW_ELOCKED);
    assert_non_null(strstr(tw_error_message(), "taken over"));
    tw_rundir_destroy(&run); /* must not remove the other's */
    assert_true(tw_file_exists(lock));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    tw_rundir *run = NULL;
    char file[512], below[600];
    snprintf(file, sizeof file, "%s/file", base);
    fixture_spill(file, "x", 1);
    assert_int_equal(tw_rundir_create(&run, file), TW_EIO);
    assert_non_null(strstr(tw_error_message(), file));
    snprintf(below, sizeof below, "%s/run", file);
    assert_int_equal(tw_rundir_create(&run, below), TW_EIO);
    assert_non_null(strstr(tw_error_message(), file));
    if (geteuid() != 0) { /* root may write everywhere */
        snprintf(file, sizeof file, "%s/closed", base);
        assert_int_equal(mkdir(file, 0555), 0);
        assert_int_equal(tw_rundir_create(&run, file), TW_EIO);
        assert_non_null(strstr(tw_error_message(), "cannot be written"));
    }
    assert_null(run);
}

static void a_request_file_is_taken_once(void **state)
{
    (void)state;
    tw_rundir *run = NULL;
    char file[512];
    assert_int_equal(tw_rundir_create(&run, path), TW_OK);
    assert_false(tw_rundir_take_request(run, "checkpoint-now"));
    assert_int_equal(tw_rundir_file(file, sizeof file, run, "checkpoint-now"), TW_OK);
    fixture_spill(file, "", 0);
    assert_true(tw_rundir_take_request(run, "checkpoint-now"));
    assert_false(tw_rundir_take_request(run, "checkpoint-now"));
    tw_rundir_destroy(&run);
}

/* A loop may ask in every step; the file system is asked now and then. */
static void a_request_is_looked_for_now_and_then(void **state)
{
    (void)state;
    tw_rundir *run = NULL;
    char file[512];
    assert_int_equal(tw_rundir_create(&run, path), TW_OK);
    assert_int_equal(tw_rundir_file(file, sizeof file, run, "checkpoint-now"), TW_OK);
    assert_false(tw_rundir_poll_request(run, "checkpoint-now"));
    fixture_spill(file, "", 0);
    for (int i = 0; i < 100; i++) assert_false(tw_rundir_poll_request(run, "checkpoint-now"));
    assert_int_equal(access(file, F_OK), 0);
    usleep((TW_RUNDIR_REQUEST_SECONDS * 1000 + 50) * 1000);
    assert_true(tw_rundir_poll_request(run, "checkpoint-now"));
    assert_int_not_equal(access(file, F_OK), 0);
    tw_rundir_destroy(&run);
}

static void texts_are_read_whole(void **state)
{
    (void)state;
    char file[512], *text = NULL;
    snprintf(file, sizeof file, "%s/text", base);
    fixture_spill(file, "[run]\nseed = 1\n", 15);
    assert_int_equal(tw_rundir_read_text(&text, file), TW_OK);
    assert_string_equal(text, "[run]\nseed = 1\n");
    tw_free(&text);
    fixture_spill(file, "seed\0= 1\n", 9);
    assert_int_equal(tw_rundir_read_text(&text, file), TW_EDATA);
    assert_int_equal(tw_rundir_read_text(&text, base), TW_ENOINPUT);
    snprintf(file, sizeof file, "%s/none", base);
    assert_int_equal(tw_rundir_read_text(&text, file), TW_ENOINPUT);
}

static void cleaning_removes_what_a_killed_trainer_left_and_nothing_else(void **state)
{
    (void)state;
    static const char *const debris[] = {"checkpoints/.step-000000100.h5.n1-1-0.tmp",
                                         "samples/.step-000000100.png.n1-1-0.tmp",
                                         ".latest.n1-1-0.tmp", ".config.ini.n1-1-0.tmp"};
    static const char *const others[] = {
        "samples/.samples.h5.n1-1-0.tmp", "weights/.step-000000100-raw.h5.n1-1-0.tmp", /* of jobs */
        "checkpoints/step-000000100.h5.tmp", "config.ini", "my.tmp"};
    enum { DEBRIS = sizeof debris / sizeof *debris, OTHERS = sizeof others / sizeof *others };
    tw_rundir *run = NULL;
    char file[512];
    assert_int_equal(tw_rundir_create(&run, path), TW_OK);
    for (int i = 0; i < DEBRIS + OTHERS; i++) {
        snprintf(file, sizeof file, "%s/%s", path, i < DEBRIS ? debris[i] : others[i - DEBRIS]);
        fixture_spill(file, "half", 4);
    }
    snprintf(file, sizeof file, "%s/weights/.step-000000200-raw.h5.n1-1-0.tmp",
             path); /* of an export that was killed long ago */
    fixture_spill(file, "half", 4);
    const struct timespec then[2] = {{.tv_sec = time(NULL) - 90000},
                                     {.tv_sec = time(NULL) - 90000}};
    assert_int_equal(utimensat(AT_FDCWD, file, then, 0), 0);
    assert_int_equal(tw_checkpoint_clean(path), TW_OK);
    assert_false(tw_file_exists(file));
    for (int i = 0; i < DEBRIS + OTHERS; i++) {
        snprintf(file, sizeof file, "%s/%s", path, i < DEBRIS ? debris[i] : others[i - DEBRIS]);
        assert_int_equal(tw_file_exists(file), i >= DEBRIS);
    }
    tw_rundir_destroy(&run);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_parts_are_made_and_the_lock_given_back),
        TEST(a_second_trainer_is_refused_with_the_holder_named),
        TEST(a_lock_whose_holder_was_killed_is_taken_over),
        TEST(one_of_many_that_start_at_once_gets_it),
        TEST(giving_back_never_lets_two_in),
        TEST(losing_the_lock_is_noticed),
        TEST(a_directory_that_cannot_be_made_is_named),
        TEST(a_request_file_is_taken_once),
        TEST(a_request_is_looked_for_now_and_then),
        TEST(texts_are_read_whole),
        TEST(cleaning_removes_what_a_killed_trainer_left_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
