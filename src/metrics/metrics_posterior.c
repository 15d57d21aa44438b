/* Scores of posterior samples and of reconstructions. */
#include "tweedie/metrics_posterior.h"

#include <math.h>

double tw_crps(const double *x, int64_t count, double truth)
{
    double off = 0, pairs = 0;
    for (int64_t i = 0; i < count; i++) {
        off += fabs(x[i] - truth);
        pairs += (double)(2 * i - count + 1) * x[i]; /* Σ over i < j of x_j − x_i, sorted */
    }
    off /= (double)count;
    return count > 1 ? off - pairs / ((double)count * (double)(count - 1)) : off;
}

void tw_rank_add(double *histogram, const double *samples, int64_t count, double truth)
{
    int64_t below = 0, equal = 0;
    while (below < count && samples[below] < truth) below++;
    while (below + equal < count && samples[below + equal] == truth) equal++;
    for (int64_t k = 0; k <= equal; k++) histogram[below + k] += 1 / (double)(equal + 1);
}

enum { WINDOW = 11 };

/* At the window whose first pixel is (y, x). */
static double similarity(const float *a, const float *b, int64_t y, int64_t x, int64_t width,
                         int64_t channels, int64_t channel, double range, const double *weight)
{
    const double c1 = 0.01 * 0.01 * range * range, c2 = 0.03 * 0.03 * range * range;
    double ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
    for (int64_t i = 0; i < WINDOW; i++)
        for (int64_t j = 0; j < WINDOW; j++) {
            const int64_t k = ((y + i) * width + x + j) * channels + channel;
            const double w = weight[i] * weight[j], p = (double)a[k], q = (double)b[k];
            ma += w * p;
            mb += w * q;
            aa += w * p * p;
            bb += w * q * q;
            ab += w * p * q;
        }
    return (2 * ma * mb + c1) * (2 * (ab - ma * mb) + c2) /
           ((ma * ma + mb * mb + c1) * (aa - ma * ma + bb - mb * mb + c2));
}

double tw_ssim(const float *a, const float *b, int64_t height, int64_t width, int64_t channels,
               double range)
{
    double weight[WINDOW], sum = 0, total = 0;
    if (height < WINDOW || width < WINDOW) return NAN;
    for (int i = 0; i < WINDOW; i++) {
        const double r = i - (WINDOW - 1) / 2.0;
        weight[i] = exp(-r * r / (2 * 1.5 * 1.5));
        sum += weight[i];
    }
    for (int i = 0; i < WINDOW; i++) weight[i] /= sum;
    for (int64_t y = 0; y + WINDOW <= height; y++)
        for (int64_t x = 0; x + WINDOW <= width; x++)
            for (int64_t c = 0; c < channels; c++)
                total += similarity(a, b, y, x, width, channels, c, range, weight);
    return total / (double)((height - WINDOW + 1) * (width - WINDOW + 1) * channels);
}

double tw_psnr(const float *a, const float *b, int64_t n, double range)
{
    double square = 0;
    for (int64_t i = 0; i < n; i++)
        square += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]) / (double)n;
    return square > 0 ? 10 * log10(range * range / square) : INFINITY;
}

double tw_perplexity(const double *counts, int64_t codes, int64_t *used)
{
    double all = 0, entropy = 0;
    int64_t taken = 0;
    for (int64_t k = 0; k < codes; k++) {
        all += counts[k];
        taken += counts[k] > 0;
    }
    for (int64_t k = 0; k < codes; k++)
        if (counts[k] > 0) entropy -= counts[k] / all * log(counts[k] / all);
    if (used) *used = taken;
    return taken ? exp(entropy) : 0;
}
