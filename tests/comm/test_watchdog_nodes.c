/* ranks: 2 3 4 waits */
/* Heartbeats travel between nodes, which are pretended here, and nothing is left on the way.
 * tests/cli/watchdog.sh shows what is said of ranks elsewhere, tests/jobs/watchdog.sh on real
 * nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "comm/pretend_nodes.h"
#include "comm/watchdog_private.h"
#include "tweedie/clock.h"
#include "tweedie/memory.h"

static tw_comm *comm;

static void heartbeat_as(heartbeat *b, int rank, int64_t step, const char *section, bool waiting)
{
    b->rank = rank;
    atomic_store(&b->step, step);
    atomic_store(&b->waiting, waiting);
    strcpy(b->section, section);
    atomic_store(&b->nanoseconds, watchdog_now() - 5000000000);
    atomic_store(&b->alive, watchdog_now() - 4000000000);
}

static void node_0_and_the_others_learn_of_each_other(void **state)
{
    (void)state;
    const int rank = tw_comm_rank(comm), size = tw_comm_size(comm);
    watchdog_nodes n;
    heartbeat *local = NULL;
    char *shared = NULL;
    assert_int_equal(tw_alloc(&local, 1, sizeof *local, "a heartbeat"), TW_OK);
    assert_int_equal(tw_alloc(&shared, (int64_t)watchdog_nodes_bytes(comm), 1, "a table"), TW_OK);
    memset(shared, 0xff, watchdog_nodes_bytes(comm));
    heartbeat_as(local, rank, 100 + rank, rank % 2 ? "save" : "step", rank % 2);
    assert_int_equal(watchdog_nodes_start(&n, comm, shared, local), TW_OK);
    assert_int_equal(n.count, rank == 0 ? size - 1 : 1);
    assert_int_equal(n.ranks, n.count);
    const double end = tw_clock_seconds() + 20;
    for (int i = 0; i < n.count; i++) {
        const int other = rank == 0 ? i + 1 : 0;
        while (atomic_load(&n.heartbeats[i].nanoseconds) == 0 && tw_clock_seconds() < end)
            usleep(10000);
        usleep(1000);
        assert_int_equal(n.heartbeats[i].rank, other);
        assert_int_equal(n.nodes[i].first, other);
        assert_int_equal(atomic_load(&n.heartbeats[i].step), 100 + other);
        assert_int_equal(atomic_load(&n.heartbeats[i].waiting), other % 2);
        assert_string_equal(n.heartbeats[i].section, other % 2 ? "save" : "step");
        assert_string_equal(n.nodes[i].host, tw_comm_host(comm));
        const double age =
            (double)(watchdog_now() - atomic_load(&n.heartbeats[i].nanoseconds)) / 1e9;
        assert_true(age > 4.9 && age < 30);
        const double silence = (double)(watchdog_now() - atomic_load(&n.heartbeats[i].alive)) / 1e9;
        assert_true(silence > 3.9 && silence < age);
        assert_true(watchdog_nodes_miss(&n, watchdog_now(), 2000000000, 0));
        assert_false(watchdog_nodes_miss(&n, watchdog_now(), 35000000000, 0));
        assert_false(watchdog_nodes_miss(
            &n, watchdog_now(), 2000000000,
            watchdog_now())); /* who did not look holds nothing against others */
    }
    watchdog_nodes_stop(&n);
    assert_null(n.courier);
    tw_free(&local);
    tw_free(&shared);
}

static void one_that_leaves_late_is_waited_for_and_nothing_is_left(void **state)
{
    (void)state;
    for (int late = 0; late < tw_comm_size(comm); late++) {
        tw_watchdog *w = NULL;
        assert_int_equal(tw_watchdog_create(&w, comm), TW_OK);
        tw_watchdog_heartbeat(w, "step", late, 60);
        if (tw_comm_rank(comm) == late) usleep(1300000); /* the others' messages come meanwhile */
        tw_watchdog_destroy(&w);
        assert_null(w);
    }
}

static void beginning_and_ending_at_once_is_clean(void **state)
{
    (void)state;
    for (int k = 0; k < 20; k++) {
        tw_watchdog *w = NULL;
        assert_int_equal(tw_watchdog_create(&w, comm), TW_OK);
        tw_watchdog_destroy(&w);
    }
}

static void nodes_of_several_ranks_begin_and_end_and_the_second_is_a_courier_too(void **state)
{
    (void)state;
    pretend_nodes(comm, 2); /* the last one smaller where ranks are odd */
    if (comm->nodes > 1) {
        watchdog_nodes n;
        heartbeat *local = NULL;
        char *shared = NULL;
        const bool courier = comm->node_rank == 0 || comm->node > 0;
        assert_int_equal(tw_alloc(&local, 2, sizeof *local, "a heartbeat"), TW_OK);
        assert_int_equal(tw_alloc(&shared, (int64_t)watchdog_nodes_bytes(comm), 1, "a table"),
                         TW_OK);
        for (int k = 0; k < comm->node_size; k++)
            heartbeat_as(&local[k], 2 * comm->node + k, 7, "step", false);
        if (courier && comm->node_rank == 1)
            memset(shared, 0,
                   watchdog_nodes_bytes(comm)); /* the first rank's to fill, were it shared */
        assert_int_equal(watchdog_nodes_start(&n, comm, shared, local), TW_OK);
        assert_int_equal(n.courier != NULL, courier);
        assert_int_equal(n.ranks, comm->node == 0 ? tw_comm_size(comm) - 2 : 2);
        const double end = tw_clock_seconds() + 20;
        for (int i = 0; courier && i < n.ranks; i++) {
            while (atomic_load(&n.heartbeats[i].nanoseconds) == 0 && tw_clock_seconds() < end)
                usleep(10000);
            usleep(1000);
            assert_int_equal(n.heartbeats[i].rank, comm->node == 0 ? 2 + i : i);
        }
        watchdog_nodes_stop(&n);
        tw_free(&local);
        tw_free(&shared);
    }
    for (int k = 0; k < 3; k++) {
        tw_watchdog *w = NULL;
        assert_int_equal(tw_watchdog_create(&w, comm), TW_OK);
        tw_watchdog_heartbeat(w, "step", k, 60);
        if (k == 2) usleep(1300000);
        tw_watchdog_destroy(&w);
    }
    pretend_nodes(comm, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_0_and_the_others_learn_of_each_other),
        cmocka_unit_test(one_that_leaves_late_is_waited_for_and_nothing_is_left),
        cmocka_unit_test(beginning_and_ending_at_once_is_clean),
        cmocka_unit_test(nodes_of_several_ranks_begin_and_end_and_the_second_is_a_courier_too),
    };
    if (tw_comm_create(&comm) != TW_OK) return 1;
    pretend_nodes(comm, 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tw_comm_destroy(&comm);
    return failed;
}
