/* The places where gradients meet: shared memory inside a node, messages between nodes. reducer.c decides when, this does it. */
#ifndef TWEEDIE_COMM_REDUCER_NODE_H
#define TWEEDIE_COMM_REDUCER_NODE_H

#include <mpi.h>

#include "comm/futex.h"
#include "tweedie/reducer.h"

/* What each rank says at the end of a step. */
typedef struct reducer_record {
    double values[TW_REDUCER_VALUES];
    int status;
} reducer_record;

typedef struct reducer_node {
    const tw_comm *comm;
    MPI_Comm local, across, everyone; /* this node; the ranks with my slice on all nodes (or the leaders); all: communicators of its own */
    MPI_Win gradients, control;
    int rank, size; /* in this node */
    int nodes;
    bool plain, equal, tree; /* equal: all nodes hold as many ranks, so each local rank exchanges its own slice */
    int buckets;
    float **gradient;                           /* of each local rank */
    float *heap;                                /* mine, where there is no window */
    node_counter *arrived, *summed, *exchanged; /* one per bucket, in the control window */
    node_counter *reported;
    reducer_record *records; /* one per local rank */
    float *scratch;          /* blocks for the tree of local ranks */
    float *incoming;         /* half a slice, for the tree between nodes */
} reducer_node;

/* Collective. `largest` is the largest bucket. */
tw_status reducer_node_create(reducer_node *node, const tw_comm *comm, int64_t count, int buckets, int64_t largest,
                              const tw_reducer_options *options);
void reducer_node_destroy(reducer_node *node);

/* My part of bucket b is final in epoch (1, 2, …). */
void reducer_node_arrive(reducer_node *node, int b);

/* Whether reducer_node_reduce(b) would neither wait nor call MPI. */
bool reducer_node_is_ready(reducer_node *node, int b, uint32_t epoch);

/* My share of the work on bucket b; waits for the other ranks' gradients. In the same order of buckets on all ranks. */
tw_status reducer_node_reduce(reducer_node *node, int b, tw_reducer_bucket bucket, uint32_t epoch);

/* All ranks' records, in rank order, into `all`; afterwards all buckets hold their sums. Collective, after the last bucket. */
tw_status reducer_node_exchange_records(reducer_node *node, const reducer_record *mine, reducer_record *all, uint32_t epoch);

#endif
