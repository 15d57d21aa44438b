/* When a bucket of the gradient is reduced: bookkeeping of what is final, and the thread or the
 * moments between operations that do it.
 *
 * Exchanges between nodes begin in one fixed order of buckets on all ranks, the order in which the
 * caller expects them to be final: collectives must meet. A bucket that is complete early tells the
 * ranks of the node at once but waits for its turn. The thread sleeps on a condition variable or a
 * futex whenever it waits; it never spins, since a spinning thread on a shared core doubles the
 * step. Without one, the moments between operations begin what can begin and move on what is on its
 * way: Open MPI does nothing for a message unless it is called. */
#include "tweedie/reducer.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "comm/comm_private.h"
#include "comm/placement.h"
#include "comm/reducer_node.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/watchdog.h"

struct tw_reducer {
    const tw_comm *comm;
    tw_watchdog *watchdog; /* or NULL */
    reducer_node node;
    int64_t count;
    int bucket_count;
    tw_reducer_bucket *buckets;
    int *by_offset; /* buckets sorted by offset: for finding those that a range touches */
    tw_reducer_slice *slices;
    int64_t blocks;
    int64_t *remaining; /* floats of each bucket that are not final yet */
    reducer_record *records;
    bool threaded;
    char description[128];

    /* the step, used by the executing thread alone */
    uint32_t epoch; /* 1, 2, …: counters of the node are compared with multiples of it */
    int64_t step;
    bool open; /* between begin and finish */
    bool misused;
    double exposed; /* seconds */

    /* between the executing thread and the communication thread, under `lock` */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t *complete; /* per bucket: the last epoch in which all of it was final */
    uint32_t submitted,
        ended; /* the epoch that the thread is to do, and the last one that it has done */
    int next;  /* the first bucket that is not reduced: the thread's from `submitted` on, until it
                  has `ended`; inline the executing thread's */
    bool quit;
    tw_status failure; /* of the reduction itself, with its message: one thread may meet it and
                          another report it */
    char message[MESSAGE_MAX];
};

/* Said at once: the others may wait for what this rank did not send until the watchdog ends the
 * run, which knows nothing of it. */
static void note_failure(tw_reducer *r, tw_status st)
{
    if (r->failure != TW_OK) return;
    r->failure = st;
    snprintf(r->message, sizeof r->message, "%s", tw_error_message());
    tw_log_warn("step %lld: the reduction of gradients failed on this rank: %s", (long long)r->step,
                r->message);
}

static void move_bucket(tw_reducer *r, int b, uint32_t epoch, reducer_patience patience)
{
    tw_status st = reducer_node_advance(&r->node, b, epoch, patience);
    if (st != TW_OK) note_failure(r, st); /* and go on: the others wait for our share of the rest */
}

/* How many buckets, from the first on, are final here, as far as they may be on their way. */
static int final_buckets(const tw_reducer *r, uint32_t epoch)
{
    int b = r->next;
    while (b < r->bucket_count && b < r->next + IN_FLIGHT && r->complete[b] == epoch) b++;
    return b;
}

/* Without waiting: begins, in their order, the buckets below `end`, and moves those that are on
 * their way. */
static void move_buckets(tw_reducer *r, uint32_t epoch, int end)
{
    for (int b = r->next; b < end; b++) {
        move_bucket(r, b, epoch, REDUCER_POLL);
        if (!reducer_node_has_begun(&r->node, b)) break;
    }
    while (r->next < end && reducer_node_is_complete(&r->node, r->next)) r->next++;
}

/* Waits until one of the buckets below `end`, all of which have been moved as far as they go, can
 * go on: for any message of theirs, or for the ranks of the node. */
static void wait_for_move(tw_reducer *r, uint32_t epoch, int end)
{
    const bool begun = reducer_node_has_begun(&r->node, r->next);
    bool waited = false;
    if (begun) {
        tw_status st = reducer_node_wait_any(&r->node, r->next, end, &waited);
        if (st != TW_OK) note_failure(r, st);
    }
    if (!waited) move_bucket(r, r->next, epoch, begun ? REDUCER_END : REDUCER_BEGIN);
}

/* All buckets of a step, on the thread, which holds the lock whenever it does not move or wait. */
static void reduce_step(tw_reducer *r, uint32_t epoch)
{
    while (r->next < r->bucket_count) {
        while (r->complete[r->next] != epoch) pthread_cond_wait(&r->changed, &r->lock);
        const int end = final_buckets(r, epoch);
        pthread_mutex_unlock(&r->lock);
        move_buckets(r, epoch, end);
        if (r->next < end) wait_for_move(r, epoch, end);
        pthread_mutex_lock(&r->lock);
    }
}

static void *communicate(void *self)
{
    tw_reducer *r = self;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!r->quit && r->submitted == r->ended) pthread_cond_wait(&r->changed, &r->lock);
        if (r->quit) break;
        uint32_t epoch = r->submitted;
        reduce_step(r, epoch);
        r->ended = epoch;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* Signals are the main thread's; and OpenMP may have bound that thread, whose mask a new one
 * inherits, to a single place. */
static tw_status start_thread(tw_reducer *r)
{
    tw_status st = TW_OK;
    sigset_t all, before;
    cpu_set_t cpus;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&r->thread, NULL, communicate, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    TW_CHECK(code == 0, TW_ENOMEM, "the communication thread cannot be started: %s",
             strerror(code));
    comm_allowed_cpus(&cpus);
    (void)pthread_setaffinity_np(r->thread, sizeof cpus,
                                 &cpus); /* costs speed alone where it fails */
    r->threaded = true;
done:
    return st;
}

/* A thread pays where it has a core of its own: on all nodes or on none, so that all ranks do the
 * same. */
static tw_status choose_mode(bool *threaded, const tw_reducer *r, const tw_reducer_options *options)
{
    tw_status st = TW_OK;
    const tw_comm *comm = r->comm;
    int cpus, threads, sharing, wanted;

    TW_TRY(comm_node_cpus(comm, options->threads > 0 ? options->threads : 1, &cpus, &threads,
                          &sharing));
    wanted = options->mode == TW_REDUCER_THREAD ||
             (options->mode == TW_REDUCER_AUTO && cpus - threads >= comm->node_size);
    if (comm->size == 1 || (r->node.node.nodes > 1 && !comm->threaded)) wanted = 0;
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, &wanted, 1, MPI_INT, MPI_MIN, comm->world));
    *threaded = wanted;
done:
    return st;
}

static int64_t blocks_of(tw_reducer_bucket bucket)
{
    return (bucket.count + TW_REDUCER_BLOCK - 1) / TW_REDUCER_BLOCK;
}

static tw_status take_buckets(tw_reducer *r, const tw_reducer_bucket *buckets)
{
    tw_status st = TW_OK;
    TW_CHECK(r->count > 0 && r->bucket_count > 0, TW_EINTERNAL,
             "a gradient of %lld floats in %d buckets", (long long)r->count, r->bucket_count);
    TW_TRY(tw_alloc(&r->buckets, r->bucket_count, sizeof *r->buckets, "the buckets"));
    TW_TRY(tw_alloc(&r->by_offset, r->bucket_count, sizeof *r->by_offset, "the buckets"));
    TW_TRY(tw_alloc(&r->remaining, r->bucket_count, sizeof *r->remaining, "the buckets"));
    TW_TRY(tw_alloc(&r->complete, r->bucket_count, sizeof *r->complete, "the buckets"));
    TW_TRY(tw_alloc(&r->records, r->comm->size, sizeof *r->records, "the ranks' records"));
    memcpy(r->buckets, buckets, (size_t)r->bucket_count * sizeof *buckets);
    TW_TRY(reducer_sort_buckets(r->by_offset, r->buckets, r->bucket_count, r->count));
    for (int b = 0; b < r->bucket_count; b++) r->blocks += blocks_of(r->buckets[b]);
done:
    return st;
}

/* Which part of each bucket is this rank's once it is summed. Blocks are numbered in the order of
 * buckets. */
static tw_status cut_slices(tw_reducer *r)
{
    tw_status st = TW_OK;
    int64_t block = 0;
    TW_TRY(tw_alloc(&r->slices, r->bucket_count, sizeof *r->slices, "the slices of the gradient"));
    for (int b = 0; b < r->bucket_count; b++) {
        tw_reducer_bucket mine = r->buckets[b];
        if (r->node.slices) mine = reducer_node_slice(&r->node, mine, r->node.node.rank);
        r->slices[b] =
            (tw_reducer_slice){mine.offset, mine.count,
                               block + (mine.offset - r->buckets[b].offset) / TW_REDUCER_BLOCK};
        block += blocks_of(r->buckets[b]);
    }
done:
    return st;
}

static void describe(tw_reducer *r)
{
    const node *n = &r->node.node;
    if (r->comm->size == 1)
        snprintf(r->description, sizeof r->description, "1 rank: nothing to reduce");
    else
        snprintf(r->description, sizeof r->description, "%d ranks on %d %s%s%s, %s, %d buckets",
                 r->comm->size, n->nodes,
                 n->nodes == 1                ? "node"
                 : n->nodes == r->comm->nodes ? "nodes"
                                              : "parts of nodes",
                 n->nodes < r->comm->size ? ", shared memory" : "",
                 n->nodes == 1  ? ""
                 : r->node.tree ? ", messages in a tree"
                 : r->threaded  ? ", MPI_Allreduce"
                                : ", MPI_Iallreduce",
                 r->threaded ? "a thread of its own" : "between operations", r->bucket_count);
}

static tw_status create_parts(tw_reducer *r, const tw_reducer_options *options)
{
    tw_status st = TW_OK;
    bool threaded = false;
    TW_TRY(reducer_node_create(&r->node, r->comm, r->count, r->buckets, r->bucket_count, r->blocks,
                               options));
    TW_TRY(choose_mode(&threaded, r, options));
    TW_TRY(tw_comm_agree(
        r->comm, reducer_node_prepare(&r->node, threaded, options->exchange == TW_REDUCER_TREE)));
    TW_TRY(tw_comm_agree(r->comm, cut_slices(r)));
    TW_TRY(tw_comm_agree(r->comm, threaded ? start_thread(r) : TW_OK));
done:
    return st;
}

tw_status tw_reducer_create(tw_reducer **out, const tw_comm *comm, int64_t count,
                            const tw_reducer_bucket *buckets, int bucket_count,
                            const tw_reducer_options *options)
{
    tw_status st = TW_OK;
    static const tw_reducer_options defaults;
    tw_reducer *r = NULL;

    tw_comm_collective(comm, "the start of the reduction", count);
    st = tw_alloc(&r, 1, sizeof *r, "the gradient reduction");
    if (st == TW_OK) {
        *r = (tw_reducer){.comm = comm, .count = count, .bucket_count = bucket_count};
        pthread_mutex_init(&r->lock, NULL);
        pthread_cond_init(&r->changed, NULL);
        st = take_buckets(r, buckets);
    }
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(create_parts(r, options ? options : &defaults));
    describe(r);
    *out = r;
    return TW_OK;
done:
    tw_reducer_destroy(&r);
    return st;
}

void tw_reducer_destroy(tw_reducer **reducer)
{
    tw_reducer *r = *reducer;
    if (!r) return;
    tw_comm_collective(r->comm, "the end of the reduction", r->count);
    if (r->threaded) {
        pthread_mutex_lock(&r->lock);
        r->quit = true;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->thread, NULL);
    }
    reducer_node_destroy(&r->node);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    tw_free(&r->buckets);
    tw_free(&r->by_offset);
    tw_free(&r->slices);
    tw_free(&r->remaining);
    tw_free(&r->complete);
    tw_free(&r->records);
    tw_free(reducer);
}

float *tw_reducer_gradient(const tw_reducer *r)
{
    return reducer_node_gradient(&r->node);
}

int tw_reducer_slices(const tw_reducer *r, const tw_reducer_slice **slices)
{
    *slices = r->slices;
    return r->bucket_count;
}

const double *tw_reducer_block_sums(const tw_reducer *r, int64_t *blocks)
{
    *blocks = r->blocks;
    return r->node.block_sums;
}

float *tw_reducer_shared(const tw_reducer *r)
{
    return r->node.node.shared;
}

float *tw_reducer_first(const tw_reducer *r)
{
    return r->node.node.is_first ? r->node.node.first : NULL;
}

bool tw_reducer_leads(const tw_reducer *r)
{
    return r->node.node.rank == 0;
}

void tw_reducer_barrier(tw_reducer *r)
{
    tw_watchdog_wait(r->watchdog);
    node_barrier(&r->node.node);
}

tw_status tw_reducer_broadcast(tw_reducer *r, float *shared, int64_t count)
{
    tw_comm_collective(r->comm, "broadcast to nodes", count);
    return node_broadcast(&r->node.node, shared, count);
}

void tw_reducer_watch(tw_reducer *r, tw_watchdog *watchdog)
{
    r->watchdog = watchdog;
}

double tw_reducer_exposed(const tw_reducer *r)
{
    return r->exposed - r->node.blocks_seconds;
}

double tw_reducer_blocks_seconds(const tw_reducer *r)
{
    return r->node.blocks_seconds;
}

const char *tw_reducer_description(const tw_reducer *r)
{
    return r->description;
}

void tw_reducer_begin(tw_reducer *r, int64_t step)
{
    r->step = step;
    r->epoch++;
    r->open = true;
    r->misused = false;
    r->exposed = 0;
    r->next = 0;
    for (int b = 0; b < r->bucket_count; b++) r->remaining[b] = r->buckets[b].count;
    reducer_node_begin(&r->node);
    if (!r->threaded) return;
    pthread_mutex_lock(&r->lock);
    r->submitted = r->epoch;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void complete_bucket(tw_reducer *r, int b)
{
    reducer_node_arrive(&r->node, b);
    if (!r->threaded) {
        r->complete[b] = r->epoch;
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->complete[b] = r->epoch;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void tw_reducer_poll(tw_reducer *r)
{
    if (r->threaded || !r->open || r->next == r->bucket_count || r->complete[r->next] != r->epoch)
        return;
    const double start = tw_clock_seconds();
    move_buckets(r, r->epoch, final_buckets(r, r->epoch));
    r->exposed += tw_clock_seconds() - start;
}

void tw_reducer_ready(tw_reducer *r, int64_t offset, int64_t count)
{
    if (!r->open || offset < 0 || count < 0 || count > r->count - offset) {
        r->misused = true;
        return;
    }
    int64_t end = offset + count;
    for (int i = reducer_find_bucket(r->by_offset, r->buckets, r->bucket_count, offset);
         offset < end; i++) {
        int b = r->by_offset[i];
        int64_t bucket_end = r->buckets[b].offset + r->buckets[b].count;
        int64_t part = (end < bucket_end ? end : bucket_end) - offset;
        if (part > r->remaining[b]) {
            r->misused = true;
            return;
        }
        r->remaining[b] -= part;
        if (r->remaining[b] == 0) complete_bucket(r, b);
        offset += part;
    }
    tw_reducer_poll(r);
}

/* A rank whose step failed, or whose caller forgot a range, still does its share. */
static tw_status complete_rest(tw_reducer *r, tw_status status)
{
    bool forgotten = false;
    for (int b = 0; b < r->bucket_count; b++) {
        if (r->remaining[b] == 0) continue;
        forgotten = true;
        r->remaining[b] = 0;
        complete_bucket(r, b);
    }
    if (status == TW_OK && (forgotten || r->misused))
        return tw_error_set(TW_EINTERNAL, "step %lld: the gradient was not reported exactly once",
                            (long long)r->step);
    return status;
}

static void wait_for_buckets(tw_reducer *r)
{
    if (r->threaded) {
        pthread_mutex_lock(&r->lock);
        while (r->ended != r->epoch) pthread_cond_wait(&r->changed, &r->lock);
        pthread_mutex_unlock(&r->lock);
        return;
    }
    while (r->next < r->bucket_count) {
        const int end = final_buckets(r, r->epoch);
        move_buckets(r, r->epoch, end);
        if (r->next < end) wait_for_move(r, r->epoch, end);
    }
}

tw_status tw_reducer_finish(tw_reducer *r, tw_status status, double *values, int value_count)
{
    tw_status st = TW_OK;
    reducer_record mine;
    double start = tw_clock_seconds();
    bool failed = false;

    tw_comm_collective(r->comm, "the reduction of a step", r->step);
    if (!r->open) tw_reducer_begin(r, r->step);
    status = complete_rest(r, status);
    tw_watchdog_wait(r->watchdog);
    wait_for_buckets(r);
    if (status == TW_OK && r->failure != TW_OK) status = tw_error_set(r->failure, "%s", r->message);
    memset(&mine, 0, sizeof mine);
    mine.status = (int)status;
    if (value_count > 0 && value_count <= TW_REDUCER_VALUES)
        memcpy(mine.values, values, (size_t)value_count * sizeof *values);
    TW_TRY(reducer_node_exchange_records(&r->node, &mine, r->records, r->epoch));
    for (int i = 0; i < r->comm->size; i++) failed |= r->records[i].status != TW_OK;
    if (failed) st = tw_comm_agree(r->comm, status); /* all ranks know that they must come here */
    if (value_count > 0 && value_count <= TW_REDUCER_VALUES)
        comm_tree_sum(values, r->records[0].values, r->comm->size,
                      (int64_t)(sizeof mine / sizeof(double)), value_count);
done:
    r->open = false;
    r->exposed += tw_clock_seconds() - start;
    return st;
}
