/* The order in which samples are drawn: pure arithmetic, the same on every rank.
 *
 *   shard i of B        samples floor(i N / B) … floor((i + 1) N / B) − 1 of the split
 *   draw k of shard i   at step k; its epoch is k div n, n the shard's size, and k mod n its place
 * in the epoch order of blocks     permutation (seed, TW_RNG_BLOCK_ORDER, i, epoch) of the shard's
 * blocks, all of K samples but the last inside block b      permutation (seed, TW_RNG_SHUFFLE, i,
 * epoch * blocks + b) */
#ifndef TWEEDIE_DATA_ORDER_H
#define TWEEDIE_DATA_ORDER_H

#include <stdint.h>

#include "tweedie/rng.h"

typedef struct tw_order {
    int64_t samples; /* N */
    int64_t batch;   /* B, at most N */
    int64_t block;   /* K */
    uint64_t seed;
} tw_order;

/* First sample of shard i, 0 <= i <= B. */
int64_t tw_order_shard(const tw_order *order, int64_t i);

/* One epoch of one shard. */
typedef struct tw_epoch {
    int64_t shard, epoch;
    int64_t size, blocks;      /* samples and blocks of the shard */
    int64_t short_place;       /* the place in the epoch of the last block, which may be shorter */
    tw_rng_permutation places; /* from place to block */
} tw_epoch;

void tw_epoch_init(tw_epoch *out, const tw_order *order, int64_t shard, int64_t epoch);

/* Where a draw is found. */
typedef struct tw_place {
    int64_t place;  /* of the block in the epoch */
    int64_t block;  /* of the shard */
    int64_t within; /* draws of this block before this one */
} tw_place;

/* Draw k of the epoch, 0 <= k < size. */
tw_place tw_epoch_place(const tw_epoch *epoch, const tw_order *order, int64_t k);

/* First sample of a block within its shard, and its samples. */
int64_t tw_epoch_block_first(const tw_epoch *epoch, const tw_order *order, int64_t block);
int64_t tw_epoch_block_size(const tw_epoch *epoch, const tw_order *order, int64_t block);

/* The order inside a block. */
void tw_epoch_shuffle(tw_rng_permutation *out, const tw_epoch *epoch, const tw_order *order,
                      int64_t block);

#endif
