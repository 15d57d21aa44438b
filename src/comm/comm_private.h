/* What the files of this module know of each other. */
#ifndef TWEEDIE_COMM_PRIVATE_H
#define TWEEDIE_COMM_PRIVATE_H

#include <mpi.h>
#include <stdatomic.h>

#include "tweedie/comm.h"
#include "tweedie/comm_mpi.h"

enum { HOST_MAX = 64, MESSAGE_MAX = 2048, CHUNK_MAX = 1 << 30 };

/* The watchdog, if there is one, and where it reads that this rank only waits for others. */
typedef struct comm_waiting {
    atomic_bool *flag;
    struct tw_watchdog *watchdog;
} comm_waiting;

/* comm_debug.c: the comparison of collectives; NULL where nobody asked for it. Collective. */
typedef struct comm_debug comm_debug;
tw_status comm_debug_create(comm_debug **out, const tw_comm *comm);
void comm_debug_destroy(comm_debug **debug);

struct tw_comm {
    MPI_Comm world; /* a duplicate: messages of others cannot meet ours */
    MPI_Comm local; /* the ranks of this node, in rank order */
    int rank, size;
    int node, nodes;
    int node_rank, node_size;
    bool threaded;
    bool finalize;    /* this object started MPI, so it ends it */
    double *gathered; /* COMM_GATHERED doubles: room for a small vector of every rank */
    comm_waiting *waiting;
    comm_debug *debug;
    char host[HOST_MAX];
};

#define COMM_GATHERED(size) ((size) > 4096 ? (int64_t)(size) : 4096)

/* Around what waits for other ranks. @return what was said before, for comm_wait_end: collectives
 * are made of others
 * @param name, size  as tw_comm_collective */
static inline bool comm_wait_begin(const tw_comm *comm, const char *name, int64_t size)
{
    tw_comm_collective(comm, name, size);
    return comm->waiting->flag && atomic_exchange(comm->waiting->flag, true);
}

static inline void comm_wait_end(const tw_comm *comm, bool before)
{
    if (comm->waiting->flag) atomic_store(comm->waiting->flag, before);
}

/* values[0 … count) of each of `size` ranks, one rank after the other, summed in the tree of rank
 * order into out. */
void comm_tree_sum(double *out, const double *values, int size, int64_t stride, int64_t count);

#endif
