/* What the samples of a conditional model are given: sample.condition, row by row. */
#ifndef JOB_SAMPLE_GIVEN_H
#define JOB_SAMPLE_GIVEN_H

#include "run/run_config.h"
#include "tweedie/data.h"

typedef struct sample_given {
    tw_dataset *data;             /* NULL: the model is unconditional */
    const tw_dataset_spec *units; /* what the network is given; borrowed */
    const tw_dataset_spec *found; /* the array of the file that holds it */
    int64_t numbers;              /* of a condition */
    char *row;                    /* as found */
    void *stored;                 /* [batch], as the network is given it: what a part stores */
    float *y;                     /* [batch][numbers] */
    char text[256];               /* what identifies it; "" where there is none */
} sample_given;

/* Opens what [sample] names; each process by itself. Not collective.
 * @param units      of the restored model, or NULL
 * @param[out] out   zero-initialised; sample_given_close, in any case
 * @return TW_ECONFIG where a conditional model has none or another one has; TW_EDATA where it does
 * not fit; what tw_dataset_open returns */
tw_status sample_given_open(sample_given *out, const tw_run_config *run,
                            const tw_dataset_spec *units, int64_t batch);
void sample_given_close(sample_given *g);

/* Reads the conditions of the samples first … first + count − 1, at most a batch: row i modulo the
 * rows there are. Does nothing where there are none. */
tw_status sample_given_read(sample_given *g, int64_t first, int64_t count);

#endif
