/* β from a squared cosine (Nichol and Dhariwal 2021, equation 17):
 *
 *   β_t = min(1 − ᾱ((t + 1) / T) / ᾱ(t / T), 0.999),   ᾱ(u) = cos²((u + 0.008) / 1.008 · π / 2) */
#include <math.h>

#include "tweedie/process.h"

static double alphabar(double u)
{
    const double c = cos((u + 0.008) / 1.008 * M_PI_2);
    return c * c;
}

static void fill(double *beta, int64_t steps, double beta_min, double beta_max)
{
    (void)beta_min, (void)beta_max;
    const double count = (double)steps;
    for (int64_t t = 0; t < steps; t++)
        beta[t] = fmin(1 - alphabar((double)(t + 1) / count) / alphabar((double)t / count), 0.999);
}

const tw_beta tw_beta_cosine = {
    .kind = {"cosine", "alphabar is a squared cosine of time (improved DDPM)"}, .fill = fill};
