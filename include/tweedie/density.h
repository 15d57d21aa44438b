/* The exact densities of the built-in points (tweedie import --format circles, mixture, …), seen
 * through any process x = α x_0 + σ z: what learned scores and samples are held against. Not
 * collective. */
#ifndef TWEEDIE_DENSITY_H
#define TWEEDIE_DENSITY_H

#include <stdint.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_density tw_density;

/* @param name  as in `tweedie import --format`
 * @return TW_EUSAGE naming those that there are */
tw_status tw_density_create(tw_density **out, const char *name);
void tw_density_destroy(tw_density **density);

/* log p(x) of α x_0 + σ z, and its gradient [2], which may be NULL. Not finite where the data have
 * no density and σ is 0. */
double tw_density_at(const tw_density *d, double alpha, double sigma, const double x[2],
                     double *score);

/* The Gaussians that it is made of: few of a mixture, thousands of a curve. */
int tw_density_nodes(const tw_density *d);
void tw_density_node(const tw_density *d, int k, double *weight, double mean[2], double *std);

/* Point i of the data, as the generator makes it. */
void tw_density_sample(const tw_density *d, uint64_t seed, int64_t i, float point[2]);

#ifdef __cplusplus
}
#endif

#endif
