/* The parts of a sample set. Nothing here is collective. */
#ifndef TWEEDIE_TRAIN_DRAW_PARTS_H
#define TWEEDIE_TRAIN_DRAW_PARTS_H

#include <stdbool.h>

#include "tweedie/data.h"
#include "tweedie/file.h"

/* What all parts of a set have in common. */
typedef struct draw_parts {
    const char *out;                    /* the file that they will be; borrowed */
    char directory[TW_PATH_MAX];        /* OUT.parts */
    char sampling[TW_DATASET_TEXT_MAX]; /* weights and settings, one line; "" as long as nobody said
                                         */
    char source[TW_DATASET_TEXT_MAX];   /* for people */
    tw_dataset_spec spec;               /* of samples; its count is not read */
    int64_t batch;                      /* b */
    tw_dataset *adopted;                /* that spec is borrowed from, or NULL */
} draw_parts;

/* Names the directory of OUT. */
tw_status draw_parts_name(draw_parts *p, const char *out);

/* Takes what the parts have in common from whichever is there. @return TW_ENOINPUT where none is */
tw_status draw_parts_adopt(draw_parts *p);
void draw_parts_close(draw_parts *p);

/* Whether block k is there, whole. One that is damaged is warned of and counts as missing.
 * @return TW_EDATA for one that was drawn with other weights or settings */
tw_status draw_parts_check(bool *there, const draw_parts *p, int64_t k);

/* Writes block k. @param stored  [batch][…] as stored */
tw_status draw_parts_write(const draw_parts *p, int64_t k, const void *stored);

/* Reads samples first … first + count − 1 in model units. @param[out] x  [count][dims] */
tw_status draw_parts_read(const draw_parts *p, int64_t first, int64_t count, float *x);

/* Makes OUT of the samples first … first + count − 1. The same bytes whoever drew the parts.
 * @param[out] digest  TW_DATASET_DIGEST_MAX */
tw_status draw_parts_join(const draw_parts *p, int64_t first, int64_t count, char *digest);

/* Removes the parts and their directory. */
tw_status draw_parts_remove(const draw_parts *p);

/* An OUT that is there already. */
typedef struct draw_existing {
    bool there;
    bool ours; /* a sample set of these settings */
    int64_t first, count;
    char sampling[TW_DATASET_TEXT_MAX];
    char digest[TW_DATASET_DIGEST_MAX];
} draw_existing;

tw_status draw_existing_look(draw_existing *out, const draw_parts *p);

#endif
