/* Summing buckets: in a node through shared memory, between nodes by messages.
 *
 * Each rank's gradient lies in a shared window. When all ranks of the node have reported a bucket, local rank k of L sums slice k of it
 * over the L buffers, block by block in the first-level cache, and stores the sum into all of them: memory traffic is one read and one
 * write of the bucket per rank, and no rank copies what it does not own. (143 MB, 2 ranks: 10 ms, where MPI_Allreduce takes 53.) Between
 * nodes the owners of slice k add theirs, all at once, so that every rank drives the network; where nodes hold different numbers of ranks
 * the slices differ, and the first rank of each node exchanges whole buckets.
 *
 * Waiting is asleep on futexes. Counters only grow: the target of epoch e is e times the ranks that raise it, so nothing is reset and a
 * fast rank may already raise the next epoch's. */
#include "comm/reducer_node.h"

#include <string.h>

#include "comm/comm_private.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

enum { BLOCK = 4096, DEPTH = 16 }; /* floats: 16 KB, so that block and scratch stay in the first-level cache; ranks of a node < 2^16 */

static float *mine(const reducer_node *node)
{
    return node->gradient[node->rank];
}

/* Nodes as they are, or of options->ranks_per_node ranks for tests. */
static tw_status split(reducer_node *node, const tw_reducer_options *options)
{
    tw_status st = TW_OK;
    const tw_comm *comm = node->comm;
    int per_node = options->ranks_per_node > 0 ? options->ranks_per_node : comm->node_size;
    int leader = comm->rank, sizes[2], is_first;

    TRY_MPI(MPI_Comm_dup(comm->world, &node->everyone));
    TRY_MPI(MPI_Comm_split(comm->local, comm->node_rank / per_node, comm->rank, &node->local));
    TRY_MPI(MPI_Comm_rank(node->local, &node->rank));
    TRY_MPI(MPI_Comm_size(node->local, &node->size));
    TRY_MPI(MPI_Bcast(&leader, 1, MPI_INT, 0, node->local));
    is_first = leader == comm->rank;
    TRY_MPI(MPI_Allreduce(&is_first, &node->nodes, 1, MPI_INT, MPI_SUM, comm->world));
    sizes[0] = node->size;
    sizes[1] = -node->size;
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, sizes, 2, MPI_INT, MPI_MAX, comm->world));
    node->equal = sizes[0] == -sizes[1];
    /* with unequal nodes all but the leaders share a communicator that nobody uses */
    TRY_MPI(MPI_Comm_split(comm->world, node->equal ? node->rank : !is_first, comm->rank, &node->across));
    MPI_Comm_set_errhandler(node->everyone, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(node->local, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(node->across, MPI_ERRORS_RETURN);
    node->tree = options->exchange == TW_REDUCER_TREE && (node->nodes & (node->nodes - 1)) == 0;
done:
    return st;
}

/* A window of `bytes` per rank of the node; *base of rank r by MPI_Win_shared_query. */
static tw_status window(MPI_Win *out, MPI_Comm local, size_t bytes)
{
    tw_status st = TW_OK;
    MPI_Info info = MPI_INFO_NULL;
    void *base;
    TRY_MPI(MPI_Info_create(&info));
    TRY_MPI(MPI_Info_set(info, "alloc_shared_noncontig", "true")); /* each rank's pages on its own NUMA node */
    TRY_MPI(MPI_Win_allocate_shared((MPI_Aint)bytes, 1, info, local, &base, out));
done:
    if (info != MPI_INFO_NULL) MPI_Info_free(&info);
    return st;
}

static tw_status window_of(MPI_Win win, int rank, void **base)
{
    tw_status st = TW_OK;
    MPI_Aint bytes;
    int unit;
    TRY_MPI(MPI_Win_shared_query(win, rank, &bytes, &unit, base));
    *base = (void *)(((uintptr_t)*base + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT);
done:
    return st;
}

static tw_status map_control(reducer_node *node)
{
    tw_status st = TW_OK;
    size_t counters = (3 * (size_t)node->buckets + 1) * sizeof(node_counter);
    size_t bytes = counters + (size_t)node->size * sizeof(reducer_record) + TW_ALIGNMENT;
    void *base;
    TW_TRY(window(&node->control, node->local, node->rank == 0 ? bytes : 0));
    TW_TRY(window_of(node->control, 0, &base));
    if (node->rank == 0) memset(base, 0, bytes - TW_ALIGNMENT);
    node->arrived = base;
    node->summed = node->arrived + node->buckets;
    node->exchanged = node->summed + node->buckets;
    node->reported = node->exchanged + node->buckets;
    node->records = (reducer_record *)(void *)(node->reported + 1);
    TRY_MPI(MPI_Barrier(node->local)); /* nobody raises a counter before it is zero */
done:
    return st;
}

static tw_status map_gradients(reducer_node *node, int64_t count)
{
    tw_status st = TW_OK;
    void *base;
    TW_TRY(window(&node->gradients, node->local, (size_t)count * sizeof(float) + TW_ALIGNMENT));
    for (int r = 0; r < node->size; r++) {
        TW_TRY(window_of(node->gradients, r, &base));
        node->gradient[r] = base;
    }
    memset(mine(node), 0, (size_t)count * sizeof(float)); /* the first touch: pages come to this rank's node */
done:
    return st;
}

static void unmap(reducer_node *node)
{
    if (node->gradients != MPI_WIN_NULL) MPI_Win_free(&node->gradients);
    if (node->control != MPI_WIN_NULL) MPI_Win_free(&node->control);
}

/* Shared memory where it can be had on every node; else the same collectively by MPI_Allreduce from the heap. */
static tw_status map(reducer_node *node, int64_t count, bool plain)
{
    tw_status st = plain ? TW_EUNSUPPORTED : TW_OK;
    int all;
    if (st == TW_OK) st = map_control(node);
    if (st == TW_OK) st = map_gradients(node, count);
    int ok = st == TW_OK;
    TRY_MPI(MPI_Allreduce(&ok, &all, 1, MPI_INT, MPI_MIN, node->comm->world));
    node->plain = !all;
    if (all) return TW_OK;
    if (!plain && !ok) tw_log_warn("no shared memory for the gradients, reducing by MPI_Allreduce: %s", tw_error_message());
    unmap(node);
    TW_TRY(tw_alloc(&node->heap, count, sizeof *node->heap, "the gradient"));
    node->gradient[node->rank] = node->heap;
done:
    return st;
}

tw_status reducer_node_create(reducer_node *node, const tw_comm *comm, int64_t count, int buckets, int64_t largest,
                              const tw_reducer_options *options)
{
    tw_status st = TW_OK;
    memset(node, 0, sizeof *node);
    node->comm = comm;
    node->buckets = buckets;
    node->local = node->across = node->everyone = MPI_COMM_NULL;
    node->gradients = node->control = MPI_WIN_NULL;
    TW_TRY(split(node, options));
    st = tw_alloc(&node->gradient, node->size, sizeof *node->gradient, "the list of gradients");
    if (st == TW_OK) st = tw_alloc(&node->scratch, DEPTH * BLOCK, sizeof *node->scratch, "blocks of the gradient sum");
    if (st == TW_OK && node->tree && node->nodes > 1)
        st = tw_alloc(&node->incoming, (largest + 1) / 2 + 1, sizeof *node->incoming, "gradients from other nodes");
    TW_TRY(tw_comm_agree(comm, st));
    st = map(node, count, options->plain || comm->size == 1);
    st = tw_comm_agree(comm, st);
done:
    if (st != TW_OK) reducer_node_destroy(node);
    return st;
}

void reducer_node_destroy(reducer_node *node)
{
    unmap(node);
    if (node->across != MPI_COMM_NULL) MPI_Comm_free(&node->across);
    if (node->local != MPI_COMM_NULL) MPI_Comm_free(&node->local);
    if (node->everyone != MPI_COMM_NULL) MPI_Comm_free(&node->everyone);
    tw_free(&node->gradient);
    tw_free(&node->scratch);
    tw_free(&node->incoming);
    tw_free(&node->heap);
}

void reducer_node_arrive(reducer_node *node, int b)
{
    if (!node->plain) counter_raise(&node->arrived[b], 1);
}

bool reducer_node_is_ready(reducer_node *node, int b, uint32_t epoch)
{
    if (node->comm->size == 1) return true;
    return !node->plain && node->nodes == 1 && counter_reached(&node->arrived[b], epoch * (uint32_t)node->size);
}

/* The sum over sources[0 … n)[at … at + count) into out, as a balanced tree; count <= BLOCK. */
static void tree_block(float *out, float *const *sources, int n, int64_t at, int64_t count, float *scratch)
{
    if (n == 1) {
        memcpy(out, sources[0] + at, (size_t)count * sizeof *out);
        return;
    }
    if (n == 2) {
        const float *a = sources[0] + at, *b = sources[1] + at;
        for (int64_t i = 0; i < count; i++) out[i] = a[i] + b[i];
        return;
    }
    int half = 1;
    while (half * 2 < n) half *= 2;
    tree_block(out, sources, half, at, count, scratch);
    tree_block(scratch, sources + half, n - half, at, count, scratch + BLOCK);
    for (int64_t i = 0; i < count; i++) out[i] += scratch[i];
}

/* Elements [at, end) summed over the node's ranks, stored into the buffers of ranks [first, last). */
static void sum_slice(reducer_node *node, int64_t at, int64_t end, int first, int last)
{
    for (int64_t i = at; i < end; i += BLOCK) {
        int64_t n = end - i < BLOCK ? end - i : BLOCK;
        tree_block(node->scratch, node->gradient, node->size, i, n, node->scratch + BLOCK);
        for (int r = first; r < last; r++) memcpy(node->gradient[r] + i, node->scratch, (size_t)n * sizeof(float));
    }
}

/* Where slice k of a bucket begins: whole cache lines, so that no two ranks write to one. */
static int64_t slice_begin(const reducer_node *node, tw_reducer_bucket bucket, int k)
{
    if (k == node->size) return bucket.offset + bucket.count;
    return bucket.offset + bucket.count / node->size * k / 16 * 16;
}

static tw_status allreduce(float *values, int64_t count, MPI_Comm comm)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < count; i += CHUNK_MAX) {
        int n = count - i < CHUNK_MAX ? (int)(count - i) : CHUNK_MAX;
        TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, values + i, n, MPI_FLOAT, MPI_SUM, comm));
    }
done:
    return st;
}

/* Recursive halving and doubling over a power of two of nodes, nearest partner first: after the first step each holds half of the sums of
 * its pair, after the second a quarter of those of its four: the tree of node order, at the traffic of the best allreduce (two buckets less
 * two n-ths). Float addition commutes bitwise, so both partners get the same. */
static tw_status exchange_tree(reducer_node *node, float *values, int64_t count)
{
    tw_status st = TW_OK;
    int me, distance;
    int64_t begin = 0, end = count, begins[32], ends[32];
    int level = 0;
    TRY_MPI(MPI_Comm_rank(node->across, &me));
    for (distance = 1; distance < node->nodes; distance *= 2, level++) {
        int64_t middle = begin + (end - begin) / 2;
        bool low = !(me & distance);
        int64_t keep = low ? begin : middle, keep_end = low ? middle : end, give = low ? middle : begin, give_end = low ? end : middle;
        begins[level] = begin;
        ends[level] = end;
        TRY_MPI(MPI_Sendrecv(values + give, (int)(give_end - give), MPI_FLOAT, me ^ distance, level, node->incoming, (int)(keep_end - keep),
                             MPI_FLOAT, me ^ distance, level, node->across, MPI_STATUS_IGNORE));
        for (int64_t i = keep; i < keep_end; i++) values[i] += node->incoming[i - keep];
        begin = keep;
        end = keep_end;
    }
    while (level-- > 0) {
        distance /= 2;
        bool low = !(me & distance);
        int64_t other = low ? end : begins[level], other_end = low ? ends[level] : begin;
        TRY_MPI(MPI_Sendrecv(values + begin, (int)(end - begin), MPI_FLOAT, me ^ distance, 64 + level, values + other,
                             (int)(other_end - other), MPI_FLOAT, me ^ distance, 64 + level, node->across, MPI_STATUS_IGNORE));
        begin = begins[level];
        end = ends[level];
    }
done:
    return st;
}

static tw_status exchange(reducer_node *node, float *values, int64_t count)
{
    if (node->tree && count <= CHUNK_MAX) return exchange_tree(node, values, count);
    return allreduce(values, count, node->across);
}

/* Nodes of different sizes: everybody sums its slice into the leader's buffer, the leaders exchange, everybody copies. */
static tw_status reduce_by_leader(reducer_node *node, int b, tw_reducer_bucket bucket, uint32_t epoch)
{
    tw_status st = TW_OK;
    sum_slice(node, slice_begin(node, bucket, node->rank), slice_begin(node, bucket, node->rank + 1), 0, 1);
    counter_raise(&node->summed[b], 1);
    if (node->rank == 0) {
        counter_wait(&node->summed[b], epoch * (uint32_t)node->size);
        st = exchange(node, mine(node) + bucket.offset, bucket.count);
        counter_raise(&node->exchanged[b], 1);
    } else {
        counter_wait(&node->exchanged[b], epoch);
        memcpy(mine(node) + bucket.offset, node->gradient[0] + bucket.offset, (size_t)bucket.count * sizeof(float));
    }
    return st;
}

/* Nodes of one size: slice k is exchanged by the local ranks k of all nodes at once. */
static tw_status reduce_by_slice(reducer_node *node, tw_reducer_bucket bucket)
{
    tw_status st = TW_OK;
    int64_t begin = slice_begin(node, bucket, node->rank), end = slice_begin(node, bucket, node->rank + 1);
    if (node->size > 1) sum_slice(node, begin, end, node->rank, node->rank + 1);
    st = exchange(node, mine(node) + begin, end - begin);
    for (int r = 0; r < node->size; r++)
        if (r != node->rank) memcpy(node->gradient[r] + begin, mine(node) + begin, (size_t)(end - begin) * sizeof(float));
    return st;
}

tw_status reducer_node_reduce(reducer_node *node, int b, tw_reducer_bucket bucket, uint32_t epoch)
{
    tw_status st = TW_OK;
    if (node->comm->size == 1) return TW_OK;
    if (node->plain) return allreduce(mine(node) + bucket.offset, bucket.count, node->everyone);
    counter_wait(&node->arrived[b], epoch * (uint32_t)node->size);
    if (node->nodes == 1)
        sum_slice(node, slice_begin(node, bucket, node->rank), slice_begin(node, bucket, node->rank + 1), 0, node->size);
    else if (node->equal)
        st = reduce_by_slice(node, bucket);
    else
        st = reduce_by_leader(node, b, bucket, epoch);
    return st;
}

tw_status reducer_node_exchange_records(reducer_node *node, const reducer_record *record, reducer_record *all, uint32_t epoch)
{
    tw_status st = TW_OK;
    if (node->comm->size == 1) {
        all[0] = *record;
        return TW_OK;
    }
    if (node->plain || node->nodes > 1) {
        TRY_MPI(MPI_Allgather(record, (int)sizeof *record, MPI_BYTE, all, (int)sizeof *record, MPI_BYTE, node->everyone));
        return TW_OK;
    }
    /* who comes here has done its share of all buckets, for which all ranks had to arrive in this epoch, after they had read the records of
     * the last one: so nobody reads these any more, and when all have reported all sums are in place */
    node->records[node->rank] = *record;
    counter_raise(node->reported, 1);
    counter_wait(node->reported, epoch * (uint32_t)node->size);
    memcpy(all, node->records, (size_t)node->size * sizeof *all);
done:
    return st;
}
