/* The dataset format: what stands in a file, and the rules that readers and writers share.
 * datasets/README.md describes it for users. */
#ifndef TWEEDIE_DATA_FORMAT_H
#define TWEEDIE_DATA_FORMAT_H

#include <hdf5.h>

#include "tweedie/data.h"

#define TW_DATASET_FORMAT "tweedie-dataset"

enum {
    TW_BLOCK_BYTES = 1 << 20
}; /* of reading, writing and shuffling; part of every run's reproducibility */

/* Samples in a block: as many as fit in TW_BLOCK_BYTES, at least one. */
int64_t tw_block_samples(const tw_dataset_spec *spec);

/* "/images" or "/points"; "/condition"; "/log_variance". */
const char *tw_format_object(const tw_dataset_spec *spec);

/* Axes of that array: N, H, W, C or N, D. */
int tw_format_rank(const tw_dataset_spec *spec);

/* The type of an element in the file (little-endian) and in memory. */
hid_t tw_format_file_type(tw_dataset_kind kind);
hid_t tw_format_memory_type(tw_dataset_kind kind);

/* Checks the numbers and names of a spec: positive shape, no overflow, splits within the samples
 * and apart, conditions of the samples' number and sides, log variances of their shape.
 * @param path  begins the message
 * @return TW_EDATA */
tw_status tw_format_check(const tw_dataset_spec *spec, const char *path);

/* "train=0:60000,test=60000:70000" from and to the spec. @param[out] out  TW_DATASET_TEXT_MAX bytes
 */
tw_status tw_format_print_splits(const tw_dataset_spec *spec, char *out);
tw_status tw_format_parse_splits(tw_dataset_spec *spec, const char *text, const char *path);

/* Fields of a line of tw_dataset_spec's channel_text. */
enum { TW_CHANNEL_NAME, TW_CHANNEL_UNITS, TW_CHANNEL_LONG_NAME, TW_CHANNEL_COORDINATES };
enum { TW_CHANNEL_FIELDS = TW_CHANNEL_COORDINATES + 1 };

/* The attributes of the samples that hold them: fixed-length text [C]. */
extern const char *const tw_channel_attributes[TW_CHANNEL_FIELDS];

/* A field of channel c, "" where there is none, cut to size − 1 bytes; false if it was cut. */
bool tw_channel_text_get(const char *text, int64_t c, int field, char *out, size_t size);

/* Channel texts of the samples, to and from attributes. The text is the caller's to free, NULL
 * where there is none. @return TW_EDATA for attributes of another shape */
tw_status tw_channel_text_write(hid_t samples, const char *path, int64_t channels,
                                const char *text);
tw_status tw_channel_text_read(char **out, hid_t samples, const char *path, const char *object,
                               int64_t channels);

/* An array of samples, conditions or log variances in an opened file: what a spec of it borrows. */
typedef struct tw_format_array {
    hid_t set;
    float *offset, *scale;
    char *channel_text;
} tw_format_array;

/* An opened file. */
typedef struct tw_dataset_file {
    tw_dataset_spec spec;                      /* what it points at is owned here */
    tw_dataset_spec *condition, *log_variance; /* NULL: none */
    char **class_names;
    char *class_text; /* what the names point into */
    hid_t file, labels;
    tw_format_array samples, conditions, log_variances;
} tw_dataset_file;

#define TW_DATASET_FILE_CLOSED                                                                     \
    (tw_dataset_file)                                                                              \
    {                                                                                              \
        .file = H5I_INVALID_HID, .labels = H5I_INVALID_HID, .samples = {.set = H5I_INVALID_HID},   \
        .conditions = {.set = H5I_INVALID_HID}, .log_variances = {                                 \
            .set = H5I_INVALID_HID                                                                 \
        }                                                                                          \
    }

/* Opens and checks everything but the samples themselves. Not collective.
 * @param path    for messages
 * @param by      the name that it is opened by: path, or that of a descriptor
 * @param access  a file access list
 * @return TW_EDATA naming file and object */
tw_status tw_dataset_file_open(tw_dataset_file *out, const char *path, const char *by,
                               hid_t access);
void tw_dataset_file_close(tw_dataset_file *format);

/* format_names.c: /class_names, where there are some, into f->class_names and the spec. */
tw_status tw_format_read_names(tw_dataset_file *f, const char *path);
tw_status tw_format_write_names(hid_t file, const char *path, int64_t classes,
                                const char *const *names);

/* Checks samples as read: finite floats, labels within the classes. @param first  number of the
 * first one, for the message */
tw_status tw_format_check_samples(const tw_dataset_spec *spec, int64_t first, int64_t count,
                                  const void *stored, const char *path);
tw_status tw_format_check_labels(const tw_dataset_spec *spec, int64_t first, int64_t count,
                                 const int32_t *labels, const char *path);

#endif
