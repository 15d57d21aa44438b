/* ᾱ a falling sigmoid of time (Jabri, Fleet, Chen 2022; start −3, end 3, τ = 1):
 *
 *   ᾱ(u) = (s(3) − s(6u − 3)) / (s(3) − s(−3)),   β_t = min(1 − ᾱ((t + 1) / T) / ᾱ(t / T), 0.999)
 */
#include <math.h>

#include "tweedie/process.h"

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double alphabar(double u)
{
    return (sigmoid(3) - sigmoid(6 * u - 3)) / (sigmoid(3) - sigmoid(-3));
}

static void fill(double *beta, int64_t steps, double beta_min, double beta_max)
{
    (void)beta_min, (void)beta_max;
    const double count = (double)steps;
    for (int64_t t = 0; t < steps; t++)
        beta[t] = fmin(1 - alphabar((double)(t + 1) / count) / alphabar((double)t / count), 0.999);
}

const tw_beta tw_beta_sigmoid = {.kind = {"sigmoid", "alphabar is a falling sigmoid of time"},
                                 .fill = fill};
