/* What a file holds, as plain data: its facts, and for each array where its chunks lie.
 *
 * HDF5 reads structure alone, in a child process where the file is not this process's own: the seal
 * guards against decay, not against people, and the library can be made to crash. What comes back
 * is checked again, and the numbers are read from the file directly. */
#ifndef TWEEDIE_CHECKPOINT_INDEX_H
#define TWEEDIE_CHECKPOINT_INDEX_H

#include "checkpoint/checkpoint_format.h"

typedef struct index_entry {
    char group[NAME_BYTES], name[NAME_BYTES];
    int rank;
    int64_t dims[TW_CHECKPOINT_DIMS];
    int64_t first_chunk; /* in the index's list */
} index_entry;

typedef struct file_index {
    tw_checkpoint_meta meta; /* owns its config, losses, offsets and scales */
    bool weights;
    int64_t config_bytes;            /* with the NUL */
    int64_t unit_count[UNITS_COUNT]; /* 2 channels, or 0 */
    int64_t base;                    /* of the chunks' addresses, in the file */
    int64_t count, room;
    index_entry *entries; /* sorted by group and name; from realloc */
    int64_t chunk_count, chunk_room;
    int64_t *chunks; /* addresses, from realloc */
} file_index;

struct tw_checkpoint {
    char path[TW_CHECKPOINT_PATH], digest[TW_CHECKPOINT_DIGEST];
    int file;
    int64_t bytes;
    file_index index;
    tw_checkpoint_array *arrays; /* point into the index's entries */
    unsigned char *buffer;       /* of a chunk */
};

/* Reads the structure of a file with HDF5, in this process. Every object is held against what the
 * writer makes. @param bytes  of the file */
tw_status index_build(file_index *out, const char *path, int64_t bytes);

/* As index_build, in a child process. */
tw_status index_fetch(file_index *out, const char *path, int64_t bytes);

/* That it can be what a file of so many bytes holds: numbers finite, names and extents possible. */
tw_status index_check(const file_index *index, const char *path, int64_t bytes);

/* Accepts a zeroed one. */
void index_clear(file_index *index);

/* Opens a file whose hash was verified a moment ago.
 * @param own  this process has just written it: no child is needed */
tw_status checkpoint_open_checked(tw_checkpoint **out, const char *path,
                                  const char digest[TW_CHECKPOINT_DIGEST], bool own);

#endif
