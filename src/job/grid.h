/* Pictures of samples: drawn by all ranks together while training, or of samples that are there. */
#ifndef JOB_GRID_H
#define JOB_GRID_H

#include "tweedie/comm.h"
#include "tweedie/data.h"
#include "tweedie/sample.h"

/* Draws the samples first … first + count − 1, each rank a share in whole batches, and gathers them
 * on rank zero. The same samples at any number of ranks. Collective: all ranks get the same status.
 * @param comm      NULL: this process alone
 * @param batch     of the sampler: shares are multiples of it
 * @param[out] x    rank zero: [count][dims], model units; not read elsewhere (may be NULL) */
tw_status tw_grid_make(const tw_comm *comm, tw_sampler *sampler, int64_t dims, int64_t batch,
                       int64_t first, int64_t count, float *x);

/* Writes samples as one picture: a grid of images, or for points in the plane a heat map of [-b,
 * b]², b the bound of nearly all of them and at least 2, in model units. Not collective.
 * @param x  [count][dims], model units
 * @return TW_EUNSUPPORTED for points that are not in the plane */
tw_status tw_grid_write(const char *path, const tw_dataset_spec *spec, int64_t count,
                        const float *x);

#endif
