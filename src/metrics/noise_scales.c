/* NCSNv2's techniques as formulas. */
#include "tweedie/noise_scales.h"

#include <math.h>

/* ‖z‖ of z ~ N(0, σ² I) in D dimensions is nearly N(√D σ, σ² / 2) where D is large; technique 2
 * asks how much of one level's norms is within three deviations of the next one's. Falls with γ. */
static double overlap(int64_t dims, double ratio)
{
    const double far = sqrt(2 * (double)dims) * (ratio - 1), near = 3 * ratio;
    return 0.5 * (erfc(-(far + near) * M_SQRT1_2) - erfc(-(far - near) * M_SQRT1_2));
}

double tw_noise_ratio(int64_t dims, double mass)
{
    double low = 1, high = 2;
    while (overlap(dims, high) > mass && high < 1e6) high *= 2;
    for (int i = 0; i < 200; i++) {
        const double middle = 0.5 * (low + high);
        if (overlap(dims, middle) > mass)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

int64_t tw_noise_levels(double sigma_max, double sigma_min, double ratio)
{
    const double steps = floor(log(sigma_max / sigma_min) / log(ratio) + 1e-9);
    return steps < 1 ? 2 : (int64_t)steps + 1;
}

double tw_noise_variance(double step, int64_t steps, double sigma_min, double ratio)
{
    const double variance = sigma_min * sigma_min, keep = 1 - step / variance,
                 c = 2 * step / (variance - variance * keep * keep);
    return pow(keep * keep, (double)steps) * (ratio * ratio - c) + c;
}

/* In u = ε / σ_L²: c = 1 / (1 − u/2) grows, the first term falls; golden section in (0, 1). */
double tw_noise_step(int64_t steps, double sigma_min, double ratio)
{
    const double golden = 0.5 * (sqrt(5) - 1);
    double low = 1e-9, high = 1;
    for (int i = 0; i < 100; i++) {
        const double a = high - golden * (high - low), b = low + golden * (high - low);
        if (tw_noise_variance(a, steps, 1, ratio) < tw_noise_variance(b, steps, 1, ratio))
            high = b;
        else
            low = a;
    }
    return 0.5 * (low + high) * sigma_min * sigma_min;
}
