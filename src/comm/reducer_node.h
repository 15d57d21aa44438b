/* The places where gradients meet: shared memory inside a node, messages between nodes. reducer.c
 * decides when, this does it. */
#ifndef TWEEDIE_COMM_REDUCER_NODE_H
#define TWEEDIE_COMM_REDUCER_NODE_H

#include "comm/node.h"
#include "comm/reducer_exchange.h"
#include "tweedie/reducer.h"

enum { IN_FLIGHT = 4 }; /* buckets between nodes at a time */

/* What each rank says at the end of a step. */
typedef struct reducer_record {
    double values[TW_REDUCER_VALUES];
    int status;
} reducer_record;

/* Where a bucket is on its way, on this rank. */
typedef enum reducer_stage {
    STAGE_ARRIVING,     /* the node's ranks finish it */
    STAGE_GATHERING,    /* unequal nodes, the first rank: the others add up their slices */
    STAGE_EXCHANGING,   /* between nodes */
    STAGE_BROADCASTING, /* unequal nodes, the others: the first rank exchanges */
    STAGE_COMPLETE,
} reducer_stage;

typedef struct reducer_node {
    node node;
    tw_reducer_bucket *buckets; /* borrowed */
    int bucket_count;
    bool tree;     /* own messages between nodes */
    bool slices;   /* each sum stays with the rank that owns it */
    bool together; /* no thread of its own: the rank's threads wait, and add with it */
    bool blocking; /* one exchange at a time, by MPI's collective, which waits */
    reducer_stage *stages;
    exchange exchanges[IN_FLIGHT];              /* of bucket b: b modulo IN_FLIGHT */
    node_counter *arrived, *summed, *exchanged; /* one per bucket, in the node's control memory */
    node_counter *reported;
    reducer_record *records; /* one per local rank */
    double *block_sums;
    int64_t *first_block;            /* per bucket: the number of its first block */
    tw_reducer_of_blocks *of_blocks; /* or NULL */
    double blocks_seconds;           /* in of_blocks, of a slice that nobody else has part in */
    float *scratch;                  /* blocks for the tree of local ranks */
} reducer_node;

/* Finds the node and its memory. Collective.
 * @param buckets  borrowed
 * @param blocks   how many TW_REDUCER_BLOCKs they have */
tw_status reducer_node_create(reducer_node *r, const tw_comm *comm, int64_t count,
                              tw_reducer_bucket *buckets, int bucket_count, int64_t blocks,
                              const tw_reducer_options *options);
/* Chooses how nodes exchange. Not collective; all arguments equal on all ranks.
 * @param blocking  a thread may wait in MPI
 * @param tree      the order of summation must be that of the tree */
tw_status reducer_node_prepare(reducer_node *r, bool blocking, bool tree);
void reducer_node_destroy(reducer_node *r);

/* Local rank k's slice of a bucket: whole blocks, as even as may be. */
tw_reducer_bucket reducer_node_slice(const reducer_node *r, tw_reducer_bucket bucket, int k);

float *reducer_node_gradient(const reducer_node *r);

/* How far reducer_node_advance goes. */
typedef enum reducer_patience {
    REDUCER_POLL,  /* without waiting */
    REDUCER_BEGIN, /* waits for the ranks of the node, until the bucket has `begun` */
    REDUCER_END,   /* waits to the end */
} reducer_patience;

/* A new step: no bucket has arrived. */
void reducer_node_begin(reducer_node *r);

/* My part of bucket b is final in epoch (1, 2, …). */
void reducer_node_arrive(reducer_node *r, int b);

/* My share of the work on bucket b. Exchanges must begin in the same order of buckets on all ranks,
 * so a bucket may be moved only once the one before it has `begun`. */
tw_status reducer_node_advance(reducer_node *r, int b, uint32_t epoch, reducer_patience patience);
/* Waits for one message of the buckets [first, last), at most IN_FLIGHT many. *waited: whether
 * there was one to wait for. */
tw_status reducer_node_wait_any(reducer_node *r, int first, int last, bool *waited);
bool reducer_node_has_begun(const reducer_node *r, int b);
bool reducer_node_is_complete(const reducer_node *r, int b);

/* All ranks' records, in rank order, into `all`; afterwards all buckets hold their sums.
 * Collective, after the last bucket. */
tw_status reducer_node_exchange_records(reducer_node *r, const reducer_record *mine,
                                        reducer_record *all, uint32_t epoch);

/* reducer_sort.c: numbers of the buckets in the order of their offsets, which must cut [0, count).
 * @return TW_EINTERNAL where they do not; TW_ECONFIG where one is too large for MPI */
tw_status reducer_sort_buckets(int *order, const tw_reducer_bucket *buckets, int bucket_count,
                               int64_t count);
/* The position in `order` of the bucket that holds element `offset`. */
int reducer_find_bucket(const int *order, const tw_reducer_bucket *buckets, int bucket_count,
                        int64_t offset);

#endif
