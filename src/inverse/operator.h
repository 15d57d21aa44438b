/* What operators share among themselves. */
#ifndef INVERSE_OPERATOR_H
#define INVERSE_OPERATOR_H

#include "tweedie/inverse.h"

/* a->singular [dims], zero. */
tw_status operator_alloc_singular(tw_operator *a);

/* Adds " key=DIGEST" of the bytes to a->files. */
tw_status operator_add_digest(tw_operator *a, const char *key, const void *data, size_t bytes);

/* An array of somebody's HDF5 file, "FILE:/path": judged and read in a child process, as all
 * foreign files are. @param[out] values  owned by the caller: tw_free @param[out] rank, dims  of at
 * most 2 axes. @param most  elements */
tw_status operator_read_array(double **values, int *rank, int64_t dims[2], const char *key,
                              const char *argument, int64_t most);

#endif
