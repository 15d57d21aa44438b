/* Virtual shards, epochs and blocks as arithmetic. */
#include "data/order.h"

int64_t tw_order_shard(const tw_order *o, int64_t i)
{
    /* floor(i N / B) without the product i N: B^2 fits, since B <= N and both are far below 2^31 x
     * 2^31 */
    int64_t q = o->samples / o->batch, r = o->samples % o->batch;
    return i * q + i * r / o->batch;
}

int64_t tw_epoch_block_first(const tw_epoch *e, const tw_order *o, int64_t block)
{
    (void)e;
    return block * o->block;
}

int64_t tw_epoch_block_size(const tw_epoch *e, const tw_order *o, int64_t block)
{
    return block == e->blocks - 1 ? e->size - block * o->block : o->block;
}

void tw_epoch_init(tw_epoch *out, const tw_order *o, int64_t shard, int64_t epoch)
{
    const tw_rng_stream stream = {
        .seed = o->seed, .purpose = TW_RNG_BLOCK_ORDER, .position = shard, .step = epoch};
    tw_epoch e = {.shard = shard,
                  .epoch = epoch,
                  .size = tw_order_shard(o, shard + 1) - tw_order_shard(o, shard)};
    e.blocks = (e.size + o->block - 1) / o->block;
    tw_rng_permutation_init(&e.places, &stream, e.blocks);
    while (tw_rng_permute(&e.places, e.short_place) != e.blocks - 1) e.short_place++;
    *out = e;
}

tw_place tw_epoch_place(const tw_epoch *e, const tw_order *o, int64_t k)
{
    tw_place p = {.place = k / o->block, .within = k % o->block};
    int64_t past = k - e->short_place * o->block - tw_epoch_block_size(e, o, e->blocks - 1);
    if (past >= 0) { /* beyond the short block */
        p.place = e->short_place + 1 + past / o->block;
        p.within = past % o->block;
    }
    p.block = tw_rng_permute(&e->places, p.place);
    return p;
}

void tw_epoch_shuffle(tw_rng_permutation *out, const tw_epoch *e, const tw_order *o, int64_t block)
{
    const tw_rng_stream stream = {.seed = o->seed,
                                  .purpose = TW_RNG_SHUFFLE,
                                  .position = e->shard,
                                  .step = e->epoch * e->blocks + block};
    tw_rng_permutation_init(out, &stream, tw_epoch_block_size(e, o, block));
}
