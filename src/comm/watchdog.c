/* The watchdog: a beat per rank in a board that the ranks of a node share, and a thread that
 * compares it with the clock.
 *
 * A rank that hangs in a collective is itself innocent: the one that is missing is the one that
 * does not wait. So each rank also says when it only waits for others, and the message lists the
 * ranks of the node that do not, with what they do and for how long. A rank that was stopped
 * altogether (SIGSTOP, a lost disk) cannot speak; the others do, and name it first, since its
 * thread gives no sign of life. Each rank's text is written only by itself, and read by the others
 * only when the run is over anyway, so it is not locked; what is torn is a word of a message. Of
 * ranks on other nodes watchdog_nodes.c brings the beats. */
#include "tweedie/watchdog.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/ticker.h"
#include "comm/watchdog_private.h"
#include "tweedie/clock.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

static const int64_t SECOND = 1000000000;

typedef struct board {
    atomic_int spoken; /* one rank of a node tells about all */
    beat beats[];
} board;

struct tw_watchdog {
    ticker ticker;
    MPI_Win window;
    MPI_Comm local; /* of its own; null where there is no window */
    board *board;
    watchdog_nodes elsewhere;
    const tw_comm *comm;  /* NULL: alone */
    comm_waiting *told;   /* the communicator's, which says through it when it waits */
    _Atomic int64_t life; /* the shortest limit of all beats, nanoseconds; 0: none yet */
    int64_t grace;    /* the thread's own: before this nothing is held against anybody, since it did
                         not run itself */
    int64_t patience; /* nanoseconds beyond the limit: node 0, which knows of all, speaks first */
    int mine, size;   /* in the node */
    int rank, node, nodes;
    char host[HOST_MAX];
};

void line_add(line *l, const char *text)
{
    while (*text && l->length < sizeof l->text - 1) l->text[l->length++] = *text++;
}

void line_add_number(line *l, int64_t value)
{
    char digits[24], *p = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    *--p = '\0';
    do *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0) *--p = '-';
    line_add(l, p);
}

void line_put(line *l)
{
    l->text[l->length++] = '\n';
    if (write(STDERR_FILENO, l->text, l->length) < 0) return; /* nobody is left to be told */
}

void line_add_section(line *l, const beat *b)
{
    line_add(l, "in '");
    line_add(l, b->section);
    line_add(l, "'");
    if (atomic_load(&b->step) < 0) return;
    line_add(l, " of step ");
    line_add_number(l, atomic_load(&b->step));
}

void line_add_place(line *l, const beat *b, int64_t now)
{
    line_add_section(l, b);
    line_add(l, atomic_load(&b->waiting) ? ", waiting for other ranks, for " : " for ");
    line_add_number(l, (now - atomic_load(&b->nanoseconds)) / SECOND);
    line_add(l, " s");
    if (!beat_is_lifeless(b, now, WATCHDOG_SILENT, 0)) return;
    line_add(l, ", without a sign of life for ");
    line_add_number(l, (now - atomic_load(&b->alive)) / SECOND);
    line_add(l, " s");
}

void line_put_missing(const beat *b, const char *host, const beat *me, int64_t now)
{
    line l = {.length = 0};
    const bool sure = atomic_load(&me->waiting) || beat_is_lifeless(b, now, WATCHDOG_SILENT, 0);
    line_add(&l,
             sure ? "tweedie: watchdog: missing: rank " : "tweedie: watchdog: beside it: rank ");
    line_add_number(&l, b->rank);
    line_add(&l, " on ");
    line_add(&l, host);
    line_add(&l, " is ");
    line_add_place(&l, b, now);
    line_put(&l);
}

bool beat_is_lifeless(const beat *b, int64_t now, int64_t silence, int64_t grace)
{
    const int64_t alive = atomic_load(&b->alive);
    return alive != 0 && now - (alive > grace ? alive : grace) > silence;
}

bool beat_is_blamed(const beat *b, watchdog_blame blame, const beat *me, int64_t now)
{
    if (blame == WATCHDOG_LIFELESS) return beat_is_lifeless(b, now, WATCHDOG_SILENT, 0);
    if (atomic_load(&b->nanoseconds) == 0) return false;
    return !atomic_load(&b->waiting) ||
           (blame == WATCHDOG_BEHIND && atomic_load(&b->step) < atomic_load(&me->step));
}

int64_t watchdog_now(void)
{
    return (int64_t)(tw_clock_seconds() * 1e9);
}

static bool tell_node(const tw_watchdog *w, const beat *me, watchdog_blame blame, int64_t now)
{
    bool found = false;
    for (int i = 0; i < w->size; i++) {
        const beat *b = &w->board->beats[i];
        if (i == w->mine || !beat_is_blamed(b, blame, me, now)) continue;
        line_put_missing(b, w->host, me, now);
        found = true;
    }
    return found;
}

static void tell_nobody(const tw_watchdog *w, const beat *me)
{
    if (w->nodes == 1 || !atomic_load(&me->waiting)) return;
    line l = {.length = 0};
    line_add(&l, "tweedie: watchdog: all ranks of ");
    if (w->elsewhere.count == 0) {
        line_add(&l, w->host);
        line_add(&l,
                 " wait for others: the missing rank is on another node, or the network is gone");
    } else if (w->node == 0) {
        line_add(&l, "all nodes wait for others, and all nodes answer: a message was lost, or "
                     "ranks wait for different things");
    } else {
        line_add(&l, w->host);
        line_add(&l, " wait for others, as those of ");
        line_add(&l, w->elsewhere.nodes[0].host);
        line_add(&l, " did, where it is known who is missing");
    }
    line_put(&l);
}

/* Who gives no sign of life is to blame for all the others. Else it is who does not wait, or, in
 * this node, where what is known is not a second old, waits in an earlier step. The launcher may
 * let the ranks of other nodes live for half a minute after node 0 has spoken and ended: they hold
 * its silence against it only where it is longer than that. */
static void tell_others(const tw_watchdog *w, const beat *me, int64_t now)
{
    const int64_t life = atomic_load(&w->life),
                  silence = w->node == 0 || life < WATCHDOG_SILENT ? WATCHDOG_SILENT : life;
    bool found = tell_node(w, me, WATCHDOG_LIFELESS, now);
    found |= watchdog_nodes_tell(&w->elsewhere, me, WATCHDOG_LIFELESS, now, silence);
    if (found) return;
    found = tell_node(w, me, WATCHDOG_BEHIND, now);
    found |= watchdog_nodes_tell(&w->elsewhere, me, WATCHDOG_BUSY, now, silence);
    if (!found && w->node == 0)
        found = watchdog_nodes_tell(&w->elsewhere, me, WATCHDOG_BEHIND, now, silence);
    if (!found) tell_nobody(w, me);
}

/* @param limit  what has run out: of this rank's section, or of others' silence */
static void expire(const tw_watchdog *w, const beat *me, int64_t now, int64_t limit, const char *of)
{
    if (atomic_exchange(&w->board->spoken, 1) == 0) {
        line l = {.length = 0};
        line_add(&l, "tweedie: watchdog: rank ");
        line_add_number(&l, w->rank);
        line_add(&l, " on ");
        line_add(&l, w->host);
        line_add(&l, " is ");
        line_add_place(&l, me, now);
        line_add(&l, of);
        line_add(&l, " (limit ");
        line_add_number(&l, limit / SECOND);
        line_add(&l, " s); ending the run");
        line_put(&l);
        tell_others(w, me, now);
    }
    _exit(70);
}

/* Of its own node a rank knows at first hand, and speaks at once. */
static bool misses_somebody(const tw_watchdog *w, int64_t now, int64_t silence)
{
    for (int i = 0; i < w->size; i++)
        if (i != w->mine && beat_is_lifeless(&w->board->beats[i], now, silence, w->grace))
            return true;
    return watchdog_nodes_miss(&w->elsewhere, now, silence + w->patience, w->grace);
}

/* Four times a second: cheap, and far below any sensible limit. */
static void watch(void *self)
{
    tw_watchdog *w = self;
    beat *me = &w->board->beats[w->mine];
    const int64_t limit = atomic_load(&me->limit), since = atomic_load(&me->nanoseconds),
                  life = atomic_load(&w->life);
    const int64_t now = watchdog_now();
    if (now - atomic_load(&me->alive) > WATCHDOG_SILENT) w->grace = now;
    atomic_store(&me->alive, now);
    if (limit > 0 && now - (since > w->grace ? since : w->grace) > limit + w->patience &&
        since == atomic_load(&me->nanoseconds) && limit == atomic_load(&me->limit))
        expire(w, me, now, limit, "");
    if (life > 0 && misses_somebody(w, now, life > WATCHDOG_SILENT ? life : WATCHDOG_SILENT))
        expire(w, me, now, life, "; others give no sign of life");
}

static tw_status make_board(tw_watchdog *w, const tw_comm *comm)
{
    tw_status st = TW_OK;
    const size_t own = sizeof(board) + (size_t)w->size * sizeof(beat),
                 all = own + watchdog_nodes_bytes(comm);
    void *base;
    MPI_Aint bytes;
    int unit;
    TRY_MPI(MPI_Comm_dup(comm->local, &w->local));
    bytes = w->mine == 0 ? (MPI_Aint)all + TW_ALIGNMENT : 0;
    TRY_MPI(MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, w->local, &base, &w->window));
    TRY_MPI(MPI_Win_shared_query(w->window, 0, &bytes, &unit, &base));
    base = (void *)(((uintptr_t)base + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT);
    if (w->mine == 0) memset(base, 0, own);
    TRY_MPI(MPI_Barrier(w->local));
    w->board = base;
    w->board->beats[w->mine].rank = w->rank;
    w->told = comm->waiting;
    w->told->flag = &w->board->beats[w->mine].waiting;
    TW_TRY(watchdog_nodes_start(&w->elsewhere, comm, (char *)base + own, w->board->beats));
    if (w->node > 0 && w->elsewhere.count > 0) w->patience = 2 * SECOND;
done:
    return st;
}

static void release(tw_watchdog **watchdog)
{
    tw_watchdog *w = *watchdog;
    if (!w) return;
    ticker_stop(&w->ticker);
    if (w->told) w->told->flag = NULL;
    if (w->comm) w->comm->waiting->watchdog = NULL;
    if (w->board) atomic_store(&w->board->beats[w->mine].alive, 0); /* who has left is not missed */
    watchdog_nodes_stop(&w->elsewhere);
    if (w->window != MPI_WIN_NULL)
        MPI_Win_free(&w->window);
    else
        tw_free(&w->board);
    if (w->local != MPI_COMM_NULL) MPI_Comm_free(&w->local);
    tw_free(watchdog);
}

tw_status tw_watchdog_create(tw_watchdog **out, const tw_comm *comm)
{
    tw_status st = TW_OK;
    tw_watchdog *w = NULL;

    st = tw_alloc(&w, 1, sizeof *w, "the watchdog");
    if (comm) st = tw_comm_agree(comm, st);
    tw_comm_collective(comm, "the start of the watchdog", 0);
    if (st != TW_OK) goto done;
    w->window = MPI_WIN_NULL;
    w->local = w->elsewhere.couriers = MPI_COMM_NULL;
    w->size = w->nodes = 1;
    if (comm) {
        w->mine = comm->node_rank;
        w->size = comm->node_size;
        w->node = comm->node;
        w->nodes = comm->nodes;
        w->rank = comm->rank;
        strcpy(w->host, comm->host);
    } else if (gethostname(w->host, sizeof w->host - 1) != 0) {
        strcpy(w->host, "?");
    }
    st = comm && comm->size > 1
             ? make_board(w, comm)
             : tw_alloc(&w->board, 1, sizeof(board) + sizeof(beat), "the watchdog's board");
    if (st == TW_OK) atomic_store(&w->board->beats[w->mine].alive, watchdog_now());
    if (st == TW_OK) st = ticker_start(&w->ticker, watch, w, "the watchdog's thread");
    if (comm) st = tw_comm_agree(comm, st);
    if (st != TW_OK) goto done;
    w->comm = comm;
    if (comm) comm->waiting->watchdog = w;
    *out = w;
    return TW_OK;
done:
    release(&w);
    return st;
}

tw_watchdog *tw_watchdog_find(const tw_comm *comm)
{
    return comm->waiting->watchdog;
}

void tw_watchdog_destroy(tw_watchdog **watchdog)
{
    if (*watchdog) tw_comm_collective((*watchdog)->comm, "the end of the watchdog", 0);
    release(watchdog);
}

static beat *begin_section(tw_watchdog *w, const char *section, int64_t step)
{
    beat *b = &w->board->beats[w->mine];
    atomic_store(&b->limit, 0); /* the thread must not see the new limit with the old time */
    atomic_store(&b->waiting, false);
    atomic_store(&b->step, step);
    size_t n = strnlen(section, TW_WATCHDOG_SECTION_MAX);
    memcpy(b->section, section, n);
    b->section[n] = '\0';
    atomic_store(&b->nanoseconds, watchdog_now());
    return b;
}

void tw_watchdog_heartbeat(tw_watchdog *w, const char *section, int64_t step, double limit)
{
    if (!w) return;
    beat *b = begin_section(w, section, step);
    if (limit <= 0) {
        atomic_store(&w->life, 0); /* whoever wants no limit wants none by the silence of others */
        return;
    }
    const int64_t nanoseconds = (int64_t)(limit * 1e9), life = atomic_load(&w->life);
    atomic_store(&b->limit, nanoseconds);
    if (life == 0 || nanoseconds < life) atomic_store(&w->life, nanoseconds);
}

tw_status tw_watchdog_silence(double *out)
{
    tw_status st = TW_OK;
    const char *text = getenv("TWEEDIE_WATCHDOG");
    double seconds = 600;
    const bool known = !text || !*text || tw_text_to_double(text, &seconds);
    TW_CHECK(known && seconds >= 0 && seconds <= 1e6, TW_EUSAGE,
             "the environment variable TWEEDIE_WATCHDOG is '%s'; it must be seconds, 0 to 1000000",
             text);
    *out = seconds;
done:
    return st;
}

void tw_watchdog_listen(tw_watchdog *w, const char *section, double seconds)
{
    if (!w) return;
    begin_section(w, section, -1);
    atomic_store(&w->life, (int64_t)(seconds * 1e9));
}

void tw_watchdog_wait(tw_watchdog *w)
{
    if (w) atomic_store(&w->board->beats[w->mine].waiting, true);
}
