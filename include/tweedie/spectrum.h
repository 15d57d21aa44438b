/* Spectra of fields: isotropic power spectra of each channel, and cross spectra of pairs. Not
 * collective.
 *
 * X(k) = Σ_p x(p) exp(−2πi k·p), k in cycles per pixel. The spectrum of channels a and b is the
 * mean over samples, and over the modes k of a ring, of X_a(k) conj X_b(k) / (H W): its imaginary
 * part cancels between k and −k. Ring j holds the modes with |k| L nearest to j, L the longer side,
 * up to half a cycle per pixel; ring 0 is the mean of the field alone. White noise of variance s²
 * has the power s² in each ring; the power summed over all modes, corners included, is H W times
 * the mean square. */
#ifndef TWEEDIE_SPECTRUM_H
#define TWEEDIE_SPECTRUM_H

#include <stdint.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_spectrum {
    int64_t channels, rings;
    int64_t *modes;    /* [rings] */
    double *frequency; /* [rings]: mean |k| of a ring's modes, cycles per pixel */
    double *cross;     /* [channels][channels][rings]; power where both are the same */
} tw_spectrum;

/* Of count images x [count][height][width][channels], count >= 1.
 * @param[out] out  tw_spectrum_free
 * @return TW_ENOMEM */
tw_status tw_spectrum_compute(tw_spectrum *out, const float *x, int64_t count, int64_t height,
                              int64_t width, int64_t channels);
void tw_spectrum_free(tw_spectrum *s);

/* The spectrum of a pair [rings], borrowed. */
const double *tw_spectrum_of(const tw_spectrum *s, int64_t a, int64_t b);

/* |P_ab|² / (P_aa P_bb) of a ring, in [0, 1]; NaN where a channel has no power there. */
double tw_spectrum_coherence(const tw_spectrum *s, int64_t a, int64_t b, int64_t ring);

/* Root mean square, over rings behind the mean and over channels, of ln(P / Q): 0 where two sets
 * have the same power at all scales. Rings where either has none are left out. */
double tw_spectrum_distance(const tw_spectrum *p, const tw_spectrum *q);

#ifdef __cplusplus
}
#endif

#endif
