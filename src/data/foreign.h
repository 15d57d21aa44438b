/* An array of somebody else's HDF5 file, as samples: how it is opened, what its axes are, what its
 * attributes say of its values, and how it is read in the order of samples whatever its order in
 * the file. Used inside an isolated child (h5/isolate.h): variable-length texts are read. */
#ifndef TWEEDIE_DATA_FOREIGN_H
#define TWEEDIE_DATA_FOREIGN_H

#include "data/format.h"
#include "h5/h5_chunk.h"
#include "tweedie/file.h"

enum { TW_FOREIGN_MISSING_MAX = 16, TW_FOREIGN_TEXT_MAX = 256 };

/* An opened array. */
typedef struct tw_foreign {
    char path[TW_PATH_MAX]; /* of the file */
    const char *object;     /* into the argument */
    hid_t file, dataset;
    tw_h5_array shape;
    tw_h5_chunks *chunks; /* of a chunked array: what reads it */
    bool column_major;    /* the file says that MATLAB wrote it */
} tw_foreign;

/* Opens "FILE:/path". `option` ("--labels ") begins messages about the argument.
 * @return TW_EUSAGE where no path is said, and TW_EDATA where nothing has it, both with a list of
 * the arrays of the file */
tw_status tw_foreign_open(tw_foreign *out, const char *argument, const char *option);
void tw_foreign_close(tw_foreign *a);

/* An attribute that holds text of fixed or variable length, without control characters, cut to
 * `size` − 1 bytes. *found is false for one that is missing or no text. */
tw_status tw_foreign_text(bool *found, hid_t id, const char *name, char *out, size_t size);

/* ---- axes ---- */

enum { TW_AXIS_N, TW_AXIS_H, TW_AXIS_W, TW_AXIS_C, TW_AXES };

/* Where the axes of samples are among those of the file. */
typedef struct tw_foreign_axes {
    int axis[TW_AXES];       /* −1: there is none */
    int64_t extent[TW_AXES]; /* 1 where there is none */
    bool points;             /* the channels are coordinates */
    char layout[12];         /* as it was said or assumed, in the writer's order */
    bool column_major, assumed;
} tw_foreign_axes;

/* @param layout  a letter for each axis, first axis first as the writer counts them: N samples, H
 * height, W width, C channels, D coordinates, 1 an axis of length 1; NULL: what the array says, or
 * what its number of axes leaves no doubt about
 * @return TW_EUSAGE where it does not fit, or must be said */
tw_status tw_foreign_choose_axes(tw_foreign_axes *out, const tw_foreign *a, const char *layout,
                                 tw_import_order order);

/* ---- values ---- */

/* What the conventions of netCDF (CF 1.x) say of the values of an array. A value is missing if it
 * is NaN, equals one of `missing` or is outside the valid range; else it is value scale + offset.
 */
typedef struct tw_foreign_cf {
    double scale, offset;
    double missing[TW_FOREIGN_MISSING_MAX];
    const char *missing_name[TW_FOREIGN_MISSING_MAX];
    int missing_count;
    double least, most;     /* of values as stored */
    double lowest, highest; /* of values as unpacked */
    double wrap;            /* added to values below `wrap_below`, or taken from those not below */
    double wrap_below;
    bool packed;  /* scale or offset */
    bool trivial; /* nothing of it all */
    char units[TW_FOREIGN_TEXT_MAX], long_name[TW_FOREIGN_TEXT_MAX];
    char coordinates[TW_FOREIGN_TEXT_MAX];
} tw_foreign_cf;

tw_status tw_foreign_read_cf(tw_foreign_cf *out, const tw_foreign *a);

/* Unpacks a stored value. *why is NULL, or why it is missing. */
double tw_foreign_unpack(const tw_foreign_cf *cf, double stored, const char **why);

/* ---- reading ---- */

typedef struct tw_foreign_reader tw_foreign_reader;

/* Reads an array sample by sample, every part of the file once, in memory that does not grow with
 * their number: what does not come in the order of samples is sorted in a scratch file beside
 * `scratch`. Everything is borrowed. */
tw_status tw_foreign_reader_create(tw_foreign_reader **out, const tw_foreign *a,
                                   const tw_foreign_axes *axes, const char *scratch);
void tw_foreign_reader_destroy(tw_foreign_reader **reader);

/* What reading has cost so far, and what it holds. */
typedef struct tw_foreign_cost {
    int64_t chunks;  /* that were read and unpacked */
    int64_t scratch; /* bytes written to and read from the scratch file */
    int64_t memory;  /* bytes of samples in memory; beside them a chunk, packed and unpacked */
} tw_foreign_cost;
tw_foreign_cost tw_foreign_reader_cost(const tw_foreign_reader *reader);

/* Sample `first` and those behind it that are in memory: calls go upward.
 * @param[out] samples  [count][H][W][C], elements as in the file; borrowed until the next call */
tw_status tw_foreign_reader_get(tw_foreign_reader *reader, int64_t first, int64_t *count,
                                const char **samples);

#endif
