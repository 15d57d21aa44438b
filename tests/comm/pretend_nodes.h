/* Tests of what happens between nodes, on one: a communicator that believes in nodes of `per_node` ranks each. */
#ifndef TWEEDIE_TESTS_PRETEND_NODES_H
#define TWEEDIE_TESTS_PRETEND_NODES_H

#include "comm/comm_private.h"

static inline void pretend_nodes(tw_comm *comm, int per_node)
{
    MPI_Comm_free(&comm->local);
    comm->node = comm->rank / per_node;
    comm->nodes = (comm->size + per_node - 1) / per_node;
    MPI_Comm_split(comm->world, comm->node, comm->rank, &comm->local);
    MPI_Comm_rank(comm->local, &comm->node_rank);
    MPI_Comm_size(comm->local, &comm->node_size);
}

#endif
