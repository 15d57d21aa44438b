/* An open file, and the list of its arrays. */
#ifndef TWEEDIE_CHECKPOINT_INDEX_H
#define TWEEDIE_CHECKPOINT_INDEX_H

#include <hdf5.h>

#include "checkpoint/checkpoint_format.h"

typedef struct index_entry {
    char group[NAME_BYTES], name[NAME_BYTES];
    int rank;
    int64_t dims[TW_CHECKPOINT_DIMS];
} index_entry;

struct tw_checkpoint {
    char path[TW_CHECKPOINT_PATH], digest[TW_CHECKPOINT_DIGEST];
    hid_t file;
    int64_t bytes;
    bool weights;
    tw_checkpoint_meta meta;
    int64_t count, room;
    index_entry *entries;        /* from realloc: released with free() */
    tw_checkpoint_array *arrays; /* point into entries; sorted by group and name */
};

/* Opens a file whose hash was verified a moment ago. */
tw_status checkpoint_open_checked(tw_checkpoint **out, const char *path,
                                  const char digest[TW_CHECKPOINT_DIGEST]);

/* Fills entries and arrays from the open file. */
tw_status checkpoint_index(tw_checkpoint *c);

#endif
