/* Times uniform over the clock: each step of a discrete process alike, or [start, end]. */
#include "tweedie/objective.h"

static double at(const void *config, const tw_process *p, const double *history, double u,
                 double *weight)
{
    (void)config, (void)history;
    *weight = 1;
    if (!tw_process_is_discrete(p)) return p->start + u * (p->end - p->start);
    const int64_t k = (int64_t)(u * (double)p->steps);
    return (double)(k < p->steps ? k : p->steps - 1);
}

const tw_times tw_times_uniform = {.kind = {"uniform", "uniform over the clock"}, .at = at};
