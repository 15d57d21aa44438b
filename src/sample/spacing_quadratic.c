/* √t falls linearly: what DDIM was published with on CIFAR-10 (Song, Meng, Ermon 2021, appendix
 * D.2; from 0.8 of the clock there, from its end here). */
#include <math.h>

#include "sample/sampler.h"

static tw_status fill(const void *config, const tw_process *p, double epsilon, int64_t n, double *t)
{
    const double first = sqrt(p->end), last = sqrt(epsilon);
    (void)config;
    for (int64_t k = 0; k < n; k++) {
        const double root = n > 1 ? first + (last - first) * (double)k / (double)(n - 1) : first;
        t[k] = k == 0 ? p->end : k == n - 1 ? epsilon : root * root;
    }
    return TW_OK;
}

const tw_spacing tw_spacing_quadratic = {
    .kind = {"quadratic", "the square root of time falls linearly"}, .fill = fill};
