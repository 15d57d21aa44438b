/* Equal steps of time. */
#include "sample/sampler.h"

static tw_status fill(const void *config, const tw_process *p, double epsilon, int64_t n, double *t)
{
    (void)config;
    for (int64_t k = 0; k < n; k++)
        t[k] = n == 1 ? p->end : p->end + (epsilon - p->end) * (double)k / (double)(n - 1);
    return TW_OK;
}

const tw_spacing tw_spacing_uniform = {.kind = {"uniform", "equal steps of time"}, .fill = fill};
