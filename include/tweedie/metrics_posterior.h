/* How well posterior samples are calibrated, and how near their means are. Not collective. */
#ifndef TWEEDIE_METRICS_POSTERIOR_H
#define TWEEDIE_METRICS_POSTERIOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The continuous ranked probability score of K samples for what was true, in the fair form, whose
 * expectation does not depend on K:  mean |x_i − y| − Σ_ij |x_i − x_j| / (2 K (K − 1)).
 * @param samples  [count], ascending; of one sample it is |x − y| */
double tw_crps(const double *samples, int64_t count, double truth);

/* Adds 1 to the histogram of ranks [count + 1]: at the number of samples below the truth; where
 * some are equal to it, evenly over the ranks that it may have. @param samples  ascending */
void tw_rank_add(double *histogram, const double *samples, int64_t count, double truth);

/* Structural similarity of two images (Wang et al. 2004): windows of 11 × 11 with normal weights of
 * deviation 1.5, all that are inside, K1 = 0.01, K2 = 0.03; the mean over windows and channels.
 * @param a, b   [height][width][channels]
 * @param range  of the values: 255 of bytes
 * @return NaN where a side is below 11 */
double tw_ssim(const float *a, const float *b, int64_t height, int64_t width, int64_t channels,
               double range);

/* 10 log10(range² / mean square difference), infinite where there is none. */
double tw_psnr(const float *a, const float *b, int64_t n, double range);

/* How many codes a quantiser uses: exp of the entropy of how often each was taken, 1 … codes.
 * @param used  how many were taken at all; or NULL @return 0 where none was */
double tw_perplexity(const double *counts, int64_t codes, int64_t *used);

#ifdef __cplusplus
}
#endif

#endif
