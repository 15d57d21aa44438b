/* How gradients travel between nodes: Open MPI's collectives and own messages, waited for and
 * polled. Every rank counts as a node.
 *
 *     mpirun -n 2 [--mca btl tcp,self] bench_exchange [repetitions]
 *
 * The least time of all repetitions, of the slowest rank, in ms for 67 MB. Not a test: its numbers
 * decide reducer_node_prepare. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "comm/reducer_exchange.h"
#include "tweedie/clock.h"
#include "tweedie/comm.h"
#include "tweedie/memory.h"

enum { COUNT = 2 << 20, BUCKETS = 8, WAYS = 4 };

static const char *const names[WAYS] = {"MPI_Allreduce", "MPI_Iallreduce",
                                        "own messages, waited for", "own messages, polled"};

static tw_status sum_polled(exchange *x, bool tree, float *values)
{
    tw_status st = TW_OK;
    for (int b = 0; b < BUCKETS; b++)
        TW_TRY(exchange_begin(&x[b], MPI_COMM_WORLD, tree, b, values + (int64_t)b * COUNT, COUNT));
    for (int b = 0; b < BUCKETS;) {
        bool complete;
        TW_TRY(exchange_advance(&x[b], false, &complete));
        b += complete;
    }
done:
    return st;
}

static tw_status sum(exchange *x, int way, float *values)
{
    tw_status st = TW_OK;
    if (way & 1) return sum_polled(x, way > 1, values);
    for (int b = 0; b < BUCKETS; b++)
        TW_TRY(
            exchange_blocking(&x[0], MPI_COMM_WORLD, way > 1, values + (int64_t)b * COUNT, COUNT));
done:
    return st;
}

static tw_status measure(const tw_comm *comm, int repetitions)
{
    tw_status st = TW_OK;
    exchange x[BUCKETS] = {0};
    float *values = NULL;
    double best[WAYS] = {1e9, 1e9, 1e9, 1e9};
    const int size = tw_comm_size(comm), ways = size & (size - 1) ? 2 : WAYS;
    TW_TRY(tw_alloc(&values, (int64_t)COUNT * BUCKETS, sizeof *values, "values"));
    for (int b = 0; b < BUCKETS; b++)
        TW_TRY(tw_alloc(&x[b].incoming, COUNT, sizeof(float), "incoming values"));
    for (int k = 0; k < repetitions * ways; k++) {
        TW_TRY(tw_comm_barrier(comm));
        const double start = tw_clock_seconds();
        TW_TRY(sum(x, k % ways, values));
        double seconds = tw_clock_seconds() - start;
        TW_TRY(tw_comm_max(comm, &seconds, 1));
        if (seconds < best[k % ways]) best[k % ways] = seconds;
    }
    for (int way = 0; way < ways && tw_comm_rank(comm) == 0; way++)
        printf("%-26s %9.2f\n", names[way], 1e3 * best[way]);
done:
    for (int b = 0; b < BUCKETS; b++) tw_free(&x[b].incoming);
    tw_free(&values);
    return st;
}

int main(int argc, char **argv)
{
    tw_comm *comm = NULL;
    tw_status st = tw_comm_create(&comm);
    if (st == TW_OK) st = measure(comm, argc > 1 ? atoi(argv[1]) : 10);
    if (st != TW_OK) fprintf(stderr, "bench_exchange: %s\n", tw_error_message());
    tw_comm_destroy(&comm);
    return st != TW_OK;
}
