/* Latent codes: from data x to a code z at the process's last time and back, without noise. By the
 * probability-flow ODE where the process is continuous; by DDIM and its inversion (Song, Meng,
 * Ermon 2021, section 5.4; OpenAI's reverse DDIM, η = 0) where it is discrete:
 *
 *   x_t = α_t x̂_0 + σ_t ε̂,   x̂_0 = (x_s − σ_s ε̂) / α_s,   ε̂ = ε(x_s, s)
 *
 * which is exact in the limit of many steps; `likelihood.inversions` fixed-point iterations with
 * ε̂ = ε(x_t, t) then make each step the inverse of DDIM's own. Nothing is clipped. Sample i is a
 * function of (score, settings, x_i) alone. Not collective. */
#ifndef TWEEDIE_LIKELIHOOD_CODES_H
#define TWEEDIE_LIKELIHOOD_CODES_H

#include "tweedie/likelihood.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_codes tw_codes;

/* @param config, process, score  must outlive it
 * @return TW_ECONFIG for a process without codes */
tw_status tw_codes_create(tw_codes **out, const tw_likelihood_config *config,
                          const tw_process *process, const tw_score *score);
void tw_codes_destroy(tw_codes **codes);

/* @param[in,out] x  [n][dims], model units @param[out] evaluations  [n] */
tw_status tw_codes_encode(tw_codes *codes, int64_t first, int64_t n, float *x,
                          int64_t *evaluations);
tw_status tw_codes_decode(tw_codes *codes, int64_t first, int64_t n, float *x,
                          int64_t *evaluations);

/* The codes of n points with their log p, by the same flow; results [n].
 * @return TW_ECONFIG where the process has no exact likelihood */
tw_status tw_codes_encode_with_logp(tw_codes *codes, int64_t first, int64_t n, float *x,
                                    tw_likelihood_result *results);

/* Spherical interpolation (Shoemake 1985): a at u = 0, b at u = 1. @param[out] out  [dims], no
 * alias */
void tw_codes_interpolate(float *out, const float *a, const float *b, int64_t dims, double u);

/* Everything that a code depends on beside weights and data, as one line of text. */
tw_status tw_codes_describe(tw_text *out, const tw_codes *codes);

#ifdef __cplusplus
}
#endif

#endif
