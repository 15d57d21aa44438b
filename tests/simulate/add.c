/* In the place of src/comm/reducer_add.c. */
#include "comm/reducer_exchange.h"
#include "simulate.h"

void exchange_add(float *sum, const float *values, int64_t count, bool together)
{
    (void)sum, (void)values;
    if (together)
        simulate_sleep(12 * (double)count / simulate_memory);
    else
        simulate_add((double)count);
}
