/* The tree is recursive halving and doubling over a power of two of nodes, nearest partner first:
 * after the first step each holds half of the sums of its pair, after the second a quarter of those
 * of its four: the tree of node order, at the traffic of the best allreduce (two arrays less two
 * n-ths). Float addition commutes bitwise, so both partners get the same. */
#include "comm/reducer_exchange.h"

#include <string.h>

#include "tweedie/comm_mpi.h"

static tw_status post(exchange *x, float *in, int64_t in_count, const float *out, int64_t out_count)
{
    tw_status st = TW_OK;
    const int partner = x->me ^ (1 << x->level),
              tag = (x->slot * 2 + x->gathering) * EXCHANGE_LEVELS + x->level;
    TRY_MPI(MPI_Irecv(in, (int)in_count, MPI_FLOAT, partner, tag, x->comm, &x->requests[0]));
    TRY_MPI(MPI_Isend(out, (int)out_count, MPI_FLOAT, partner, tag, x->comm, &x->requests[1]));
done:
    return st;
}

/* At level l the partner is 2^l away. On the way out one half of what I hold goes to it, and its
 * share of the other half comes; on the way back the sums of both halves meet. */
static tw_status post_level(exchange *x)
{
    const bool low = !(x->me >> x->level & 1);
    const int64_t begin = x->begin, end = x->end, middle = begin + (end - begin) / 2;
    if (x->gathering) {
        const int64_t other = low ? end : x->begins[x->level],
                      other_end = low ? x->ends[x->level] : begin;
        return post(x, x->values + other, other_end - other, x->values + begin, end - begin);
    }
    x->begins[x->level] = begin;
    x->ends[x->level] = end;
    x->begin = low ? begin : middle;
    x->end = low ? middle : end;
    return post(x, x->incoming, x->end - x->begin, x->values + (low ? middle : begin),
                low ? end - middle : middle - begin);
}

/* The messages of a level are here. @return whether there is another level */
static bool take_level(exchange *x)
{
    if (x->gathering) {
        x->begin = x->begins[x->level];
        x->end = x->ends[x->level];
        return x->level-- > 0;
    }
    exchange_add(x->values + x->begin, x->incoming, x->end - x->begin, x->together);
    if (2 << x->level < x->nodes)
        x->level++;
    else
        x->gathering = true;
    return true;
}

tw_status exchange_begin(exchange *x, MPI_Comm comm, bool tree, int slot, float *values,
                         int64_t count)
{
    tw_status st = TW_OK;
    float *incoming = x->incoming;
    const bool together = x->together;
    *x = (exchange){.comm = comm,
                    .tree = tree,
                    .slot = slot,
                    .values = values,
                    .count = count,
                    .end = count,
                    .incoming = incoming,
                    .together = together};
    x->requests[0] = x->requests[1] = MPI_REQUEST_NULL;
    TRY_MPI(MPI_Comm_rank(comm, &x->me));
    TRY_MPI(MPI_Comm_size(comm, &x->nodes));
    if (tree)
        TW_TRY(post_level(x));
    else
        TRY_MPI(MPI_Iallreduce(MPI_IN_PLACE, values, (int)count, MPI_FLOAT, MPI_SUM, comm,
                               &x->requests[0]));
done:
    return st;
}

tw_status exchange_advance(exchange *x, bool wait, bool *complete)
{
    tw_status st = TW_OK;
    int here = 1;
    *complete = false;
    for (;;) {
        if (wait)
            TRY_MPI(MPI_Waitall(2, x->requests, MPI_STATUSES_IGNORE));
        else
            TRY_MPI(MPI_Testall(2, x->requests, &here, MPI_STATUSES_IGNORE));
        if (!here) return TW_OK;
        if (!x->tree || !take_level(x)) break;
        TW_TRY(post_level(x));
    }
    *complete = true;
done:
    return st;
}

tw_status exchange_wait_any(exchange *const *x, int count, bool *waited)
{
    enum { ANY_MAX = 16 };
    tw_status st = TW_OK;
    MPI_Request requests[2 * ANY_MAX];
    int which;
    for (int k = 0; k < count; k++) memcpy(requests + 2 * k, x[k]->requests, sizeof x[k]->requests);
    *waited = false;
    TRY_MPI(MPI_Waitany(2 * count, requests, &which, MPI_STATUS_IGNORE));
    for (int k = 0; k < count; k++) memcpy(x[k]->requests, requests + 2 * k, sizeof x[k]->requests);
    *waited = which != MPI_UNDEFINED;
done:
    return st;
}

tw_status exchange_blocking(exchange *x, MPI_Comm comm, bool tree, float *values, int64_t count)
{
    tw_status st = TW_OK;
    bool complete;
    if (tree) {
        TW_TRY(exchange_begin(x, comm, true, 0, values, count));
        TW_TRY(exchange_advance(x, true, &complete));
    } else {
        TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, values, (int)count, MPI_FLOAT, MPI_SUM, comm));
    }
done:
    return st;
}
