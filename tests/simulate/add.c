/* In the place of src/comm/reducer_add.c. */
#include "comm/reducer_exchange.h"

void exchange_add(float *sum, const float *values, int64_t count)
{
    (void)sum, (void)values;
    simulate_add((double)count);
}
