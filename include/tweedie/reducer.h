/* The sum of gradients over all ranks, hidden behind the backward pass.
 *
 * The gradient is one flat f32 buffer, cut into buckets in the order in which the backward pass
 * finishes them. The thread that runs the plan reports every parameter gradient that became final;
 * the reduction of a bucket starts when all of it is final on all ranks of the node, on a thread of
 * its own where a core is to spare, else between operations. Inside a node the buffers lie in
 * shared memory and each rank sums its slice of them; between nodes the ranks that own the same
 * slice exchange it by MPI.
 *
 *     step:  begin → ready(offset, count) … ready(offset, count) → finish(status, values)
 *
 * The sum over the ranks of a node is a balanced binary tree in rank order, ((0+1)+(2+3))+…: the
 * same bits on all ranks and in every run with the same ranks, placement and mode. With
 * TW_REDUCER_TREE all ranks are one such tree, and the bits do not depend on the placement.
 * finish() carries the status of the step in the same reduction, so that a rank that failed still
 * takes part and all learn it. With one rank nothing is moved.
 *
 * The optimiser need not do its work once for each rank of a node: with options.slices each sum
 * stays with the rank that owns it, and what is updated (parameters, moments, EMA) lies once
 * in the node's shared memory, where each rank updates its slices. Every node updates everything:
 * what the nodes share out would have to travel after the update, when nothing hides it. */
#ifndef TWEEDIE_REDUCER_H
#define TWEEDIE_REDUCER_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tw_watchdog;
typedef struct tw_reducer tw_reducer;

/* Elements [offset, offset + count) of the gradient. */
typedef struct tw_reducer_bucket {
    int64_t offset, count;
} tw_reducer_bucket;

typedef enum tw_reducer_mode {
    TW_REDUCER_AUTO,   /* a thread where every node has a CPU to spare for each of its ranks, else
                          inline */
    TW_REDUCER_THREAD, /* a communication thread that sleeps while it has nothing to do */
    TW_REDUCER_INLINE, /* in tw_reducer_ready and tw_reducer_poll as far as it goes without waiting,
                          the rest in tw_reducer_finish */
} tw_reducer_mode;

typedef enum tw_reducer_exchange {
    TW_REDUCER_FASTEST, /* what is fastest: MPI_Allreduce, whose order of summation is the
                           library's, on a thread; else as below */
    TW_REDUCER_TREE,    /* own messages, summed in the tree of rank order wherever the ranks are
                           (ranks: a power of two) */
} tw_reducer_exchange;

/* What is taken of sums while they are in cache: one number of each TW_REDUCER_BLOCK of x [n], one
 * after the other into out. */
typedef void tw_reducer_of_blocks(const float *x, int64_t n, double *out);

typedef struct tw_reducer_options {
    tw_reducer_mode mode;
    tw_reducer_exchange exchange;
    int threads; /* OpenMP threads of this rank, for TW_REDUCER_AUTO; 0 counts as 1 */
    bool slices; /* tw_reducer_finish leaves each sum with the rank whose slice it is, not with all
                  */
    tw_reducer_of_blocks
        *of_blocks;        /* into tw_reducer_block_sums, of this rank's slices, as soon as
                              they are summed; called by the thread that reduces, and may
                              use OpenMP where n is more than a block; NULL: nothing */
    int64_t shared, first; /* floats of tw_reducer_shared and tw_reducer_first */
    int ranks_per_node; /* tests: each node counts as several of this many ranks; 0 = as they are */
} tw_reducer_options;

enum { TW_REDUCER_VALUES = 8 }; /* doubles that travel with a step's status */

enum { TW_REDUCER_BLOCK = 4096 }; /* floats: slices begin at whole blocks of their bucket */

/* Elements [offset, offset + count) of the gradient, and the number of their first block. Blocks
 * are numbered through all buckets, so that a result of each block, put together in the order of
 * blocks, does not depend on who computed it. */
typedef struct tw_reducer_slice {
    int64_t offset, count, block;
} tw_reducer_slice;

/* Collective on `comm`, all arguments but options->threads equal on all ranks. Where the nodes'
 * shared memory is too small every rank keeps its own, as if it were alone on its node; a warning
 * says so.
 * @param[out] out      owned by the caller; tw_reducer_destroy; refers to `comm`, which must
 * outlive it
 * @param count         floats of the gradient
 * @param buckets       disjoint, together [0, count), in the order in which they become final;
 * copied
 * @param options       NULL: all zero
 * @return TW_EINTERNAL where the buckets do not cut the gradient, or MPI failed; TW_ENOMEM; the
 * same on all ranks */
tw_status tw_reducer_create(tw_reducer **out, const tw_comm *comm, int64_t count,
                            const tw_reducer_bucket *buckets, int bucket_count,
                            const tw_reducer_options *options);

/* Collective. Accepts NULL inside. */
void tw_reducer_destroy(tw_reducer **reducer);

/* The gradient buffer: `count` floats, 64-byte aligned, zero at first, in the node's shared memory,
 * owned by the reducer. Between begin and finish a range may be written until it is reported ready;
 * the other ranks of the node write the sums into it. */
float *tw_reducer_gradient(const tw_reducer *reducer);

/* The slices whose sums this rank holds after tw_reducer_finish, in the order of buckets; some may
 * be empty. Without options.slices all of every bucket. Borrowed. @return how many */
int tw_reducer_slices(const tw_reducer *reducer, const tw_reducer_slice **slices);

/* One double per block, shared by the ranks of the node: what options.of_blocks gives for the
 * slices of each, once all have passed tw_reducer_barrier after tw_reducer_finish. Owned by the
 * reducer. */
const double *tw_reducer_block_sums(const tw_reducer *reducer, int64_t *blocks);

/* Seconds of the last finished step that the thread of execution spent in options.of_blocks; no
 * part of tw_reducer_exposed. */
double tw_reducer_blocks_seconds(const tw_reducer *reducer);

/* options.shared floats, once a node, and options.first floats on the node of rank zero (NULL on
 * others): 64-byte aligned, contents undefined, owned by the reducer. Who writes what is the
 * caller's to say; tw_reducer_barrier stands between writing and reading. */
float *tw_reducer_shared(const tw_reducer *reducer);
float *tw_reducer_first(const tw_reducer *reducer);

/* Whether this rank is the first of those that share, to which all of it is counted. */
bool tw_reducer_leads(const tw_reducer *reducer);

/* Waits until all ranks of the node are here. Collective in the node. */
void tw_reducer_barrier(tw_reducer *reducer);

/* Rank zero's floats [shared, shared + count), within tw_reducer_shared, into those of all nodes;
 * joins. Collective. */
tw_status tw_reducer_broadcast(tw_reducer *reducer, float *shared, int64_t count);

/* Cuts a flat buffer of parameters into buckets for tw_reducer_create: neighbours in the buffer
 * together, cut between parameters, ordered by when the last parameter of each is final.
 * @param offsets,sizes  where each of `parameters` many lies, in the order in which the backward
 * pass finishes them; together they cover [0, their sum)
 * @param target         floats of a bucket, reached or exceeded by one parameter at most; the
 * bucket at the low end, which is the last to be final where the buffer is laid out in forward
 * order and which nothing hides then, gets about a quarter
 * @param[out] buckets   room for `parameters` many
 * @param[out] bucket_count_out
 * @return TW_EINTERNAL where the parameters overlap or leave gaps; TW_ENOMEM */
tw_status tw_reducer_cut(const int64_t *offsets, const int64_t *sizes, int64_t parameters,
                         int64_t target, tw_reducer_bucket *buckets, int *bucket_count_out);

/* Starts a step. Does not wait and cannot fail. */
void tw_reducer_begin(tw_reducer *reducer, int64_t step);

/* Elements [offset, offset + count) are final: each element exactly once a step, in any order of
 * ranges, always by the same thread. Never waits. A mistake of the caller (twice, outside) is
 * reported by tw_reducer_finish. */
void tw_reducer_ready(tw_reducer *reducer, int64_t offset, int64_t count);

/* To be called often by the thread that calls tw_reducer_ready: without a thread of its own the
 * reduction moves on in these moments alone. Never waits. */
void tw_reducer_poll(tw_reducer *reducer);

/* Waits until the gradient holds the sum over all ranks (with options.slices, in this rank's
 * slices), and agrees on the step's status. Collective: every rank calls it in every step, also one
 * whose step failed (what it has not reported ready then counts as ready; the gradient is worthless
 * and the status says so).
 * @param status         this rank's own; its message is recorded
 * @param[in,out] values this rank's; afterwards their sums over all ranks, in the tree of rank
 * order
 * @param value_count    0 … TW_REDUCER_VALUES, the same on all ranks
 * @return the agreed status, as tw_comm_agree */
tw_status tw_reducer_finish(tw_reducer *reducer, tw_status status, double *values, int value_count);

/* Has tw_reducer_finish tell the watchdog that this rank waits for others. Borrowed until the last
 * finish; NULL: nobody. Not collective. */
void tw_reducer_watch(tw_reducer *reducer, struct tw_watchdog *watchdog);

/* Seconds that the last finished step waited for the reduction: in tw_reducer_finish and, without a
 * thread, at work between operations. */
double tw_reducer_exposed(const tw_reducer *reducer);

/* "8 ranks on 2 nodes, shared memory, messages in a tree, a thread of its own, 12 buckets": for the
 * log. Borrowed. */
const char *tw_reducer_description(const tw_reducer *reducer);

/* The sum of `count` floats over all ranks, in place, by one plain MPI_Allreduce: what `tweedie
 * bench reduce` compares with. Collective. */
tw_status tw_reduce_plain(const tw_comm *comm, float *values, int64_t count);

#ifdef __cplusplus
}
#endif

#endif
