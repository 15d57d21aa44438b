/* Writing a dataset: one process, the serial driver, a temporary name, a block in memory.
 *
 * The bytes of the file are a function of the spec, the options and the samples alone, not of how
 * many were appended at a time: no time stamps, and whole blocks are written. (MPI-IO is never used
 * for writing: parallel HDF5 hangs all ranks when a write fails on one.) */
#include <stdlib.h>
#include <string.h>

#include "data/digest.h"
#include "data/dimensions.h"
#include "data/format.h"
#include "h5/h5.h"
#include "tweedie/memory.h"

/* Chunks of a compressed dataset: small enough that reading one sample does not unpack a megabyte.
 * MNIST packs to 11.40 MB with chunks of 64 KiB, 11.36 with 96, 11.34 with 256 and 11.31 with 1024.
 */
enum { CHUNK_BYTES = 96 << 10, LABEL_CHUNK = 16384 };

/* Samples, conditions or log variances on their way to the file. */
typedef struct rows {
    tw_dataset_spec spec;
    hid_t set;
    size_t bytes;                   /* of a row */
    int64_t block, filled, written; /* rows: of a block, waiting in it, in the file */
    char *stored;                   /* [block] */
} rows;

struct tw_dataset_writer {
    tw_dataset_spec spec;
    char *path;
    tw_output output;
    hid_t file, labels;
    tw_digest *digest;
    rows samples, conditions, log_variances;
    int32_t *block_labels; /* [samples.block] */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Without what the caller lends. */
static tw_dataset_spec own_part(const tw_dataset_spec *given)
{
    tw_dataset_spec s = *given;
    s.offset = s.scale = NULL;
    s.class_names = NULL;
    s.channel_text = NULL;
    s.condition = s.log_variance = NULL;
    return s;
}

/* How a dataset of `rank` axes is laid out. */
static tw_status storage(hid_t *out, int rank, const hsize_t *dims, int64_t chunk_rows,
                         size_t element, int gzip)
{
    tw_status st = TW_OK;
    hid_t list = H5I_INVALID_HID;
    hsize_t chunk[5];
    TRY_H5(list = H5Pcreate(H5P_DATASET_CREATE), TW_ENOMEM, "out of memory");
    TRY_H5(H5Pset_obj_track_times(list, false), TW_EIO, "no dataset can be made");
    TRY_H5(H5Pset_fill_time(list, H5D_FILL_TIME_NEVER), TW_EIO, "no dataset can be made");
    if (gzip) {
        memcpy(chunk, dims, (size_t)rank * sizeof *chunk);
        chunk[0] = (hsize_t)least(chunk_rows, (int64_t)dims[0]);
        TRY_H5(H5Pset_chunk(list, rank, chunk), TW_EIO, "no dataset can be made");
        if (element > 1) TRY_H5(H5Pset_shuffle(list), TW_EIO, "no dataset can be made");
        TRY_H5(H5Pset_deflate(list, (unsigned)gzip), TW_EIO, "no dataset can be made");
    }
    *out = list;
    list = H5I_INVALID_HID;
done:
    tw_h5_close(&list);
    return st;
}

static tw_status create_dataset(hid_t *out, hid_t file, const char *object, hid_t type, int rank,
                                const hsize_t *dims, int64_t chunk_rows, int gzip)
{
    tw_status st = TW_OK;
    hid_t space = H5I_INVALID_HID, list = H5I_INVALID_HID;
    TW_TRY(storage(&list, rank, dims, chunk_rows, H5Tget_size(type), gzip));
    TRY_H5(space = H5Screate_simple(rank, dims, NULL), TW_EIO, "%s cannot be made", object);
    TRY_H5(*out = H5Dcreate2(file, object, type, space, H5P_DEFAULT, list, H5P_DEFAULT), TW_EIO,
           "%s cannot be made", object);
done:
    tw_h5_close(&list);
    tw_h5_close(&space);
    return st;
}

/* Offsets and scales, 0 and 1 where the caller has none. */
static tw_status write_units(const rows *r, const tw_dataset_spec *given, const char *path)
{
    tw_status st = TW_OK;
    const int64_t channels = r->spec.channels;
    float *units = NULL;
    if (r->spec.kind == TW_DATASET_UINT8 || r->spec.is_log_variance) return TW_OK;
    TW_TRY(tw_alloc(&units, 2 * channels, sizeof *units, "channel offsets and scales"));
    for (int64_t c = 0; c < channels; c++) {
        units[c] = given->scale ? given->offset[c] : 0;
        units[channels + c] = given->scale ? given->scale[c] : 1;
    }
    TW_TRY(tw_h5_write_floats(r->set, path, "offset", channels, units));
    TW_TRY(tw_h5_write_floats(r->set, path, "scale", channels, units + channels));
done:
    tw_free(&units);
    return st;
}

/* The array of what `given` describes, and room for a block of it. */
static tw_status create_rows(rows *r, const tw_dataset_writer *w, const tw_dataset_spec *given,
                             int gzip)
{
    tw_status st = TW_OK;
    const char *object = tw_format_object(given);
    const int rank = tw_format_rank(given);
    r->spec = own_part(given);
    r->bytes = tw_dataset_sample_bytes(given);
    r->block = tw_block_samples(given);
    if (gzip) r->block = r->bytes < CHUNK_BYTES ? CHUNK_BYTES / (int64_t)r->bytes : 1;
    TW_TRY(tw_alloc_arena(&r->stored, (size_t)r->block * r->bytes, "a block of samples"));
    const hsize_t n = (hsize_t)given->count, c = (hsize_t)given->channels;
    const hsize_t images[] = {n, (hsize_t)given->height, (hsize_t)given->width, c},
                  points[] = {n, c};
    TW_TRY(create_dataset(&r->set, w->file, object, tw_format_file_type(given->kind), rank,
                          rank == 2 ? points : images, r->block, gzip));
    if (rank == 4) TW_TRY(tw_h5_write_text(r->set, w->path, "layout", "NHWC"));
    TW_TRY(write_units(r, given, w->path));
    if (given->channel_text)
        TW_TRY(tw_channel_text_write(r->set, w->path, given->channels, given->channel_text));
done:
    return st;
}

static tw_status create_arrays(tw_dataset_writer *w, const tw_dataset_spec *given, int gzip)
{
    tw_status st = TW_OK;
    const hsize_t n = (hsize_t)given->count;
    TW_TRY(create_rows(&w->samples, w, given, gzip));
    TW_TRY(
        tw_alloc(&w->block_labels, w->samples.block, sizeof *w->block_labels, "a block of labels"));
    if (given->num_classes > 0)
        TW_TRY(create_dataset(&w->labels, w->file, "/labels", H5T_STD_I32LE, 1, &n, LABEL_CHUNK,
                              gzip));
    if (given->condition) TW_TRY(create_rows(&w->conditions, w, given->condition, gzip));
    if (given->log_variance) TW_TRY(create_rows(&w->log_variances, w, given->log_variance, gzip));
done:
    return st;
}

static tw_status write_root(const tw_dataset_writer *w)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = &w->spec;
    char splits[TW_DATASET_TEXT_MAX];
    TW_TRY(tw_format_print_splits(spec, splits));
    TW_TRY(tw_h5_write_text(w->file, w->path, "format", TW_DATASET_FORMAT));
    TW_TRY(tw_h5_write_int(w->file, w->path, "format_version", TW_DATASET_VERSION));
    TW_TRY(tw_h5_write_text(w->file, w->path, "name", spec->name));
    TW_TRY(tw_h5_write_int(w->file, w->path, "num_classes", spec->num_classes));
    TW_TRY(tw_h5_write_text(w->file, w->path, "splits", splits));
    TW_TRY(tw_h5_write_text(w->file, w->path, "source", spec->source));
    TW_TRY(tw_h5_write_text(w->file, w->path, "license", spec->license));
    if (spec->encoder[0]) TW_TRY(tw_h5_write_text(w->file, w->path, "encoder", spec->encoder));
done:
    return st;
}

static tw_status create_file(tw_dataset_writer *w)
{
    tw_status st = TW_OK;
    hid_t create = H5I_INVALID_HID, access = H5I_INVALID_HID;
    TRY_H5(create = H5Pcreate(H5P_FILE_CREATE), TW_ENOMEM, "out of memory");
    TRY_H5(access = H5Pcreate(H5P_FILE_ACCESS), TW_ENOMEM, "out of memory");
    TRY_H5(H5Pset_obj_track_times(create, false), TW_EIO, "%s: cannot be created", w->path);
    /* every tool since HDF5 1.8 reads it, and its headers carry checksums */
    TRY_H5(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V110), TW_EIO,
           "%s: cannot be created", w->path);
    TRY_H5(w->file = H5Fcreate(w->output.part, H5F_ACC_EXCL, create, access), TW_EIO,
           "%s: cannot be created", w->path);
done:
    tw_h5_close(&create);
    tw_h5_close(&access);
    return st;
}

/* Copies the spec, with the defaults of an argument filled in. */
static tw_status take_spec(tw_dataset_writer *w, const tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    TW_TRY(tw_format_check(spec, w->path));
    w->spec = own_part(spec);
    w->spec.digest[0] = '\0';
    if (w->spec.split_count == 0) {
        w->spec.split_count = 1;
        w->spec.splits[0] = (tw_dataset_split){.name = "train", .first = 0, .last = spec->count};
    }
done:
    return st;
}

tw_status tw_dataset_writer_create(tw_dataset_writer **out, const tw_dataset_spec *spec,
                                   const tw_dataset_writer_options *options)
{
    tw_status st = TW_OK;
    tw_dataset_writer *w = NULL;
    TW_TRY(tw_h5_start());
    TW_TRY(tw_alloc(&w, 1, sizeof *w, "a dataset writer"));
    w->file = w->labels = H5I_INVALID_HID;
    w->samples.set = w->conditions.set = w->log_variances.set = H5I_INVALID_HID;
    TW_TRY(tw_strdup(&w->path, options->path));
    TW_TRY(take_spec(w, spec));
    TW_TRY(tw_digest_create(&w->digest));
    TW_TRY(tw_output_begin(&w->output, w->path, options->mode));
    TW_TRY(create_file(w));
    TW_TRY(create_arrays(w, spec, options->gzip));
    if (spec->class_names && spec->num_classes > 0)
        TW_TRY(tw_format_write_names(w->file, w->path, spec->num_classes, spec->class_names));
    TW_TRY(write_root(w));
    *out = w;
    w = NULL;
done:
    tw_dataset_writer_abort(&w);
    return st;
}

tw_status tw_dataset_writer_set_text(tw_dataset_writer *w, const char *key, const char *text)
{
    static const char *const own[] = {"format", "format_version", "name",   "num_classes", "splits",
                                      "source", "license",        "digest", "encoder"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(key, own[i]) == 0)
            return tw_error_set(TW_EINTERNAL, "%s: attribute \"%s\" belongs to the format", w->path,
                                key);
    return tw_h5_write_text(w->file, w->path, key, text);
}

static tw_status check_name(const tw_dataset_writer *w, const char *name)
{
    tw_status st = TW_OK;
    static const char *const own[] = {"images",      "points",    "labels",
                                      "class_names", "condition", "log_variance"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        TW_CHECK(strcmp(name, own[i]) != 0, TW_EINTERNAL, "%s: /%s belongs to the format", w->path,
                 name);
    TW_CHECK(!tw_dimensions_is_name(name), TW_EINTERNAL, "%s: /%s is a dimension's name", w->path,
             name);
done:
    return st;
}

tw_status tw_dataset_writer_add_numbers(tw_dataset_writer *w, const char *name,
                                        const double *values)
{
    tw_status st = TW_OK;
    const hsize_t n = (hsize_t)w->spec.count;
    hid_t array = H5I_INVALID_HID;
    TW_TRY(check_name(w, name));
    TW_TRY(create_dataset(&array, w->file, name, H5T_IEEE_F64LE, 1, &n, 0, 0));
    TRY_H5(H5Dwrite(array, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), TW_EIO,
           "%s: /%s cannot be written", w->path, name);
done:
    tw_h5_close(&array);
    return st;
}

/* Writes rows first … first + count − 1 of a dataset. */
static tw_status write_rows(const tw_dataset_writer *w, hid_t dataset, hid_t type, int64_t first,
                            int64_t count, const void *from)
{
    tw_status st = TW_OK;
    hsize_t start[5] = {0}, extent[5];
    hid_t space = H5I_INVALID_HID, memory = H5I_INVALID_HID;
    TRY_H5(space = H5Dget_space(dataset), TW_EIO, "%s: cannot be written", w->path);
    int rank = H5Sget_simple_extent_dims(space, extent, NULL);
    start[0] = (hsize_t)first;
    extent[0] = (hsize_t)count;
    TRY_H5(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, extent, NULL), TW_EIO,
           "%s: cannot be written", w->path);
    TRY_H5(memory = H5Screate_simple(rank, extent, NULL), TW_EIO, "%s: cannot be written", w->path);
    TRY_H5(H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, from), TW_EIO,
           "%s: cannot be written", w->path);
done:
    tw_h5_close(&memory);
    tw_h5_close(&space);
    return st;
}

tw_status tw_dataset_writer_add_rows(tw_dataset_writer *w, const char *name, int axes,
                                     const int64_t *dims, int64_t first, int64_t count,
                                     const float *values)
{
    tw_status st = TW_OK;
    hsize_t extent[5] = {(hsize_t)w->spec.count};
    hid_t array = H5I_INVALID_HID;
    TW_TRY(check_name(w, name));
    TW_CHECK(axes >= 1 && axes <= 4, TW_EINTERNAL, "%s: /%s of %d axes", w->path, name, axes);
    for (int i = 0; i < axes; i++) extent[i + 1] = (hsize_t)dims[i];
    if (H5Lexists(w->file, name, H5P_DEFAULT) > 0)
        TRY_H5(array = H5Dopen2(w->file, name, H5P_DEFAULT), TW_EIO, "%s: /%s cannot be written",
               w->path, name);
    else
        TW_TRY(create_dataset(&array, w->file, name, H5T_IEEE_F32LE, axes + 1, extent, 0, 0));
    TW_TRY(write_rows(w, array, H5T_NATIVE_FLOAT, first, count, values));
done:
    tw_h5_close(&array);
    return st;
}

/* A block of samples takes its labels along. */
static tw_status write_block(const tw_dataset_writer *w, rows *r)
{
    tw_status st = TW_OK;
    if (r->filled == 0) return TW_OK;
    TW_TRY(write_rows(w, r->set, tw_format_memory_type(r->spec.kind), r->written, r->filled,
                      r->stored));
    if (r == &w->samples && w->spec.num_classes > 0)
        TW_TRY(write_rows(w, w->labels, H5T_NATIVE_INT32, r->written, r->filled, w->block_labels));
    if (r == &w->samples) tw_digest_add(w->digest, r->stored, (size_t)r->filled * r->bytes);
    r->written += r->filled;
    r->filled = 0;
done:
    return st;
}

static tw_status append(const tw_dataset_writer *w, rows *r, int64_t count, const void *stored,
                        const int32_t *labels)
{
    tw_status st = TW_OK;
    TW_TRY(tw_format_check_samples(&r->spec, r->written + r->filled, count, stored, w->path));
    for (int64_t done = 0; done < count;) {
        const int64_t n = least(count - done, r->block - r->filled);
        memcpy(r->stored + (size_t)r->filled * r->bytes,
               (const char *)stored + (size_t)done * r->bytes, (size_t)n * r->bytes);
        if (labels) memcpy(w->block_labels + r->filled, labels + done, (size_t)n * sizeof *labels);
        r->filled += n;
        done += n;
        if (r->filled == r->block) TW_TRY(write_block(w, r));
    }
done:
    return st;
}

tw_status tw_dataset_writer_append(tw_dataset_writer *w, int64_t count, const void *stored,
                                   const int32_t *labels)
{
    tw_status st = TW_OK;
    const int64_t first = w->samples.written + w->samples.filled;
    TW_CHECK(count <= w->spec.count - first, TW_EDATA, "%s: sample %lld of %lld was appended",
             w->path, (long long)(first + count), (long long)w->spec.count);
    TW_CHECK((labels != NULL) == (w->spec.num_classes > 0), TW_EDATA,
             "%s: %s labels were appended for %lld classes", w->path, labels ? "some" : "no",
             (long long)w->spec.num_classes);
    if (labels) TW_TRY(tw_format_check_labels(&w->spec, first, count, labels, w->path));
    TW_TRY(append(w, &w->samples, count, stored, labels));
done:
    return st;
}

/* Of an array beside the samples. */
static tw_status append_beside(const tw_dataset_writer *w, rows *r, const char *what, int64_t count,
                               const void *stored)
{
    tw_status st = TW_OK;
    const int64_t first = r->written + r->filled;
    TW_CHECK(r->set >= 0 && count <= w->spec.count - first, TW_EDATA,
             "%s: %s %lld of %lld was appended", w->path, what, (long long)(first + count),
             (long long)(r->set >= 0 ? w->spec.count : 0));
    TW_TRY(append(w, r, count, stored, NULL));
done:
    return st;
}

tw_status tw_dataset_writer_append_condition(tw_dataset_writer *w, int64_t count,
                                             const void *stored)
{
    return append_beside(w, &w->conditions, "condition", count, stored);
}

tw_status tw_dataset_writer_append_log_variance(tw_dataset_writer *w, int64_t count,
                                                const float *values)
{
    return append_beside(w, &w->log_variances, "log variance", count, values);
}

static tw_status digest_rows(const tw_dataset_writer *w, const rows *r)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < w->spec.count && r->set >= 0; i += r->block) {
        const int64_t n = least(r->block, w->spec.count - i);
        TW_TRY(tw_h5_read_rows(r->set, H5P_DEFAULT, tw_format_memory_type(r->spec.kind), i, n,
                               r->stored, w->path, tw_format_object(&r->spec)));
        tw_digest_add(w->digest, r->stored, (size_t)n * r->bytes);
    }
done:
    return st;
}

/* Labels, conditions and log variances come after all samples in the digest, so they are read back.
 */
static tw_status digest_rest(tw_dataset_writer *w)
{
    tw_status st = TW_OK;
    const int64_t block = w->samples.block;
    for (int64_t i = 0; i < w->spec.count && w->spec.num_classes > 0; i += block) {
        const int64_t n = least(block, w->spec.count - i);
        TW_TRY(tw_h5_read_rows(w->labels, H5P_DEFAULT, H5T_NATIVE_INT32, i, n, w->block_labels,
                               w->path, "/labels"));
        tw_digest_add(w->digest, w->block_labels, (size_t)n * sizeof(int32_t));
    }
    TW_TRY(digest_rows(w, &w->conditions));
    TW_TRY(digest_rows(w, &w->log_variances));
done:
    return st;
}

/* All that the spec has announced has arrived, and is in the file. */
static tw_status write_last(tw_dataset_writer *w)
{
    tw_status st = TW_OK;
    static const char *const what[] = {"samples", "conditions", "log variances"};
    rows *const all[] = {&w->samples, &w->conditions, &w->log_variances};
    for (int k = 0; k < 3; k++) {
        TW_TRY(write_block(w, all[k]));
        TW_CHECK(all[k]->set < 0 || all[k]->written == w->spec.count, TW_EDATA,
                 "%s: %lld of %lld %s were appended", w->path, (long long)all[k]->written,
                 (long long)w->spec.count, what[k]);
    }
done:
    return st;
}

static void close_arrays(tw_dataset_writer *w)
{
    tw_h5_close(&w->labels);
    tw_h5_close(&w->log_variances.set);
    tw_h5_close(&w->conditions.set);
    tw_h5_close(&w->samples.set);
}

tw_status tw_dataset_writer_finish(tw_dataset_writer **writer, char *digest)
{
    tw_status st = TW_OK;
    tw_dataset_writer *w = *writer;
    hid_t file;
    TW_TRY(write_last(w));
    TW_TRY(digest_rest(w));
    tw_digest_text(w->digest, w->spec.digest);
    TW_TRY(tw_h5_write_text(w->file, w->path, "digest", w->spec.digest));
    TW_TRY(tw_dimensions_write(w->file, &w->spec, w->path));
    TRY_H5(H5Fflush(w->file, H5F_SCOPE_LOCAL), TW_EIO, "%s: cannot be written",
           w->path); /* now, while it can still be diverted */
    close_arrays(w);
    file = w->file; /* a failed close is not tried again */
    w->file = H5I_INVALID_HID;
    TRY_H5(H5Fclose(file), TW_EIO, "%s: cannot be written", w->path);
    TW_TRY(tw_output_publish(&w->output));
    if (digest) memcpy(digest, w->spec.digest, TW_DATASET_DIGEST_MAX);
done:
    tw_dataset_writer_abort(writer);
    return st;
}

void tw_dataset_writer_abort(tw_dataset_writer **writer)
{
    tw_dataset_writer *w = *writer;
    if (!w) return;
    tw_h5_divert(w->file);
    close_arrays(w);
    tw_h5_close(&w->file);
    tw_output_discard(&w->output);
    tw_digest_destroy(&w->digest);
    tw_free(&w->samples.stored);
    tw_free(&w->conditions.stored);
    tw_free(&w->log_variances.stored);
    tw_free(&w->block_labels);
    tw_free(&w->path);
    tw_free(writer);
}
