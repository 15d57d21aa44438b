/* Tests of what happens between nodes, on one: a communicator that believes in nodes of `per_node`
 * ranks each. */
#ifndef TWEEDIE_TESTS_PRETEND_NODES_H
#define TWEEDIE_TESTS_PRETEND_NODES_H

#include "comm/comm_private.h"

/* This rank is on node `node` of `nodes`, which are numbered by their first ranks. Collective. */
static inline void pretend_node(tw_comm *comm, int node, int nodes)
{
    MPI_Comm_free(&comm->local);
    comm->node = node;
    comm->nodes = nodes;
    MPI_Comm_split(comm->world, comm->node, comm->rank, &comm->local);
    MPI_Comm_rank(comm->local, &comm->node_rank);
    MPI_Comm_size(comm->local, &comm->node_size);
}

static inline void pretend_nodes(tw_comm *comm, int per_node)
{
    pretend_node(comm, comm->rank / per_node, (comm->size + per_node - 1) / per_node);
}

/* This rank is all there are. Collective. */
static inline void pretend_alone(tw_comm *comm)
{
    MPI_Comm alone;
    MPI_Comm_split(comm->world, comm->rank, 0, &alone);
    MPI_Comm_free(&comm->world);
    comm->world = alone;
    comm->rank = 0;
    comm->size = 1;
    pretend_node(comm, 0, 1);
}

#endif
