/* Symmetric matrices in double. */
#ifndef METRICS_SYMMETRIC_H
#define METRICS_SYMMETRIC_H

#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/status.h"

/* A factor of a positive semidefinite a [n][n]: a = l lᵀ up to rounding, l [n][n] whose columns
 * from *rank on are zero. */
tw_status metrics_factor(double *l, int64_t *rank, const double *a, int64_t n);

/* The eigenvalues of a symmetric a [n][n], in no order; a is destroyed. @return TW_EINTERNAL where
 * the iteration does not converge */
tw_status metrics_eigenvalues(double *values, double *a, int64_t n);

/* tr (a b)^½ of positive semidefinite a, b [n][n]: the sum of the roots of the eigenvalues of a b,
 * which are those of lᵀ b l, a = l lᵀ. Collective on `comm` (NULL: alone): the same bits on all. */
tw_status metrics_trace_root(double *out, const tw_comm *comm, const double *a, const double *b,
                             int64_t n);

#endif
