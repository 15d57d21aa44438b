/* The variational bound on −log p(x_0) of a discrete process (Sohl-Dickstein et al. 2015; Ho et
 * al. 2020, equation 5; Nichol and Dhariwal 2021, section 3). With the kept steps t_0 < … < t_K−1,
 *
 *   −log p(x_0) <= L_0 + Σ_{k = 1}^{K − 1} L_k + L_T
 *   L_T = KL(q(x_T | x_0) ‖ N(0, prior_std² I))
 *   L_k = KL(q(x_s | x_t, x_0) ‖ p(x_s | x_t)),   t = t_k, s = t_k−1, x_t ~ q(x_t | x_0)
 *   L_0 = −log p(x_0 | x_t),   t = t_0
 *
 * L_0 of bytes is the probability of the byte's bin under the Gaussian, open to ±∞ at 0 and 255; of
 * other data it is the density at x_0. Sample i is a function of (score, settings, seed, i) alone.
 * Not collective. */
#ifndef TWEEDIE_LIKELIHOOD_BOUND_H
#define TWEEDIE_LIKELIHOOD_BOUND_H

#include "tweedie/likelihood.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_bound tw_bound;

/* @param config, process, score  must outlive it
 * @param bytes  data are bytes in model units (v / 127.5 − 1)
 * @return TW_ECONFIG for a process without a bound, or settings that do not go together */
tw_status tw_bound_create(tw_bound **out, const tw_likelihood_config *config,
                          const tw_process *process, const tw_score *score, bool bytes);
void tw_bound_destroy(tw_bound **bound);

/* Terms of a sample: K + 1, L_0 … L_K−1 and L_T; and the time of each, NaN for L_T. */
int64_t tw_bound_terms(const tw_bound *bound);
double tw_bound_time(const tw_bound *bound, int64_t term);

/* The terms of the samples first … first + n − 1, in nats: L_k is unbiased, of one x_t.
 * @param repeat      distinguishes the noise of repeated runs over one sample
 * @param[in] x       [n][dims], model units
 * @param[out] terms  [n][tw_bound_terms] */
tw_status tw_bound_run(tw_bound *bound, int64_t first, int64_t n, int64_t repeat, const float *x,
                       double *terms);

/* −log P(lower < x <= upper) of N(mean, std²): exact to rounding however far out; the bounds may be
 * infinite. */
double tw_bound_bin(double lower, double upper, double mean, double std);

/* Everything that a result depends on beside weights and data, as one line of text. */
tw_status tw_bound_describe(tw_text *out, const tw_bound *bound);

#ifdef __cplusplus
}
#endif

#endif
