/* Passes of optimisers, and exponential moving averages. */
#include "optim/pass.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

#include "optim/kern_optim.h"

enum {
    BLOCK = 2048, /* parameters; five arrays of them are 40 KiB */
    PIECES = 8    /* that a thread updates before it tells of them: what is done with each then
                     disturbs the streams of the update less (28.8 M parameters, packed: 29.6 ms,
                     where telling of one at a time takes 38.5), and they are still in cache */
};

/* Elements [at, end), at most a block of them at a time. */
static void update_blocks(const tw_update *u, optim_block *block, const void *constants, int64_t at,
                          int64_t end)
{
    const optim_kernels *kernels = optim_kernels_find();
    for (int64_t i = at; i < end; i += BLOCK) {
        const int64_t count = end - i < BLOCK ? end - i : BLOCK;
        block(constants, u, i, count);
        for (int r = 0; r < u->rates; r++)
            kernels->ema((float)(1 - u->decay[r]), count, u->ema[r] + i, u->theta + i);
    }
}

void optim_pass(const tw_update *u, optim_block *block, const void *constants)
{
    assert(u->k >= 1 && u->rates >= 0 && u->rates <= TW_EMA_MAX);
    if (!u->pieces) {
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < u->n; i += BLOCK)
            update_blocks(u, block, constants, i, u->n - i < BLOCK ? u->n : i + BLOCK);
        return;
    }
#pragma omp parallel for schedule(dynamic)
    for (int64_t first = 0; first < u->piece_count; first += PIECES) {
        const int64_t rest = u->piece_count - first, end = first + (rest < PIECES ? rest : PIECES);
        for (int64_t k = first; k < end; k++)
            update_blocks(u, block, constants, u->pieces[k].at,
                          u->pieces[k].at + u->pieces[k].count);
        for (int64_t k = first; u->updated && k < end; k++) u->updated(u->self, k);
    }
}

double tw_ema_decay(double decay, bool warmup, int64_t k)
{
    return warmup ? fmin(decay, (1.0 + (double)k) / (10.0 + (double)k)) : decay;
}

int tw_optimizer_array_count(const tw_optimizer *o)
{
    int n = 0;
    while (o->arrays[n]) n++;
    return n;
}
