/* The parts of a sample set. Nothing here is collective. */
#ifndef JOB_SAMPLE_PARTS_H
#define JOB_SAMPLE_PARTS_H

#include <stdbool.h>

#include "job/sample_report.h"
#include "tweedie/data.h"
#include "tweedie/file.h"

/* What all parts of a set have in common. */
typedef struct sample_parts {
    const char *out;                    /* the file that they will be; borrowed */
    char directory[TW_PATH_MAX];        /* OUT.parts */
    char sampling[TW_DATASET_TEXT_MAX]; /* weights and settings, one line; "" as long as nobody said
                                         */
    char source[TW_DATASET_TEXT_MAX];   /* for people */
    tw_dataset_spec spec;               /* of samples; its count is not read */
    int64_t batch;                      /* b */
    tw_dataset *adopted;                /* that spec is borrowed from, or NULL */
} sample_parts;

/* Names the directory of OUT. */
tw_status sample_parts_name(sample_parts *p, const char *out);

/* Takes what the parts have in common from whichever is there. @return TW_ENOINPUT where none is */
tw_status sample_parts_adopt(sample_parts *p);
void sample_parts_close(sample_parts *p);

/* Whether block k is there, whole. One that is damaged is warned of and counts as missing.
 * @return TW_EUSAGE for one that was sampled with other weights or settings */
tw_status sample_parts_check(bool *there, const sample_parts *p, int64_t k);

/* Writes block k. @param stored  [batch][…] as stored
 * @param label      [batch], or NULL where spec has no classes
 * @param condition  [batch][…] as stored, or NULL where spec has none
 * @param report     what the sampler reported of it */
tw_status sample_parts_write(const sample_parts *p, int64_t k, const void *stored,
                             const int32_t *label, const void *condition,
                             const sample_report *report);

/* Reads samples first … first + count − 1 in model units. @param[out] x  [count][dims] */
tw_status sample_parts_read(const sample_parts *p, int64_t first, int64_t count, float *x);

/* Makes OUT of the samples first … first + count − 1. The same bytes whoever sampled the parts.
 * @param[out] digest  TW_DATASET_DIGEST_MAX */
tw_status sample_parts_merge(const sample_parts *p, tw_output_mode mode, int64_t first,
                             int64_t count, char *digest);

/* Removes the parts that were sampled with other weights or settings, or cannot be read. */
tw_status sample_parts_remove_others(const sample_parts *p);

/* Removes the parts and their directory. */
tw_status sample_parts_remove(const sample_parts *p);

/* An OUT that is there already. */
typedef struct existing_set {
    bool there;
    bool ours; /* a sample set of these settings */
    int64_t first, count;
    char sampling[TW_DATASET_TEXT_MAX];
    char digest[TW_DATASET_DIGEST_MAX];
} existing_set;

tw_status existing_set_look(existing_set *out, const sample_parts *p);

#endif
