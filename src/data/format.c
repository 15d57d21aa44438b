/* Reading the structure of a dataset file. Everything is checked before it is believed: a file may
 * be damaged, or made by somebody else. */
#include "data/format.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "h5/h5.h"
#include "tweedie/memory.h"

static const struct {
    const char *name, *object;
    size_t element;
    int rank;
} kinds[] = {
    [TW_DATASET_UINT8] = {"uint8 images", "/images", 1, 4},
    [TW_DATASET_FLOAT32] = {"float32 images", "/images", 4, 4},
    [TW_DATASET_POINTS] = {"points", "/points", 4, 2},
};

const char *tw_dataset_kind_name(tw_dataset_kind kind)
{
    return kinds[kind].name;
}

const char *tw_format_object(const tw_dataset_spec *spec)
{
    return spec->is_condition      ? "/condition"
           : spec->is_log_variance ? "/log_variance"
                                   : kinds[spec->kind].object;
}

int tw_format_rank(const tw_dataset_spec *spec)
{
    return kinds[spec->kind].rank;
}

tw_dataset_spec tw_dataset_condition_spec(const tw_dataset_spec *samples, bool bytes,
                                          int64_t channels)
{
    const bool points = samples->kind == TW_DATASET_POINTS;
    return (tw_dataset_spec){.kind = points  ? TW_DATASET_POINTS
                                     : bytes ? TW_DATASET_UINT8
                                             : TW_DATASET_FLOAT32,
                             .count = samples->count,
                             .height = samples->height,
                             .width = samples->width,
                             .channels = channels,
                             .is_condition = true};
}

tw_dataset_spec tw_dataset_log_variance_spec(const tw_dataset_spec *samples)
{
    return (tw_dataset_spec){.kind = TW_DATASET_FLOAT32,
                             .count = samples->count,
                             .height = samples->height,
                             .width = samples->width,
                             .channels = samples->channels,
                             .is_log_variance = true};
}

hid_t tw_format_file_type(tw_dataset_kind kind)
{
    return kind == TW_DATASET_UINT8 ? H5T_STD_U8LE : H5T_IEEE_F32LE;
}

hid_t tw_format_memory_type(tw_dataset_kind kind)
{
    return kind == TW_DATASET_UINT8 ? H5T_NATIVE_UINT8 : H5T_NATIVE_FLOAT;
}

int64_t tw_dataset_elements(const tw_dataset_spec *spec)
{
    return spec->height * spec->width * spec->channels;
}

size_t tw_dataset_sample_bytes(const tw_dataset_spec *spec)
{
    return (size_t)tw_dataset_elements(spec) * kinds[spec->kind].element;
}

int64_t tw_block_samples(const tw_dataset_spec *spec)
{
    int64_t n = TW_BLOCK_BYTES / (int64_t)tw_dataset_sample_bytes(spec);
    return n > 0 ? n : 1;
}

/* Conditions stand beside the samples, pixel by pixel. */
static tw_status check_condition(const tw_dataset_spec *spec, const char *path)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *c = spec->condition;
    TW_CHECK(c->is_condition && (c->kind == TW_DATASET_POINTS) == (spec->kind == TW_DATASET_POINTS),
             TW_EDATA, "%s: the conditions of %s are %s", path, tw_dataset_kind_name(spec->kind),
             tw_dataset_kind_name(c->kind));
    TW_CHECK(c->count == spec->count && c->height == spec->height && c->width == spec->width,
             TW_EDATA,
             "%s: /condition holds %lld of %lld x %lld; as many as samples, and of their sides, "
             "were expected: %lld of %lld x %lld",
             path, (long long)c->count, (long long)c->height, (long long)c->width,
             (long long)spec->count, (long long)spec->height, (long long)spec->width);
    TW_TRY(tw_format_check(c, path));
done:
    return st;
}

/* Each number of a latent has one. */
static tw_status check_log_variance(const tw_dataset_spec *spec, const char *path)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *v = spec->log_variance;
    TW_CHECK(spec->kind == TW_DATASET_FLOAT32, TW_EDATA,
             "%s: /log_variance belongs to latents, float32 images; the samples are %s", path,
             tw_dataset_kind_name(spec->kind));
    TW_CHECK(
        v->is_log_variance && v->kind == TW_DATASET_FLOAT32 && v->count == spec->count &&
            v->height == spec->height && v->width == spec->width && v->channels == spec->channels,
        TW_EDATA,
        "%s: /log_variance holds %s [%lld, %lld, %lld, %lld]; as /images, float32 [%lld, "
        "%lld, %lld, %lld], was expected",
        path, v->kind == TW_DATASET_UINT8 ? "uint8" : "float32", (long long)v->count,
        (long long)v->height, (long long)v->width, (long long)v->channels, (long long)spec->count,
        (long long)spec->height, (long long)spec->width, (long long)spec->channels);
done:
    return st;
}

tw_status tw_format_check(const tw_dataset_spec *spec, const char *path)
{
    tw_status st = TW_OK;
    const char *object = tw_format_object(spec);
    int64_t bytes;
    TW_CHECK(spec->count > 0 && spec->height > 0 && spec->width > 0 && spec->channels > 0, TW_EDATA,
             "%s: %s has shape [%lld, %lld, %lld, %lld]; no axis may be empty", path, object,
             (long long)spec->count, (long long)spec->height, (long long)spec->width,
             (long long)spec->channels);
    TW_CHECK(spec->channels <= TW_DATASET_CHANNELS_MAX, TW_EDATA,
             "%s: %s has %lld channels; at most %d are understood", path, object,
             (long long)spec->channels, TW_DATASET_CHANNELS_MAX);
    TW_CHECK(!__builtin_mul_overflow(spec->height, spec->width, &bytes) &&
                 !__builtin_mul_overflow(bytes, spec->channels, &bytes) &&
                 !__builtin_mul_overflow(bytes, (int64_t)kinds[spec->kind].element, &bytes) &&
                 bytes <= INT32_MAX,
             TW_EDATA, "%s: a sample of %s is larger than 2 GiB", path, object);
    TW_CHECK(!__builtin_mul_overflow(bytes, spec->count, &bytes), TW_EDATA,
             "%s: %s claims more bytes than can be counted", path, object);
    TW_CHECK(spec->num_classes >= 0 && spec->num_classes <= TW_DATASET_CLASSES_MAX, TW_EDATA,
             "%s: num_classes is %lld; 0 to %d was expected", path, (long long)spec->num_classes,
             TW_DATASET_CLASSES_MAX);
    for (int64_t c = 0; spec->scale && c < spec->channels; c++)
        /* a denormal scale has no finite inverse */
        TW_CHECK(isfinite(spec->scale[c]) && spec->scale[c] >= FLT_MIN && isfinite(spec->offset[c]),
                 TW_EDATA,
                 "%s: offset and scale of channel %lld of %s are %g and %g; a scale of at least "
                 "1.2e-38 was expected",
                 path, (long long)c, object, (double)spec->offset[c], (double)spec->scale[c]);
    for (int i = 0; i < spec->split_count; i++) {
        const tw_dataset_split *split = &spec->splits[i];
        TW_CHECK(split->first >= 0 && split->first < split->last && split->last <= spec->count,
                 TW_EDATA, "%s: split \"%s\" is %lld:%lld of %lld samples", path, split->name,
                 (long long)split->first, (long long)split->last, (long long)spec->count);
    }
    if (spec->condition) TW_TRY(check_condition(spec, path));
    if (spec->log_variance) TW_TRY(check_log_variance(spec, path));
done:
    return st;
}

tw_status tw_format_check_samples(const tw_dataset_spec *spec, int64_t first, int64_t count,
                                  const void *stored, const char *path)
{
    tw_status st = TW_OK;
    if (spec->kind == TW_DATASET_UINT8) return TW_OK;
    const float *v = stored;
    int64_t dims = tw_dataset_elements(spec), bad = 0;
    for (int64_t i = 0; i < count * dims; i++) bad += !isfinite(v[i]);
    if (!bad) return TW_OK;
    for (int64_t i = 0; i < count * dims; i++)
        TW_CHECK(isfinite(v[i]), TW_EDATA,
                 "%s: %s[%lld] holds %g at element %lld; finite numbers were expected", path,
                 tw_format_object(spec), (long long)(first + i / dims), (double)v[i],
                 (long long)(i % dims));
done:
    return st;
}

tw_status tw_format_check_labels(const tw_dataset_spec *spec, int64_t first, int64_t count,
                                 const int32_t *labels, const char *path)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < count; i++)
        TW_CHECK(labels[i] >= 0 && labels[i] < spec->num_classes, TW_EDATA,
                 "%s: /labels[%lld] is %d; 0 to %lld was expected", path, (long long)(first + i),
                 (int)labels[i], (long long)spec->num_classes - 1);
done:
    return st;
}

/* Of latents alone. */
static tw_status read_encoder(tw_dataset_file *f, const char *path)
{
    tw_status st = TW_OK;
    bool found = false;
    TW_TRY(tw_h5_has_attribute(&found, f->file, path, "/", "encoder"));
    if (!found) return TW_OK;
    TW_TRY(tw_h5_read_text(f->file, path, "/", "encoder", f->spec.encoder, sizeof f->spec.encoder));
done:
    return st;
}

static tw_status read_root(tw_dataset_file *f, const char *path)
{
    tw_status st = TW_OK;
    tw_dataset_spec *spec = &f->spec;
    char format[64] = "", splits[TW_DATASET_TEXT_MAX];
    bool found = false;
    int64_t version;
    TW_TRY(tw_h5_has_attribute(&found, f->file, path, "/", "format"));
    TW_CHECK(found, TW_EDATA,
             "%s: not a Tweedie dataset: / has no attribute \"format\" (tweedie import makes one "
             "from it)",
             path);
    TW_TRY(tw_h5_read_text(f->file, path, "/", "format", format, sizeof format));
    TW_CHECK(strcmp(format, TW_DATASET_FORMAT) == 0, TW_EDATA,
             "%s: / says format \"%s\"; \"" TW_DATASET_FORMAT "\" was expected", path, format);
    TW_TRY(tw_h5_read_int(f->file, path, "/", "format_version", &version));
    TW_CHECK(version == TW_DATASET_VERSION, TW_EDATA,
             "%s: / says format_version %lld; this program understands version %d", path,
             (long long)version, TW_DATASET_VERSION);
    TW_TRY(tw_h5_read_text(f->file, path, "/", "name", spec->name, sizeof spec->name));
    TW_TRY(tw_h5_read_text(f->file, path, "/", "source", spec->source, sizeof spec->source));
    TW_TRY(tw_h5_read_text(f->file, path, "/", "license", spec->license, sizeof spec->license));
    TW_TRY(tw_h5_read_text(f->file, path, "/", "digest", spec->digest, sizeof spec->digest));
    TW_TRY(read_encoder(f, path));
    TW_TRY(tw_h5_read_int(f->file, path, "/", "num_classes", &spec->num_classes));
    TW_TRY(tw_h5_read_text(f->file, path, "/", "splits", splits, sizeof splits));
    TW_TRY(tw_format_parse_splits(spec, splits, path));
done:
    return st;
}

/* Chunks of at most a block, unless one sample alone is larger: the reader's cache and memory are
 * laid out for that. */
static tw_status check_chunks(const tw_h5_array *a, const char *path, const char *object)
{
    tw_status st = TW_OK;
    TW_CHECK(a->chunk_rows <= 1 || a->chunk_bytes <= TW_BLOCK_BYTES, TW_EDATA,
             "%s: %s has chunks of %lld bytes; at most %d were expected (h5repack changes it)",
             path, object, (long long)a->chunk_bytes, TW_BLOCK_BYTES);
done:
    return st;
}

/* Opens the array that the spec names, and reads its type and extents. `images`: of four axes, else
 * of two. */
static tw_status open_array(tw_format_array *array, tw_dataset_spec *spec, hid_t file, bool images,
                            const char *path)
{
    tw_status st = TW_OK;
    tw_h5_array a;
    char layout[16];
    const char *object = tw_format_object(spec);
    TW_TRY(tw_h5_open_dataset(&array->set, file, path, object));
    TW_TRY(tw_h5_check_single(array->set, path, object));
    TW_TRY(tw_h5_describe(&a, array->set, path, object));
    if (images && a.class == H5T_FLOAT) spec->kind = TW_DATASET_FLOAT32;
    TW_CHECK(a.exact &&
                 (a.class == H5T_FLOAT ? a.size == 4 : images && a.size == 1 && !a.is_signed),
             TW_EDATA,
             "%s: %s has elements of another type; %s was expected (tweedie import --format hdf5 "
             "converts)",
             path, object, images ? "uint8 or little-endian float32" : "little-endian float32");
    TW_CHECK(a.rank == (images ? 4 : 2), TW_EDATA, "%s: %s has %d axes; %s was expected", path,
             object, a.rank, images ? "[N, H, W, C]" : "[N, D]");
    TW_TRY(check_chunks(&a, path, object));
    spec->count = a.dims[0];
    spec->height = images ? a.dims[1] : 1;
    spec->width = images ? a.dims[2] : 1;
    spec->channels = images ? a.dims[3] : a.dims[1];
    if (images) {
        TW_TRY(tw_h5_read_text(array->set, path, object, "layout", layout, sizeof layout));
        TW_CHECK(strcmp(layout, "NHWC") == 0, TW_EDATA,
                 "%s: %s has layout \"%s\"; \"NHWC\" was expected", path, object, layout);
    }
done:
    return st;
}

static tw_status read_units(tw_format_array *a, tw_dataset_spec *spec, const char *path)
{
    tw_status st = TW_OK;
    const char *object = tw_format_object(spec);
    if (spec->kind == TW_DATASET_UINT8 || spec->is_log_variance) return TW_OK;
    TW_CHECK(spec->channels <= TW_DATASET_CHANNELS_MAX, TW_EDATA,
             "%s: %s has %lld channels; at most %d are understood", path, object,
             (long long)spec->channels, TW_DATASET_CHANNELS_MAX);
    TW_TRY(tw_alloc(&a->offset, spec->channels, sizeof *a->offset, "channel offsets"));
    TW_TRY(tw_alloc(&a->scale, spec->channels, sizeof *a->scale, "channel scales"));
    TW_TRY(tw_h5_read_floats(a->set, path, object, "offset", spec->channels, a->offset));
    TW_TRY(tw_h5_read_floats(a->set, path, object, "scale", spec->channels, a->scale));
    spec->offset = a->offset;
    spec->scale = a->scale;
done:
    return st;
}

/* All that an array says of itself. */
static tw_status read_array(tw_format_array *a, tw_dataset_spec *spec, hid_t file, bool images,
                            const char *path)
{
    tw_status st = TW_OK;
    TW_TRY(open_array(a, spec, file, images, path));
    TW_TRY(read_units(a, spec, path));
    TW_TRY(tw_channel_text_read(&a->channel_text, a->set, path, tw_format_object(spec),
                                spec->channels));
    spec->channel_text = a->channel_text;
done:
    return st;
}

static tw_status read_samples(tw_dataset_file *f, const char *path)
{
    tw_status st = TW_OK;
    bool images, points;
    TW_TRY(tw_h5_has(&images, f->file, path, "/images"));
    TW_TRY(tw_h5_has(&points, f->file, path, "/points"));
    TW_CHECK(images != points, TW_EDATA, "%s: either /images or /points was expected, %s", path,
             images ? "and both are there" : "not none");
    f->spec.kind = points ? TW_DATASET_POINTS : TW_DATASET_UINT8;
    TW_TRY(read_array(&f->samples, &f->spec, f->file, images, path));
done:
    return st;
}

static tw_status read_conditions(tw_dataset_file *f, const char *path)
{
    tw_status st = TW_OK;
    bool there;
    TW_TRY(tw_h5_has(&there, f->file, path, "/condition"));
    if (!there) return TW_OK;
    TW_TRY(tw_alloc(&f->condition, 1, sizeof *f->condition, "what conditions are"));
    *f->condition = tw_dataset_condition_spec(&f->spec, true, 0);
    TW_TRY(
        read_array(&f->conditions, f->condition, f->file, f->spec.kind != TW_DATASET_POINTS, path));
    f->spec.condition = f->condition;
done:
    return st;
}

static tw_status read_log_variances(tw_dataset_file *f, const char *path)
{
    tw_status st = TW_OK;
    bool there;
    TW_TRY(tw_h5_has(&there, f->file, path, "/log_variance"));
    if (!there) return TW_OK;
    TW_TRY(tw_alloc(&f->log_variance, 1, sizeof *f->log_variance, "what log variances are"));
    *f->log_variance = tw_dataset_log_variance_spec(&f->spec);
    f->log_variance->kind = TW_DATASET_UINT8; /* until the file says more */
    TW_TRY(read_array(&f->log_variances, f->log_variance, f->file, true, path));
    f->spec.log_variance = f->log_variance;
done:
    return st;
}

static tw_status open_labels(tw_dataset_file *f, const char *path)
{
    tw_status st = TW_OK;
    tw_h5_array a;
    bool labelled;
    TW_TRY(tw_h5_has(&labelled, f->file, path, "/labels"));
    TW_CHECK(labelled == (f->spec.num_classes > 0), TW_EDATA,
             "%s: num_classes is %lld, but /labels is %s", path, (long long)f->spec.num_classes,
             labelled ? "there" : "missing");
    if (!labelled) goto done;
    TW_TRY(tw_h5_open_dataset(&f->labels, f->file, path, "/labels"));
    TW_TRY(tw_h5_check_single(f->labels, path, "/labels"));
    TW_TRY(tw_h5_describe(&a, f->labels, path, "/labels"));
    TW_CHECK(a.class == H5T_INTEGER && a.exact && a.size == 4 && a.is_signed && a.rank == 1,
             TW_EDATA, "%s: /labels is not a list of little-endian int32", path);
    TW_CHECK(a.dims[0] == f->spec.count, TW_EDATA, "%s: there are %lld labels for %lld samples",
             path, (long long)a.dims[0], (long long)f->spec.count);
    TW_TRY(check_chunks(&a, path, "/labels"));
done:
    return st;
}

tw_status tw_dataset_file_open(tw_dataset_file *out, const char *path, const char *by, hid_t access)
{
    tw_status st = TW_OK;
    tw_dataset_file f = TW_DATASET_FILE_CLOSED;
    TRY_H5(f.file = H5Fopen(by, H5F_ACC_RDONLY, access), TW_EDATA,
           "%s: cannot be opened as an HDF5 file", path);
    TW_TRY(read_root(&f, path));
    TW_TRY(read_samples(&f, path));
    TW_TRY(read_conditions(&f, path));
    TW_TRY(read_log_variances(&f, path));
    TW_TRY(open_labels(&f, path));
    TW_TRY(tw_format_read_names(&f, path));
    TW_TRY(tw_format_check(&f.spec, path));
    *out = f;
done:
    if (st != TW_OK) tw_dataset_file_close(&f);
    return st;
}

static void close_array(tw_format_array *a)
{
    tw_h5_close(&a->set);
    tw_free(&a->offset);
    tw_free(&a->scale);
    tw_free(&a->channel_text);
}

void tw_dataset_file_close(tw_dataset_file *f)
{
    tw_h5_close(&f->labels);
    close_array(&f->samples);
    close_array(&f->conditions);
    close_array(&f->log_variances);
    tw_h5_close(&f->file);
    tw_free(&f->class_names);
    tw_free(&f->class_text);
    tw_free(&f->condition);
    tw_free(&f->log_variance);
}
