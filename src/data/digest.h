/* The digest of a dataset: XXH3-128 (xxHash, Y. Collet) of the sample bytes in storage order, then
 * the label bytes, then the bytes of conditions, then those of log variances, as 32 hexadecimal
 * digits.
 *
 * Not a signature: it finds damage and mix-ups, not malice. */
#ifndef TWEEDIE_DATA_DIGEST_H
#define TWEEDIE_DATA_DIGEST_H

#include <stddef.h>

#include "tweedie/data.h"

typedef struct tw_digest tw_digest;

tw_status tw_digest_create(tw_digest **out);
void tw_digest_destroy(tw_digest **digest);
void tw_digest_add(tw_digest *digest, const void *bytes, size_t size);

/* Adds all samples of the chosen split, then their labels, conditions and log variances, block by
 * block. */
tw_status tw_digest_add_dataset(tw_digest *digest, tw_dataset *dataset);

/* @param[out] out  TW_DATASET_DIGEST_MAX bytes */
void tw_digest_text(const tw_digest *digest, char *out);

#endif
