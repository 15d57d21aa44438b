/* Equal steps of λ = ln(α / σ) (DPM-Solver: Lu et al. 2022): σ of VE processes in a geometric
 * series. */
#include <math.h>

#include "sample/sampler.h"

static double log_ratio(const tw_process *p, double t)
{
    return log(tw_process_sigma(p, t) / tw_process_alpha(p, t));
}

static tw_status fill(const void *config, const tw_process *p, double epsilon, int64_t n, double *t)
{
    const double first = log_ratio(p, p->end), last = log_ratio(p, epsilon);
    (void)config;
    for (int64_t k = 0; k < n; k++) {
        const double u = n > 1 ? (double)k / (double)(n - 1) : 0;
        t[k] = k == 0       ? p->end
               : k == n - 1 ? epsilon
                            : tw_process_time_at(p, exp(first + u * (last - first)));
    }
    return TW_OK;
}

const tw_spacing tw_spacing_logsnr = {.kind = {"logsnr", "equal steps of ln(alpha / sigma)"},
                                      .fill = fill};
