/* What the files of the watchdog know of each other: beats, the sentences about them, and those of other nodes. */
#ifndef TWEEDIE_COMM_WATCHDOG_PRIVATE_H
#define TWEEDIE_COMM_WATCHDOG_PRIVATE_H

#include <stdatomic.h>

#include "comm/comm_private.h"
#include "tweedie/watchdog.h"

/* The last beat of a rank. Those of other nodes are kept the same way, their time translated to this node's clock. */
typedef struct beat {
    _Alignas(64) _Atomic int64_t nanoseconds; /* of the beat, on the monotonic clock, the same for all processes of a node; 0: none yet */
    _Atomic int64_t limit;                    /* nanoseconds; 0: none */
    _Atomic int64_t step;
    atomic_bool waiting; /* for other ranks */
    char section[TW_WATCHDOG_SECTION_MAX + 1];
    int rank; /* in the whole run */
} beat;

/* ---- sentences: built without the heap, whose lock the hanging thread may hold ---- */

typedef struct line {
    char text[512];
    size_t length;
} line;

void line_add(line *l, const char *text);
void line_add_number(line *l, int64_t value);
/* "in 'step' of step 120" */
void line_add_section(line *l, const beat *b);
/* the same, and ", waiting for other ranks, for 12 s" */
void line_add_place(line *l, const beat *b, int64_t now);
/* Writes it to standard error. */
void line_put(line *l);

int64_t watchdog_now(void);

/* ---- beats of other nodes (watchdog_nodes.c) ---- */

typedef struct far_node {
    _Alignas(64) _Atomic int64_t heard; /* when something came from it last, or this began */
    _Atomic int64_t looked;             /* when the thread that receives looked last; it may be stopped or hang itself */
    int first, size;                    /* its first rank; its ranks */
    char host[HOST_MAX];
} far_node;

struct courier;

/* Zero: nothing is exchanged. */
typedef struct watchdog_nodes {
    int count, ranks;        /* nodes whose beats come here, and their ranks: of all others to node 0, of node 0 to all others */
    far_node *nodes;         /* in the node's shared memory, so that any of its ranks can speak */
    beat *beats;             /* as well: of one node after the other */
    MPI_Comm leaders;        /* the first ranks of all nodes; null elsewhere */
    struct courier *courier; /* theirs alone */
} watchdog_nodes;

/* Shared memory that the table needs at most; 0 where nothing is exchanged, since there is one node or MPI is not threaded. */
size_t watchdog_nodes_bytes(const tw_comm *comm);

/* Begins to exchange. Collective.
 * @param shared  watchdog_nodes_bytes of the node, aligned to 64; need not be zero
 * @param local   the beats of this node's ranks */
tw_status watchdog_nodes_start(watchdog_nodes *n, const tw_comm *comm, void *shared, const beat *local);

/* Says who elsewhere does not wait or is silent; false where nobody is.
 * @param also_waiting  names those too that wait in an earlier step than `me` */
bool watchdog_nodes_tell(const watchdog_nodes *n, const beat *me, bool also_waiting, int64_t now);

/* Collective. Every message that was sent is received before it returns, unless somebody has been silent for half a minute. */
void watchdog_nodes_stop(watchdog_nodes *n);

#endif
