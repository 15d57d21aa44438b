/* The beats of other nodes: without them a run of one rank per node cannot say which one is missing.
 *
 * The first rank of each node sends the beats of its node once a second to that of node 0, and node 0 its own to all: small messages, on a
 * communicator of their own, at most one on the way in each direction. A thread besides the watchdog's does so, since MPI may be the very
 * thing that hangs; what it hears lies in the node's shared memory, and the watchdog reads that. Times travel as ages, so clocks need not
 * agree.
 *
 * At the end each side sends a farewell and receives until it has the other's: messages keep their order, so none is left on the way. */
#include <string.h>
#include <time.h>

#include "comm/ticker.h"
#include "comm/watchdog_private.h"
#include "tweedie/memory.h"

enum { LINES = 16 }; /* said about other nodes at most */

static const int64_t SECOND = 1000000000, SILENT = 3000000000, PATIENCE = 30000000000;

/* A rank's beat on the wire, between machines of one kind. */
typedef struct record {
    int64_t step, age; /* nanoseconds; below zero: no beat yet */
    int32_t rank, waiting;
    char section[TW_WATCHDOG_SECTION_MAX + 1];
} record;

typedef struct message {
    int64_t farewell; /* 1: no other will follow */
    record records[];
} message;

typedef struct peer {
    int node;             /* its rank among the leaders */
    int at, size;         /* its beats in the table */
    bool lost;            /* MPI refused to send to it or to receive from it */
    bool parted, parting; /* its farewell has come; mine is sent */
    message *in, *out;
} peer;

typedef struct courier {
    ticker ticker;
    const watchdog_nodes *table;
    const beat *local;
    int size; /* ranks of this node */
    int count;
    int64_t sent;
    bool open; /* messages may be on their way */
    peer *peers;
    MPI_Request *requests; /* what comes from each peer, then what goes to each */
    MPI_Status *statuses;
    int *done;
    char *messages;
} courier;

static size_t message_bytes(int size)
{
    size_t bytes = sizeof(message) + (size_t)size * sizeof(record);
    return (bytes + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

/* ---- sending and receiving ---- */

static void receive(courier *c, int i)
{
    peer *p = &c->peers[i];
    if (p->lost || p->parted) return;
    if (MPI_Irecv(p->in, (int)message_bytes(p->size), MPI_BYTE, p->node, 0, c->table->leaders, &c->requests[i]) != MPI_SUCCESS) {
        c->requests[i] = MPI_REQUEST_NULL;
        p->lost = true;
    }
}

static void send(courier *c, int i, bool farewell)
{
    peer *p = &c->peers[i];
    if (p->lost || p->parting || c->requests[c->count + i] != MPI_REQUEST_NULL) return;
    const int64_t now = watchdog_now();
    p->out->farewell = farewell;
    for (int k = 0; k < c->size; k++) {
        const beat *b = &c->local[k];
        const int64_t at = atomic_load(&b->nanoseconds);
        record *r = &p->out->records[k];
        *r = (record){.step = atomic_load(&b->step), .age = at ? now - at : -1, .rank = b->rank, .waiting = atomic_load(&b->waiting)};
        memcpy(r->section, b->section, sizeof r->section);
    }
    p->parting = farewell;
    if (MPI_Isend(p->out, (int)message_bytes(c->size), MPI_BYTE, p->node, 0, c->table->leaders, &c->requests[c->count + i]) !=
        MPI_SUCCESS) {
        c->requests[c->count + i] = MPI_REQUEST_NULL;
        p->lost = true;
    }
}

static void take(courier *c, int i)
{
    peer *p = &c->peers[i];
    const int64_t now = watchdog_now();
    p->parted = p->in->farewell != 0;
    for (int k = 0; k < p->size; k++) {
        const record *r = &p->in->records[k];
        beat *b = &c->table->beats[p->at + k];
        b->rank = r->rank;
        memcpy(b->section, r->section, TW_WATCHDOG_SECTION_MAX); /* and the last character stays zero */
        atomic_store(&b->step, r->step);
        atomic_store(&b->waiting, r->waiting != 0);
        atomic_store(&b->nanoseconds, r->age < 0 ? 0 : now - r->age);
    }
    atomic_store(&c->table->nodes[i].heard, now);
}

/* What has come or gone since the last time. */
static void collect(courier *c)
{
    int n = 0;
    int code = MPI_Testsome(2 * c->count, c->requests, &n, c->done, c->statuses);
    if ((code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS) || n == MPI_UNDEFINED) return;
    for (int k = 0; k < n; k++) {
        const int i = c->done[k] % c->count;
        if (code == MPI_ERR_IN_STATUS && c->statuses[k].MPI_ERROR != MPI_SUCCESS) {
            c->peers[i].lost = true;
        } else if (c->done[k] < c->count) {
            take(c, i);
            receive(c, i);
        }
    }
}

static void exchange(void *self)
{
    courier *c = self;
    const int64_t now = watchdog_now();
    collect(c);
    for (int i = 0; i < c->count; i++) atomic_store(&c->table->nodes[i].looked, watchdog_now());
    if (now - c->sent < SECOND) return;
    c->sent = now;
    for (int i = 0; i < c->count; i++) send(c, i, false);
}

/* False where somebody does not answer: then a message may still be on its way. */
static bool part(courier *c)
{
    static const struct timespec moment = {.tv_nsec = 1000000};
    const int64_t end = watchdog_now() + PATIENCE;
    for (;;) {
        bool all = true, lost = false;
        collect(c);
        for (int i = 0; i < c->count; i++) {
            const peer *p = &c->peers[i];
            send(c, i, true);
            lost |= p->lost;
            all &= p->lost || (p->parted && p->parting && c->requests[c->count + i] == MPI_REQUEST_NULL);
        }
        if (all) return !lost;
        if (watchdog_now() > end) return false;
        nanosleep(&moment, NULL);
    }
}

/* ---- telling ---- */

static void tell_silent(const far_node *f, const beat *b, const char *beginning, int64_t now)
{
    line l = {.length = 0};
    line_add(&l, beginning);
    line_add_number(&l, f->first);
    if (f->size > 1) line_add(&l, " and the other ranks");
    line_add(&l, " on ");
    line_add(&l, f->host);
    line_add(&l, ", last heard of ");
    line_add_number(&l, (now - atomic_load(&f->heard)) / SECOND);
    line_add(&l, " s ago");
    if (atomic_load(&b->nanoseconds)) {
        line_add(&l, " ");
        line_add_section(&l, b);
    }
    line_put(&l);
}

/* What was heard is up to a second old, and collectives end here a little before there: that a rank waits in an earlier step says little.
 */
static bool suspect(const beat *b, const beat *me, bool also_waiting)
{
    if (atomic_load(&b->nanoseconds) == 0) return false;
    return !atomic_load(&b->waiting) || (also_waiting && atomic_load(&b->step) < atomic_load(&me->step));
}

bool watchdog_nodes_tell(const watchdog_nodes *n, const beat *me, bool also_waiting, int64_t now)
{
    const char *const beginning = atomic_load(&me->waiting) ? "tweedie: watchdog: missing: rank " : "tweedie: watchdog: beside it: rank ";
    const beat *b = n->beats;
    int lines = 0;
    for (int i = 0; i < n->count; b += n->nodes[i].size, i++) {
        const far_node *f = &n->nodes[i];
        const int64_t looked = atomic_load(&f->looked);
        if (now - looked > SILENT) continue; /* nobody knows */
        if (looked - atomic_load(&f->heard) > SILENT) {
            if (lines++ < LINES) tell_silent(f, b, beginning, now);
            continue;
        }
        for (int k = 0; k < f->size; k++) {
            if (!suspect(&b[k], me, also_waiting) || lines++ >= LINES) continue;
            line l = {.length = 0};
            line_add(&l, beginning);
            line_add_number(&l, b[k].rank);
            line_add(&l, " on ");
            line_add(&l, f->host);
            line_add(&l, " is ");
            line_add_place(&l, &b[k], now);
            line_put(&l);
        }
    }
    if (lines > LINES) {
        line l = {.length = 0};
        line_add(&l, "tweedie: watchdog: and ");
        line_add_number(&l, lines - LINES);
        line_add(&l, " more");
        line_put(&l);
    }
    return lines > 0;
}

/* ---- beginning and end ---- */

/* What each leader says of its node. */
typedef struct introduction {
    int first, size;
    char host[HOST_MAX];
} introduction;

size_t watchdog_nodes_bytes(const tw_comm *comm)
{
    if (comm->nodes == 1 || !comm->threaded) return 0;
    return (size_t)comm->nodes * sizeof(far_node) + (size_t)comm->size * sizeof(beat);
}

/* Leaders: learns of the other nodes, and writes those that matter here into the table. */
static tw_status introduce(watchdog_nodes *n, const tw_comm *comm, introduction *all, void *shared)
{
    tw_status st = TW_OK;
    const introduction *others = comm->node == 0 ? all + 1 : all;
    introduction mine = {.first = comm->rank, .size = comm->node_size};
    memcpy(mine.host, comm->host, sizeof mine.host);
    TRY_MPI(MPI_Allgather(&mine, (int)sizeof mine, MPI_BYTE, all, (int)sizeof mine, MPI_BYTE, n->leaders));
    n->count = comm->node == 0 ? comm->nodes - 1 : 1;
    n->nodes = shared;
    for (int i = 0; i < n->count; i++) {
        far_node *f = &n->nodes[i];
        memset(f, 0, sizeof *f);
        f->first = others[i].first;
        f->size = others[i].size;
        memcpy(f->host, others[i].host, sizeof f->host);
        atomic_store(&f->heard, watchdog_now());
        n->ranks += f->size;
    }
    memset((void *)(n->nodes + n->count), 0, (size_t)n->ranks * sizeof(beat));
done:
    return st;
}

static tw_status make_courier(watchdog_nodes *n, const tw_comm *comm, const beat *local)
{
    tw_status st = TW_OK;
    courier *c = NULL;
    size_t bytes = 0;
    int at = 0;
    TW_TRY(tw_alloc(&c, 1, sizeof *c, "the watchdog's messages"));
    n->courier = c; /* also half made: watchdog_nodes_stop releases it */
    *c = (courier){.table = n, .local = local, .count = n->count, .size = comm->node_size};
    TW_TRY(tw_alloc(&c->peers, n->count, sizeof *c->peers, "the watchdog's messages"));
    TW_TRY(tw_alloc(&c->requests, 2 * (int64_t)n->count, sizeof(MPI_Request), "the watchdog's messages"));
    TW_TRY(tw_alloc(&c->statuses, 2 * (int64_t)n->count, sizeof *c->statuses, "the watchdog's messages"));
    TW_TRY(tw_alloc(&c->done, 2 * (int64_t)n->count, sizeof *c->done, "the watchdog's messages"));
    for (int i = 0; i < n->count; i++) bytes += message_bytes(c->size) + message_bytes(n->nodes[i].size);
    TW_TRY(tw_alloc(&c->messages, (int64_t)bytes, 1, "the watchdog's messages"));
    char *room = c->messages;
    for (int i = 0; i < n->count; i++) {
        const int size = n->nodes[i].size;
        c->peers[i] = (peer){.node = comm->node == 0 ? i + 1 : 0, .at = at, .size = size, .in = (void *)room};
        room += message_bytes(size);
        c->peers[i].out = (void *)room;
        room += message_bytes(c->size);
        c->requests[i] = c->requests[c->count + i] = MPI_REQUEST_NULL;
        at += size;
    }
done:
    return st;
}

tw_status watchdog_nodes_start(watchdog_nodes *n, const tw_comm *comm, void *shared, const beat *local)
{
    tw_status st = TW_OK;
    int counts[2];
    introduction *all = NULL;
    const bool leader = comm->node_rank == 0;
    *n = (watchdog_nodes){.leaders = MPI_COMM_NULL};
    if (watchdog_nodes_bytes(comm) == 0) return TW_OK;
    if (leader) st = tw_alloc(&all, comm->nodes, sizeof *all, "the list of nodes");
    TW_TRY(tw_comm_agree(comm, st));
    TRY_MPI(MPI_Comm_split(comm->world, leader ? 0 : MPI_UNDEFINED, comm->rank, &n->leaders));
    if (leader) {
        MPI_Comm_set_errhandler(n->leaders, MPI_ERRORS_RETURN);
        TW_TRY(introduce(n, comm, all, shared));
        st = make_courier(n, comm, local);
    }
    TW_TRY(tw_comm_agree(comm, st));
    counts[0] = n->count;
    counts[1] = n->ranks;
    TRY_MPI(MPI_Bcast(counts, 2, MPI_INT, 0, comm->local));
    *n = (watchdog_nodes){counts[0], counts[1], shared, NULL, n->leaders, n->courier};
    n->beats = (void *)(n->nodes + n->count);
    if (leader) {
        for (int i = 0; i < n->count; i++) receive(n->courier, i);
        n->courier->open = true;
        st = ticker_start(&n->courier->ticker, exchange, n->courier, "the thread of the watchdog's messages");
    }
    st = tw_comm_agree(comm, st);
done:
    tw_free(&all);
    return st;
}

/* Where a message may still come or go, MPI keeps its buffer and the communicator. */
static void abandon(courier *c)
{
    for (int i = 0; i < 2 * c->count; i++) {
        if (c->requests[i] == MPI_REQUEST_NULL) continue;
        if (i < c->count) MPI_Cancel(&c->requests[i]);
        MPI_Request_free(&c->requests[i]);
    }
    c->messages = NULL;
}

void watchdog_nodes_stop(watchdog_nodes *n)
{
    courier *c = n->courier;
    bool clean = true;
    if (c) {
        ticker_stop(&c->ticker);
        clean = !c->open || part(c);
        if (!clean) abandon(c);
        tw_free(&c->messages);
        tw_free(&c->done);
        tw_free(&c->statuses);
        tw_free(&c->requests);
        tw_free(&c->peers);
        tw_free(&n->courier);
    }
    if (clean && n->leaders != MPI_COMM_NULL) MPI_Comm_free(&n->leaders);
}
