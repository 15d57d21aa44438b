/* Statistics of sample sets: how far two sets of points are apart. */
#ifndef TWEEDIE_METRICS_H
#define TWEEDIE_METRICS_H

#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_sliced_options {
    int64_t directions; /* at least 1; made a multiple of dims where dims is smaller */
    uint64_t seed;      /* of the directions */
} tw_sliced_options;

#define TW_SLICED_DEFAULTS ((tw_sliced_options){.directions = 256})

/* The sliced Wasserstein distance of order 2 (Rabin, Peyré, Delon, Bernot 2012; Bonneel et al.
 * 2015):
 *
 *   SW(P, Q)² = E_θ W₂(θ·P, θ·Q)²,  θ uniform on the unit sphere of R^D,
 *
 * W₂ of two sets on a line taken exactly from their sorted values, whatever their sizes. The
 * directions are rows of random orthogonal matrices, so a shift by v is found exactly as |v| / √D
 * where D divides their number. In the units of the points: of two normals N(m, s² I) and N(n, r²
 * I) it is √(|m − n|² / D + (s − r)²).
 *
 * Collective on `comm`: ranks share the directions, and all get the same value, the same bits at
 * any number of ranks. NULL: alone.
 * @param a, b  [count][dims], each count >= 1, finite; the same on all ranks
 * @return TW_ENOMEM; TW_EDATA where a set is empty */
tw_status tw_sliced_wasserstein(double *out, const tw_comm *comm, const float *a, int64_t a_count,
                                const float *b, int64_t b_count, int64_t dims,
                                const tw_sliced_options *options);

/* Mean and standard deviation (of the set, not of the population it is sampled from) in each
 * dimension. Not collective.
 * @param[out] mean, std  [dims] */
void tw_moments(double *mean, double *std, const float *x, int64_t count, int64_t dims);

#ifdef __cplusplus
}
#endif

#endif
