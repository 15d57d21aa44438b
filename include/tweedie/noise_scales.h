/* Which noise levels suit some data: NCSNv2's techniques 1, 2 and 4 (Song and Ermon 2020), and the
 * scales of EDM (Karras et al. 2022). Functions of the data's geometry alone: no network is seen.
 */
#ifndef TWEEDIE_NOISE_SCALES_H
#define TWEEDIE_NOISE_SCALES_H

#include "tweedie/comm.h"
#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Technique 2: the ratio γ > 1 of neighbouring levels at which the norms of noise of the two
 * overlap by `mass`,
 *
 *   Φ(√(2D) (γ − 1) + 3γ) − Φ(√(2D) (γ − 1) − 3γ) = mass.
 *
 * The paper says "about 0.5"; the published numbers of levels follow from 0.567 (see
 * TW_NOISE_OVERLAP). Below D = 5 levels overlap at any ratio: then it is above 1e6.
 * @param mass  in (0, 0.99) */
double tw_noise_ratio(int64_t dims, double mass);

/* The overlap that the published configurations have: 0.5662 to 0.5670 for 32² to 256² pixels. */
#define TW_NOISE_OVERLAP 0.567

/* How many levels of that ratio go from sigma_max to sigma_min, both included: at least 2. The
 * ratio is then (sigma_max / sigma_min)^(1 / (levels − 1)), a little more. */
int64_t tw_noise_levels(double sigma_max, double sigma_min, double ratio);

/* Technique 4. After `steps` Langevin steps at level σ, from samples of the level before, the
 * variance of the noise over σ²:
 *
 *   (1 − ε/σ_L²)^(2T) (γ² − c) + c,   c = 2ε / (σ_L² − σ_L² (1 − ε/σ_L²)²),
 *
 * ε the step at the smallest level, in the convention x + ε s + √(2ε) z. */
double tw_noise_variance(double step, int64_t steps, double sigma_min, double ratio);

/* The ε that brings it nearest to 1: it has one minimum, which is above 1. */
double tw_noise_step(int64_t steps, double sigma_min, double ratio);

/* What is measured of data. */
typedef struct tw_data_scale {
    int64_t count, dims;
    double std;       /* of all numbers about their common mean: σ_data */
    double distance;  /* the largest distance of two samples that were compared */
    double most;      /* no two samples are farther apart: distance where all were compared */
    int64_t compared; /* samples among which it was looked for */
} tw_data_scale;

/* Where samples come from. Not collective.
 * @param[out] x  [count][dims], model units */
typedef tw_status tw_sample_reader(void *self, int64_t first, int64_t count, float *x);

/* Measures `count` samples. The largest distance is looked for among the `sample` samples that are
 * farthest from the mean (0: all), in blocks that matrix products compare and ranks share; pairs
 * whose distances from the mean are too small together are passed over, so it is exact among them,
 * and the rest are bounded by the triangle inequality. Collective on `comm` (NULL: alone); all
 * ranks get the same. Memory: the compared samples on every rank.
 * @return TW_EDATA for fewer than two samples, TW_ENOMEM, and what the reader returns */
tw_status tw_data_scale_measure(tw_data_scale *out, const tw_comm *comm, tw_sample_reader *read,
                                void *self, int64_t count, int64_t dims, int64_t sample);

#ifdef __cplusplus
}
#endif

#endif
