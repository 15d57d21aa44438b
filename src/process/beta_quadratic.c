/* √β rising linearly (Ho's "quad"). Endpoints are those of T = 1000, as of the linear schedule. */
#include <math.h>

#include "tweedie/process.h"

static void fill(double *beta, int64_t steps, double beta_min, double beta_max)
{
    const double scale = 1000.0 / (double)steps, low = sqrt(scale * beta_min),
                 high = sqrt(scale * beta_max);
    for (int64_t t = 0; t < steps; t++) {
        const double root = steps == 1 ? low : low + (high - low) * (double)t / (double)(steps - 1);
        beta[t] = root * root;
    }
}

const tw_beta tw_beta_quadratic = {.kind = {"quadratic", "the square root of beta rises linearly"},
                                   .fill = fill};
