/* Passes of optimisers, and exponential moving averages. */
#include "optim/pass.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

#include "optim/kern_optim.h"

enum { BLOCK = 2048 }; /* parameters; five arrays of them are 40 KiB */

void optim_pass(const tw_update *u, optim_block *block, const void *constants)
{
    assert(u->k >= 1 && u->rates >= 0 && u->rates <= TW_EMA_MAX);
    const optim_kernels *kernels = optim_kernels_find();
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < u->n; i += BLOCK) {
        const int64_t count = u->n - i < BLOCK ? u->n - i : BLOCK;
        block(constants, u, i, count);
        for (int r = 0; r < u->rates; r++)
            kernels->ema((float)(1 - u->decay[r]), count, u->ema[r] + i, u->theta + i);
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
