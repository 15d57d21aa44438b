/* Sample sets: sampled in parts by many ranks or jobs, joined into one dataset file.
 *
 * Samples are made in fixed blocks: block k is the indices k b … (k + 1) b − 1, b = sample.batch,
 * and becomes the file OUT.parts/part-FIRST.h5, whole or not at all. A part says what it was
 * sampled with, so a job that was killed goes on with what is missing, jobs may share the work in
 * any way, and parts of other weights or settings are refused. Sample i is the same bits in all of
 * them. */
#ifndef TWEEDIE_JOB_H
#define TWEEDIE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/comm.h"
#include "tweedie/status.h"

typedef struct tw_sample_job_options {
    const char
        *weights; /* RUN, checkpoint or weights file; NULL: generate nothing, join what is there */
    const char *which; /* "raw", "ema:RATE"; NULL or "": the default */
    int64_t first, count;
    bool join;       /* one file at the end; else parts alone */
    const char *out; /* the dataset file */
    bool replace; /* OUT may be replaced by what holds fewer samples, or is no sample set of these
                     settings; so may parts of other settings, and pictures */
    bool clean;   /* remove the parts when they are joined */
    const char *grid;   /* a PNG of the first samples, for points a heat map; NULL or "": none */
    int64_t grid_count; /* how many samples; points: all */
    const char *images; /* a directory for a PNG of each sample; NULL or "": none */
    const char *guide;  /* the second network of a guidance: guidance.network, and guidance.kind as
                           the network is; NULL or "": none */
    bool latents;       /* of a model of latents: these are stored, whatever sample.decode says */
    int assignment_count; /* to [sample], [guidance] and [compute] */
    char *const *assignments;
} tw_sample_job_options;

typedef struct tw_sample_job_result {
    int64_t sampled, found; /* samples made now, and found in parts; counted in whole blocks */
    bool complete;          /* OUT was there already, whole */
    double seconds;         /* of generating */
    char digest[64];        /* of OUT's samples where it was joined, else "" */
} tw_sample_job_result;

/* Generates what is missing of the samples first … first + count − 1; joins; makes pictures.
 * Collective: all ranks get the same status.
 * @param comm      NULL: this process alone
 * @param[out] out  may be NULL
 * @return TW_EUSAGE where OUT, a part of other weights or settings, or a picture exists and may not
 * be replaced; TW_ENOINPUT where parts are missing and there are no weights; TW_ESTOPPED after
 * SIGTERM or SIGUSR1, to be continued by the same call; TW_EDIVERGED where a sample is not finite;
 * TW_ECONFIG and TW_EUSAGE for settings */
tw_status tw_sample_job(const tw_comm *comm, const tw_sample_job_options *options,
                        tw_sample_job_result *out);

#endif
