/* Clocks. */
#include "tweedie/clock.h"

#include <time.h>

static double seconds(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double tw_clock_seconds(void)
{
    return seconds(CLOCK_MONOTONIC);
}

double tw_clock_wall_seconds(void)
{
    return seconds(CLOCK_REALTIME);
}
