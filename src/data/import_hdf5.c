/* An array of any HDF5 file: "FILE:/path", of integers or floats of any width.
 *
 *   [N, H, W, C] or [N, C, H, W]   images; the order of the axes is said by --layout, or by an
 * attribute "layout" of the array [N, H, W]                      images of one channel [N, D]
 * points
 *
 * uint8 images stay uint8; everything else becomes float32. The file is a stranger's: only the
 * named objects are opened, and h5.c says what is refused. */
#include <stdio.h>
#include <string.h>

#include "data/format.h"
#include "data/importer.h"
#include "h5/h5.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"

/* An opened array. */
typedef struct array {
    char path[TW_PATH_MAX]; /* of the file */
    const char *object;     /* into the argument */
    hid_t file, dataset;
    tw_h5_array shape;
} array;

static tw_status open_array(array *a, const char *argument, const char *option)
{
    tw_status st = TW_OK;
    const char *colon = NULL;
    for (const char *c = strstr(argument, ":/"); c; c = strstr(c + 1, ":/"))
        colon = c; /* the last: a file's name may hold one */
    TW_CHECK(colon && colon > argument && colon[2], TW_EUSAGE,
             "%s\"%s\": FILE:/path of an array was expected", option, argument);
    TW_TRY(tw_format(a->path, sizeof a->path, "%.*s", (int)(colon - argument), argument));
    a->object = colon + 1;
    TW_TRY(tw_file_size(NULL, a->path));
    TW_CHECK(H5Fis_hdf5(a->path) > 0, TW_EDATA, "%s: not an HDF5 file", a->path);
    TRY_H5(a->file = H5Fopen(a->path, H5F_ACC_RDONLY, H5P_DEFAULT), TW_EDATA,
           "%s: cannot be opened as an HDF5 file", a->path);
    TW_TRY(tw_h5_open_dataset(&a->dataset, a->file, a->path, a->object));
    TW_TRY(tw_h5_describe(&a->shape, a->dataset, a->path, a->object));
done:
    return st;
}

static void close_array(array *a)
{
    tw_h5_close(&a->dataset);
    tw_h5_close(&a->file);
}

static tw_status choose_layout(const array *a, tw_import_layout wanted, tw_import_layout *out)
{
    tw_status st = TW_OK;
    char text[16] = "";
    bool says = false;
    if (wanted == TW_LAYOUT_AUTO && a->shape.rank == 4) {
        TW_TRY(tw_h5_has_attribute(&says, a->dataset, a->path, a->object, "layout"));
        if (says)
            TW_TRY(tw_h5_read_text(a->dataset, a->path, a->object, "layout", text, sizeof text));
        if (strcmp(text, "NHWC") == 0) wanted = TW_LAYOUT_NHWC;
        if (strcmp(text, "NCHW") == 0) wanted = TW_LAYOUT_NCHW;
        TW_CHECK(wanted != TW_LAYOUT_AUTO, TW_EUSAGE,
                 "%s: %s is [%lld, %lld, %lld, %lld]; say --layout NHWC or --layout NCHW", a->path,
                 a->object, (long long)a->shape.dims[0], (long long)a->shape.dims[1],
                 (long long)a->shape.dims[2], (long long)a->shape.dims[3]);
    }
    *out = wanted;
done:
    return st;
}

static tw_status describe(const array *a, tw_import_layout layout, bool labelled, tw_spool *spool)
{
    tw_status st = TW_OK;
    const tw_h5_array *s = &a->shape;
    const bool uint8 = s->class == H5T_INTEGER && s->size == 1 && !s->is_signed && s->exact;
    const tw_dataset_kind kind = s->rank == 2 ? TW_DATASET_POINTS
                                 : uint8      ? TW_DATASET_UINT8
                                              : TW_DATASET_FLOAT32;
    char where[TW_PATH_MAX + 1100];
    snprintf(where, sizeof where, "%s:%.1000s", a->path, a->object);
    TW_CHECK(s->rank >= 2 && s->rank <= 4, TW_EDATA,
             "%s has %d axes; [N, D], [N, H, W], [N, H, W, C] or [N, C, H, W] was expected", where,
             s->rank);
    if (s->rank == 2)
        TW_TRY(tw_spool_describe(spool, where, kind, 1, 1, s->dims[1], labelled));
    else if (s->rank == 3)
        TW_TRY(tw_spool_describe(spool, where, kind, s->dims[1], s->dims[2], 1, labelled));
    else if (layout == TW_LAYOUT_NCHW)
        TW_TRY(tw_spool_describe(spool, where, kind, s->dims[2], s->dims[3], s->dims[1], labelled));
    else
        TW_TRY(tw_spool_describe(spool, where, kind, s->dims[1], s->dims[2], s->dims[3], labelled));
done:
    return st;
}

/* [C][H W] to [H W][C], elements of `size` bytes. */
static void to_channels_last(char *out, const char *in, int64_t channels, int64_t pixels,
                             size_t size)
{
    for (int64_t c = 0; c < channels; c++)
        for (int64_t p = 0; p < pixels; p++)
            memcpy(out + (size_t)(p * channels + c) * size, in + (size_t)(c * pixels + p) * size,
                   size);
}

static tw_status read_labels(const array *labels, int64_t first, int64_t count, int64_t *out,
                             int64_t classes)
{
    tw_status st = TW_OK;
    TW_TRY(tw_h5_read_rows(labels->dataset, H5P_DEFAULT, H5T_NATIVE_INT64, first, count, out,
                           labels->path, labels->object));
    const int64_t limit = classes > 0 ? classes : TW_DATASET_CLASSES_MAX;
    for (int64_t i = 0; i < count; i++)
        TW_CHECK(out[i] >= 0 && out[i] < limit, TW_EDATA,
                 "%s: %s[%lld] is %lld; 0 to %lld was expected", labels->path, labels->object,
                 (long long)(first + i), (long long)out[i], (long long)limit - 1);
done:
    return st;
}

static tw_status read_all(const tw_import_options *options, tw_spool *spool, const array *a,
                          const array *labels, tw_import_layout layout)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = tw_spool_get_spec(spool);
    const size_t bytes = tw_dataset_sample_bytes(spec);
    const int64_t count = a->shape.dims[0], block = tw_block_samples(spec);
    char *stored = NULL, *turned = NULL;
    int64_t *label = NULL;
    TW_TRY(tw_alloc_arena(&stored, (size_t)block * bytes, "a block of samples"));
    TW_TRY(tw_alloc_arena(&turned, bytes, "a sample"));
    TW_TRY(tw_alloc(&label, block, sizeof *label, "a block of labels"));
    for (int64_t first = 0; first < count; first += block) {
        const int64_t n = count - first < block ? count - first : block;
        TW_TRY(tw_h5_read_rows(a->dataset, H5P_DEFAULT, tw_format_memory_type(spec->kind), first, n,
                               stored, a->path, a->object));
        if (labels) TW_TRY(read_labels(labels, first, n, label, options->num_classes));
        for (int64_t i = 0; i < n; i++) {
            char where[TW_PATH_MAX + 1100];
            const char *sample = stored + (size_t)i * bytes;
            if (layout == TW_LAYOUT_NCHW && a->shape.rank == 4) {
                to_channels_last(turned, sample, spec->channels, spec->height * spec->width,
                                 bytes / (size_t)tw_dataset_elements(spec));
                sample = turned;
            }
            snprintf(where, sizeof where, "%s: %.1000s[%lld]", a->path, a->object,
                     (long long)(first + i));
            TW_TRY(tw_spool_append(spool, NULL, sample, labels ? label[i] : -1, where));
        }
    }
done:
    tw_free(&stored);
    tw_free(&turned);
    tw_free(&label);
    return st;
}

static tw_status run(const tw_import_options *options, tw_spool *spool)
{
    tw_status st = TW_OK;
    array a = {.file = H5I_INVALID_HID, .dataset = H5I_INVALID_HID}, labels = a;
    tw_import_layout layout = TW_LAYOUT_AUTO;
    TW_CHECK(options->input_count == 1, TW_EUSAGE, "%d inputs; one FILE:/path was expected",
             options->input_count);
    TW_TRY(tw_h5_start());
    TW_TRY(open_array(&a, options->inputs[0], ""));
    if (options->labels) {
        TW_TRY(open_array(&labels, options->labels, "--labels "));
        TW_CHECK(labels.shape.class == H5T_INTEGER && labels.shape.rank == 1, TW_EDATA,
                 "%s: %s is not a list of integers", labels.path, labels.object);
        TW_CHECK(labels.shape.dims[0] == a.shape.dims[0], TW_EDATA,
                 "%s: %s holds %lld labels for the %lld samples of %s", labels.path, labels.object,
                 (long long)labels.shape.dims[0], (long long)a.shape.dims[0], options->inputs[0]);
    }
    TW_TRY(choose_layout(&a, options->layout, &layout));
    TW_TRY(describe(&a, layout, options->labels != NULL, spool));
    TW_TRY(read_all(options, spool, &a, options->labels ? &labels : NULL, layout));
done:
    close_array(&labels);
    close_array(&a);
    return st;
}

const tw_importer tw_import_hdf5 = {
    .name = "hdf5",
    .summary = "an array of any HDF5 file, FILE:/path: images [N,H,W,C], [N,C,H,W], [N,H,W] or "
               "points [N,D]",
    .isolated = true,
    .run = run,
};
