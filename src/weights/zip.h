/* ZIP files whose entries are stored as they are: torch's. Reading checks every length against the
 * file; writing makes what torch's own reader opens. */
#ifndef WEIGHTS_ZIP_H
#define WEIGHTS_ZIP_H

#include <stdio.h>

#include "weights/item.h"

typedef struct tw_zip_entry {
    const char *name; /* not ended by a NUL */
    int64_t name_length;
    int64_t at, size; /* of the data, in the file */
    uint32_t crc;
    tw_item *storage; /* for the reader's own use; NULL at first */
} tw_zip_entry;

typedef struct tw_zip {
    tw_zip_entry *entries; /* sorted by name; in the archive's arena */
    int64_t count;
} tw_zip;

/* @return TW_EDATA for damage, compressed or encrypted entries, and two of one name */
tw_status tw_zip_read(tw_archive *a, tw_zip *out);
/* The entry of that name, or NULL. */
tw_zip_entry *tw_zip_find(const tw_zip *zip, const char *name, int64_t length);

/* ---- writing ---- */

typedef struct tw_zip_writer {
    FILE *file;
    int64_t at;
    int64_t count, room;
    struct tw_zip_written *entries;
} tw_zip_writer;

/* Adds one entry; its data begin at a multiple of 64. @return TW_EIO */
tw_status tw_zip_write(tw_zip_writer *w, const char *name, const void *data, int64_t size);
/* The central directory. */
tw_status tw_zip_write_end(tw_zip_writer *w);
void tw_zip_writer_free(tw_zip_writer *w);

#endif
