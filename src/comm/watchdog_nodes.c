/* The heartbeats of other nodes: without them a run of one rank per node cannot say which one is
 * missing.
 *
 * The couriers, the first two ranks of each node, send the heartbeats of their node once a second
 * to the first rank of node 0, which sends its own to all: small messages, on a communicator of
 * their own, at most one on the way in each direction. There are two of a node so that one can tell
 * when the other is the rank that stopped. A thread besides the watchdog's does so, since MPI may
 * be the very thing that hangs; what it hears lies in the node's shared memory, and the watchdog
 * reads that. Times travel as ages, so clocks need not agree.
 *
 * At the end each side sends a farewell and receives until it has the other's: messages keep their
 * order, so none is left on the way. */
#include <string.h>
#include <time.h>

#include "comm/ticker.h"
#include "comm/watchdog_private.h"
#include "tweedie/memory.h"

enum { LINES = 16 }; /* said about other nodes at most */

static const int64_t SECOND = 1000000000, PATIENCE = 30000000000;

/* A rank's heartbeat on the wire, between machines of one kind. */
typedef struct record {
    int64_t step, age, life; /* nanoseconds since the heartbeat and since the sign of life; below
                                zero: there was none */
    int32_t rank, waiting;
    char section[TW_WATCHDOG_SECTION_MAX + 1];
} record;

typedef struct message {
    int64_t farewell; /* 1: no other will follow */
    record records[];
} message;

typedef struct peer {
    int rank;             /* among the couriers */
    int node;             /* in the table */
    int at, size;         /* its heartbeats there */
    bool lost;            /* MPI refused to send to it or to receive from it */
    bool parted, parting; /* its farewell has come; mine is sent */
    message *in, *out;
} peer;

typedef struct courier {
    ticker ticker;
    const watchdog_nodes *table;
    const heartbeat *local;
    int size; /* ranks of this node */
    int count;
    MPI_Comm comm;
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
    if (MPI_Irecv(p->in, (int)message_bytes(p->size), MPI_BYTE, p->rank, 0, c->comm,
                  &c->requests[i]) != MPI_SUCCESS) {
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
        const heartbeat *b = &c->local[k];
        const int64_t at = atomic_load(&b->nanoseconds), alive = atomic_load(&b->alive);
        record *r = &p->out->records[k];
        *r = (record){.step = atomic_load(&b->step),
                      .age = at ? now - at : -1,
                      .life = alive ? now - alive : -1,
                      .rank = b->rank,
                      .waiting = atomic_load(&b->waiting)};
        memcpy(r->section, b->section, sizeof r->section);
    }
    p->parting = farewell;
    if (MPI_Isend(p->out, (int)message_bytes(c->size), MPI_BYTE, p->rank, 0, c->comm,
                  &c->requests[c->count + i]) != MPI_SUCCESS) {
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
        heartbeat *b = &c->table->heartbeats[p->at + k];
        b->rank = r->rank;
        memcpy(b->section, r->section,
               TW_WATCHDOG_SECTION_MAX); /* and the last character stays zero */
        atomic_store(&b->step, r->step);
        atomic_store(&b->waiting, r->waiting != 0);
        atomic_store(&b->nanoseconds, r->age < 0 ? 0 : now - r->age);
        atomic_store(&b->alive, r->life < 0 ? 0 : now - r->life);
    }
    far_node *f = &c->table->nodes[p->node];
    if (p->parted) atomic_store(&f->heard, WATCHDOG_PARTED);
    if (atomic_load(&f->heard) != WATCHDOG_PARTED) atomic_store(&f->heard, now);
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
    for (int i = 0; i < c->table->count; i++)
        atomic_store(&c->table->nodes[i].looked, watchdog_now());
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
            all &= p->lost ||
                   (p->parted && p->parting && c->requests[c->count + i] == MPI_REQUEST_NULL);
        }
        if (all) return !lost;
        if (watchdog_now() > end) return false;
        nanosleep(&moment, NULL);
    }
}

/* ---- telling ---- */

static void tell_silent(const far_node *f, const heartbeat *b, int64_t now)
{
    line l = {.length = 0};
    line_add(&l, "tweedie: watchdog: missing: rank ");
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

/* Whether nothing has come from a node. Nobody knows where the thread that receives does not look.
 */
static bool is_silent(const far_node *f, int64_t now, int64_t silence, int64_t grace)
{
    const int64_t looked = atomic_load(&f->looked), heard = atomic_load(&f->heard);
    return now - looked <= WATCHDOG_SILENT && looked - (heard > grace ? heard : grace) > silence;
}

/* The moment of which the node's ranks are known: none of them gives a sign of life after it, which
 * says something of the node alone. */
static int64_t known_at(const far_node *f, int64_t now)
{
    const int64_t heard = atomic_load(&f->heard);
    return heard < now ? heard : now;
}

bool watchdog_nodes_tell(const watchdog_nodes *n, const heartbeat *me, watchdog_blame blame,
                         int64_t now, int64_t silence)
{
    const heartbeat *b = n->heartbeats;
    int lines = 0;
    for (int i = 0; i < n->count; b += n->nodes[i].size, i++) {
        const far_node *f = &n->nodes[i];
        if (now - atomic_load(&f->looked) > WATCHDOG_SILENT) continue;
        if (is_silent(f, now, silence, 0)) {
            if (lines++ < LINES) tell_silent(f, b, now);
            continue;
        }
        const int64_t then = known_at(f, now);
        for (int k = 0; k < f->size; k++)
            if (heartbeat_is_blamed(&b[k], blame, me, then) && lines++ < LINES)
                line_put_missing(&b[k], f->host, me, then);
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

bool watchdog_nodes_miss(const watchdog_nodes *n, int64_t now, int64_t silence, int64_t grace)
{
    const heartbeat *b = n->heartbeats;
    silence += SECOND + SECOND / 2; /* what is heard is as old as that */
    for (int i = 0; i < n->count; b += n->nodes[i].size, i++) {
        const far_node *f = &n->nodes[i];
        if (now - atomic_load(&f->looked) > WATCHDOG_SILENT) continue;
        if (is_silent(f, now, silence, grace)) return true;
        for (int k = 0; k < f->size; k++)
            if (heartbeat_is_lifeless(&b[k], known_at(f, now), silence, grace)) return true;
    }
    return false;
}

/* ---- beginning and end ---- */

/* What each courier says of itself and its node. */
typedef struct introduction {
    int node, node_rank;
    int first, size; /* the node's first rank; its ranks */
    char host[HOST_MAX];
} introduction;

size_t watchdog_nodes_bytes(const tw_comm *comm)
{
    if (comm->nodes == 1 || !comm->threaded) return 0;
    return (size_t)comm->nodes * sizeof(far_node) + (size_t)comm->size * sizeof(heartbeat);
}

/* Node 0 has one: it is the first of all couriers, and where it stops the other ranks of its node
 * say so. */
static bool is_courier(const tw_comm *comm)
{
    return comm->node_rank == 0 || (comm->node_rank == 1 && comm->node > 0);
}

/* Learns of all couriers. @param[out] all  the caller's to free, of *count */
static tw_status introduce(introduction **all, int *count, const watchdog_nodes *n,
                           const tw_comm *comm)
{
    tw_status st = TW_OK;
    introduction mine = {.node = comm->node, .node_rank = comm->node_rank, .size = comm->node_size};
    memcpy(mine.host, comm->host, sizeof mine.host);
    mine.first = comm->rank; /* of a node's second courier it is not used */
    TRY_MPI(MPI_Comm_size(n->couriers, count));
    TW_TRY(tw_alloc(all, *count, sizeof **all, "the list of nodes"));
    TRY_MPI(MPI_Allgather(&mine, (int)sizeof mine, MPI_BYTE, *all, (int)sizeof mine, MPI_BYTE,
                          n->couriers));
done:
    return st;
}

/* First ranks: makes the table of the nodes that matter here, all others on node 0, else node 0.
 * Their first ranks introduce themselves in the order of the nodes. */
static void lay_out(const watchdog_nodes *n, const tw_comm *comm, const introduction *all,
                    int count)
{
    far_node *f = n->nodes;
    int at = 0;
    for (int k = comm->node == 0 ? 1 : 0; k < count && f < n->nodes + n->count; k++) {
        if (all[k].node_rank != 0) continue;
        memset(f, 0, sizeof *f);
        f->first = all[k].first;
        f->size = all[k].size;
        f->at = at;
        memcpy(f->host, all[k].host, sizeof f->host);
        atomic_store(&f->heard, watchdog_now());
        at += f->size;
        f++;
    }
    memset((void *)n->heartbeats, 0, (size_t)n->ranks * sizeof(heartbeat));
}

/* Whom this courier exchanges messages with: the one of node 0 with all others, these with that
 * one. */
static tw_status make_peers(courier *c, const tw_comm *comm, const introduction *all, int count)
{
    tw_status st = TW_OK;
    size_t bytes = 0;
    const bool root = comm->node == 0;
    c->count = root ? count - 1 : 1;
    TW_TRY(tw_alloc(&c->peers, c->count, sizeof *c->peers, "the watchdog's messages"));
    TW_TRY(tw_alloc(&c->requests, 2 * (int64_t)c->count, sizeof(MPI_Request),
                    "the watchdog's messages"));
    TW_TRY(tw_alloc(&c->statuses, 2 * (int64_t)c->count, sizeof *c->statuses,
                    "the watchdog's messages"));
    TW_TRY(tw_alloc(&c->done, 2 * (int64_t)c->count, sizeof *c->done, "the watchdog's messages"));
    for (int i = 0; i < c->count; i++) {
        const int rank = root ? i + 1 : 0, node = root ? all[rank].node - 1 : 0;
        c->peers[i] = (peer){.rank = rank,
                             .node = node,
                             .at = root ? c->table->nodes[node].at : 0,
                             .size = all[rank].size};
        c->requests[i] = c->requests[c->count + i] = MPI_REQUEST_NULL;
        bytes += message_bytes(c->size) + message_bytes(c->peers[i].size);
    }
    TW_TRY(tw_alloc(&c->messages, (int64_t)bytes, 1, "the watchdog's messages"));
    char *room = c->messages;
    for (int i = 0; i < c->count; i++) {
        c->peers[i].in = (void *)room;
        room += message_bytes(c->peers[i].size);
        c->peers[i].out = (void *)room;
        room += message_bytes(c->size);
    }
done:
    return st;
}

static tw_status make_courier(watchdog_nodes *n, const tw_comm *comm, const heartbeat *local)
{
    tw_status st = TW_OK;
    introduction *all = NULL;
    int count = 0;
    TW_TRY(introduce(&all, &count, n, comm));
    if (comm->node != 0) n->ranks = all[0].size;
    if (comm->node_rank == 0) lay_out(n, comm, all, count);
    TW_TRY(
        tw_alloc(&n->courier, 1, sizeof *n->courier,
                 "the watchdog's messages")); /* also half made: watchdog_nodes_stop releases it */
    *n->courier =
        (courier){.table = n, .comm = n->couriers, .local = local, .size = comm->node_size};
    TW_TRY(make_peers(n->courier, comm, all, count));
done:
    tw_free(&all);
    return st;
}

tw_status watchdog_nodes_start(watchdog_nodes *n, const tw_comm *comm, void *shared,
                               const heartbeat *local)
{
    tw_status st = TW_OK;
    *n = (watchdog_nodes){.couriers = MPI_COMM_NULL};
    if (watchdog_nodes_bytes(comm) == 0) return TW_OK;
    n->count = comm->node == 0 ? comm->nodes - 1 : 1;
    n->ranks = comm->node == 0 ? comm->size - comm->node_size : 0;
    n->nodes = shared;
    n->heartbeats = (void *)(n->nodes + n->count);
    TRY_MPI(MPI_Comm_split(comm->world, is_courier(comm) ? 0 : MPI_UNDEFINED, comm->rank,
                           &n->couriers));
    if (is_courier(comm)) {
        MPI_Comm_set_errhandler(n->couriers, MPI_ERRORS_RETURN);
        st = make_courier(n, comm, local);
    }
    TW_TRY(tw_comm_agree(comm, st));
    TRY_MPI(MPI_Bcast(&n->ranks, 1, MPI_INT, 0, comm->local));
    if (n->courier) {
        for (int i = 0; i < n->courier->count; i++) receive(n->courier, i);
        n->courier->open = true;
        st = ticker_start(&n->courier->ticker, exchange, n->courier,
                          "the thread of the watchdog's messages");
    }
    st = tw_comm_agree(comm, st);
done:
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
    if (clean && n->couriers != MPI_COMM_NULL) MPI_Comm_free(&n->couriers);
}
