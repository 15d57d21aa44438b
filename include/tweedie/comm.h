/* The ranks of a run: who they are, how they agree, and the small collectives that everything else
 * needs.
 *
 * Ranks leave together: between a step that may fail on one rank and the next collective stands
 * tw_comm_agree(). No function here needs mpi.h; a module that hands a communicator to HDF5
 * includes "tweedie/comm_mpi.h".
 *
 * Calls on one tw_comm come from one thread at a time, in the same order on all ranks. The gradient
 * reduction ("tweedie/reducer.h") uses communicators of its own and may run beside them. */
#ifndef TWEEDIE_COMM_H
#define TWEEDIE_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_comm tw_comm;

/* All ranks of this launch. Initialises MPI where nobody has (asking for MPI_THREAD_MULTIPLE) and
 * then also finalizes it in tw_comm_destroy, so a process can do this once. From here until
 * tw_comm_destroy, exit() by anybody becomes _exit(70): a rank that left with code 0 would leave
 * the others hanging. Identifies this rank to tw_log.
 *
 * Collective on all processes of the launch.
 * @param[out] out  owned by the caller; tw_comm_destroy
 * @return TW_ECONFIG where a launcher started several processes that MPI sees as single ones;
 * TW_EINTERNAL with MPI's own words */
tw_status tw_comm_create(tw_comm **out);

/* Collective. Accepts NULL inside. Nothing that matters may happen after it: mpirun ends the others
 * when one rank fails. */
void tw_comm_destroy(tw_comm **comm);

/* Facts, not collective. Nodes are numbered by their lowest rank; node_rank counts the ranks of one
 * node in rank order. */
int tw_comm_rank(const tw_comm *comm);
int tw_comm_size(const tw_comm *comm);
int tw_comm_node(const tw_comm *comm);
int tw_comm_nodes(const tw_comm *comm);
const char *tw_comm_host(const tw_comm *comm);

/* True where several threads may call MPI at once. */
bool tw_comm_threaded(const tw_comm *comm);

/* All ranks leave with the same status: that of the lowest rank that failed, or TW_OK. Every rank
 * then has that rank's message, which begins with "rank R on HOST: " where R > 0; only one needs to
 * print it. Collective.
 * @param st  this rank's own status, with its message recorded
 * @return the agreed status */
tw_status tw_comm_agree(const tw_comm *comm, tw_status st);
#ifdef __clang_analyzer__ /* sees one file at a time: who failed does not go on */
#define tw_comm_agree(comm, st)                                                                    \
    __extension__({                                                                                \
        const tw_status own_ = (st);                                                               \
        own_ != TW_OK ? own_ : (tw_comm_agree)((comm), own_);                                      \
    })
#endif

/* `bytes` bytes of `data` from rank `root` to all. Any size. Collective.
 * @return TW_EINTERNAL where MPI failed, as all below */
tw_status tw_comm_broadcast(const tw_comm *comm, void *data, size_t bytes, int root);

/* The sum, smallest or largest of each of `count` doubles over all ranks, in place on all. The sum
 * is that of a balanced binary tree over the ranks in rank order, ((0+1)+(2+3))+…: the same bits on
 * all ranks, in every run, and wherever the ranks are placed. Collective. */
tw_status tw_comm_sum(const tw_comm *comm, double *values, int64_t count);
tw_status tw_comm_min(const tw_comm *comm, double *values, int64_t count);
tw_status tw_comm_max(const tw_comm *comm, double *values, int64_t count);

/* One record of `bytes` bytes from each rank to rank zero, in rank order. Collective.
 * @param[out] all  rank zero: size * bytes; may be NULL elsewhere */
tw_status tw_comm_gather(const tw_comm *comm, const void *record, size_t bytes, void *all);

/* As tw_comm_gather, but records of differing sizes: on rank zero *all holds them one after the
 * other and sizes[r] their bytes; *all is released with tw_free. On other ranks *all is NULL and
 * sizes may be NULL. Collective. */
tw_status tw_comm_gather_texts(const tw_comm *comm, const void *record, size_t bytes, void **all,
                               int64_t *sizes);

/* Waits for all ranks. Collective. */
tw_status tw_comm_barrier(const tw_comm *comm);

/* Says that this rank is about to take part in a collective that is not made of those above (one of
 * HDF5's, of MPI's). With TWEEDIE_DEBUG_COLLECTIVES=1 in the environment every collective is
 * counted and compared over the ranks, and where they differ all ranks end with code 70 and a
 * message that names them; without it this does nothing. Accepts NULL. Collective.
 * @param name  of the collective
 * @param size  what must be equal on all ranks, as bytes or a count; 0 where nothing need be */
void tw_comm_collective(const tw_comm *comm, const char *name, int64_t size);

/* Ends all ranks with the exit code of `st`, where no agreement is possible any more. The message
 * is already printed. Not collective; does not return. `comm` may be NULL. */
__attribute__((noreturn)) void tw_comm_abort(const tw_comm *comm, tw_status st);

/* The threads that a rank should use where nobody says: OMP_NUM_THREADS, else SRUN_CPUS_PER_TASK or
 * SLURM_CPUS_PER_TASK, else the CPUs that this rank may run on, divided by the ranks of this node
 * that share them. At least 1. Collective. */
tw_status tw_comm_default_threads(const tw_comm *comm, int *threads_out);

/* Logs where every rank runs: one line per rank with host, CPUs, threads, NUMA node, ISA and
 * precision; and warns of more threads than CPUs on a node, of a rank with fewer CPUs than threads,
 * and of two OpenMP runtimes in one process. Collective.
 * @param threads    OpenMP threads of this rank
 * @param precision  as the user knows it ("bf16"), at most 15 characters */
tw_status tw_comm_report_placement(const tw_comm *comm, int threads, const char *precision);

/* The OpenMP runtimes mapped into this process, as "libgomp.so.1, libomp.so.5"; two of them fight
 * for the cores. Not collective.
 * @param[out] names  at least 1 byte; cut to `size`
 * @return how many */
int tw_comm_openmp_runtimes(char *names, size_t size);

/* The MPI library in its own words, one line. Needs no tw_comm. Not collective. */
tw_status tw_comm_library(char *out, size_t size);

#ifdef __cplusplus
}
#endif

#endif
