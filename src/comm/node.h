/* The ranks of a node, and the memory that they share. */
#ifndef TWEEDIE_COMM_NODE_H
#define TWEEDIE_COMM_NODE_H

#include <mpi.h>
#include <stdbool.h>

#include "comm/futex.h"
#include "tweedie/comm.h"

/* What a node is to hold, in bytes. */
typedef struct node_request {
    size_t own;     /* an array of each rank that the others of the node see; zeroed */
    size_t shared;  /* one array for all ranks of the node; contents undefined */
    size_t first;   /* the same on the node of rank zero alone */
    size_t control; /* counters and the like, one for all; zeroed */
    int ranks;      /* pretend that nodes hold this many ranks each; 0: as they are */
} node_request;

typedef struct node {
    const tw_comm *comm;
    MPI_Comm local, across, everyone; /* this node; the ranks with my place on all nodes (or their
                                         first ranks); all. No others use them */
    int rank, size;                   /* in this node */
    int nodes;
    bool equal;    /* all nodes hold as many ranks, so each local rank has partners of its own in
                      `across` */
    bool is_first; /* holds rank zero */
    unsigned char **own; /* of each local rank */
    void *shared, *first, *control;
    node_counter *joined;
    uint32_t joins;
    MPI_Win window;      /* where there is more than one rank */
    unsigned char *heap; /* where there is one */
} node;

/* Shared memory where every node has room for it; else every rank becomes a node of its own, with a
 * warning. Collective. */
tw_status node_create(node *n, const tw_comm *comm, const node_request *request);
void node_destroy(node *n);

/* Waits, asleep, until a counter of the node has reached `target`. Meanwhile messages to other
 * nodes go on. */
void node_wait(const node *n, node_counter *c, uint32_t target);

/* Waits in the same way until all ranks of the node are here; what they wrote before is seen after.
 */
void node_barrier(node *n);

/* Rank zero's `count` floats at `shared` into those of every node, which are then seen by its
 * ranks. Collective. */
tw_status node_broadcast(node *n, float *shared, int64_t count);

#endif
