/* One window a node: rank 0's segment holds what is shared and its own array, the others' their
 * own. A rank that is alone on its node uses the heap. */
#include "comm/node.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "comm/comm_private.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

static const char shared_folder[] =
    "/dev/shm"; /* where Open MPI makes the files behind its windows */

static size_t aligned(size_t bytes)
{
    return (bytes + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

/* ---- who belongs together ---- */

static void part(node *n)
{
    if (n->across != MPI_COMM_NULL) MPI_Comm_free(&n->across);
    if (n->local != MPI_COMM_NULL) MPI_Comm_free(&n->local);
}

static tw_status gather(node *n, int ranks)
{
    tw_status st = TW_OK;
    const tw_comm *comm = n->comm;
    const int per_node = ranks > 0 ? ranks : comm->node_size;
    int leader = comm->rank, sizes[2], leads;

    TRY_MPI(MPI_Comm_split(comm->local, comm->node_rank / per_node, comm->rank, &n->local));
    TRY_MPI(MPI_Comm_rank(n->local, &n->rank));
    TRY_MPI(MPI_Comm_size(n->local, &n->size));
    TRY_MPI(MPI_Bcast(&leader, 1, MPI_INT, 0, n->local));
    leads = leader == comm->rank;
    n->is_first = leader == 0;
    TRY_MPI(MPI_Allreduce(&leads, &n->nodes, 1, MPI_INT, MPI_SUM, comm->world));
    sizes[0] = n->size;
    sizes[1] = -n->size;
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, sizes, 2, MPI_INT, MPI_MAX, comm->world));
    n->equal = sizes[0] == -sizes[1];
    /* with unequal nodes all but the first ranks share a communicator that nobody uses */
    TRY_MPI(MPI_Comm_split(comm->world, n->equal ? n->rank : !leads, comm->rank, &n->across));
    MPI_Comm_set_errhandler(n->local, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(n->across, MPI_ERRORS_RETURN);
done:
    return st;
}

/* ---- memory ---- */

static void unmap(node *n)
{
    if (n->window != MPI_WIN_NULL) MPI_Win_free(&n->window);
    tw_free(&n->heap);
}

static size_t common_bytes(const node *n, const node_request *q)
{
    return aligned(sizeof(node_counter)) + aligned(q->control) + aligned(q->shared) +
           (n->is_first ? aligned(q->first) : 0);
}

/* Where there is no room, Open MPI (4.1.4) hangs: its first rank leaves MPI_Win_allocate_shared
 * with an error, and the others wait for it. It wants a twentieth more than the window. What other
 * segments of its own it touches later must find room as well, 4 MB a rank, and counted double: the
 * first touch of a page too many ends the process by SIGBUS. */
static tw_status check_room(const node *n, const node_request *q)
{
    tw_status st = TW_OK;
    struct statvfs fs;
    const int parts =
        (n->comm->node_size + n->size - 1) / n->size; /* where the node counts as several */
    const double window =
        (double)common_bytes(n, q) + (double)n->size * (double)(aligned(q->own) + TW_ALIGNMENT);
    const double needed = parts * (1.05 * window + 8e6 * (double)n->size);
    if (n->rank != 0 || statvfs(shared_folder, &fs) != 0) return TW_OK;
    const double there = (double)fs.f_bavail * (double)fs.f_frsize;
    TW_CHECK(needed < there, TW_ENOMEM, "%s has room for %.0f MB, and %.0f MB are needed",
             shared_folder, 1e-6 * there, 1e-6 * needed);
done:
    return st;
}

static tw_status allocate_window(node *n, size_t bytes)
{
    tw_status st = TW_OK;
    MPI_Info info = MPI_INFO_NULL;
    void *base;
    TRY_MPI(MPI_Info_create(&info));
    TRY_MPI(MPI_Info_set(info, "alloc_shared_noncontig",
                         "true")); /* each rank's pages on its own NUMA node */
    TRY_MPI(MPI_Win_allocate_shared((MPI_Aint)bytes, 1, info, n->local, &base, &n->window));
done:
    if (info != MPI_INFO_NULL) MPI_Info_free(&info);
    return st;
}

static tw_status segment_of(const node *n, int rank, unsigned char **out)
{
    tw_status st = TW_OK;
    MPI_Aint bytes;
    int unit;
    void *base;
    TRY_MPI(MPI_Win_shared_query(n->window, rank, &bytes, &unit, &base));
    *out = (unsigned char *)base + (TW_ALIGNMENT - (uintptr_t)base % TW_ALIGNMENT) % TW_ALIGNMENT;
done:
    return st;
}

/* Cuts rank 0's segment. */
static void place(node *n, const node_request *q, unsigned char *base)
{
    n->joined = (node_counter *)(void *)base;
    n->control = base += aligned(sizeof(node_counter));
    n->shared = base += aligned(q->control);
    n->first = base + aligned(q->shared);
}

/* The first touch, by the threads that compute: pages come to this rank's NUMA node, or to those
 * that its threads are spread over. */
static void clear(node *n, const node_request *q)
{
    enum { PAGE = 2 << 20 };
    unsigned char *own = n->own[n->rank];
    const int64_t bytes = (int64_t)aligned(q->own);
    if (n->rank == 0) memset(n->joined, 0, aligned(sizeof(node_counter)) + aligned(q->control));
    tw_advise_huge(own, (size_t)bytes);
#pragma omp parallel for schedule(static) if (bytes > PAGE)
    for (int64_t at = 0; at < bytes; at += PAGE)
        memset(own + at, 0, (size_t)(bytes - at < PAGE ? bytes - at : PAGE));
}

static tw_status map_window(node *n, const node_request *q)
{
    tw_status st = TW_OK;
    const size_t common = common_bytes(n, q), own = aligned(q->own);
    TW_TRY(allocate_window(n, TW_ALIGNMENT + own + (n->rank == 0 ? common : 0)));
    for (int r = 0; r < n->size; r++) TW_TRY(segment_of(n, r, &n->own[r]));
    place(n, q, n->own[0]);
    if (n->rank == 0) tw_advise_huge(n->own[0], common);
    n->own[0] += common;
    clear(n, q);
    TRY_MPI(MPI_Barrier(n->local)); /* nobody raises a counter before it is zero */
done:
    return st;
}

static tw_status map_heap(node *n, const node_request *q)
{
    tw_status st = TW_OK;
    const size_t common = common_bytes(n, q);
    TW_TRY(
        tw_alloc_arena(&n->heap, common + aligned(q->own), "the gradients and what they update"));
    place(n, q, n->heap);
    n->own[0] = n->heap + common;
    clear(n, q);
done:
    return st;
}

/* Collective: what fails on one node fails on all. */
static tw_status map(node *n, const node_request *q)
{
    tw_status st = TW_OK;
    const bool alone = n->size == 1;
    TW_TRY(tw_comm_agree(n->comm, alone ? TW_OK : check_room(n, q)));
    TW_TRY(tw_comm_agree(n->comm, alone ? map_heap(n, q) : map_window(n, q)));
done:
    return st;
}

tw_status node_create(node *n, const tw_comm *comm, const node_request *request)
{
    tw_status st = TW_OK;
    *n = (node){.comm = comm,
                .local = MPI_COMM_NULL,
                .across = MPI_COMM_NULL,
                .everyone = MPI_COMM_NULL,
                .window = MPI_WIN_NULL};
    TRY_MPI(MPI_Comm_dup(comm->world, &n->everyone));
    MPI_Comm_set_errhandler(n->everyone, MPI_ERRORS_RETURN);
    TW_TRY(tw_comm_agree(
        comm, tw_alloc(&n->own, comm->node_size, sizeof *n->own, "the list of gradients")));
    TW_TRY(gather(n, request->ranks));
    st = map(n, request);
    if (st != TW_OK && n->nodes < comm->size) {
        if (comm->rank == 0)
            tw_log_warn("no shared memory for the gradients, every rank keeps its own: %s",
                        tw_error_message());
        unmap(n);
        part(n);
        TW_TRY(gather(n, 1));
        st = map(n, request);
    }
done:
    if (st != TW_OK) node_destroy(n);
    return st;
}

void node_destroy(node *n)
{
    unmap(n);
    part(n);
    if (n->everyone != MPI_COMM_NULL) MPI_Comm_free(&n->everyone);
    tw_free(&n->own);
}

/* A send that is complete may still lie in a queue of MPI's, which sends it when it is called
 * again: another node could wait for it, and this one for what comes of that. */
void node_wait(const node *n, node_counter *c, uint32_t target)
{
    static const struct timespec moment = {.tv_nsec = 1000000};
    int there;
    if (n->nodes == 1)
        counter_wait(c, target);
    else
        while (!counter_sleep(c, target, &moment))
            MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, n->everyone, &there, MPI_STATUS_IGNORE);
}

void node_barrier(node *n)
{
    n->joins++;
    if (n->size == 1) return;
    counter_raise(n->joined, 1);
    node_wait(n, n->joined, n->joins * (uint32_t)n->size);
}

tw_status node_broadcast(node *n, float *shared, int64_t count)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; n->rank == 0 && n->nodes > 1 && i < count; i += CHUNK_MAX) {
        int k = count - i < CHUNK_MAX ? (int)(count - i) : CHUNK_MAX;
        TRY_MPI(MPI_Bcast(shared + i, k, MPI_FLOAT, 0, n->across));
    }
done:
    node_barrier(n);
    return st;
}
