/* TWEEDIE_DEBUG_COLLECTIVES=1: ranks that have come to different collectives are told, not left
 * waiting for each other.
 *
 * A rank that leaves alone, or takes another branch, meets the others in the wrong collective: MPI
 * then hangs, or takes one message for another. In this mode every collective first compares its
 * number, name and size over all ranks, on a communicator of its own and always by the same call,
 * so that the comparison itself cannot fail to meet. Expensive: for tests. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/comm_private.h"
#include "tweedie/memory.h"

enum { NAME_BYTES = 48 };

typedef struct record {
    int64_t number, size;
    char name[NAME_BYTES];
} record;

struct comm_debug {
    MPI_Comm comm;
    int64_t number;
    record *all; /* of every rank */
};

tw_status comm_debug_create(comm_debug **out, const tw_comm *comm)
{
    tw_status st = TW_OK;
    comm_debug *d = NULL;
    const char *wanted = getenv("TWEEDIE_DEBUG_COLLECTIVES");
    int on = wanted && *wanted && strcmp(wanted, "0") != 0;
    /* where the launcher gives the variable to some ranks alone */
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, &on, 1, MPI_INT, MPI_MAX, comm->world));
    if (!on) return TW_OK;
    TW_TRY(tw_alloc(&d, 1, sizeof *d, "the comparison of collectives"));
    d->comm = MPI_COMM_NULL;
    TW_TRY(tw_alloc(&d->all, comm->size, sizeof *d->all, "the comparison of collectives"));
    TRY_MPI(MPI_Comm_dup(comm->world, &d->comm));
    *out = d;
    d = NULL;
done:
    comm_debug_destroy(&d);
    return st;
}

void comm_debug_destroy(comm_debug **debug)
{
    comm_debug *d = *debug;
    if (!d) return;
    if (d->comm != MPI_COMM_NULL) MPI_Comm_free(&d->comm);
    tw_free(&d->all);
    tw_free(debug);
}

static bool same(const record *a, const record *b)
{
    return a->number == b->number && a->size == b->size && strcmp(a->name, b->name) == 0;
}

/* Rank zero says it, one line for each rank that differs from it; then all end. */
__attribute__((noreturn)) static void end(const tw_comm *comm, const comm_debug *d)
{
    const record *zero = d->all;
    for (int r = 1; comm->rank == 0 && r < comm->size; r++) {
        char line[256];
        const record *other = &d->all[r];
        if (same(zero, other)) continue;
        const int n = snprintf(
            line, sizeof line,
            "tweedie: collectives differ: rank 0 is in its number %" PRId64 ", '%s' of %" PRId64
            "; rank %d in its number %" PRId64 ", '%s' of %" PRId64 "\n",
            zero->number, zero->name, zero->size, r, other->number, other->name, other->size);
        if (write(STDERR_FILENO, line, (size_t)n) < 0) break;
    }
    MPI_Barrier(d->comm); /* it is said before the first of them leaves */
    tw_comm_abort(comm, TW_EINTERNAL);
}

void tw_comm_collective(const tw_comm *comm, const char *name, int64_t size)
{
    comm_debug *d = comm ? comm->debug : NULL;
    if (!d) return;
    record mine = {.number = ++d->number, .size = size};
    snprintf(mine.name, sizeof mine.name, "%s", name);
    if (MPI_Allgather(&mine, (int)sizeof mine, MPI_BYTE, d->all, (int)sizeof mine, MPI_BYTE,
                      d->comm) != MPI_SUCCESS)
        tw_comm_abort(comm, TW_EINTERNAL);
    for (int r = 1; r < comm->size; r++)
        if (!same(&d->all[0], &d->all[r])) end(comm, d);
}
