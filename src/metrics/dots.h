/* Matrix products of feature rows.
 *
 * f32 products come from oneDNN in blocks whose extents depend on the shapes alone, each computed
 * by the thread that asks for it: so a number does not depend on how many threads or ranks share
 * the blocks. Products in double, which covariances need (their small eigenvalues would drown in
 * the rounding of f32), are loops of our own (kern_gram.h), cut likewise. */
#ifndef METRICS_DOTS_H
#define METRICS_DOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/status.h"

/* out[i * stride + k] = a_i · b_k, rows a [m][dims], b [n][dims]. To be called inside a parallel
 * region: there oneDNN takes one thread. @return false where oneDNN failed */
bool metrics_dots(float *out, int64_t stride, const float *a, int64_t m, const float *b, int64_t n,
                  int64_t dims);

/* Turns what failed inside a parallel region into an error. */
tw_status metrics_dots_check(bool failed);

/* A matrix [rows][columns] of float less `mean` [columns] (NULL: zero), or of double. */
typedef struct metrics_matrix {
    const float *f;
    const double *mean, *d;
    int64_t rows, columns;
} metrics_matrix;

/* out [a.columns][b.columns] = aᵀ b, double. Ranks share the tiles of `out`, and all get all.
 * Collective on `comm` (NULL: alone). @param symmetric  a and b are the same matrix */
tw_status metrics_gram(double *out, const tw_comm *comm, const metrics_matrix *a,
                       const metrics_matrix *b, bool symmetric);

#endif
