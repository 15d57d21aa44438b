/* The answer of `tweedie score`: an HDF5 file with /score and perhaps /vjp, float32 in the shape of
 * the points. One process writes it. */
#ifndef TWEEDIE_CLI_SCORE_FILE_H
#define TWEEDIE_CLI_SCORE_FILE_H

#include <hdf5.h>

#include "tweedie/data.h"
#include "tweedie/output.h"

typedef struct score_file {
    const char *path; /* borrowed */
    tw_output output;
    hid_t file, score, vjp;
} score_file;

/* Begins a file for points like those of `spec`; it appears under its name at score_file_finish.
 * @param weights  digest of the weights */
tw_status score_file_create(score_file *f, const char *path, tw_output_mode mode,
                            const tw_dataset_spec *spec, int64_t count, double time,
                            const char *weights, bool with_vjp);

/* Writes rows first … first + count − 1. @param vjp  read where the file has them */
tw_status score_file_write(score_file *f, const tw_dataset_spec *spec, int64_t first, int64_t count,
                           const float *score, const float *vjp);

tw_status score_file_finish(score_file *f);

/* In any case: leaves nothing of a file that was not finished. */
void score_file_close(score_file *f);

#endif
