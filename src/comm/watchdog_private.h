/* What the files of the watchdog know of each other: heartbeats, the sentences about them, and
 * those of other nodes. */
#ifndef TWEEDIE_COMM_WATCHDOG_PRIVATE_H
#define TWEEDIE_COMM_WATCHDOG_PRIVATE_H

#include <stdatomic.h>

#include "comm/comm_private.h"
#include "tweedie/watchdog.h"

/* The last heartbeat of a rank. Those of other nodes are kept the same way, their time translated
 * to this node's clock. */
typedef struct heartbeat {
    _Alignas(64) _Atomic int64_t nanoseconds; /* of the heartbeat, on the monotonic clock, the same
                                                 for all processes of a node; 0: none yet */
    _Atomic int64_t limit;                    /* nanoseconds; 0: none */
    _Atomic int64_t
        alive; /* when the rank's thread last gave a sign of life; 0: it has left, or never came */
    _Atomic int64_t step;
    atomic_bool waiting; /* for other ranks */
    char section[TW_WATCHDOG_SECTION_MAX + 1];
    int rank; /* in the whole run */
} heartbeat;

/* ---- sentences: built without the heap, whose lock the hanging thread may hold ---- */

typedef struct line {
    char text[512];
    size_t length;
} line;

void line_add(line *l, const char *text);
void line_add_number(line *l, int64_t value);
/* "in 'step' of step 120" */
void line_add_section(line *l, const heartbeat *b);
/* the same, and ", waiting for other ranks, for 12 s, without a sign of life for 10 s" */
void line_add_place(line *l, const heartbeat *b, int64_t now);
/* Writes it to standard error. */
void line_put(line *l);

int64_t watchdog_now(void);

/* Nanoseconds without a sign of life, or without a message, that a busy machine does not explain.
 */
#define WATCHDOG_SILENT 3000000000

/* Who is named. */
typedef enum watchdog_blame {
    WATCHDOG_LIFELESS, /* who gives no sign of life, and nodes that fell silent */
    WATCHDOG_BUSY,     /* who does not wait */
    WATCHDOG_BEHIND,   /* and who waits in an earlier step */
} watchdog_blame;

/* Whether there was no sign of life for longer than `silence`. Nobody is expected to give one
 * before `grace`. */
bool heartbeat_is_lifeless(const heartbeat *b, int64_t now, int64_t silence, int64_t grace);
bool heartbeat_is_blamed(const heartbeat *b, watchdog_blame blame, const heartbeat *me,
                         int64_t now);

/* The line that names one. */
void line_put_missing(const heartbeat *b, const char *host, const heartbeat *me, int64_t now);

/* ---- heartbeats of other nodes (watchdog_nodes.c) ---- */

typedef struct far_node {
    _Alignas(64) _Atomic int64_t heard; /* when something came from it last, or this began;
                                           WATCHDOG_PARTED: it has said farewell */
    _Atomic int64_t
        looked; /* when the thread that receives looked last; it may be stopped or hang itself */
    int first, size, at; /* its first rank; its ranks; its heartbeats in the table */
    char host[HOST_MAX];
} far_node;

#define WATCHDOG_PARTED INT64_MAX

struct courier;

/* Zero: nothing is exchanged. */
typedef struct watchdog_nodes {
    int count, ranks; /* nodes whose heartbeats come here, and their ranks: of all others to node 0,
                         of node 0 to all others */
    far_node *nodes;  /* in the node's shared memory, so that any of its ranks can speak */
    heartbeat *heartbeats; /* as well: of one node after the other */
    MPI_Comm couriers; /* the first rank of node 0, the first two of the others; null elsewhere */
    struct courier *courier; /* theirs alone */
} watchdog_nodes;

/* Shared memory that the table needs at most; 0 where nothing is exchanged, since there is one node
 * or MPI is not threaded. */
size_t watchdog_nodes_bytes(const tw_comm *comm);

/* Begins to exchange. Collective.
 * @param shared  watchdog_nodes_bytes of the node, aligned to 64; need not be zero
 * @param local   the heartbeats of this node's ranks */
tw_status watchdog_nodes_start(watchdog_nodes *n, const tw_comm *comm, void *shared,
                               const heartbeat *local);

/* Names those elsewhere who are to blame; false where nobody is.
 * @param silence  of a node that is held against it */
bool watchdog_nodes_tell(const watchdog_nodes *n, const heartbeat *me, watchdog_blame blame,
                         int64_t now, int64_t silence);

/* Whether a node or a rank elsewhere has given no sign of life for longer than `silence`, and the
 * time that messages take. */
bool watchdog_nodes_miss(const watchdog_nodes *n, int64_t now, int64_t silence, int64_t grace);

/* Collective. Every message that was sent is received before it returns, unless somebody has been
 * silent for half a minute. */
void watchdog_nodes_stop(watchdog_nodes *n);

#endif
