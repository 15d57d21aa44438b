/* Datasets: files of samples, how they are made, and how ranks load batches from them.
 *
 * A dataset is one HDF5 file (datasets/README.md has the format): `/images` uint8 or float32 [N, H,
 * W, C], or `/points` float32 [N, D], with optional `/labels` int32 [N], optional `/condition`
 * (what is known of each sample: uint8 or float32 [N, H, W, C2], of points float32 [N, D2]), of
 * latents optional `/log_variance` (float32 [N, H, W, C]) and named splits. A sample set is a
 * dataset too. What a network sees are samples, and conditions, in *model units*, float32:
 *
 *   uint8 images     x = v / 127.5 − 1            back: v = round((x + 1) 127.5), clamped to 0…255
 *   float32, points  x = (v − offset) / scale     back: v = x scale + offset, per channel (points:
 * per coordinate)
 *
 * Many ranks load from one file by virtual shards (design: B = global batch size): the N samples of
 * the split are cut into B shards, shard i is samples i N / B … (i + 1) N / B − 1, and position i
 * of every global batch is loaded from shard i, which is gone through epoch after epoch of its own.
 * Rank r of R owns positions r B / R … (r + 1) B / R − 1: one contiguous block of the file. Inside
 * a shard, blocks of at most 1 MiB follow each other in an order permuted by (seed, epoch, i), and
 * samples are permuted inside each block. So the global batch of a step is a function of (file,
 * split, B, seed, step) alone: not of R, not of what was loaded before, not of whether the data are
 * kept in memory. */
#ifndef TWEEDIE_DATA_H
#define TWEEDIE_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/augment.h"
#include "tweedie/io.h"
#include "tweedie/output.h"
#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tw_comm;

enum {
    TW_DATASET_VERSION = 1,          /* format_version of the files written here */
    TW_DATASET_DIGEST_MAX = 33,      /* 32 hexadecimal digits and the NUL */
    TW_DATASET_NAME_MAX = 64,        /* name of a dataset or a split, with the NUL */
    TW_DATASET_CLASS_MAX = 4096,     /* name of a class, with the NUL */
    TW_DATASET_TEXT_MAX = 1024,      /* source, license and other texts, with the NUL */
    TW_DATASET_SPLITS_MAX = 16,      /* splits of a file */
    TW_DATASET_CHANNELS_MAX = 8192,  /* channels of an image, coordinates of a point: offset and
                                        scale are attributes of at most 64 KiB */
    TW_DATASET_CLASSES_MAX = 1 << 20 /* so that a label always fits a table in memory */
};

/* How samples are stored. */
typedef enum tw_dataset_kind {
    TW_DATASET_UINT8,   /* /images uint8 */
    TW_DATASET_FLOAT32, /* /images float32 */
    TW_DATASET_POINTS   /* /points float32; height and width are 1 */
} tw_dataset_kind;

/* "uint8 images", "float32 images", "points". */
const char *tw_dataset_kind_name(tw_dataset_kind kind);

/* A named range of samples [first, last). */
typedef struct tw_dataset_split {
    char name[TW_DATASET_NAME_MAX]; /* letters, digits, '_', '-', '.' */
    int64_t first, last;
} tw_dataset_split;

/* What a dataset is. As an argument everything is borrowed; in an open dataset everything belongs
 * to it. */
typedef struct tw_dataset_spec {
    tw_dataset_kind kind;
    int64_t count; /* samples N in the file */
    int64_t height, width, channels;
    int64_t num_classes;            /* 0: no labels; else labels are 0 … num_classes − 1 */
    const float *offset, *scale;    /* [channels], not for uint8; NULL as an argument: 0 and 1 */
    const char *const *class_names; /* [num_classes] or NULL */
    const char *channel_text; /* what the channels are, or NULL: a line for each, name, units, long
                                 name and coordinates with a tab between them, each may be empty */
    char name[TW_DATASET_NAME_MAX];      /* "mnist" */
    char source[TW_DATASET_TEXT_MAX];    /* where the samples come from */
    char license[TW_DATASET_TEXT_MAX];   /* under which terms */
    char digest[TW_DATASET_DIGEST_MAX];  /* XXH3-128 of the sample bytes, then the label bytes, then
                                            the bytes of conditions and of log variances, in storage
                                            order; set by the writer */
    char encoder[TW_DATASET_DIGEST_MAX]; /* of latents, and of samples of a model of them: the
                                           digest of the autoencoder's weights; "" of all else */
    int split_count;                     /* 0 as an argument: one split "train" of all samples */
    tw_dataset_split splits[TW_DATASET_SPLITS_MAX];
    const struct tw_dataset_spec
        *condition;    /* what conditions are: kind, extents (H and W are those of the samples),
                          offset,    scale and channel_text; NULL: there are none */
    bool is_condition; /* this is such a spec, of /condition */
    const struct tw_dataset_spec
        *log_variance;    /* of latents: /images are means, and beside them are the logarithms of
                             the variances, in stored values; NULL: there are none */
    bool is_log_variance; /* this is such a spec, of /log_variance */
} tw_dataset_spec;

/* What the conditions of such samples would be, of these channels: as an argument, or to be
 * completed with offsets, scales and texts. */
tw_dataset_spec tw_dataset_condition_spec(const tw_dataset_spec *samples, bool bytes,
                                          int64_t channels);

/* The same of log variances: of float32 images. */
tw_dataset_spec tw_dataset_log_variance_spec(const tw_dataset_spec *samples);

/* Elements of one sample, height x width x channels, and its bytes as stored. Exact for every spec
 * that a reader or writer has accepted. */
int64_t tw_dataset_elements(const tw_dataset_spec *spec);
size_t tw_dataset_sample_bytes(const tw_dataset_spec *spec);

/* What channel c is called and measured in, each TW_DATASET_NAME_MAX bytes; "" where nobody said.
 */
void tw_dataset_channel_name(const tw_dataset_spec *spec, int64_t c, char *name, char *units);

/* Converts `count` samples from stored values to model units.
 * @param stored  uint8 or float32 [count][H][W][C]
 * @param[out] x  [count][H][W][C] */
void tw_dataset_normalise(const tw_dataset_spec *spec, int64_t count, const void *stored, float *x);

/* The way back: what a sample set of this kind stores. */
void tw_dataset_denormalise(const tw_dataset_spec *spec, int64_t count, const float *x,
                            void *stored);

/* A latent sampled from its moments, z = μ + σ ε in stored values, then in model units: ln σ² is
 * clamped to [−30, 20] as in training an autoencoder, ε is TW_RNG_LATENT's noise at a position of
 * the global batch and a step. So each visit of a sample has noise of its own, whoever computes it.
 * @param units  offset and scale
 * @param mean, log_variance  [numbers], stored values
 * @param[out] x          [numbers], not mean or log_variance */
void tw_dataset_sample_latent(const tw_dataset_spec *units, uint64_t seed, int64_t position,
                              int64_t step, const float *mean, const float *log_variance, float *x);

/* Model units as 0…255 for a picture, whatever the kind: −1 is black and 1 is white. @param[out]
 * pixels  [count][H][W][C] */
void tw_dataset_pixels(const tw_dataset_spec *spec, int64_t count, const float *x, uint8_t *pixels);

/* ---- reading ---- */

typedef struct tw_dataset tw_dataset;

typedef struct tw_dataset_options {
    const char *path;
    const char
        *split;  /* NULL or "": "train" where there is one, else all samples; "all": all samples */
    bool verify; /* read everything once and compare it with the digest (rank zero) */
    const char *hints; /* "key=value, key=value" for MPI-IO (striping, aggregators), what the file
                          system's page advises; NULL or "": none */
    tw_io *io; /* the rank's input thread, on which all HDF5 calls are then made; NULL: they are
                  made by the caller. Borrowed. */
} tw_dataset_options;

/* Opens a dataset and checks its structure. Nothing is read of the samples but for `verify`.
 * Collective on `comm`, which is borrowed until tw_dataset_destroy; all ranks get the same status.
 * NULL: this process alone, no MPI. Where comm has several ranks each opens the file with MPI-IO,
 * for itself.
 * @return TW_ENOINPUT if the file is missing or unreadable; TW_EDATA if it is not a dataset of this
 * version, or damaged; TW_ECONFIG if it has no such split */
tw_status tw_dataset_open(tw_dataset **out, const struct tw_comm *comm,
                          const tw_dataset_options *options);

/* Not collective. */
void tw_dataset_destroy(tw_dataset **dataset);

/* What the dataset is. Borrowed. */
const tw_dataset_spec *tw_dataset_get_spec(const tw_dataset *dataset);

/* The chosen split: its name ("all" for all samples) and range. Borrowed. */
const tw_dataset_split *tw_dataset_get_split(const tw_dataset *dataset);

/* Samples of the chosen split. */
int64_t tw_dataset_count(const tw_dataset *dataset);

/* An additional text attribute of the root, as tw_dataset_writer_set_text wrote it.
 * @param[out] out  "" where there is none. Not collective. */
tw_status tw_dataset_get_text(tw_dataset *dataset, const char *key, char *out, size_t size);

/* Reads samples first … first + count − 1 of the chosen split as stored. Not collective.
 * @param[out] stored  uint8 or float32 [count][H][W][C], or NULL
 * @param[out] labels  [count], or NULL; −1 where the dataset has none
 * @return TW_EDATA for a label out of range or a value that is not finite, TW_EIO if reading fails
 */
tw_status tw_dataset_read_stored(tw_dataset *dataset, int64_t first, int64_t count, void *stored,
                                 int32_t *labels);

/* The same in model units. @param[out] x  [count][H][W][C] */
tw_status tw_dataset_read(tw_dataset *dataset, int64_t first, int64_t count, float *x,
                          int32_t *labels);

/* Conditions of the samples first … first + count − 1 of the chosen split, as stored. Not
 * collective.
 * @param[out] stored  uint8 or float32 [count][H][W][C2]
 * @return TW_EDATA where the dataset has none, or for a value that is not finite; TW_EIO */
tw_status tw_dataset_read_condition_stored(tw_dataset *dataset, int64_t first, int64_t count,
                                           void *stored);

/* The same in model units of `units`, a spec of conditions like the dataset's own, which NULL
 * stands for. */
tw_status tw_dataset_read_condition(tw_dataset *dataset, const tw_dataset_spec *units,
                                    int64_t first, int64_t count, float *y);

/* Log variances of the samples first … first + count − 1 of the chosen split. Not collective.
 * @param[out] values  [count][H][W][C]
 * @return TW_EDATA where the dataset has none, or for a value that is not finite; TW_EIO */
tw_status tw_dataset_read_log_variance(tw_dataset *dataset, int64_t first, int64_t count,
                                       float *values);

/* ---- batches ---- */

typedef struct tw_loader tw_loader;

typedef enum tw_loader_mode {
    TW_LOADER_AUTO, /* in memory where the rank's samples fit `memory` or streaming would take more,
                       else streaming */
    TW_LOADER_RESIDENT, /* the rank's samples in memory, as stored */
    TW_LOADER_STREAMING /* two blocks of at most 1 MiB for each position of the rank: one in use,
                           one read ahead by the input thread */
} tw_loader_mode;

typedef struct tw_loader_options {
    int64_t batch; /* B, global: a multiple of the number of ranks, at most the number of samples */
    uint64_t seed;
    bool flip; /* mirror each loaded image left to right with probability 1/2, by (seed, position,
                  step) */
    const tw_augment *augment;  /* what else is done to images, after that; NULL: nothing */
    const void *augment_config; /* its keys; borrowed */
    tw_loader_mode mode;
    int64_t memory; /* bytes that TW_LOADER_AUTO may fill; 0: 1 GiB */
    bool later;     /* samples that stay in memory are read by tw_loader_read: until then nothing of
                       that memory is touched, and nothing may be loaded */
    bool condition; /* conditions are loaded with the samples; the dataset must have some */
    bool sample_latents; /* samples are tw_dataset_sample_latent of mean and log variance, which the
                            dataset must have, at the position and step that load them; else means
                          */
    const tw_dataset_spec *units; /* samples are brought to the model units of this spec of the same
                                     kind and shape; NULL: to the dataset's own. Borrowed */
    const tw_dataset_spec *order_of; /* samples come in the order of such a dataset: so many of its
                                        samples fit in a block; NULL: of the dataset itself */
} tw_loader_options;

/* Prepares loading from the chosen split; reads this rank's samples where they stay in memory.
 * Collective on the dataset's comm; all ranks get the same status. The dataset is borrowed.
 * @return TW_ECONFIG if the batch is not a multiple of the number of ranks (the message lists the
 * numbers that divide it) or exceeds the number of samples; TW_EDATA and TW_EIO as
 * tw_dataset_read_stored; TW_ENOMEM */
tw_status tw_loader_create(tw_loader **out, tw_dataset *dataset, const tw_loader_options *options);

/* Reads what options.later left. Collective on the dataset's comm; all ranks get the same status.
 * @return as tw_dataset_read_stored */
tw_status tw_loader_read(tw_loader *loader);

/* Waits for reading in flight. Not collective. */
void tw_loader_destroy(tw_loader **loader);

/* Positions of the global batch that this rank owns: B / R, beginning with r B / R. */
int64_t tw_loader_positions(const tw_loader *loader);
int64_t tw_loader_first_position(const tw_loader *loader);

/* Whether the rank's samples are in memory, and the bytes that the loader holds. */
bool tw_loader_is_resident(const tw_loader *loader);
size_t tw_loader_bytes(const tw_loader *loader);

/* Loads for step `step` >= 0 this rank's positions first … first + count − 1, counted from its own
 * first. Steps may come in any order; ascending ones are fast. Not collective, allocates nothing.
 * @param[out] x       [count][H][W][C], model units
 * @param[out] labels  [count], or NULL; −1 where the dataset has none
 * @return TW_EIO or TW_EDATA where reading a block failed: the caller must tell the other ranks */
tw_status tw_loader_next(tw_loader *loader, int64_t step, int64_t first, int64_t count, float *x,
                         int32_t *labels);

/* The conditions of the samples that tw_loader_next loads for the same step and positions, which is
 * called first. Of a mirrored image it is mirrored too.
 * @param[out] y  [count][H][W][C2], model units */
tw_status tw_loader_next_condition(tw_loader *loader, int64_t step, int64_t first, int64_t count,
                                   float *y);

/* How the loader's augmentation changes the images of these positions.
 * @param[out] labels  [count][options.augment->labels] */
void tw_loader_augment_labels(const tw_loader *loader, int64_t step, int64_t first, int64_t count,
                              float *labels);

/* The index within the split of the sample that position `position` (of the global batch) loads at
 * step `step`. */
int64_t tw_loader_sample_index(const tw_loader *loader, int64_t step, int64_t position);

/* ---- writing ---- */

typedef struct tw_dataset_writer tw_dataset_writer;

typedef struct tw_dataset_writer_options {
    const char *path;
    tw_output_mode mode;
    int gzip; /* 0: contiguous, no compression; 1…9: chunks, shuffle and deflate */
} tw_dataset_writer_options;

/* Begins a dataset of exactly spec->count samples, in the order in which they will be appended; in
 * memory is one block of 1 MiB. The file appears under its name only when tw_dataset_writer_finish
 * succeeds. Not collective: one process writes one file. HDF5 is called by the calling thread:
 * where an input thread lives, all of a writer's functions are its jobs.
 * @return TW_EUSAGE if the file exists (tweedie/output.h); TW_EIO; TW_EDATA if the spec is not a
 * dataset (naming what); TW_ENOMEM */
tw_status tw_dataset_writer_create(tw_dataset_writer **out, const tw_dataset_spec *spec,
                                   const tw_dataset_writer_options *options);

/* Adds a text attribute to the root, for provenance ("weights_digest"). @return TW_EINTERNAL for a
 * key of the format itself */
tw_status tw_dataset_writer_set_text(tw_dataset_writer *writer, const char *key, const char *text);

/* Adds an array /NAME float64 [N] beside the samples, a number for each: what was computed of it.
 * It is no part of the digest, and readers of samples pass over it. @return TW_EINTERNAL for a name
 * of the format itself */
tw_status tw_dataset_writer_add_numbers(tw_dataset_writer *writer, const char *name,
                                        const double *values);

/* The same for arrays /NAME float32 [N][width] that belong to the samples: rows first …
 * first + count − 1, the first call before the others. Elements of a row have the shape
 * [dims[0]][dims[1]]… in the file, of at most 4 axes. @return TW_EINTERNAL for a name of the format
 * itself */
tw_status tw_dataset_writer_add_rows(tw_dataset_writer *writer, const char *name, int axes,
                                     const int64_t *dims, int64_t first, int64_t count,
                                     const float *values);

/* Appends the next `count` samples as stored (tw_dataset_denormalise makes them from model units).
 * @param stored  uint8 or float32 [count][H][W][C]
 * @param labels  [count]; NULL exactly where num_classes is 0
 * @return TW_EDATA for a label out of range, a value that is not finite or more samples than the
 * spec says; TW_EIO */
tw_status tw_dataset_writer_append(tw_dataset_writer *writer, int64_t count, const void *stored,
                                   const int32_t *labels);

/* Appends the conditions of the next `count` samples of a spec that has some, independently of the
 * samples: each at its own pace.
 * @param stored  uint8 or float32 [count][H][W][C2]
 * @return TW_EDATA for a value that is not finite or more conditions than samples; TW_EIO */
tw_status tw_dataset_writer_append_condition(tw_dataset_writer *writer, int64_t count,
                                             const void *stored);

/* The same of log variances. @param values  [count][H][W][C] */
tw_status tw_dataset_writer_append_log_variance(tw_dataset_writer *writer, int64_t count,
                                                const float *values);

/* Completes, flushes and renames the file, and releases the writer, on failure too.
 * @param[out] digest  TW_DATASET_DIGEST_MAX bytes, or NULL
 * @return TW_EDATA if samples, conditions or log variances are missing; TW_EIO */
tw_status tw_dataset_writer_finish(tw_dataset_writer **writer, char *digest);

/* Gives up: nothing is left on the disk. */
void tw_dataset_writer_abort(tw_dataset_writer **writer);

/* ---- importing ---- */

#define TW_LAYOUT_AUTO NULL
#define TW_LAYOUT_NHWC "NHWC"
#define TW_LAYOUT_NCHW "NCHW"
typedef enum tw_import_order { TW_ORDER_AUTO, TW_ORDER_ROWS, TW_ORDER_COLUMNS } tw_import_order;
typedef enum tw_import_colour { TW_COLOUR_FIRST, TW_COLOUR_GREY, TW_COLOUR_RGB } tw_import_colour;
typedef enum tw_import_folders {
    TW_FOLDERS_AUTO,
    TW_FOLDERS_SPLITS,
    TW_FOLDERS_CLASSES
} tw_import_folders;
typedef enum tw_import_normalise {
    TW_NORMALISE_AUTO,
    TW_NORMALISE_RANGE,
    TW_NORMALISE_STANDARD,
    TW_NORMALISE_NONE
} tw_import_normalise;

/* What an import needs to know. Zero is a sensible default everywhere but for format, path and
 * inputs. */
typedef struct tw_import_options {
    const char *format;        /* an importer ("idx") or a generator of points ("circles"):
                                  tw_import_formats lists them */
    const char *const *inputs; /* files and folders */
    int input_count;

    const char *path;    /* the dataset to write */
    bool replace;        /* an existing one may be replaced */
    int gzip;            /* as in tw_dataset_writer_options */
    uint64_t seed;       /* of the order in which samples are stored, and of generated points */
    const char *name;    /* NULL: the file's name without its suffix */
    const char *source;  /* NULL: the names of the inputs */
    const char *license; /* NULL: "unknown" */
    const char *split; /* puts all samples into this split; NULL: as the inputs say, else "train" */
    double
        test_fraction; /* [0, 1): this part of samples whose inputs know no split goes to "test" */
    int64_t num_classes;     /* 0: the largest label + 1; else a label out of range is an error */
    const char *class_names; /* "cat,dog", or NULL */
    bool keep_order;         /* store samples in the order of the inputs */

    bool transpose;          /* idx: images are stored column by column (EMNIST) */
    int64_t height, width;   /* images: resize to this; 0: keep, and all must be alike */
    bool crop;               /* images: first cut the centre to the shape of height x width */
    tw_import_colour colour; /* images */
    const char *background;  /* images: "white", "black", "grey" or "#rrggbb" under transparent
                                pixels; NULL: white */
    int bits;          /* images: 8: more bits become 8; 0: 9 to 16 become float32 as they are */
    int64_t white;     /* images, with bits = 8: the value that becomes 255; 0: by the bits */
    bool skip_damaged; /* images: leave out what cannot be read, with a warning for each */
    tw_import_folders folders; /* images: whether sub-folders are splits or classes where their
                                  names leave it open */
    const char *layout;    /* hdf5: what the axes are, "NCHW"; TW_LAYOUT_AUTO: as the array says */
    tw_import_order order; /* hdf5: how the writer counts axes; auto: by columns where MATLAB wrote
                              the file */
    char separator; /* points: between the numbers of a line, ',', ';' or ' '; 0: as the lines say,
                       which is refused where a comma may as well be a decimal one */
    bool stack;     /* hdf5: several arrays are channels of the same samples */
    const char *fill;   /* hdf5: a number, or "mean" of the channel, in the place of missing
                           values; NULL: they are refused */
    const char *labels; /* hdf5: "FILE:/path" of the labels, or NULL */
    const char *const *conditions; /* inputs of the same format: condition i is that of sample i. Of
                                      hdf5 several are channels of one. Sides that divide those of
                                      the samples are repeated to them */
    int condition_count;
    const char *condition_layout; /* hdf5: as layout; NULL: as the samples' */
    int64_t condition_coarse;     /* K > 0: the samples' own averages over K x K pixels, repeated */
    tw_import_normalise
        normalise; /* float32 and points: range: least and largest value of a channel become −1 and
                      1; standard: mean 0, deviation 1; none; auto: range for images, standard for
                      points, none for generated points */
    int64_t count; /* generators: points; 0: 10000 */
} tw_import_options;

/* What an import made. */
enum { TW_IMPORT_CHANNELS = 16 }; /* that a result describes */

typedef struct tw_import_channel {
    char name[TW_DATASET_NAME_MAX], units[TW_DATASET_NAME_MAX]; /* "": nobody said */
    double least, most, mean;
    int64_t missing; /* values that were filled */
} tw_import_channel;

typedef struct tw_import_result {
    tw_dataset_spec spec;                           /* its pointers are NULL */
    tw_import_channel channels[TW_IMPORT_CHANNELS]; /* the first ones */
    bool conditional;
    tw_dataset_spec condition; /* the same of the conditions */
    tw_import_channel condition_channels[TW_IMPORT_CHANNELS];
} tw_import_result;

/* Makes a dataset file from other data. Streaming: memory does not grow with the number of samples.
 * Samples are stored in an order that is random, but given by the seed, inside each split. Not
 * collective; formats "hdf5" and "images" fork, so not where MPI or threads have been started.
 * @param[out] result  may be NULL
 * @return TW_EUSAGE for options that do not fit; TW_ENOINPUT for what is missing or unreadable;
 * TW_EDATA for bad data, naming file, object or line and what was expected; TW_EIO */
tw_status tw_dataset_import(const tw_import_options *options, tw_import_result *result);

/* Whether a format makes its points itself, and reads no inputs. */
bool tw_import_is_generated(const char *format);

/* Name and one-line summary of format i; false past the last. */
bool tw_import_format(int i, const char **name, const char **summary);

#ifdef __cplusplus
}
#endif

#endif
