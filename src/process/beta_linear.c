/* β rising linearly (Ho, Jain, Abbeel 2020: 1e-4 to 0.02 over T = 1000). For another T the
 * endpoints are multiplied by 1000 / T, which keeps ᾱ_{T−1} (Nichol and Dhariwal 2021). */
#include "tweedie/process.h"

static void fill(double *beta, int64_t steps, double beta_min, double beta_max)
{
    const double scale = 1000.0 / (double)steps, low = scale * beta_min, high = scale * beta_max;
    for (int64_t t = 0; t < steps; t++)
        beta[t] = steps == 1 ? low : low + (high - low) * (double)t / (double)(steps - 1);
}

const tw_beta tw_beta_linear = {.kind = {"linear", "beta rises linearly (DDPM)"}, .fill = fill};
