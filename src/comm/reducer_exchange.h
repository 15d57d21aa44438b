/* One sum of floats between nodes, in flight. */
#ifndef TWEEDIE_COMM_REDUCER_EXCHANGE_H
#define TWEEDIE_COMM_REDUCER_EXCHANGE_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "tweedie/status.h"

enum { EXCHANGE_LEVELS = 32 };

typedef struct exchange {
    MPI_Comm comm;
    int me, nodes;
    float *values;
    int64_t count;
    MPI_Request requests[2]; /* to receive, to send */
    float *incoming;         /* room for (count + 1) / 2, for the tree */
    bool tree, gathering;    /* the tree's way back */
    bool together;           /* stays with the exchange, as `incoming`: see exchange_add */
    int level, slot;
    int64_t begin, end, begins[EXCHANGE_LEVELS], ends[EXCHANGE_LEVELS];
} exchange;

/* Sums `count` floats at `values`, in place, over the ranks of `comm`: begins, and does not wait.
 * All ranks begin their exchanges in the same order. x->incoming and x->together stay with
 * x.
 * @param tree  by own messages in a balanced binary tree of rank order (ranks: a power of two),
 * else by MPI_Iallreduce
 * @param slot  a number that no other exchange in flight has; the same on all ranks */
tw_status exchange_begin(exchange *x, MPI_Comm comm, bool tree, int slot, float *values,
                         int64_t count);

/* Goes on as far as possible without waiting, or with `wait` to the end. */
tw_status exchange_advance(exchange *x, bool wait, bool *complete);

/* Waits for one message of any of `count` exchanges in flight, of which some may be complete: one
 * of them can then go on. *waited: whether there was a message to wait for. */
tw_status exchange_wait_any(exchange *const *x, int count, bool *waited);

/* The same at once, by MPI_Allreduce where not in a tree: for a thread that may wait. */
tw_status exchange_blocking(exchange *x, MPI_Comm comm, bool tree, float *values, int64_t count);

/* sum[i] += values[i] (reducer_add.c).
 * @param together  by all threads of the rank, which have nothing else to do */
void exchange_add(float *sum, const float *values, int64_t count, bool together);

#endif
