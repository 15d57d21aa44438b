/* Writing a dataset: one process, the serial driver, a temporary name, a block in memory.
 *
 * The bytes of the file are a function of the spec, the options and the samples alone, not of how
 * many were appended at a time: no time stamps, and whole blocks are written. (MPI-IO is never used
 * for writing: parallel HDF5 hangs all ranks when a write fails on one.) */
#include <stdlib.h>
#include <string.h>

#include "data/digest.h"
#include "data/format.h"
#include "h5/h5.h"
#include "tweedie/memory.h"

/* Chunks of a compressed dataset: small enough that reading one sample does not unpack a megabyte.
 * MNIST packs to 11.40 MB with chunks of 64 KiB, 11.36 with 96, 11.34 with 256 and 11.31 with 1024.
 */
enum { CHUNK_BYTES = 96 << 10, LABEL_CHUNK = 16384 };

struct tw_dataset_writer {
    tw_dataset_spec spec;
    float *units; /* offset, then scale */
    char *path;
    tw_output output;
    hid_t file, samples, labels;
    tw_digest *digest;
    int64_t block, filled, written; /* samples: of a block, waiting in it, in the file */
    char *stored;                   /* [block] */
    int32_t *block_labels;          /* [block] */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
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

static tw_status create_samples(tw_dataset_writer *w, int gzip)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = &w->spec;
    const char *object = tw_format_object(spec->kind);
    const bool points = spec->kind == TW_DATASET_POINTS;
    hsize_t n = (hsize_t)spec->count,
            images[4] = {n, (hsize_t)spec->height, (hsize_t)spec->width, (hsize_t)spec->channels},
            coordinates[2] = {n, (hsize_t)spec->channels};
    TW_TRY(create_dataset(&w->samples, w->file, object, tw_format_file_type(spec->kind),
                          points ? 2 : 4, points ? coordinates : images, w->block, gzip));
    if (!points) TW_TRY(tw_h5_write_text(w->samples, w->path, "layout", "NHWC"));
    if (spec->kind != TW_DATASET_UINT8) {
        TW_TRY(tw_h5_write_floats(w->samples, w->path, "offset", spec->channels, w->units));
        TW_TRY(tw_h5_write_floats(w->samples, w->path, "scale", spec->channels,
                                  w->units + spec->channels));
    }
    if (spec->num_classes > 0)
        TW_TRY(create_dataset(&w->labels, w->file, "/labels", H5T_STD_I32LE, 1, &n, LABEL_CHUNK,
                              gzip));
done:
    return st;
}

static tw_status write_class_names(const tw_dataset_writer *w, const char *const *names)
{
    tw_status st = TW_OK;
    hid_t dataset = H5I_INVALID_HID, type = H5I_INVALID_HID;
    hsize_t classes = (hsize_t)w->spec.num_classes;
    char *text = NULL;
    size_t width = 1;
    for (hsize_t i = 0; i < classes; i++)
        if (strlen(names[i]) > width) width = strlen(names[i]);
    TW_CHECK(width < TW_DATASET_CLASS_MAX, TW_EDATA,
             "%s: a class name has %zu bytes; at most %d are stored", w->path, width,
             TW_DATASET_CLASS_MAX - 1);
    TW_TRY(tw_alloc(&text, (int64_t)classes, width, "class names"));
    for (hsize_t i = 0; i < classes; i++) memcpy(text + i * width, names[i], strlen(names[i]));
    TRY_H5(type = H5Tcopy(H5T_C_S1), TW_ENOMEM, "out of memory");
    TRY_H5(H5Tset_size(type, width), TW_ENOMEM, "out of memory");
    TRY_H5(H5Tset_strpad(type, H5T_STR_NULLPAD), TW_ENOMEM, "out of memory");
    TRY_H5(H5Tset_cset(type, H5T_CSET_UTF8), TW_ENOMEM, "out of memory");
    TW_TRY(create_dataset(&dataset, w->file, "/class_names", type, 1, &classes, 0, 0));
    TRY_H5(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text), TW_EIO,
           "%s: /class_names cannot be written", w->path);
done:
    tw_h5_close(&type);
    tw_h5_close(&dataset);
    tw_free(&text);
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
    w->spec = *spec;
    w->spec.offset = w->spec.scale = NULL;
    w->spec.class_names = NULL;
    w->spec.channel_text = NULL;
    w->spec.digest[0] = '\0';
    if (w->spec.split_count == 0) {
        w->spec.split_count = 1;
        w->spec.splits[0] = (tw_dataset_split){.name = "train", .first = 0, .last = spec->count};
    }
    if (spec->kind == TW_DATASET_UINT8) goto done;
    TW_TRY(tw_alloc(&w->units, 2 * spec->channels, sizeof *w->units, "channel offsets and scales"));
    for (int64_t c = 0; c < spec->channels; c++) {
        w->units[c] = spec->scale ? spec->offset[c] : 0;
        w->units[spec->channels + c] = spec->scale ? spec->scale[c] : 1;
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
    w->file = w->samples = w->labels = H5I_INVALID_HID;
    TW_TRY(tw_strdup(&w->path, options->path));
    TW_TRY(take_spec(w, spec));
    const size_t bytes = tw_dataset_sample_bytes(spec);
    w->block = tw_block_samples(spec);
    if (options->gzip) w->block = bytes < CHUNK_BYTES ? CHUNK_BYTES / (int64_t)bytes : 1;
    TW_TRY(tw_alloc_arena(&w->stored, (size_t)w->block * bytes, "a block of samples"));
    TW_TRY(tw_alloc(&w->block_labels, w->block, sizeof *w->block_labels, "a block of labels"));
    TW_TRY(tw_digest_create(&w->digest));
    TW_TRY(tw_output_begin(&w->output, w->path, options->mode));
    TW_TRY(create_file(w));
    TW_TRY(create_samples(w, options->gzip));
    if (spec->channel_text)
        TW_TRY(tw_channel_text_write(w->samples, w->path, spec->channels, spec->channel_text));
    if (spec->class_names && spec->num_classes > 0) TW_TRY(write_class_names(w, spec->class_names));
    TW_TRY(write_root(w));
    *out = w;
    w = NULL;
done:
    tw_dataset_writer_abort(&w);
    return st;
}

tw_status tw_dataset_writer_set_text(tw_dataset_writer *w, const char *key, const char *text)
{
    static const char *const own[] = {"format", "format_version", "name",    "num_classes",
                                      "splits", "source",         "license", "digest"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(key, own[i]) == 0)
            return tw_error_set(TW_EINTERNAL, "%s: attribute \"%s\" belongs to the format", w->path,
                                key);
    return tw_h5_write_text(w->file, w->path, key, text);
}

static tw_status check_name(const tw_dataset_writer *w, const char *name)
{
    tw_status st = TW_OK;
    TW_CHECK(strcmp(name, "images") != 0 && strcmp(name, "points") != 0 &&
                 strcmp(name, "labels") != 0 && strcmp(name, "class_names") != 0,
             TW_EINTERNAL, "%s: /%s belongs to the format", w->path, name);
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
                            int64_t count, const void *rows)
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
    TRY_H5(H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, rows), TW_EIO,
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

static tw_status write_block(tw_dataset_writer *w)
{
    tw_status st = TW_OK;
    if (w->filled == 0) return TW_OK;
    TW_TRY(write_rows(w, w->samples, tw_format_memory_type(w->spec.kind), w->written, w->filled,
                      w->stored));
    if (w->spec.num_classes > 0)
        TW_TRY(write_rows(w, w->labels, H5T_NATIVE_INT32, w->written, w->filled, w->block_labels));
    tw_digest_add(w->digest, w->stored, (size_t)w->filled * tw_dataset_sample_bytes(&w->spec));
    w->written += w->filled;
    w->filled = 0;
done:
    return st;
}

tw_status tw_dataset_writer_append(tw_dataset_writer *w, int64_t count, const void *stored,
                                   const int32_t *labels)
{
    tw_status st = TW_OK;
    const size_t bytes = tw_dataset_sample_bytes(&w->spec);
    const int64_t first = w->written + w->filled;
    TW_CHECK(count <= w->spec.count - first, TW_EDATA, "%s: sample %lld of %lld was appended",
             w->path, (long long)(first + count), (long long)w->spec.count);
    TW_CHECK((labels != NULL) == (w->spec.num_classes > 0), TW_EDATA,
             "%s: %s labels were appended for %lld classes", w->path, labels ? "some" : "no",
             (long long)w->spec.num_classes);
    TW_TRY(tw_format_check_samples(&w->spec, first, count, stored, w->path));
    if (labels) TW_TRY(tw_format_check_labels(&w->spec, first, count, labels, w->path));
    for (int64_t done = 0; done < count;) {
        int64_t n = least(count - done, w->block - w->filled);
        memcpy(w->stored + (size_t)w->filled * bytes, (const char *)stored + (size_t)done * bytes,
               (size_t)n * bytes);
        if (labels) memcpy(w->block_labels + w->filled, labels + done, (size_t)n * sizeof *labels);
        w->filled += n;
        done += n;
        if (w->filled == w->block) TW_TRY(write_block(w));
    }
done:
    return st;
}

/* The labels come after all samples in the digest, so they are read back. */
static tw_status digest_labels(tw_dataset_writer *w)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < w->spec.count && w->spec.num_classes > 0; i += w->block) {
        int64_t n = least(w->block, w->spec.count - i);
        TW_TRY(tw_h5_read_rows(w->labels, H5P_DEFAULT, H5T_NATIVE_INT32, i, n, w->block_labels,
                               w->path, "/labels"));
        tw_digest_add(w->digest, w->block_labels, (size_t)n * sizeof(int32_t));
    }
done:
    return st;
}

tw_status tw_dataset_writer_finish(tw_dataset_writer **writer, char *digest)
{
    tw_status st = TW_OK;
    tw_dataset_writer *w = *writer;
    hid_t file;
    TW_TRY(write_block(w));
    TW_CHECK(w->written == w->spec.count, TW_EDATA, "%s: %lld of %lld samples were appended",
             w->path, (long long)w->written, (long long)w->spec.count);
    TW_TRY(digest_labels(w));
    tw_digest_text(w->digest, w->spec.digest);
    TW_TRY(tw_h5_write_text(w->file, w->path, "digest", w->spec.digest));
    TRY_H5(H5Fflush(w->file, H5F_SCOPE_LOCAL), TW_EIO, "%s: cannot be written",
           w->path); /* now, while it can still be diverted */
    tw_h5_close(&w->labels);
    tw_h5_close(&w->samples);
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
    tw_h5_close(&w->labels);
    tw_h5_close(&w->samples);
    tw_h5_close(&w->file);
    tw_output_discard(&w->output);
    tw_digest_destroy(&w->digest);
    tw_free(&w->stored);
    tw_free(&w->block_labels);
    tw_free(&w->units);
    tw_free(&w->path);
    tw_free(writer);
}
