/* What the files of generating share. */
#ifndef JOB_SAMPLE_JOB_INTERNAL_H
#define JOB_SAMPLE_JOB_INTERNAL_H

#include "job/decoder.h"
#include "job/parts.h"
#include "job/sample_given.h"
#include "job/sample_guide.h"
#include "job/sample_known.h"
#include "job/sample_parts.h"
#include "run/run_config.h"
#include "tweedie/job.h"
#include "tweedie/restore.h"
#include "tweedie/sample.h"

typedef struct sample_job {
    const tw_comm *comm; /* or NULL */
    int rank, ranks;
    const tw_sample_job_options *options;
    sample_parts parts;
    existing_set existing;
    tw_sample_job_result result;

    /* what is needed to generate; NULL where there are no weights */
    tw_restored *restored;
    tw_config *config;
    tw_run_config run; /* sampling and computing */
    tw_model_score *score;
    sample_guide guide;
    sample_known known;
    sample_given given;
    latent_decoder decoder;
    tw_sampler *sampler;
    float *x;       /* one block, model units */
    float *decoded; /* the same, of the decoder's samples; NULL: nothing is decoded */
    void *stored;
    tw_labels labels; /* which class a sample is of */
    int32_t *list;    /* that they borrow, or NULL */
    int32_t *label;   /* of the block; NULL where samples have none */
    block_work work;

    /* what is shown while generating */
    double start, last; /* tw_clock_seconds of the beginning and of the last line */
} sample_job;

tw_status sample_agree(const sample_job *d, tw_status st);

/* sample_blocks.c: what the sampler calls after each step; self is the job. */
tw_status sample_watch(void *self, int64_t step, int64_t steps, int64_t first, int64_t n,
                       const float *x);
/* Generates block k; self is the job. */
tw_status sample_block(void *self, int64_t k);
/* Generates the missing blocks. Collective. */
tw_status sample_blocks(sample_job *d);

/* sample_pictures.c: grid and single images. Collective. */
tw_status sample_pictures(sample_job *d);
/* Whether no picture is in the way; rank zero asks. @return TW_EUSAGE naming one */
tw_status sample_pictures_are_new(const sample_job *d);

#endif
