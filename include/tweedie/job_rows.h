/* Jobs over the rows of a dataset: likelihoods, latent codes, and what codes decode to.
 *
 * Row i is the i-th sample of the split, and its result depends on weights, data, settings and i
 * alone: the same bits on any number of ranks and however the work is cut. Rows are worked off in
 * blocks of eight batches, each a file OUT.parts/part-FIRST.h5, whole or not at all, that says with
 * which weights, data and settings it was made: a job that was killed goes on with what is missing,
 * and parts of others are refused. */
#ifndef TWEEDIE_JOB_ROWS_H
#define TWEEDIE_JOB_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/comm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_row_job_options {
    const char *weights;  /* RUN, checkpoint or weights file */
    const char *which;    /* "raw", "ema:RATE"; NULL or "": the default */
    const char *data;     /* a dataset; of decoding: codes */
    const char *split;    /* NULL or "": "test" where there is one, else all */
    int64_t first, count; /* rows of the split; count 0: all that follow */
    bool join;            /* one file at the end; else parts alone */
    const char *out;
    bool replace;         /* OUT may be replaced by the result of other settings or rows */
    bool clean;           /* remove the parts when they are merged */
    int assignment_count; /* to [likelihood] and [compute] */
    char *const *assignments;
} tw_row_job_options;

typedef struct tw_row_job_result {
    int64_t first, count; /* rows */
    bool complete;        /* OUT was there already, whole */
    double evaluations;   /* of the score, mean per row */
} tw_row_job_result;

/* Means over rows, and the standard errors of the means. */
typedef struct tw_likelihood_summary {
    tw_row_job_result rows;
    bool bound; /* the variational bound: logp is bounded from below */
    int64_t dims;
    double mean, error;         /* of log p: nats, in the data's own units */
    double bits, bits_error;    /* per dimension; NaN where data are no bytes */
    double prior;               /* mean of the part log p_T(x_T); of the bound −L_T */
    char weights[64], data[64]; /* digests */
    char encoder[64];           /* rows are latents, by the autoencoder of this digest; "": not */
} tw_likelihood_summary;

/* The log-likelihood of each row: an HDF5 file with /index, /logp, /bits_per_dimension (of bytes),
 * /standard_error, /evaluations, /prior, and of the bound /terms. Collective: all ranks get the
 * same status.
 * @param comm      NULL: this process alone
 * @param[out] out  may be NULL; means on rank zero, where OUT was made
 * @return TW_EDATA where parts or OUT are there that were made with other weights, data or
 * settings, or the data do not fit the network; TW_ECONFIG for what has no likelihood; TW_ESTOPPED
 * after SIGTERM or SIGUSR1, to be continued by the same call; TW_EDIVERGED where a result is not
 * finite */
tw_status tw_likelihood_job(const tw_comm *comm, const tw_row_job_options *options,
                            tw_likelihood_summary *out);

/* The code of each row, a dataset of float32 points or images in the prior's units.
 * @param logp  with /logp and /standard_error beside them: the density at the row as it is, bytes
 *              not dequantised, in the data's own units */
tw_status tw_encode_job(const tw_comm *comm, const tw_row_job_options *options, bool logp,
                        tw_row_job_result *out);

typedef struct tw_decode_options {
    double temperature; /* codes are multiplied by it first */
    int64_t steps;      /* 0: each code of the dataset; else so many on the great circle … */
    int64_t from, to;   /* … from this row of the split to that */
} tw_decode_options;

/* What each code decodes to, a dataset as the network's training data were. */
tw_status tw_decode_job(const tw_comm *comm, const tw_row_job_options *options,
                        const tw_decode_options *decoding, tw_row_job_result *out);

#ifdef __cplusplus
}
#endif

#endif
