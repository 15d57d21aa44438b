/* What is given of the samples of a set: files that [sample] names, as a sampler takes them. */
#ifndef JOB_SAMPLE_KNOWN_H
#define JOB_SAMPLE_KNOWN_H

#include "tweedie/data.h"
#include "tweedie/sample.h"

typedef struct sample_known {
    tw_sampler_known view; /* count 0: nothing is given */
    float *x;
    uint8_t *mask;
    char text[256];
} sample_known;

/* Reads sample.known and sample.mask, of samples such as `samples`. Zero-initialise `out`. Not
 * collective: each rank reads both files whole.
 * @return TW_ECONFIG for one without the other, TW_EDATA for samples of another shape, and what
 * tw_dataset_open returns */
tw_status sample_known_read(sample_known *out, const tw_sampler_config *config,
                            const tw_dataset_spec *samples);
void sample_known_free(sample_known *known);

#endif
