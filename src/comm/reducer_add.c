/* The sum of what came from another node. A file of its own, so that a simulation
 * (tests/simulate) can let the time of it pass instead. */
#include "comm/reducer_exchange.h"

void exchange_add(float *sum, const float *values, int64_t count, bool together)
{
    enum { FEW = 1 << 15 }; /* floats that one thread adds before others have woken */
#pragma omp parallel for simd schedule(static) if (together && count > FEW)
    for (int64_t i = 0; i < count; i++) sum[i] += values[i];
}
