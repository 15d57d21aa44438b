/* Broadcast, gather, and reductions of doubles in a fixed order.
 *
 * MPI leaves the order of a floating-point sum to the library: it changes with the number of ranks,
 * the message size and tuning files. Here everybody adds the same numbers in the same tree. Small
 * vectors go from everyone to everyone; of large ones each rank gets one slice from all others,
 * sums it, and gives the sums to all, so the traffic is twice the vector however many ranks there
 * are. */
#include <string.h>

#include "comm/comm_private.h"
#include "tweedie/memory.h"
#include "tweedie/reducer.h"

enum { BLOCK = 1 << 20 }; /* doubles of a large vector at once: 8 MB of buffer */

/* The tree splits n ranks at the largest power of two below n, so ranks 0 … 2^k − 1 always form one
 * subtree. */
static double tree(const double *values, int n, int64_t stride)
{
    if (n == 1) return *values;
    int half = 1;
    while (half * 2 < n) half *= 2;
    return tree(values, half, stride) + tree(values + half * stride, n - half, stride);
}

void comm_tree_sum(double *out, const double *values, int size, int64_t stride, int64_t count)
{
    for (int64_t i = 0; i < count; i++) out[i] = tree(values + i, size, stride);
}

static tw_status sum_small(const tw_comm *comm, double *values, int count)
{
    tw_status st = TW_OK;
    TRY_MPI(
        MPI_Allgather(values, count, MPI_DOUBLE, comm->gathered, count, MPI_DOUBLE, comm->world));
    comm_tree_sum(values, comm->gathered, comm->size, count, count);
done:
    return st;
}

/* `count` is a multiple of the number of ranks: slice r is elements r·count/size …, held by rank r.
 */
static tw_status sum_block(const tw_comm *comm, double *values, int count, double *slices)
{
    tw_status st = TW_OK;
    int slice = count / comm->size;
    TRY_MPI(MPI_Alltoall(values, slice, MPI_DOUBLE, slices, slice, MPI_DOUBLE, comm->world));
    double *mine = values + (int64_t)comm->rank * slice;
    comm_tree_sum(mine, slices, comm->size, slice, slice);
    TRY_MPI(
        MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values, slice, MPI_DOUBLE, comm->world));
done:
    return st;
}

tw_status tw_comm_sum(const tw_comm *comm, double *values, int64_t count)
{
    tw_status st = TW_OK;
    double *slices = NULL;
    if (comm->size == 1) return TW_OK;
    const bool before = comm_wait_begin(comm, "sum", count);
    int64_t small = COMM_GATHERED(comm->size) / comm->size, block = BLOCK / comm->size * comm->size,
            n;
    if (count > small && block > 0) {
        st = tw_alloc(&slices, block, sizeof *slices, "the slices of a sum over ranks");
        TW_TRY(tw_comm_agree(comm, st)); /* memory may be short on one rank alone */
    }
    for (int64_t i = 0; i < count; i += n) {
        n = count - i;
        if (n > small && n >= comm->size && block > 0) {
            n = (n < block ? n : block) / comm->size * comm->size;
            TW_TRY(sum_block(comm, values + i, (int)n, slices));
        } else {
            if (n > small) n = small;
            TW_TRY(sum_small(comm, values + i, (int)n));
        }
    }
done:
    tw_free(&slices);
    comm_wait_end(comm, before);
    return st;
}

static tw_status extreme(const tw_comm *comm, double *values, int64_t count, MPI_Op op)
{
    tw_status st = TW_OK;
    const bool before = comm_wait_begin(comm, op == MPI_MIN ? "min" : "max", count);
    for (int64_t i = 0; i < count; i += CHUNK_MAX) {
        int n = count - i < CHUNK_MAX ? (int)(count - i) : CHUNK_MAX;
        TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, values + i, n, MPI_DOUBLE, op, comm->world));
    }
done:
    comm_wait_end(comm, before);
    return st;
}

tw_status tw_comm_min(const tw_comm *comm, double *values, int64_t count)
{
    return extreme(comm, values, count, MPI_MIN);
}

tw_status tw_comm_max(const tw_comm *comm, double *values, int64_t count)
{
    return extreme(comm, values, count, MPI_MAX);
}

tw_status tw_comm_broadcast(const tw_comm *comm, void *data, size_t bytes, int root)
{
    tw_status st = TW_OK;
    char *p = data;
    const bool before = comm_wait_begin(comm, "broadcast", (int64_t)bytes);
    while (bytes > 0) {
        int n = bytes < CHUNK_MAX ? (int)bytes : CHUNK_MAX;
        TRY_MPI(MPI_Bcast(p, n, MPI_BYTE, root, comm->world));
        p += n;
        bytes -= (size_t)n;
    }
done:
    comm_wait_end(comm, before);
    return st;
}

tw_status tw_comm_gather(const tw_comm *comm, const void *record, size_t bytes, void *all)
{
    tw_status st = TW_OK;
    const bool before = comm_wait_begin(comm, "gather", (int64_t)bytes);
    TW_CHECK(bytes <= CHUNK_MAX, TW_EINTERNAL, "a record of %zu bytes is too large to gather",
             bytes);
    TRY_MPI(MPI_Gather(record, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, 0, comm->world));
done:
    comm_wait_end(comm, before);
    return st;
}

/* Rank zero's sizes, offsets and room for tw_comm_gather_texts. */
static tw_status lay_out(const tw_comm *comm, const int *sizes, int *offsets, void **all)
{
    tw_status st = TW_OK;
    int64_t total = 0;
    for (int r = 0; r < comm->size; r++) {
        offsets[r] = (int)total;
        total += sizes[r];
        TW_CHECK(total <= CHUNK_MAX, TW_EINTERNAL,
                 "records of together more than %d bytes are too large to gather", CHUNK_MAX);
    }
    TW_TRY(tw_alloc(all, total, 1, "gathered records"));
done:
    return st;
}

tw_status tw_comm_gather_texts(const tw_comm *comm, const void *record, size_t bytes, void **all,
                               int64_t *sizes)
{
    tw_status st = TW_OK;
    int *counts = NULL, mine = (int)bytes;
    void *texts = NULL;
    const bool before = comm_wait_begin(comm, "gather of texts", 0);
    *all = NULL;

    st = bytes <= CHUNK_MAX
             ? TW_OK
             : tw_error_set(TW_EINTERNAL, "a record of %zu bytes is too large to gather", bytes);
    if (st == TW_OK)
        st =
            tw_alloc(&counts, 2 * (int64_t)comm->size, sizeof *counts, "sizes of gathered records");
    TW_TRY(tw_comm_agree(comm, st));
    TRY_MPI(MPI_Gather(&mine, 1, MPI_INT, counts, 1, MPI_INT, 0, comm->world));
    if (comm->rank == 0) st = lay_out(comm, counts, counts + comm->size, &texts);
    TW_TRY(tw_comm_agree(comm, st));
    TRY_MPI(MPI_Gatherv(record, mine, MPI_BYTE, texts, counts, counts + comm->size, MPI_BYTE, 0,
                        comm->world));
    for (int r = 0; sizes && comm->rank == 0 && r < comm->size; r++) sizes[r] = counts[r];
    *all = texts;
    texts = NULL;
done:
    tw_free(&counts);
    tw_free(&texts);
    comm_wait_end(comm, before);
    return st;
}

tw_status tw_comm_barrier(const tw_comm *comm)
{
    tw_status st = TW_OK;
    const bool before = comm_wait_begin(comm, "barrier", 0);
    TRY_MPI(MPI_Barrier(comm->world));
done:
    comm_wait_end(comm, before);
    return st;
}

tw_status tw_reduce_plain(const tw_comm *comm, float *values, int64_t count)
{
    tw_status st = TW_OK;
    tw_comm_collective(comm, "plain reduction", count);
    for (int64_t i = 0; i < count; i += CHUNK_MAX) {
        int n = count - i < CHUNK_MAX ? (int)(count - i) : CHUNK_MAX;
        TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, values + i, n, MPI_FLOAT, MPI_SUM, comm->world));
    }
done:
    return st;
}
