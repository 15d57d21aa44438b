/* waits */
/* The watchdog ends a hanging process in time, says where, and leaves a living one alone.
 *
 * `test_watchdog victim stop|spin|exit|wait|long [N [RANK]]` is a rank of a run, on pretended nodes
 * of N ranks each, whose rank 1 (or RANK) in its third step stops, spins, leaves with code 0, stops
 * while it waits for others, or stops in a section that may take an hour: for
 * tests/cli/watchdog.sh, which starts it under mpirun. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "comm/pretend_nodes.h"
#include "tweedie/clock.h"
#include "tweedie/reducer.h"
#include "tweedie/signals.h"
#include "tweedie/watchdog.h"

/* Runs `body` in a child whose standard error is kept; returns its wait status. */
static int in_child(void (*body)(void), char *text, size_t size)
{
    int ends[2], status;
    size_t n = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        body();
        _exit(0);
    }
    close(ends[1]);
    while (n < size - 1 && (got = read(ends[0], text + n, size - 1 - n)) > 0) n += (size_t)got;
    text[n] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void hang(void)
{
    tw_watchdog *w = NULL;
    if (tw_watchdog_create(&w, NULL) != TW_OK) _exit(1);
    tw_watchdog_heartbeat(w, "reduction", 1234, 1.0);
    tw_watchdog_wait(w);
    for (;;) pause();
}

static void a_hang_ends_with_code_70_and_names_section_and_step(void **state)
{
    (void)state;
    char text[1000];
    double start = tw_clock_seconds();
    int status = in_child(hang, text, sizeof text);
    double seconds = tw_clock_seconds() - start;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 70);
    assert_non_null(strstr(text, "in 'reduction' of step 1234, waiting for other ranks, for 1 s"));
    assert_non_null(strstr(text, "limit 1 s"));
    assert_true(seconds >= 1.0 &&
                seconds < 3.0); /* the limit, a quarter of a second, and what a busy machine adds */
}

static void live(void)
{
    tw_watchdog *w = NULL;
    if (tw_watchdog_create(&w, NULL) != TW_OK) _exit(1);
    for (int step = 0; step < 20; step++) {
        tw_watchdog_heartbeat(w, "forward", step, 1.0);
        usleep(80000);
    }
    tw_watchdog_heartbeat(w, "save", 20, 0);
    usleep(1300000); /* no limit holds */
    tw_watchdog_destroy(&w);
    _exit(w ? 1 : 0);
}

static void heartbeats_and_sections_without_limit_keep_it_quiet(void **state)
{
    (void)state;
    char text[1000];
    int status = in_child(live, text, sizeof text);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(text, "");
}

static void be_suspended(void)
{
    tw_watchdog *w = NULL;
    if (tw_watchdog_create(&w, NULL) != TW_OK) _exit(1);
    tw_watchdog_heartbeat(w, "forward", 1, 1.0);
    const pid_t self = getpid();
    const pid_t waker = fork();
    if (waker == 0) {
        usleep(4500000);
        kill(self, SIGCONT);
        _exit(0);
    }
    raise(SIGSTOP);
    usleep(500000); /* awake again, with half a second of its second left */
    tw_watchdog_heartbeat(w, "forward", 2, 1.0);
    tw_watchdog_destroy(&w);
    _exit(waitpid(waker, NULL, 0) == waker ? 0 : 2);
}

static void time_in_which_the_job_was_suspended_does_not_count(void **state)
{
    (void)state;
    char text[1000];
    int status = in_child(be_suspended, text, sizeof text);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(text, "");
}

static void obey_signals(void)
{
    if (tw_signals_install() != TW_OK || tw_signals_stop() || tw_signals_take_save()) _exit(1);
    raise(SIGUSR2);
    if (!tw_signals_take_save() || tw_signals_take_save() || tw_signals_stop()) _exit(2);
    raise(SIGUSR1);
    if (!tw_signals_stop() || !tw_signals_stop()) _exit(3);
    raise(SIGTERM);
    raise(SIGTERM); /* delivered twice by a launcher: one request */
    usleep(1100000);
    raise(SIGTERM); /* meant */
    _exit(4);
}

static void signals_set_flags_and_a_late_second_term_ends(void **state)
{
    (void)state;
    char text[1000];
    int status = in_child(obey_signals, text, sizeof text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void a_watchdog_that_is_not_there_accepts_heartbeats(void **state)
{
    (void)state;
    tw_watchdog *none = NULL;
    tw_watchdog_heartbeat(none, "forward", 1, 1);
    tw_watchdog_wait(none);
    tw_watchdog_destroy(&none);
}

static void misbehave(const char *how)
{
    if (strcmp(how, "spin") != 0 && strcmp(how, "exit") != 0) raise(SIGSTOP);
    if (strcmp(how, "exit") == 0) exit(0);
    for (;;) usleep(1000);
}

static int victim(const char *how, int per_node, int who)
{
    enum { COUNT = 1000 };
    static const tw_reducer_bucket bucket = {0, COUNT};
    tw_comm *comm = NULL;
    tw_watchdog *w = NULL;
    tw_reducer *r = NULL;
    if (tw_comm_create(&comm) != TW_OK) return 1;
    if (per_node > 0) pretend_nodes(comm, per_node);
    if (tw_watchdog_create(&w, comm) != TW_OK ||
        tw_reducer_create(&r, comm, COUNT, &bucket, 1, NULL) != TW_OK)
        return 1;
    tw_reducer_watch(r, w);
    for (int64_t step = 0; step < 5; step++) {
        tw_watchdog_heartbeat(w, "backward", step,
                              tw_comm_rank(comm) == who ? 7
                              : per_node > 0            ? 5
                                                        : 2);
        tw_reducer_begin(r, step);
        if (per_node > 0 && step == 1) usleep(1500000); /* until the other nodes have heard of it */
        if (step == 2 && strcmp(how, "long") == 0)
            tw_watchdog_heartbeat(w, "validation", step, 3600);
        if (step == 2 && strcmp(how, "wait") == 0) tw_watchdog_wait(w);
        if (step == 2 && tw_comm_rank(comm) == who) misbehave(how);
        if (step == 2 && strcmp(how, "long") == 0 && tw_comm_barrier(comm) != TW_OK) return 1;
        tw_reducer_ready(r, 0, COUNT);
        if (tw_reducer_finish(r, TW_OK, NULL, 0) != TW_OK) return 1;
    }
    tw_reducer_destroy(&r);
    tw_watchdog_destroy(&w);
    tw_comm_destroy(&comm);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "victim") == 0)
        return victim(argv[2], argc > 3 ? atoi(argv[3]) : 0, argc > 4 ? atoi(argv[4]) : 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hang_ends_with_code_70_and_names_section_and_step),
        cmocka_unit_test(heartbeats_and_sections_without_limit_keep_it_quiet),
        cmocka_unit_test(time_in_which_the_job_was_suspended_does_not_count),
        cmocka_unit_test(signals_set_flags_and_a_late_second_term_ends),
        cmocka_unit_test(a_watchdog_that_is_not_there_accepts_heartbeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
