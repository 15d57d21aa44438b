/* Summing buckets: in a node through shared memory, between nodes by messages.
 *
 * Each rank's gradient lies in shared memory. When all ranks of the node have reported a bucket,
 * local rank k of L sums slice k of it over the L buffers, block by block in the first-level cache,
 * and stores the sum into its own buffer, where its share of the optimiser finds it, or into all of
 * them: memory traffic is one read (and one write) of the bucket per rank, and no rank copies what
 * it does not own. (143 MB, 2 ranks: 10 ms, where MPI_Allreduce takes 53.) Between nodes the owners
 * of slice k add theirs, all at once, so that every rank drives the network; where nodes hold
 * different numbers of ranks the slices differ, and the first rank of each node exchanges whole
 * buckets.
 *
 * Waiting is asleep on futexes. Counters only grow: the target of epoch e is e times the ranks that
 * raise it, so nothing is reset and a fast rank may already raise the next epoch's. */
#include "comm/reducer_node.h"

#include <string.h>

#include "comm/comm_private.h"
#include "tweedie/clock.h"
#include "tweedie/memory.h"

enum {
    BLOCK = TW_REDUCER_BLOCK,
    DEPTH = 16
}; /* 16 KB: block and scratch stay in the first-level cache; ranks of a node < 2^16 */

static float *gradient_of(const reducer_node *r, int rank)
{
    return (float *)(void *)r->node.own[rank];
}

float *reducer_node_gradient(const reducer_node *r)
{
    return gradient_of(r, r->node.rank);
}

static int64_t blocks_of(int64_t count)
{
    return (count + BLOCK - 1) / BLOCK;
}

tw_reducer_bucket reducer_node_slice(const reducer_node *r, tw_reducer_bucket bucket, int k)
{
    const int64_t blocks = blocks_of(bucket.count), size = r->node.size;
    const int64_t begin = blocks * k / size * BLOCK, last = blocks * (k + 1) / size * BLOCK;
    return (tw_reducer_bucket){bucket.offset + begin,
                               (last < bucket.count ? last : bucket.count) - begin};
}

/* ---- life ---- */

static size_t control_bytes(const tw_comm *comm, int buckets, int64_t blocks)
{
    return (3 * (size_t)buckets + 1) * sizeof(node_counter) +
           (size_t)comm->node_size * sizeof(reducer_record) + (size_t)blocks * sizeof(double);
}

static void place_control(reducer_node *r)
{
    r->arrived = r->node.control;
    r->summed = r->arrived + r->bucket_count;
    r->exchanged = r->summed + r->bucket_count;
    r->reported = r->exchanged + r->bucket_count;
    r->records = (reducer_record *)(void *)(r->reported + 1);
    r->block_sums = (double *)(void *)(r->records + r->node.size);
}

/* The tree holds half of what is exchanged. */
static tw_status allocate_incoming(reducer_node *r)
{
    tw_status st = TW_OK;
    int64_t largest = 0;
    for (int b = 0; b < r->bucket_count; b++) {
        const int64_t count = r->node.equal
                                  ? reducer_node_slice(r, r->buckets[b], r->node.rank).count
                                  : r->buckets[b].count;
        if (count > largest) largest = count;
    }
    for (int k = 0; k < IN_FLIGHT; k++)
        TW_TRY(tw_alloc(&r->exchanges[k].incoming, (largest + 1) / 2 + 1, sizeof(float),
                        "gradients from other nodes"));
done:
    return st;
}

static tw_status allocate(reducer_node *r)
{
    tw_status st = TW_OK;
    TW_TRY(tw_alloc(&r->first_block, r->bucket_count, sizeof *r->first_block, "the buckets"));
    for (int b = 1; b < r->bucket_count; b++)
        r->first_block[b] = r->first_block[b - 1] + blocks_of(r->buckets[b - 1].count);
    TW_TRY(tw_alloc(&r->stages, r->bucket_count, sizeof *r->stages, "the buckets"));
    TW_TRY(tw_alloc(&r->scratch, DEPTH * BLOCK, sizeof *r->scratch, "blocks of the gradient sum"));
    if (r->tree && r->node.nodes > 1) TW_TRY(allocate_incoming(r));
done:
    return st;
}

/* The tree of rank order is that of nodes over that of their ranks only where each node holds a
 * whole subtree. Launchers also deal ranks out one by one, and sites give what is free: then a node
 * counts as several, each of the most ranks of which every subtree lies on one. */
static tw_status find_subtrees(int *ranks, const tw_comm *comm)
{
    tw_status st = TW_OK;
    int *nodes = NULL, size = 1;
    if (comm->size & (comm->size - 1)) return TW_OK; /* not a whole tree itself */
    TW_TRY(tw_comm_agree(comm, tw_alloc(&nodes, comm->size, sizeof *nodes, "the list of nodes")));
    TRY_MPI(MPI_Allgather(&comm->node, 1, MPI_INT, nodes, 1, MPI_INT, comm->world));
    for (bool whole = true; whole && size < comm->size;) {
        for (int r = 0; r < comm->size; r++)
            whole &= nodes[r] == nodes[r / (2 * size) * (2 * size)];
        if (whole) size *= 2;
    }
    *ranks = size;
done:
    tw_free(&nodes);
    return st;
}

tw_status reducer_node_create(reducer_node *r, const tw_comm *comm, int64_t count,
                              tw_reducer_bucket *buckets, int bucket_count, int64_t blocks,
                              const tw_reducer_options *options)
{
    tw_status st = TW_OK;
    node_request request = {.own = (size_t)count * sizeof(float),
                            .shared = (size_t)options->shared * sizeof(float),
                            .first = (size_t)options->first * sizeof(float),
                            .control = control_bytes(comm, bucket_count, blocks),
                            .ranks = options->ranks_per_node};
    *r = (reducer_node){.buckets = buckets,
                        .bucket_count = bucket_count,
                        .slices = options->slices,
                        .of_blocks = options->of_blocks};
    if (options->exchange == TW_REDUCER_TREE && request.ranks == 0)
        TW_TRY(find_subtrees(&request.ranks, comm));
    TW_TRY(node_create(&r->node, comm, &request));
    place_control(r);
done:
    return st;
}

/* Open MPI's blocking collective where a thread waits in it; own messages where they are polled,
 * since MPI_Iallreduce is slower (bench exchange) and they are not. With own messages several
 * buckets are on their way: what has come of one is added while the others' messages travel. */
tw_status reducer_node_prepare(reducer_node *r, bool blocking, bool tree)
{
    const bool power_of_two = (r->node.nodes & (r->node.nodes - 1)) == 0;
    r->together = !blocking;
    for (int k = 0; k < IN_FLIGHT; k++) r->exchanges[k].together = r->together;
    r->tree = power_of_two && (tree || !blocking);
    r->blocking = blocking && !r->tree;
    return allocate(r);
}

void reducer_node_destroy(reducer_node *r)
{
    if (r->node.comm) node_destroy(&r->node);
    tw_free(&r->stages);
    tw_free(&r->first_block);
    tw_free(&r->scratch);
    for (int k = 0; k < IN_FLIGHT; k++) tw_free(&r->exchanges[k].incoming);
}

/* ---- sums in a node ---- */

/* The sum over sources[0 … n)[at … at + count) into out, as a balanced tree; count <= BLOCK. */
static void tree_block(const reducer_node *r, float *out, int first, int n, int64_t at,
                       int64_t count, float *scratch)
{
    if (n == 1) {
        memcpy(out, gradient_of(r, first) + at, (size_t)count * sizeof *out);
        return;
    }
    if (n == 2) {
        const float *a = gradient_of(r, first) + at, *b = gradient_of(r, first + 1) + at;
        for (int64_t i = 0; i < count; i++) out[i] = a[i] + b[i];
        return;
    }
    int half = 1;
    while (half * 2 < n) half *= 2;
    tree_block(r, out, first, half, at, count, scratch);
    tree_block(r, scratch, first + half, n - half, at, count, scratch + BLOCK);
    for (int64_t i = 0; i < count; i++) out[i] += scratch[i];
}

/* Element `at` of bucket b, the first of a block. */
static double *block_at(const reducer_node *r, int b, int64_t at)
{
    return r->block_sums + r->first_block[b] + (at - r->buckets[b].offset) / BLOCK;
}

/* My slice of a bucket summed over the node's ranks, stored into the buffers of ranks [first,
 * last). */
static void sum_slice(const reducer_node *r, int b, int first, int last)
{
    const tw_reducer_bucket mine = reducer_node_slice(r, r->buckets[b], r->node.rank);
    const bool final = r->node.nodes == 1;
    for (int64_t i = mine.offset, end = mine.offset + mine.count; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        tree_block(r, r->scratch, 0, r->node.size, i, n, r->scratch + BLOCK);
        for (int k = first; k < last; k++)
            memcpy(gradient_of(r, k) + i, r->scratch, (size_t)n * sizeof(float));
        if (final && r->of_blocks) r->of_blocks(r->scratch, n, block_at(r, b, i));
    }
}

/* The blocks of my slice, where it became final otherwise. A rank without a thread that reduces may
 * have all of its own at work. */
static void take_blocks(reducer_node *r, int b)
{
    const tw_reducer_bucket mine = reducer_node_slice(r, r->buckets[b], r->node.rank);
    const int64_t each = r->together ? mine.count : BLOCK;
    const double start = tw_clock_seconds();
    for (int64_t i = mine.offset, end = mine.offset + mine.count; r->of_blocks && i < end;
         i += each)
        r->of_blocks(reducer_node_gradient(r) + i, end - i < each ? end - i : each,
                     block_at(r, b, i));
    if (r->node.nodes == 1) r->blocks_seconds += tw_clock_seconds() - start;
}

static void copy(const reducer_node *r, int from, int to, tw_reducer_bucket part)
{
    if (from != to)
        memcpy(gradient_of(r, to) + part.offset, gradient_of(r, from) + part.offset,
               (size_t)part.count * sizeof(float));
}

/* ---- the way of a bucket ---- */

/* The part that this rank exchanges with other nodes. */
static tw_reducer_bucket exchanged_part(const reducer_node *r, tw_reducer_bucket bucket)
{
    return r->node.equal ? reducer_node_slice(r, bucket, r->node.rank) : bucket;
}

/* All of the node's ranks have arrived: what comes next on this one. */
static reducer_stage sum_in_node(reducer_node *r, int b)
{
    const node *n = &r->node;
    if (n->nodes == 1) {
        if (n->size > 1)
            sum_slice(r, b, r->slices ? n->rank : 0, r->slices ? n->rank + 1 : n->size);
        else
            take_blocks(r, b);
        return STAGE_COMPLETE;
    }
    if (n->equal) {
        if (n->size > 1) sum_slice(r, b, n->rank, n->rank + 1);
        return STAGE_EXCHANGING;
    }
    sum_slice(r, b, 0, 1);
    counter_raise(&r->summed[b], 1);
    return n->rank == 0 ? STAGE_GATHERING : STAGE_BROADCASTING;
}

static tw_status begin_exchange(reducer_node *r, int b)
{
    const tw_reducer_bucket part = exchanged_part(r, r->buckets[b]);
    float *values = reducer_node_gradient(r) + part.offset;
    if (r->blocking)
        return exchange_blocking(&r->exchanges[0], r->node.across, false, values, part.count);
    return exchange_begin(&r->exchanges[b % IN_FLIGHT], r->node.across, r->tree, b % IN_FLIGHT,
                          values, part.count);
}

static void end_exchange(reducer_node *r, int b)
{
    if (!r->node.equal)
        counter_raise(&r->exchanged[b], 1);
    else if (!r->slices)
        for (int k = 0; k < r->node.size; k++)
            copy(r, r->node.rank, k, exchanged_part(r, r->buckets[b]));
    take_blocks(r, b);
    r->stages[b] = STAGE_COMPLETE;
}

static bool reached(const reducer_node *r, node_counter *c, uint32_t target, bool wait)
{
    if (wait) node_wait(&r->node, c, target);
    return counter_reached(c, target);
}

/* One stage further. *moved: whether that was possible without waiting for longer than `patience`
 * says. */
static tw_status advance_stage(reducer_node *r, int b, uint32_t epoch, reducer_patience patience,
                               bool *moved)
{
    tw_status st = TW_OK;
    const uint32_t ranks = epoch * (uint32_t)r->node.size;
    const reducer_stage before = r->stages[b];
    const bool to_begin = patience != REDUCER_POLL, to_end = patience == REDUCER_END;
    bool complete;
    if (before == STAGE_ARRIVING) {
        if (reached(r, &r->arrived[b], ranks, to_begin)) r->stages[b] = sum_in_node(r, b);
    } else if (before == STAGE_GATHERING) {
        if (reached(r, &r->summed[b], ranks, to_begin)) r->stages[b] = STAGE_EXCHANGING;
    } else if (before == STAGE_EXCHANGING) {
        if (!r->blocking) TW_TRY(exchange_advance(&r->exchanges[b % IN_FLIGHT], to_end, &complete));
        if (r->blocking || complete) end_exchange(r, b);
    } else if (before == STAGE_BROADCASTING && reached(r, &r->exchanged[b], epoch, to_end)) {
        copy(r, 0, r->node.rank,
             r->slices ? reducer_node_slice(r, r->buckets[b], r->node.rank) : r->buckets[b]);
        take_blocks(r, b);
        r->stages[b] = STAGE_COMPLETE;
    }
    *moved = r->stages[b] != before;
    if (*moved && r->stages[b] == STAGE_EXCHANGING) TW_TRY(begin_exchange(r, b));
done:
    return st;
}

tw_status reducer_node_advance(reducer_node *r, int b, uint32_t epoch, reducer_patience patience)
{
    tw_status st = TW_OK;
    bool moved = true;
    while (moved && r->stages[b] != STAGE_COMPLETE)
        TW_TRY(advance_stage(r, b, epoch, patience, &moved));
    return TW_OK;
done:
    /* the others wait for what this rank owes them, and hear of the failure at the end */
    if (!r->node.equal && r->node.rank == 0) counter_raise(&r->exchanged[b], 1);
    r->stages[b] = STAGE_COMPLETE;
    return st;
}

tw_status reducer_node_wait_any(reducer_node *r, int first, int last, bool *waited)
{
    tw_status st = TW_OK;
    exchange *flying[IN_FLIGHT];
    int count = 0;
    for (int b = first; b < last && !r->blocking; b++)
        if (r->stages[b] == STAGE_EXCHANGING) flying[count++] = &r->exchanges[b % IN_FLIGHT];
    *waited = false;
    if (count > 0) TW_TRY(exchange_wait_any(flying, count, waited));
done:
    return st;
}

bool reducer_node_has_begun(const reducer_node *r, int b)
{
    return r->stages[b] >= STAGE_EXCHANGING;
}

bool reducer_node_is_complete(const reducer_node *r, int b)
{
    return r->stages[b] == STAGE_COMPLETE;
}

void reducer_node_begin(reducer_node *r)
{
    for (int b = 0; b < r->bucket_count; b++) r->stages[b] = STAGE_ARRIVING;
    r->blocks_seconds = 0;
}

void reducer_node_arrive(reducer_node *r, int b)
{
    counter_raise(&r->arrived[b], 1);
}

tw_status reducer_node_exchange_records(reducer_node *r, const reducer_record *record,
                                        reducer_record *all, uint32_t epoch)
{
    tw_status st = TW_OK;
    const node *n = &r->node;
    if (n->nodes > 1) {
        TRY_MPI(MPI_Allgather(record, (int)sizeof *record, MPI_BYTE, all, (int)sizeof *record,
                              MPI_BYTE, n->everyone));
        return TW_OK;
    }
    /* who comes here has done its share of all buckets, for which all ranks had to arrive in this
     * epoch, after they had read the records of the last one: so nobody reads these any more, and
     * when all have reported all sums are in place */
    r->records[n->rank] = *record;
    counter_raise(r->reported, 1);
    node_wait(n, r->reported, epoch * (uint32_t)n->size);
    memcpy(all, r->records, (size_t)n->size * sizeof *all);
done:
    return st;
}
