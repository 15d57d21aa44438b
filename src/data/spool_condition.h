/* The conditions of an import: inputs of their own, in the order of the samples, or made of the
 * samples. */
#ifndef TWEEDIE_DATA_SPOOL_CONDITION_H
#define TWEEDIE_DATA_SPOOL_CONDITION_H

#include "data/importer.h"

typedef struct tw_spool_condition {
    tw_spool *spool;      /* NULL: made of the samples' own */
    int64_t coarse;       /* then: side of a block */
    tw_dataset_spec spec; /* of the file: sides as the samples' */
    float *units;
} tw_spool_condition;

/* Reads the conditions that the options name, if any, once the samples are in their spool: as many
 * in each part, of sides that divide theirs, and images of equal names.
 * @param path       the dataset to come
 * @param[in] spec   of the samples, units and count set
 * @param[out] out   zero-initialised by the caller; tw_spool_condition_free, in any case
 * @return TW_EDATA naming what does not fit; what the importer returns */
tw_status tw_spool_condition_read(tw_spool_condition *out, const tw_import_options *options,
                                  const char *path, const tw_spool *samples,
                                  const tw_dataset_spec *spec);
void tw_spool_condition_free(tw_spool_condition *c);

/* Whether there are any. */
bool tw_spool_condition_is_there(const tw_spool_condition *c);

/* Appends the conditions of a part of the samples, in the order of tw_spool_write. */
tw_status tw_spool_condition_write(const tw_spool_condition *c, const tw_import_options *options,
                                   tw_spool *samples, int part, tw_dataset_writer *writer);

#endif
