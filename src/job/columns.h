/* Tables as HDF5 files: one array for each column, a row for each sample. One process writes a
 * file, which appears whole or not at all; each array carries the digest of its bytes, so that a
 * damaged one is known. Not collective. */
#ifndef JOB_COLUMNS_H
#define JOB_COLUMNS_H

#include <hdf5.h>
#include <stdbool.h>

#include "tweedie/data.h"
#include "tweedie/output.h"

typedef enum column_type { COLUMN_F64, COLUMN_I64, COLUMN_F32 } column_type;

typedef struct column {
    const char *name;
    column_type type;
    int64_t width; /* numbers of a row; 0: one, and the array has no second axis */
} column;

enum { COLUMNS_MAX = 8 };

typedef struct column_set {
    int count;
    column column[COLUMNS_MAX];
} column_set;

size_t column_row_bytes(const column *c);

/* ---- writing ---- */

typedef struct column_writer column_writer;

/* @param set  must outlive the writer
 * @return TW_EUSAGE for a file that is there (tweedie/output.h) */
tw_status column_writer_create(column_writer **out, const char *path, tw_output_mode mode,
                               const column_set *set, int64_t rows);
/* For attributes. Borrowed. */
hid_t column_writer_file(const column_writer *w);
/* Adds rows. @param values  [columns]: [n][width] each */
tw_status column_writer_append(column_writer *w, int64_t n, void *const *values);
/* @return TW_EIO; the writer is released in any case */
tw_status column_writer_finish(column_writer **writer);
void column_writer_abort(column_writer **writer);

/* A float64 attribute. */
tw_status column_write_double(hid_t id, const char *path, const char *name, double value);

/* ---- reading ---- */

typedef struct column_reader {
    const char *path;
    const column_set *set;
    hid_t file, array[COLUMNS_MAX];
    int64_t rows;
} column_reader;

/* @param set, path  must outlive the reader
 * @return TW_EDATA where a column is missing or has another shape */
tw_status column_reader_open(column_reader *out, const char *path, const column_set *set);
/* @param[out] values  [columns]; NULL where one is not wanted */
tw_status column_reader_read(column_reader *r, int64_t first, int64_t n, void *const *values);
/* Holds all rows, which fit in `values`, against the digests. @return TW_EDATA "damaged" */
tw_status column_reader_verify(column_reader *r, void *const *values);
void column_reader_close(column_reader *r);

#endif
