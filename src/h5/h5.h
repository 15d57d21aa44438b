/* The one layer over HDF5: quiet, without plug-ins, its words carried into our messages. */
#ifndef TWEEDIE_H5_H5_H
#define TWEEDIE_H5_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/file.h"
#include "tweedie/status.h"

/* A call that returns a negative number on failure, as all of HDF5 does. The message is ours,
 * followed by HDF5's innermost complaint. */
#define TRY_H5(expression, code, ...)                                                              \
    do {                                                                                           \
        if ((expression) < 0) {                                                                    \
            st = tw_h5_fail((code), __VA_ARGS__);                                                  \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

__attribute__((format(printf, 2, 3))) tw_status tw_h5_fail(tw_status code, const char *format, ...);

/* Before the first HDF5 call of any entry point: no printing by the library, and no code loaded
 * because a file asks for it. */
tw_status tw_h5_start(void);

/* Closes what *id is (file, dataset, space, type, list, attribute) and sets it to H5I_INVALID_HID;
 * accepts that. Failures are not told: use TRY_H5 with the proper close where they matter. */
void tw_h5_close(hid_t *id);

/* Takes a file that is being written away from the disk: what HDF5 still has to write goes to
 * memory and is lost with it. After a failed write HDF5 1.10 cannot close a file whose flushing
 * fails again, and crashes when the process ends. Serial driver alone. */
void tw_h5_divert(hid_t file);

/* Opens the dataset `object` ("/a/b") of a file that is called `path` in messages. Every step of
 * the way must be a hard link: a link may name another file. @return TW_EDATA if it is missing or
 * not a dataset */
tw_status tw_h5_open_dataset(hid_t *out, hid_t file, const char *path, const char *object);

/* Whether the root has a hard link of this name. @return TW_EDATA for a link of another kind */
tw_status tw_h5_has(bool *out, hid_t file, const char *path, const char *name);

/* What a dataset holds, as far as it is understood. */
typedef struct tw_h5_array {
    H5T_class_t class; /* H5T_INTEGER or H5T_FLOAT */
    size_t size;       /* bytes of an element */
    bool is_signed;
    bool is_enum; /* integers with names, or bits: h5py's and PyTables' booleans */
    bool exact; /* a plain integer that fills its bytes, or an IEEE float of 4 bytes; little-endian
                   or of one byte */
    int rank;
    int64_t dims[8];
    int64_t elements;
    int64_t chunk_rows; /* of a chunked dataset, along the first axis; 0: contiguous */
    int64_t chunk_bytes;
    int64_t chunk[8]; /* its whole shape */
} tw_h5_array;

/* Deflate makes at most 1032 bytes of one (zlib's technical notes): what a file's size bounds. */
enum { TW_H5_DEFLATE_MOST = 1032 };

/* Reads the structure of an open dataset and refuses what a reader should not follow: other classes
 * than numbers, external or virtual storage, filters other than deflate, shuffle and fletcher32,
 * and more elements than the file can hold.
 * @return TW_EDATA naming file, object, what was met and what is understood */
tw_status tw_h5_describe(tw_h5_array *out, hid_t dataset, const char *path, const char *object);

/* The same but for the last check, for which the library walks over all chunks. */
tw_status tw_h5_look(tw_h5_array *out, hid_t dataset, const char *path, const char *object);

/* That as many bytes are stored as the shape needs, or could unpack to it. @return TW_EDATA */
tw_status tw_h5_check_claim(const tw_h5_array *a, bool deflated, uint64_t stored, const char *path,
                            const char *object);

/* Whether storage was allocated for every element, which is as much as a file says of what was
 * written. @return TW_EDATA with the number of chunks that are missing */
tw_status tw_h5_check_written(const tw_h5_array *a, hid_t dataset, const char *path,
                              const char *object);

/* The type of the elements as numbers: of an enumeration its integers, of bits unsigned integers.
 * The caller closes it. */
tw_status tw_h5_number_type(hid_t *out, hid_t dataset, const char *path, const char *object);

/* Refuses filters that are not understood, naming them and a way out. @param[out] deflated */
tw_status tw_h5_check_filters(bool *deflated, hid_t list, const char *path, const char *object);

/* Reads rows first … first + count − 1 (whole along the other axes) as `type`. Chunks are unpacked
 * into exactly their size. @return TW_EDATA where a chunk is missing or damaged; TW_EIO */
tw_status tw_h5_read_rows(hid_t dataset, hid_t transfer, hid_t type, int64_t first, int64_t count,
                          void *out, const char *path, const char *object);

/* Attributes of an open object, called `object` in messages. Text is read at fixed and at variable
 * length, at most size − 1 bytes of it, and written at variable length, in UTF-8. */
tw_status tw_h5_has_attribute(bool *out, hid_t id, const char *path, const char *object,
                              const char *name);
tw_status tw_h5_read_text(hid_t id, const char *path, const char *object, const char *name,
                          char *out, size_t size);
/* The same at fixed length alone, which is in the attribute itself and no heap of the file's. */
tw_status tw_h5_read_fixed_text(hid_t id, const char *path, const char *object, const char *name,
                                char *out, size_t size);
/* Whether the global heaps in the first and last 8 MiB of a file are whole: before the library
 * reads text of variable length, as it may go round in a damaged one until its time is up. */
tw_status tw_h5_check_heaps(const char *path);
/* Reads every text of an object and forgets it: for a child process, before its parent reads any.
 */
tw_status tw_h5_try_texts(hid_t id, const char *path, const char *object);
tw_status tw_h5_read_int(hid_t id, const char *path, const char *object, const char *name,
                         int64_t *out);
tw_status tw_h5_read_floats(hid_t id, const char *path, const char *object, const char *name,
                            int64_t count, float *out);
tw_status tw_h5_write_text(hid_t id, const char *path, const char *name, const char *text);
tw_status tw_h5_write_int(hid_t id, const char *path, const char *name, int64_t value);
tw_status tw_h5_write_floats(hid_t id, const char *path, const char *name, int64_t count,
                             const float *values);

/* A list of texts, in memory of `width` bytes each, padded with NUL. The reader's is the caller's
 * to free, and NULL where there is no such attribute; count × width is at most `most`. */
tw_status tw_h5_write_texts(hid_t id, const char *path, const char *name, int64_t count,
                            size_t width, const char *texts);
tw_status tw_h5_read_texts(hid_t id, const char *path, const char *object, const char *name,
                           int64_t count, size_t most, size_t *width, char **out);

/* ---- files of this program's own formats: nothing is accepted but what their writers make ----
 * Names are absolute ("/params/a") and go into messages. All return TW_EDATA naming file and
 * object. */

/* Opens a file for reading. Closing it closes what is open in it. */
tw_status tw_h5_open(hid_t *out, const char *path);

/* Calls `visit` for each object of a group; every one must be reached by a hard link and have no
 * other. `prefix` is the group's own name, "" for the root. */
typedef tw_status (*tw_h5_visitor)(void *self, hid_t object, const char *name);
tw_status tw_h5_walk(hid_t group, const char *path, const char *prefix, tw_h5_visitor visit,
                     void *self);

/* That the object has one name alone. */
tw_status tw_h5_check_single(hid_t object, const char *path, const char *name);

/* That the data are in the file itself: in chunks with no filter but fletcher32, or else contiguous
 * or compact without any. Includes tw_h5_check_single. */
tw_status tw_h5_check_storage(hid_t dataset, const char *path, const char *name, bool chunked);

/* Its extent: each dimension at least 1, and none that can grow. A scalar has rank 0. */
tw_status tw_h5_read_dims(int *rank, int64_t *dims, hid_t dataset, const char *path,
                          const char *name, int most);

/* That at least so many bytes are stored. */
tw_status tw_h5_check_stored(hid_t dataset, const char *path, const char *name, int64_t bytes);

/* All of these for a dataset of numbers of exactly `type`. */
tw_status tw_h5_check_numbers(int *rank, int64_t *dims, hid_t dataset, const char *path,
                              const char *name, hid_t type, int most, bool chunked);

/* A scalar attribute of exactly the type `stored`, read as `memory`. */
tw_status tw_h5_read_exact(hid_t id, const char *path, const char *object, const char *name,
                           hid_t stored, hid_t memory, void *out);

/* That a file opened by its name is the one that `version` was taken of, and that nobody wrote to
 * it since: for a child that looks at what its parent holds open. */
tw_status tw_h5_check_version(hid_t file, const tw_file_version *version, const char *path);

#endif
