/* ranks: 1 2 3 4 */
/* Agreement and small collectives. Every rank runs every test; a rank that leaves alone would hang
 * the others into the time limit. */
#include <math.h>
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

#include "comm/comm_private.h"
#include "tweedie/comm.h"
#include "tweedie/memory.h"

static tw_comm *comm;

static void success_is_agreed(void **state)
{
    (void)state;
    assert_int_equal(tw_comm_agree(comm, TW_OK), TW_OK);
}

static void one_failing_rank_fails_all_with_its_message(void **state)
{
    (void)state;
    for (int failing = 0; failing < tw_comm_size(comm); failing++) {
        tw_status st = TW_OK;
        char expected[256];
        if (tw_comm_rank(comm) == failing) st = tw_error_set(TW_EIO, "disk %d is full", failing);
        assert_int_equal(tw_comm_agree(comm, st), TW_EIO);
        if (failing > 0)
            snprintf(expected, sizeof expected, "rank %d on %s: disk %d is full", failing,
                     tw_comm_host(comm), failing);
        else
            snprintf(expected, sizeof expected, "disk 0 is full");
        assert_string_equal(tw_error_message(), expected);
    }
}

static void the_lowest_failing_rank_decides(void **state)
{
    (void)state;
    int rank = tw_comm_rank(comm), size = tw_comm_size(comm);
    tw_status st = TW_OK;
    if (rank == size - 1) st = tw_error_set(TW_ENOMEM, "last");
    if (rank == size / 2) st = tw_error_set(TW_EDATA, "middle");
    assert_int_equal(tw_comm_agree(comm, st), TW_EDATA);
    assert_non_null(strstr(tw_error_message(), "middle"));
}

/* The tree of the contract, written down a second time. */
static double tree(const double *v, int n)
{
    int half = 1;
    if (n == 1) return v[0];
    while (half * 2 < n) half *= 2;
    return tree(v, half) + tree(v + half, n - half);
}

static double element(int rank, int64_t i)
{
    return sin(1.0 + 3.7 * rank + 0.01 * (double)i) * pow(10, (rank * 7 + (int)i) % 12);
}

static void sums_are_the_tree_in_rank_order_bit_for_bit(void **state)
{
    (void)state;
    static const int64_t counts[] = {1, 2, 3, 17, 4096, 5001, (1 << 20) + 7};
    int size = tw_comm_size(comm);
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        double *v = NULL, all[64];
        assert_int_equal(tw_alloc(&v, counts[k], sizeof *v, "v"), TW_OK);
        for (int64_t i = 0; i < counts[k]; i++) v[i] = element(tw_comm_rank(comm), i);
        assert_int_equal(tw_comm_sum(comm, v, counts[k]), TW_OK);
        for (int64_t i = 0; i<counts[k]; i += counts[k]> 10000 ? 997 : 1) {
            for (int r = 0; r < size; r++) all[r] = element(r, i);
            double expected = tree(all, size);
            assert_memory_equal(&v[i], &expected, sizeof expected);
        }
        tw_free(&v);
    }
}

static void extremes_and_broadcast_reach_all(void **state)
{
    (void)state;
    int rank = tw_comm_rank(comm), size = tw_comm_size(comm);
    double low = rank + 1, high = rank + 1;
    char text[100] = "";
    assert_int_equal(tw_comm_min(comm, &low, 1), TW_OK);
    assert_int_equal(tw_comm_max(comm, &high, 1), TW_OK);
    assert_true(low == 1 && high == size);
    if (rank == size - 1) strcpy(text, "from the last");
    assert_int_equal(tw_comm_broadcast(comm, text, sizeof text, size - 1), TW_OK);
    assert_string_equal(text, "from the last");
}

static void rank_zero_gathers_in_rank_order(void **state)
{
    (void)state;
    int rank = tw_comm_rank(comm), size = tw_comm_size(comm), all[64] = {0};
    assert_int_equal(tw_comm_gather(comm, &rank, sizeof rank, all), TW_OK);
    if (rank == 0)
        for (int r = 0; r < size; r++) assert_int_equal(all[r], r);

    char text[64];
    void *texts;
    int64_t sizes[64];
    memset(text, 'a' + rank, sizeof text);
    assert_int_equal(tw_comm_gather_texts(comm, text, (size_t)rank + 1, &texts, sizes), TW_OK);
    if (rank == 0) {
        const char *p = texts;
        for (int r = 0; r < size; r++) {
            assert_int_equal(sizes[r], r + 1);
            for (int i = 0; i <= r; i++) assert_int_equal(*p++, 'a' + r);
        }
    } else {
        assert_null(texts);
    }
    tw_free(&texts);
}

static void placement_is_reported_and_threads_are_at_least_one(void **state)
{
    (void)state;
    int threads;
    assert_int_equal(tw_comm_default_threads(comm, &threads), TW_OK);
    assert_true(threads >= 1);
    assert_int_equal(tw_comm_report_placement(comm, threads, "f32"), TW_OK);
    assert_int_equal(tw_comm_nodes(comm), 1);
}

/* In a child, since it ends the process. The child makes no MPI calls: only its copy of the guard
 * speaks. */
static void exit_before_the_end_becomes_code_70(void **state)
{
    (void)state;
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 70);
}

/* Open MPI's own prints a stack, and waits for ever where the heap is corrupted. Looked at outside
 * of cmocka, which has handlers too. */
static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { FATAL = sizeof fatal / sizeof *fatal };
static struct sigaction before_mpi[FATAL], after_mpi[FATAL];

static void look_at_handlers(struct sigaction *out)
{
    for (int i = 0; i < FATAL; i++) sigaction(fatal[i], NULL, &out[i]);
}

static void mpi_leaves_no_handler_of_fatal_signals(void **state)
{
    (void)state;
    for (int i = 0; i < FATAL; i++)
        assert_true(after_mpi[i].sa_handler == before_mpi[i].sa_handler);
}

/* For tests/cli/train_collectives.sh: the last rank does something else than the others. */
static int be_victim(const char *how)
{
    double x = 1;
    const bool last = tw_comm_rank(comm) == tw_comm_size(comm) - 1;
    if (tw_comm_barrier(comm) != TW_OK) return 1;
    if (last && strcmp(how, "barrier") == 0) return tw_comm_barrier(comm) != TW_OK;
    if (strcmp(how, "size") == 0) return tw_comm_broadcast(comm, &x, last ? 4 : 8, 0) != TW_OK;
    if (last && strcmp(how, "leave") == 0) return 0;
    return tw_comm_agree(comm, TW_OK) != TW_OK;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_is_agreed),
        cmocka_unit_test(one_failing_rank_fails_all_with_its_message),
        cmocka_unit_test(the_lowest_failing_rank_decides),
        cmocka_unit_test(sums_are_the_tree_in_rank_order_bit_for_bit),
        cmocka_unit_test(extremes_and_broadcast_reach_all),
        cmocka_unit_test(rank_zero_gathers_in_rank_order),
        cmocka_unit_test(placement_is_reported_and_threads_are_at_least_one),
        cmocka_unit_test(exit_before_the_end_becomes_code_70),
        cmocka_unit_test(mpi_leaves_no_handler_of_fatal_signals),
    };
    look_at_handlers(before_mpi);
    if (tw_comm_create(&comm) != TW_OK) {
        fprintf(stderr, "%s\n", tw_error_message());
        return 1;
    }
    look_at_handlers(after_mpi);
    int failed = argc > 2 && strcmp(argv[1], "victim") == 0
                     ? be_victim(argv[2])
                     : cmocka_run_group_tests(tests, NULL, NULL);
    tw_comm_destroy(&comm);
    return failed;
}
