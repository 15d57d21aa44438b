/* What the files of restoring share. */
#ifndef JOB_RESTORE_JOB_INTERNAL_H
#define JOB_RESTORE_JOB_INTERNAL_H

#include "job/decoder.h"
#include "job/restore_prior.h"
#include "job/restore_task.h"
#include "job/row_job.h"
#include "tweedie/job_restore.h"

/* Columns. */
enum { RESTORE_MEAN, RESTORE_STD, RESTORE_QUANTILES, RESTORE_SAMPLES };

enum { RESTORE_FILES_MOST = 1000 };

typedef struct restoring {
    row_job job;
    const tw_restore_job_options *o;
    restore_task task;
    tw_posterior *posterior;
    restore_prior prior;
    latent_decoder decoder;      /* of a model of latents, unless these were measured */
    const tw_dataset_spec *spec; /* what was measured and is made: the model's samples, or the
                                    decoder's */
    int64_t dims;                /* numbers of one */
    double *y;                   /* [block][outputs] */
    float *latents;              /* [block][K][numbers of a latent]; NULL: nothing is decoded */
    float *samples;              /* [block][K][dims], model units */
    double *sorted;              /* [K] */
    float *units;                /* offset, then scale, of bytes: [2][channels] */
    tw_dataset_writer *writer;
    uint8_t *pixels;   /* of the picture */
    tw_dataset *truth; /* its last column; NULL: none */
    int64_t tiles, pictured;
    tw_dataset_writer **files; /* [K]; NULL: none are asked for */
} restoring;

/* Measurements of n rows from `first` on, into r->y. */
tw_status restore_read_measurements(restoring *r, int64_t first, int64_t n);

/* restore_picture.c: opens --truth, where the options name one; a row of the picture from the
 * columns of row i of a block, measurement `row`, as long as there is room; the file. Rank zero,
 * but for opening. */
tw_status restore_picture_check(restoring *r);
tw_status restore_picture_begin(restoring *r);
tw_status restore_picture_row(restoring *r, int64_t i, int64_t row);
tw_status restore_picture_end(const restoring *r);

/* restore_files.c: sample k of all measurements as a dataset of its own, spec being that of the
 * means. Rank zero. */
tw_status restore_files_begin(restoring *r, const tw_dataset_spec *spec);
tw_status restore_files_append(restoring *r, int64_t n);
tw_status restore_files_end(restoring *r);
void restore_files_abort(restoring *r);

#endif
