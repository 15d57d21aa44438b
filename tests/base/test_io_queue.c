/* The input and output thread. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tweedie/io.h"

enum { JOBS = 100 };

typedef struct record {
    int *order, *next, number;
    pthread_t thread;
    sigset_t mask;
} record;

static tw_status note(void *self)
{
    record *r = self;
    r->order[(*r->next)++] = r->number; /* one thread does all jobs: no lock */
    r->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &r->mask);
    return TW_OK;
}

static tw_status fails(void *self)
{
    return tw_error_set(TW_EDATA, "job %d failed", *(int *)self);
}

static void jobs_are_done_in_their_order_by_one_thread_that_takes_no_signals(void **state)
{
    (void)state;
    static int order[JOBS];
    static record records[JOBS];
    static tw_io_job jobs[JOBS];
    int next = 0;
    tw_io *io = NULL;
    assert_int_equal(tw_io_create(&io), TW_OK);
    for (int i = 0; i < JOBS; i++) {
        records[i] = (record){.order = order, .next = &next, .number = i};
        jobs[i] = (tw_io_job){.run = note, .self = &records[i]};
        tw_io_submit(io, &jobs[i]);
    }
    for (int i = JOBS - 1; i >= 0; i--) assert_int_equal(tw_io_wait(io, &jobs[i]), TW_OK);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(order[i], i);
        assert_true(pthread_equal(records[i].thread, records[0].thread));
        assert_true(sigismember(&records[i].mask, SIGUSR1) &&
                    sigismember(&records[i].mask, SIGTERM));
    }
    assert_false(pthread_equal(records[0].thread, pthread_self()));
    tw_io_destroy(&io);
    assert_null(io);
}

static void a_failure_reaches_the_waiting_thread_with_its_message(void **state)
{
    (void)state;
    int number = 7;
    tw_io *io = NULL;
    assert_int_equal(tw_io_create(&io), TW_OK);
    tw_io_job job = {.run = fails, .self = &number};
    tw_io_submit(io, &job);
    (void)tw_error_set(TW_EIO, "another message of this thread");
    assert_int_equal(tw_io_wait(io, &job), TW_EDATA);
    assert_string_equal(tw_error_message(), "job 7 failed");
    assert_int_equal(tw_io_wait(io, &job), TW_OK); /* nothing was submitted since */
    number = 8;
    tw_io_submit(io, &job); /* and it may be submitted again */
    assert_int_equal(tw_io_wait(io, &job), TW_EDATA);
    assert_string_equal(tw_error_message(), "job 8 failed");
    assert_int_equal(tw_io_call(io, fails, &number), TW_EDATA);
    tw_io_destroy(&io);
}

typedef struct nested {
    tw_io *io;
    int calls;
} nested;

static tw_status inner(void *self)
{
    ((nested *)self)->calls++;
    return TW_OK;
}

static tw_status outer(void *self)
{
    nested *n = self;
    return tw_io_call(n->io, inner,
                      n); /* on the thread itself: would wait for ever if it were queued */
}

static void a_call_on_the_thread_itself_or_without_one_is_done_at_once(void **state)
{
    (void)state;
    nested n = {0};
    assert_int_equal(tw_io_call(NULL, inner, &n), TW_OK);
    assert_int_equal(tw_io_create(&n.io), TW_OK);
    assert_int_equal(tw_io_call(n.io, outer, &n), TW_OK);
    assert_int_equal(n.calls, 2);
    tw_io_destroy(&n.io);
}

static tw_status slow(void *self)
{
    usleep(2000);
    ++*(int *)self;
    return TW_OK;
}

static void ending_does_what_is_queued_first(void **state)
{
    (void)state;
    int count = 0;
    static tw_io_job jobs[10];
    tw_io *io = NULL;
    assert_int_equal(tw_io_create(&io), TW_OK);
    for (int i = 0; i < 10; i++) {
        jobs[i] = (tw_io_job){.run = slow, .self = &count};
        tw_io_submit(io, &jobs[i]);
    }
    tw_io_destroy(&io);
    assert_int_equal(count, 10);
    tw_io_destroy(&io); /* accepts NULL */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_done_in_their_order_by_one_thread_that_takes_no_signals),
        cmocka_unit_test(a_failure_reaches_the_waiting_thread_with_its_message),
        cmocka_unit_test(a_call_on_the_thread_itself_or_without_one_is_done_at_once),
        cmocka_unit_test(ending_does_what_is_queued_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
