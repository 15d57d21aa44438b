/* The watchdog: a beat per rank in a board that the ranks of a node share, and a thread that compares it with the clock.
 *
 * A rank that hangs in a collective is itself innocent: the one that is missing is the one that does not wait. So each rank also says when
 * it only waits for others, and the message lists the ranks of the node that do not, with what they do and for how long. A rank that was
 * stopped altogether (SIGSTOP, a lost disk) cannot speak; the others do. Each rank's text is written only by itself, and read by the others
 * only when the run is over anyway, so it is not locked; what is torn is a word of a message. */
#include "tweedie/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "comm/comm_private.h"
#include "tweedie/clock.h"
#include "tweedie/memory.h"

typedef struct beat {
    _Alignas(64) _Atomic int64_t nanoseconds; /* of the beat, on the monotonic clock, the same for all processes of a node; 0: none yet */
    _Atomic int64_t limit;                    /* nanoseconds; 0: none */
    _Atomic int64_t step;
    atomic_bool waiting; /* for other ranks */
    char section[TW_WATCHDOG_SECTION_MAX + 1];
    int rank; /* in the whole run */
} beat;

typedef struct board {
    atomic_int spoken; /* one rank of a node tells about all */
    beat beats[];
} board;

struct tw_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopping;
    bool stop;
    MPI_Win window;
    MPI_Comm local; /* of its own; null where there is no window */
    board *board;
    int mine, size; /* in the node */
    int rank, nodes;
    char host[HOST_MAX];
};

/* A message built without the heap, whose lock the hanging thread may hold. */
typedef struct line {
    char text[512];
    size_t length;
} line;

static void add(line *l, const char *text)
{
    while (*text && l->length < sizeof l->text - 1) l->text[l->length++] = *text++;
}

static void add_number(line *l, int64_t value)
{
    char digits[24], *p = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    *--p = '\0';
    do *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0) *--p = '-';
    add(l, p);
}

static void put(line *l)
{
    l->text[l->length++] = '\n';
    if (write(STDERR_FILENO, l->text, l->length) < 0) return; /* nobody is left to be told */
}

static void add_place(line *l, const beat *b, int64_t now)
{
    add(l, "in '");
    add(l, b->section);
    add(l, "' of step ");
    add_number(l, atomic_load(&b->step));
    add(l, atomic_load(&b->waiting) ? ", waiting for other ranks, for " : " for ");
    add_number(l, (now - atomic_load(&b->nanoseconds)) / 1000000000);
    add(l, " s");
}

/* The others of this node that may be at fault: those that do not wait themselves, or wait in an earlier step than the speaker. */
static void tell_others(const tw_watchdog *w, const beat *me, int64_t now)
{
    bool found = false;
    for (int i = 0; i < w->size; i++) {
        const beat *b = &w->board->beats[i];
        bool behind = !atomic_load(&b->waiting) || atomic_load(&b->step) < atomic_load(&me->step);
        if (i == w->mine || !behind || atomic_load(&b->nanoseconds) == 0) continue;
        line l = {.length = 0};
        add(&l, atomic_load(&me->waiting) ? "tweedie: watchdog: missing: rank " : "tweedie: watchdog: beside it: rank ");
        add_number(&l, b->rank);
        add(&l, " on ");
        add(&l, w->host);
        add(&l, " is ");
        add_place(&l, b, now);
        put(&l);
        found = true;
    }
    if (found || w->nodes == 1 || !atomic_load(&me->waiting)) return;
    line l = {.length = 0};
    add(&l, "tweedie: watchdog: all ranks of ");
    add(&l, w->host);
    add(&l, " wait for others: the missing rank is on another node, or the network is gone");
    put(&l);
}

static void expire(const tw_watchdog *w, const beat *me, int64_t now)
{
    if (atomic_exchange(&w->board->spoken, 1) == 0) {
        line l = {.length = 0};
        add(&l, "tweedie: watchdog: rank ");
        add_number(&l, w->rank);
        add(&l, " on ");
        add(&l, w->host);
        add(&l, " is ");
        add_place(&l, me, now);
        add(&l, " (limit ");
        add_number(&l, atomic_load(&me->limit) / 1000000000);
        add(&l, " s); ending the run");
        put(&l);
        tell_others(w, me, now);
    }
    _exit(70);
}

static int64_t monotonic(void)
{
    return (int64_t)(tw_clock_seconds() * 1e9);
}

/* Looks four times a second: cheap, and far below any sensible limit. */
static void *watch(void *self)
{
    tw_watchdog *w = self;
    const beat *me = &w->board->beats[w->mine];
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 250000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&w->stopping, &w->lock, &until);
        int64_t limit = atomic_load(&me->limit), since = atomic_load(&me->nanoseconds), now = monotonic();
        if (limit > 0 && now - since > limit && since == atomic_load(&me->nanoseconds) && limit == atomic_load(&me->limit))
            expire(w, me, now);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static tw_status make_board(tw_watchdog *w, const tw_comm *comm)
{
    tw_status st = TW_OK;
    void *base;
    MPI_Aint bytes;
    int unit;
    TRY_MPI(MPI_Comm_dup(comm->local, &w->local));
    bytes = w->mine == 0 ? (MPI_Aint)(sizeof(board) + (size_t)w->size * sizeof(beat)) + TW_ALIGNMENT : 0;
    TRY_MPI(MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, w->local, &base, &w->window));
    TRY_MPI(MPI_Win_shared_query(w->window, 0, &bytes, &unit, &base));
    base = (void *)(((uintptr_t)base + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT);
    if (w->mine == 0) memset(base, 0, sizeof(board) + (size_t)w->size * sizeof(beat));
    TRY_MPI(MPI_Barrier(w->local));
    w->board = base;
done:
    return st;
}

static tw_status start_thread(tw_watchdog *w)
{
    tw_status st = TW_OK;
    sigset_t all, before;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&w->stopping, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&w->lock, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&w->thread, NULL, watch, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    TW_CHECK(code == 0, TW_ENOMEM, "the watchdog's thread cannot be started: %s", strerror(code));
done:
    return st;
}

static void release(tw_watchdog **watchdog)
{
    tw_watchdog *w = *watchdog;
    if (!w) return;
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
    if (st != TW_OK) goto done;
    w->window = MPI_WIN_NULL;
    w->local = MPI_COMM_NULL;
    w->size = w->nodes = 1;
    if (comm) {
        w->mine = comm->node_rank;
        w->size = comm->node_size;
        w->nodes = comm->nodes;
        w->rank = comm->rank;
        strcpy(w->host, comm->host);
    } else if (gethostname(w->host, sizeof w->host - 1) != 0) {
        strcpy(w->host, "?");
    }
    st = comm && comm->size > 1 ? make_board(w, comm) : tw_alloc(&w->board, 1, sizeof(board) + sizeof(beat), "the watchdog's board");
    if (st == TW_OK) {
        w->board->beats[w->mine].rank = w->rank;
        st = start_thread(w);
    }
    if (comm) st = tw_comm_agree(comm, st);
    if (st != TW_OK) goto done;
    *out = w;
    return TW_OK;
done:
    release(&w);
    return st;
}

void tw_watchdog_destroy(tw_watchdog **watchdog)
{
    tw_watchdog *w = *watchdog;
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->stopping);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->stopping);
    pthread_mutex_destroy(&w->lock);
    release(watchdog);
}

void tw_watchdog_beat(tw_watchdog *w, const char *section, int64_t step, double limit)
{
    if (!w) return;
    beat *b = &w->board->beats[w->mine];
    atomic_store(&b->limit, 0); /* the thread must not see the new limit with the old time */
    atomic_store(&b->waiting, false);
    atomic_store(&b->step, step);
    size_t n = strnlen(section, TW_WATCHDOG_SECTION_MAX);
    memcpy(b->section, section, n);
    b->section[n] = '\0';
    atomic_store(&b->nanoseconds, monotonic());
    atomic_store(&b->limit, limit > 0 ? (int64_t)(limit * 1e9) : 0);
}

void tw_watchdog_wait(tw_watchdog *w)
{
    if (w) atomic_store(&w->board->beats[w->mine].waiting, true);
}
