/* Tables as HDF5 files: one array for each column, a row for each sample. One process writes a
 * file, which appears whole or not at all; each array carries the digest of its bytes, so that a
 * damaged one is known. Not collective. */
#ifndef JOB_COLUMNS_H
#define JOB_COLUMNS_H

#include <hdf5.h>
#include <stdbool.h>
#include <xxhash.h>

#include "tweedie/data.h"
#include "tweedie/file.h"
#include "tweedie/output.h"

typedef enum column_type { COLUMN_F64, COLUMN_I64, COLUMN_F32 } column_type;

typedef struct column {
    const char *name;
    column_type type;
    int64_t width; /* numbers of a row; 0: one, and the array has no second axis */
} column;

enum { COLUMNS_MAX = 8, COLUMN_DIGEST_MAX = 33 };

typedef struct column_set {
    int count;
    column column[COLUMNS_MAX];
} column_set;

size_t column_row_bytes(const column *c);

/* @param[out] out  COLUMN_DIGEST_MAX bytes: 32 hexadecimal digits */
void column_print_digest(char *out, XXH128_hash_t hash);

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

/* What a child process found in a file (h5/isolate.h): plain data. */
typedef struct column_head {
    char settings[TW_DATASET_TEXT_MAX]; /* attributes of a row job's files */
    int64_t first, count;
    tw_status columns; /* whether they are those that were asked for, and why not */
    char why[2048];
    int64_t rows;
    struct {
        int64_t offset; /* in the file */
        char digest[COLUMN_DIGEST_MAX];
    } column[COLUMNS_MAX];
} column_head;

/* A file of columns, which somebody else may have made: held open, and read without the library. */
typedef struct column_reader {
    const char *path;
    const column_set *set;
    column_head head;
    int file;
    tw_file_version version;
} column_reader;

/* @param set, path  must outlive the reader; no columns: only `head` is wanted
 * @return TW_EDATA where it is no file of a row job; columns that are missing or have another shape
 * are an error of those below, and of column_reader_check */
tw_status column_reader_open(column_reader *out, const char *path, const column_set *set);
tw_status column_reader_check(const column_reader *r);
/* @param[out] values  [columns]; NULL where one is not wanted
 * @return TW_EDATA for rows that are not there; TW_EIO also where the file was changed since */
tw_status column_reader_read(column_reader *r, int64_t first, int64_t n, void *const *values);
/* Holds all rows, which fit in `values`, against the digests. @return TW_EDATA "damaged" */
tw_status column_reader_verify(column_reader *r, void *const *values);
void column_reader_close(column_reader *r);

#endif
