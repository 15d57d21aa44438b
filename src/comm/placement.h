/* CPUs of this process and of its node. */
#ifndef TWEEDIE_COMM_PLACEMENT_H
#define TWEEDIE_COMM_PLACEMENT_H

#include <sched.h>

#include "tweedie/comm.h"

/* The CPUs that this process was given, also where OpenMP has bound the calling thread to a part of
 * them. */
void comm_allowed_cpus(cpu_set_t *cpus);

/* CPUs that the ranks of this node have together, their threads together, and how many ranks share
 * CPUs with this one (itself included). Collective on the ranks of the node. */
tw_status comm_node_cpus(const tw_comm *comm, int threads, int *cpus_out, int *threads_out,
                         int *sharing_out);

#endif
