/* manifest.jsonl beside drained files: a JSON object a line, of each copy: file, source, bytes,
 * hash, host, time. */
#ifndef TWEEDIE_CHECKPOINT_MANIFEST_H
#define TWEEDIE_CHECKPOINT_MANIFEST_H

#include <stdbool.h>

#include "tweedie/checkpoint.h"

/* What the manifest says of a file. */
typedef struct manifest_entry {
    bool noted;   /* a line has this hash: a kill between rename and line leaves none */
    bool foreign; /* the last line of this name has another source */
} manifest_entry;

/* @param to  the folder of the copies; without a manifest nothing is said of any */
tw_status manifest_find(manifest_entry *out, const char *to, const char *name, const char *source,
                        const char *digest);

/* Adds a line. The caller holds the drain's lock, so there is no other writer. */
tw_status manifest_add(const char *to, const char *name, const char *source, const char *digest);

#endif
