/* ranks: 1 2 3 4 */
/* The gradient reduction against the sum written down serially, in every mode, on nodes as they are
 * and pretended ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "comm/pretend_nodes.h"
#include "tweedie/clock.h"
#include "tweedie/comm.h"
#include "tweedie/memory.h"
#include "tweedie/reducer.h"

static tw_comm *comm;

enum { COUNT = 20011, PIECES = 23 };

/* Values of such different size that another order of summation gives other bits. */
static float element(int rank, int64_t step, int64_t i)
{
    uint32_t x = (uint32_t)(i * 2654435761u + (int64_t)rank * 40503 + step * 97);
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    return ((float)x / 4294967296.0f - 0.5f) * ldexpf(1, (int)(x % 13));
}

static float tree(const float *v, int n)
{
    int half = 1;
    if (n == 1) return v[0];
    while (half * 2 < n) half *= 2;
    return tree(v, half) + tree(v + half, n - half);
}

static float expected(int64_t step, int64_t i)
{
    float all[64];
    for (int r = 0; r < tw_comm_size(comm); r++) all[r] = element(r, step, i);
    return tree(all, tw_comm_size(comm));
}

/* Unequal buckets from the high end to the low one, as a backward pass fills them. */
static const tw_reducer_bucket buckets[] = {
    {12000, 8011}, {4001, 7999}, {4000, 1}, {100, 3900}, {0, 100}};

/* Reports [0, COUNT) in PIECES, in an order that differs from rank to rank and step to step. */
static void report(tw_reducer *r, int64_t step)
{
    int64_t size = COUNT / PIECES;
    for (int k = 0; k < PIECES; k++) {
        int64_t piece = (k * 7 + 3 * tw_comm_rank(comm) + step) % PIECES;
        int64_t begin = piece * size, end = piece == PIECES - 1 ? COUNT : begin + size;
        tw_reducer_ready(r, begin, end - begin);
    }
}

static void fill(tw_reducer *r, int64_t step)
{
    float *g = tw_reducer_gradient(r);
    for (int64_t i = 0; i < COUNT; i++) g[i] = element(tw_comm_rank(comm), step, i);
}

static void check_sum(tw_reducer *r, int64_t step)
{
    const float *g = tw_reducer_gradient(r);
    for (int64_t i = 0; i < COUNT; i++) {
        float e = expected(step, i);
        if (memcmp(&g[i], &e, sizeof e) != 0)
            fail_msg("step %d, element %d: %.9g, expected %.9g", (int)step, (int)i, g[i], e);
    }
}

/* Whether the sum over this many ranks a node (0: all) is the tree's: with TW_REDUCER_TREE on a
 * power of two of nodes. */
static bool is_exact(int per_node)
{
    int nodes = per_node ? (tw_comm_size(comm) + per_node - 1) / per_node : 1;
    return (nodes & (nodes - 1)) == 0;
}

static void run_steps(const tw_reducer_options *options, bool exact)
{
    tw_reducer *r = NULL;
    assert_int_equal(tw_reducer_create(&r, comm, COUNT, buckets, 5, options), TW_OK);
    assert_int_equal((uintptr_t)tw_reducer_gradient(r) % TW_ALIGNMENT, 0);
    for (int64_t step = 1; step <= 20; step++) {
        tw_reducer_begin(r, step);
        fill(r, step);
        report(r, step);
        double values[2] = {tw_comm_rank(comm) + 1, 0.1 * (double)step}, n = tw_comm_size(comm);
        assert_int_equal(tw_reducer_finish(r, TW_OK, values, 2), TW_OK);
        assert_true(values[0] == n * (n + 1) / 2);
        assert_true(fabs(values[1] - 0.1 * (double)step * n) < 1e-12 * n * (double)step);
        if (exact) check_sum(r, step);
        for (int64_t i = 0; !exact && i < COUNT;
             i++) /* any order of summation: three additions of numbers below 2^12 */
            assert_true(fabsf(tw_reducer_gradient(r)[i] - expected(step, i)) <= 4 * 4096 * 6e-8f);
        assert_true(tw_reducer_exposed(r) >= 0);
    }
    tw_reducer_destroy(&r);
    assert_null(r);
}

static void every_mode_gives_the_tree_sum_bit_for_bit(void **state)
{
    (void)state;
    static const tw_reducer_mode modes[] = {TW_REDUCER_AUTO, TW_REDUCER_THREAD, TW_REDUCER_INLINE};
    for (int m = 0; m < 3; m++)
        run_steps(&(tw_reducer_options){.mode = modes[m], .threads = 1}, true);
    run_steps(NULL, true);
}

static void between_nodes_the_tree_gives_the_same_bits_as_on_one_node(void **state)
{
    (void)state;
    for (int per_node = 1; per_node <= 2; per_node++)
        for (int m = TW_REDUCER_THREAD; m <= TW_REDUCER_INLINE; m++)
            run_steps(&(tw_reducer_options){.mode = (tw_reducer_mode)m,
                                            .exchange = TW_REDUCER_TREE,
                                            .ranks_per_node = per_node},
                      is_exact(per_node));
}

/* Round robin, unequal, torn apart: the launcher's business, and the site's. */
static void the_tree_does_not_depend_on_where_the_ranks_are(void **state)
{
    (void)state;
    static const int places[][4] = {{0, 1, 0, 1}, {0, 1, 1, 0}, {0, 0, 0, 1},
                                    {0, 1, 1, 1}, {0, 0, 1, 2}, {0, 1, 2, 0}};
    tw_comm *const one_node = comm;
    if (tw_comm_size(comm) == 3) return;
    for (int k = 0; k < 6; k++) {
        const int *place = places[k];
        int last = 0;
        for (int r = 0; r < tw_comm_size(one_node); r++)
            if (place[r] > last) last = place[r];
        assert_int_equal(tw_comm_create(&comm), TW_OK);
        pretend_node(comm, place[tw_comm_rank(comm)], last + 1);
        for (int m = TW_REDUCER_THREAD; m <= TW_REDUCER_INLINE; m++)
            run_steps(
                &(tw_reducer_options){.mode = (tw_reducer_mode)m, .exchange = TW_REDUCER_TREE},
                true);
        tw_comm_destroy(&comm);
        comm = one_node;
    }
}

static void between_nodes_mpi_gives_the_sum_to_rounding(void **state)
{
    (void)state;
    for (int per_node = 1; per_node <= 3; per_node++) /* 3: of four ranks, nodes of three and one */
        for (int m = TW_REDUCER_THREAD; m <= TW_REDUCER_INLINE; m++)
            run_steps(&(tw_reducer_options){.mode = (tw_reducer_mode)m, .ranks_per_node = per_node},
                      false);
    run_steps(&(tw_reducer_options){.ranks_per_node = 1}, false);
    run_steps(&(tw_reducer_options){.ranks_per_node = 1, .mode = TW_REDUCER_THREAD}, false);
}

/* Any function of a block's numbers in their order. */
static void last_and_sum(const float *x, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i += TW_REDUCER_BLOCK, out++) {
        const int64_t count = n - i < TW_REDUCER_BLOCK ? n - i : TW_REDUCER_BLOCK;
        *out = 3 * (double)x[i + count - 1];
        for (int64_t k = i; k < i + count; k++) *out += (double)x[k];
    }
}

/* All ranks of a node see what was taken of every block of the sum, whoever took it. */
static void check_blocks(const double *of_blocks, int64_t step, bool exact)
{
    for (int b = 0; b < 5; b++)
        for (int64_t i = 0; i < buckets[b].count; i += TW_REDUCER_BLOCK, of_blocks++) {
            const int64_t rest = buckets[b].count - i,
                          n = rest < TW_REDUCER_BLOCK ? rest : TW_REDUCER_BLOCK;
            float x[TW_REDUCER_BLOCK];
            double wanted;
            for (int64_t k = 0; k < n; k++) x[k] = expected(step, buckets[b].offset + i + k);
            last_and_sum(x, n, &wanted);
            if (exact ? *of_blocks != wanted : fabs(*of_blocks - wanted) > 0.2)
                fail_msg("step %d, bucket %d, element %d: %.17g of the block, wanted %.17g",
                         (int)step, b, (int)i, *of_blocks, wanted);
        }
}

/* Whose slice it is holds the sum; the slices of a node are disjoint and together everything;
 * blocks are numbered as on one rank. */
static void check_slices(tw_reducer *r, int64_t step, bool exact, int per_node)
{
    const tw_reducer_slice *slices;
    const int count = tw_reducer_slices(r, &slices);
    int64_t blocks, block = 0;
    const double *of_blocks = tw_reducer_block_sums(r, &blocks);
    double mine = 0, node = 0;
    assert_int_equal(count, 5);
    for (int b = 0; b < count; b++) {
        assert_true(slices[b].offset >= buckets[b].offset);
        assert_true(slices[b].offset + slices[b].count <= buckets[b].offset + buckets[b].count);
        assert_int_equal((slices[b].offset - buckets[b].offset) % TW_REDUCER_BLOCK, 0);
        assert_int_equal(slices[b].block,
                         block + (slices[b].offset - buckets[b].offset) / TW_REDUCER_BLOCK);
        block += (buckets[b].count + TW_REDUCER_BLOCK - 1) / TW_REDUCER_BLOCK;
        for (int64_t i = slices[b].offset; i < slices[b].offset + slices[b].count; i++) {
            const float e = expected(step, i), g = tw_reducer_gradient(r)[i];
            if (exact ? memcmp(&g, &e, sizeof e) != 0 : fabsf(g - e) > 4 * 4096 * 6e-8f)
                fail_msg("step %d, element %d: %.9g, expected %.9g", (int)step, (int)i, g, e);
        }
        mine += (double)slices[b].count;
    }
    assert_int_equal(blocks, block);
    tw_reducer_barrier(r);
    check_blocks(of_blocks, step, exact);
    tw_reducer_barrier(r);
    node = mine;
    assert_int_equal(tw_comm_sum(comm, &node, 1), TW_OK);
    assert_true(node ==
                (double)COUNT * (per_node ? (tw_comm_size(comm) + per_node - 1) / per_node : 1));
}

static void each_sum_stays_with_the_rank_whose_slice_it_is(void **state)
{
    (void)state;
    for (int per_node = 0; per_node <= 3; per_node++)
        for (int k = 0; k < 4; k++) {
            const tw_reducer_options options = {
                .mode = k & 1 ? TW_REDUCER_THREAD : TW_REDUCER_INLINE,
                .exchange = k & 2 ? TW_REDUCER_TREE : TW_REDUCER_FASTEST,
                .slices = true,
                .of_blocks = last_and_sum,
                .ranks_per_node = per_node};
            tw_reducer *r = NULL;
            assert_int_equal(tw_reducer_create(&r, comm, COUNT, buckets, 5, &options), TW_OK);
            for (int64_t step = 1; step <= 5; step++) {
                tw_reducer_begin(r, step);
                fill(r, step);
                report(r, step);
                assert_int_equal(tw_reducer_finish(r, TW_OK, NULL, 0), TW_OK);
                check_slices(r, step,
                             per_node == 0 || (k & 2 && per_node <= 2 && is_exact(per_node)),
                             per_node);
            }
            tw_reducer_destroy(&r);
        }
}

/* Each rank writes its slices of the shared array; then all see rank zero's. */
static void what_a_node_shares_is_seen_by_its_ranks(void **state)
{
    (void)state;
    for (int per_node = 0; per_node <= 3; per_node++) {
        tw_reducer *r = NULL;
        const tw_reducer_slice *slices;
        const tw_reducer_options options = {
            .slices = true, .shared = COUNT + 7, .first = 3, .ranks_per_node = per_node};
        assert_int_equal(tw_reducer_create(&r, comm, COUNT, buckets, 5, &options), TW_OK);
        float *shared = tw_reducer_shared(r), *first = tw_reducer_first(r);
        assert_int_equal((uintptr_t)shared % TW_ALIGNMENT, 0);
        const int node = per_node ? tw_comm_rank(comm) / per_node : 0,
                  n = tw_reducer_slices(r, &slices);
        assert_int_equal(first != NULL, node == 0);
        for (int b = 0; b < n; b++)
            for (int64_t i = slices[b].offset; i < slices[b].offset + slices[b].count; i++)
                shared[i] = element(node, 1, i);
        if (tw_comm_rank(comm) == 0) first[2] = 5;
        tw_reducer_barrier(r);
        for (int64_t i = 0; i < COUNT; i++) assert_true(shared[i] == element(node, 1, i));
        if (first) assert_true(first[2] == 5);
        tw_reducer_barrier(r);
        if (tw_comm_rank(comm) == 0) shared[COUNT + 6] = 9;
        assert_int_equal(tw_reducer_broadcast(r, shared, COUNT + 7), TW_OK);
        for (int64_t i = 0; i < COUNT; i++) assert_true(shared[i] == element(0, 1, i));
        assert_true(shared[COUNT + 6] == 9);
        tw_reducer_destroy(&r);
    }
}

/* Without a thread, what the ranks report early is exchanged between nodes before anybody waits. */
static void polling_moves_buckets_to_their_end(void **state)
{
    (void)state;
    for (int tree = 0; tree < 2; tree++) {
        tw_reducer *r = NULL;
        const tw_reducer_options options = {.mode = TW_REDUCER_INLINE,
                                            .exchange = tree ? TW_REDUCER_TREE : TW_REDUCER_FASTEST,
                                            .ranks_per_node = 1};
        assert_int_equal(tw_reducer_create(&r, comm, COUNT, buckets, 5, &options), TW_OK);
        tw_reducer_begin(r, 7);
        fill(r, 7);
        tw_reducer_ready(r, 12000, COUNT - 12000); /* the first bucket alone */
        const float e = expected(7, COUNT - 1), own = element(tw_comm_rank(comm), 7, COUNT - 1);
        float now = own;
        for (const double start = tw_clock_seconds(); tw_clock_seconds() - start < 20;) {
            tw_reducer_poll(r);
            now = tw_reducer_gradient(r)[COUNT - 1];
            if (fabsf(now - e) <= 4 * 4096 * 6e-8f) break;
        }
        assert_true(fabsf(now - e) <= 4 * 4096 * 6e-8f);
        for (const double start = tw_clock_seconds(); tw_clock_seconds() - start < 0.2;)
            tw_reducer_poll(r); /* the others' turn */
        tw_reducer_ready(r, 0, 12000);
        assert_int_equal(tw_reducer_finish(r, TW_OK, NULL, 0), TW_OK);
        for (int64_t i = 0; i < COUNT; i++)
            assert_true(fabsf(tw_reducer_gradient(r)[i] - expected(7, i)) <= 4 * 4096 * 6e-8f);
        tw_reducer_destroy(&r);
    }
}

/* MPI sends what it has taken on when it is called, and another node may need that before this node
 * can go on. */
static void who_waits_for_its_node_still_sends_to_others(void **state)
{
    (void)state;
    enum { LARGE = 4 << 20 };
    const int rank = tw_comm_rank(comm);
    const MPI_Comm world = tw_comm_mpi(comm);
    tw_reducer *r = NULL;
    char *message = NULL, received = 0;
    MPI_Request sent = MPI_REQUEST_NULL;
    if (tw_comm_size(comm) < 3) return;
    assert_int_equal(
        tw_reducer_create(&r, comm, COUNT, buckets, 5, &(tw_reducer_options){.ranks_per_node = 2}),
        TW_OK);
    assert_int_equal(tw_alloc(&message, LARGE, 1, "a message"), TW_OK);
    alarm(60);
    if (rank == 0) MPI_Isend(message, LARGE, MPI_BYTE, 2, 0, world, &sent);
    if (rank == 1) MPI_Recv(&received, 1, MPI_BYTE, 2, 1, world, MPI_STATUS_IGNORE);
    if (rank == 2) {
        MPI_Recv(message, LARGE, MPI_BYTE, 0, 0, world, MPI_STATUS_IGNORE);
        MPI_Send(&received, 1, MPI_BYTE, 1, 1, world);
    }
    tw_reducer_barrier(r);
    alarm(0);
    MPI_Wait(&sent, MPI_STATUS_IGNORE);
    tw_free(&message);
    tw_reducer_destroy(&r);
}

/* A rank that spins while it waits takes a core from one that computes. */
static void who_waits_for_its_node_takes_no_processor_time(void **state)
{
    (void)state;
    const tw_reducer_mode modes[] = {TW_REDUCER_THREAD, TW_REDUCER_INLINE};
    for (int k = 0; k < 2; k++) {
        tw_reducer *r = NULL;
        const tw_reducer_options options = {.mode = modes[k]};
        struct timespec before, after;
        assert_int_equal(tw_reducer_create(&r, comm, COUNT, buckets, 5, &options), TW_OK);
        tw_reducer_begin(r, 1);
        fill(r, 1);
        if (tw_comm_rank(comm) == 0) usleep(400000);
        report(r, 1);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        assert_int_equal(tw_reducer_finish(r, TW_OK, NULL, 0), TW_OK);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        const double used = (double)(after.tv_sec - before.tv_sec) +
                            1e-9 * (double)(after.tv_nsec - before.tv_nsec);
        if (tw_comm_rank(comm) > 0) assert_true(used < 0.1);
        tw_reducer_destroy(&r);
    }
}

static void repetition_in_one_mode_gives_the_same_bits(void **state)
{
    (void)state;
    float *before = NULL;
    assert_int_equal(tw_alloc(&before, COUNT, sizeof *before, "before"), TW_OK);
    for (int k = 0; k < 4; k++) {
        tw_reducer *r = NULL;
        tw_reducer_options options = {.mode = k & 2 ? TW_REDUCER_THREAD : TW_REDUCER_INLINE,
                                      .ranks_per_node = 1};
        assert_int_equal(tw_reducer_create(&r, comm, COUNT, buckets, 5, &options), TW_OK);
        tw_reducer_begin(r, 3);
        fill(r, 3);
        report(r, 3);
        assert_int_equal(tw_reducer_finish(r, TW_OK, NULL, 0), TW_OK);
        if (k & 1) assert_memory_equal(before, tw_reducer_gradient(r), COUNT * sizeof *before);
        memcpy(before, tw_reducer_gradient(r), COUNT * sizeof *before);
        tw_reducer_destroy(&r);
    }
    tw_free(&before);
}

/* Any one rank fails in the middle of its backward pass; all learn, and the step after it is right
 * again. */
static void a_failed_rank_takes_part_and_all_learn_its_message(void **state)
{
    (void)state;
    for (int k = 0; k < 6; k++) {
        tw_reducer *r = NULL;
        tw_reducer_options options = {.mode = k & 1 ? TW_REDUCER_THREAD : TW_REDUCER_INLINE,
                                      .ranks_per_node = k / 2,
                                      .exchange = TW_REDUCER_TREE};
        assert_int_equal(tw_reducer_create(&r, comm, COUNT, buckets, 5, &options), TW_OK);
        for (int failing = 0; failing < tw_comm_size(comm); failing++) {
            double values[1] = {1};
            char text[64];
            bool me = tw_comm_rank(comm) == failing;
            tw_reducer_begin(r, failing);
            fill(r, failing);
            if (me)
                tw_reducer_ready(r, 13000, 100);
            else
                report(r, failing);
            tw_status st = me ? tw_error_set(TW_ENOMEM, "no memory for image %d", failing) : TW_OK;
            assert_int_equal(tw_reducer_finish(r, st, values, 1), TW_ENOMEM);
            snprintf(text, sizeof text, "no memory for image %d", failing);
            assert_non_null(strstr(tw_error_message(), text));
            tw_reducer_begin(r, 100 + failing);
            fill(r, 100 + failing);
            report(r, 100 + failing);
            assert_int_equal(tw_reducer_finish(r, TW_OK, values, 1), TW_OK);
            if (is_exact(k / 2)) check_sum(r, 100 + failing);
        }
        tw_reducer_destroy(&r);
    }
}

static void a_forgotten_or_repeated_range_is_an_error_on_all_ranks(void **state)
{
    (void)state;
    tw_reducer *r = NULL;
    assert_int_equal(tw_reducer_create(&r, comm, COUNT, buckets, 5, NULL), TW_OK);
    tw_reducer_begin(r, 1);
    report(r, 1);
    if (tw_comm_rank(comm) == 0) tw_reducer_ready(r, 5, 1); /* a second time */
    assert_int_equal(tw_reducer_finish(r, TW_OK, NULL, 0), TW_EINTERNAL);
    tw_reducer_begin(r, 2);
    tw_reducer_ready(r, 1, COUNT - 1); /* one element short */
    assert_int_equal(tw_reducer_finish(r, TW_OK, NULL, 0), TW_EINTERNAL);
    tw_reducer_begin(r, 3);
    tw_reducer_ready(r, 0, COUNT + 1);
    assert_int_equal(tw_reducer_finish(r, TW_OK, NULL, 0), TW_EINTERNAL);
    tw_reducer_begin(r, 4);
    fill(r, 4);
    report(r, 4);
    assert_int_equal(tw_reducer_finish(r, TW_OK, NULL, 0), TW_OK);
    check_sum(r, 4);
    tw_reducer_destroy(&r);
}

static void buckets_that_do_not_cut_the_gradient_are_refused(void **state)
{
    (void)state;
    tw_reducer *r = NULL;
    tw_reducer_bucket gap[] = {{10, 10}, {0, 9}}, overlap[] = {{9, 11}, {0, 10}},
                      short_of[] = {{0, 19}};
    assert_int_equal(tw_reducer_create(&r, comm, 20, gap, 2, NULL), TW_EINTERNAL);
    assert_int_equal(tw_reducer_create(&r, comm, 20, overlap, 2, NULL), TW_EINTERNAL);
    assert_int_equal(tw_reducer_create(&r, comm, 20, short_of, 1, NULL), TW_EINTERNAL);
    assert_null(r);
}

static void cutting_follows_the_backward_order_and_ends_small(void **state)
{
    (void)state;
    enum { N = 40 };
    int64_t offsets[N], sizes[N], at = 0, seen = 0;
    tw_reducer_bucket cut[N];
    int count;
    for (int i = 0; i < N; i++) {
        sizes[N - 1 - i] = 100 + 37 * (i % 5);
        offsets[N - 1 - i] = at; /* the forward order; the list is the backward one */
        at += sizes[N - 1 - i];
    }
    assert_int_equal(tw_reducer_cut(offsets, sizes, N, 1000, cut, &count), TW_OK);
    assert_in_range(count, 5, 9);
    for (int b = 0; b < count; b++) {
        assert_true(b == count - 1 || cut[b].count < 1300);
        assert_int_equal(cut[b].offset + cut[b].count, at - seen);
        seen += cut[b].count;
    }
    assert_int_equal(seen, at);
    assert_true(cut[count - 1].count <= 250);

    offsets[3]++; /* a gap */
    assert_int_equal(tw_reducer_cut(offsets, sizes, N, 1000, cut, &count), TW_EINTERNAL);
}

static void the_plain_reduction_gives_the_sum_to_rounding(void **state)
{
    (void)state;
    float *v = NULL;
    assert_int_equal(tw_alloc(&v, COUNT, sizeof *v, "v"), TW_OK);
    for (int64_t i = 0; i < COUNT; i++) v[i] = element(tw_comm_rank(comm), 1, i);
    assert_int_equal(tw_reduce_plain(comm, v, COUNT), TW_OK);
    for (int64_t i = 0; i < COUNT; i++)
        assert_true(fabsf(v[i] - expected(1, i)) <= 4 * 4096 * 6e-8f);
    tw_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_gives_the_tree_sum_bit_for_bit),
        cmocka_unit_test(between_nodes_the_tree_gives_the_same_bits_as_on_one_node),
        cmocka_unit_test(the_tree_does_not_depend_on_where_the_ranks_are),
        cmocka_unit_test(between_nodes_mpi_gives_the_sum_to_rounding),
        cmocka_unit_test(each_sum_stays_with_the_rank_whose_slice_it_is),
        cmocka_unit_test(what_a_node_shares_is_seen_by_its_ranks),
        cmocka_unit_test(polling_moves_buckets_to_their_end),
        cmocka_unit_test(who_waits_for_its_node_still_sends_to_others),
        cmocka_unit_test(who_waits_for_its_node_takes_no_processor_time),
        cmocka_unit_test(repetition_in_one_mode_gives_the_same_bits),
        cmocka_unit_test(a_failed_rank_takes_part_and_all_learn_its_message),
        cmocka_unit_test(a_forgotten_or_repeated_range_is_an_error_on_all_ranks),
        cmocka_unit_test(buckets_that_do_not_cut_the_gradient_are_refused),
        cmocka_unit_test(cutting_follows_the_backward_order_and_ends_small),
        cmocka_unit_test(the_plain_reduction_gives_the_sum_to_rounding),
    };
    if (tw_comm_create(&comm) != TW_OK) {
        fprintf(stderr, "%s\n", tw_error_message());
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tw_comm_destroy(&comm);
    return failed;
}
