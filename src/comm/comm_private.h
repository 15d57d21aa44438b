/* What the files of this module know of each other. */
#ifndef TWEEDIE_COMM_PRIVATE_H
#define TWEEDIE_COMM_PRIVATE_H

#include <mpi.h>

#include "tweedie/comm.h"
#include "tweedie/comm_mpi.h"

enum { HOST_MAX = 64, MESSAGE_MAX = 2048, CHUNK_MAX = 1 << 30 };

struct tw_comm {
    MPI_Comm world; /* a duplicate: messages of others cannot meet ours */
    MPI_Comm local; /* the ranks of this node, in rank order */
    int rank, size;
    int node, nodes;
    int node_rank, node_size;
    bool threaded;
    bool finalize;    /* this object started MPI, so it ends it */
    double *gathered; /* COMM_GATHERED doubles: room for a small vector of every rank */
    char host[HOST_MAX];
};

#define COMM_GATHERED(size) ((size) > 4096 ? (int64_t)(size) : 4096)

/* values[0 … count) of each of `size` ranks, one rank after the other, summed in the tree of rank order into out. */
void comm_tree_sum(double *out, const double *values, int size, int64_t stride, int64_t count);

#endif
