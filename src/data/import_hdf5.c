/* Arrays of any HDF5 or netCDF-4 file: "FILE:/path", of integers, floats or booleans of any width.
 *
 *   [N, H, W, C] or [N, C, H, W]   images; the order of the axes is said by --layout, or by an
 *                                  attribute "layout" of the array
 *   [N, H, W]                      images of one channel
 *   [N, D] or [N]                  points
 *
 * Any other order is a --layout. Several arrays are stacked as channels. uint8 images stay uint8;
 * everything else becomes float32, unpacked by what netCDF's conventions say (foreign.h). The file
 * is a stranger's: only the named objects are opened, and h5.h says what is refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/foreign.h"
#include "data/importer.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

enum {
    BLOCK = 1 << 16, /* values converted at a time, or one sample */
    NAMED = 256,     /* channels that get names */
    EXACT_IN_FLOAT = 1 << 24
};

typedef enum fill_kind { FILL_REFUSE, FILL_VALUE, FILL_MEAN } fill_kind;

/* One array among those that are stacked. */
typedef struct input {
    tw_foreign a;
    tw_foreign_axes axes;
    tw_foreign_cf cf;
    tw_foreign_reader *reader;
    hid_t type;
    int64_t elements, first_channel;
    bool bytes; /* uint8 as it is */
    int64_t rounded;
} input;

typedef struct job {
    const tw_import_options *options;
    tw_spool *spool;
    input *inputs;
    int count;
    input labels;
    bool labelled;
    fill_kind fill;
    double fill_value;
    int64_t samples, pixels, channels, block;
    size_t size;   /* of a stored element */
    char *stored;  /* [block][H][W][C] */
    double *value; /* [block][H][W][C of an input], and room to convert in */
    double *label; /* [block], of integers as such */
} job;

/* ---- what there is ---- */

static tw_status parse_fill(job *j)
{
    tw_status st = TW_OK;
    const char *text = j->options->fill;
    if (!text) goto done;
    if (strcmp(text, "mean") == 0) {
        j->fill = FILL_MEAN;
        goto done;
    }
    TW_CHECK(tw_text_to_double(text, &j->fill_value) && isfinite((float)j->fill_value), TW_EUSAGE,
             "--fill \"%s\"; a number or \"mean\" was expected", text);
    j->fill = FILL_VALUE;
done:
    return st;
}

/* Whether the array's bytes are pixels as they are. */
static bool is_bytes(const job *j, const input *in)
{
    const tw_h5_array *s = &in->a.shape;
    const bool one = s->class == H5T_INTEGER && s->size == 1 && !s->is_enum && !in->axes.points;
    const bool plain = one && !s->is_signed && s->exact && in->cf.wrap == 0;
    return (plain || (one && in->cf.wrap > 0)) && !in->cf.packed &&
           (j->fill == FILL_REFUSE || in->cf.missing_count == 0) && j->fill != FILL_MEAN;
}

static tw_status open_input(const job *j, input *in, const char *argument)
{
    tw_status st = TW_OK;
    TW_TRY(tw_foreign_open(&in->a, argument, ""));
    TW_TRY(tw_foreign_choose_axes(&in->axes, &in->a, j->options->layout, j->options->order));
    TW_TRY(tw_foreign_read_cf(&in->cf, &in->a));
    TW_TRY(tw_h5_number_type(&in->type, in->a.dataset, in->a.path, in->a.object));
    in->elements = in->a.shape.elements / in->axes.extent[TW_AXIS_N];
    in->bytes = is_bytes(j, in);
    TW_TRY(tw_foreign_reader_create(&in->reader, &in->a, &in->axes, j->options->path));
done:
    return st;
}

static tw_status compare_inputs(const input *first, const input *in)
{
    tw_status st = TW_OK;
    const int64_t *a = first->axes.extent, *b = in->axes.extent;
    TW_CHECK(first->axes.points == in->axes.points && a[TW_AXIS_N] == b[TW_AXIS_N] &&
                 a[TW_AXIS_H] == b[TW_AXIS_H] && a[TW_AXIS_W] == b[TW_AXIS_W],
             TW_EDATA,
             "%s:%s holds %lld samples of %lld x %lld and %s:%s %lld of %lld x %lld; they cannot "
             "be stacked",
             first->a.path, first->a.object, (long long)a[TW_AXIS_N], (long long)a[TW_AXIS_H],
             (long long)a[TW_AXIS_W], in->a.path, in->a.object, (long long)b[TW_AXIS_N],
             (long long)b[TW_AXIS_H], (long long)b[TW_AXIS_W]);
done:
    return st;
}

static tw_status open_labels(job *j)
{
    tw_status st = TW_OK;
    input *in = &j->labels;
    const tw_h5_array *s = &in->a.shape;
    int longest = 0;
    if (!j->options->labels) goto done;
    TW_TRY(tw_foreign_open(&in->a, j->options->labels, "--labels "));
    for (int i = 0; i < s->rank; i++)
        if (s->dims[i] > s->dims[longest]) longest = i;
    const int64_t count = s->dims[longest];
    /* MATLAB has no other numbers than floats by default */
    TW_CHECK((s->class == H5T_INTEGER || in->a.column_major) && s->elements == count, TW_EDATA,
             "%s: %s is not a list of integers", in->a.path, in->a.object);
    TW_CHECK(count == j->samples, TW_EDATA, "%s: %s holds %lld labels for the %lld samples of %s",
             in->a.path, in->a.object, (long long)count, (long long)j->samples,
             j->options->inputs[0]);
    in->axes = (tw_foreign_axes){.axis = {longest, -1, -1, -1}, .extent = {count, 1, 1, 1}};
    TW_TRY(tw_h5_number_type(&in->type, in->a.dataset, in->a.path, in->a.object));
    TW_TRY(tw_foreign_reader_create(&in->reader, &in->a, &in->axes, j->options->path));
    j->labelled = true;
done:
    return st;
}

/* ---- names ---- */

static tw_status add_channel(tw_text *text, const input *in, int64_t c)
{
    tw_status st = TW_OK;
    const int64_t channels = in->axes.extent[TW_AXIS_C];
    const char *name = tw_import_basename(in->a.object);
    TW_TRY(tw_text_add(text, "%s", name));
    if (channels > 1) TW_TRY(tw_text_add(text, ".%lld", (long long)c));
    TW_TRY(tw_text_add(text, "\t%s\t%s\t%s\n", in->cf.units, in->cf.long_name, in->cf.coordinates));
done:
    return st;
}

/* The names of channels that the array of another dataset brings along, or its own. */
static tw_status name_channels(const job *j)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    char *own = NULL;
    if (j->channels > NAMED) goto done;
    for (int i = 0; i < j->count; i++) {
        const input *in = &j->inputs[i];
        const int64_t channels = in->axes.extent[TW_AXIS_C];
        tw_free(&own);
        if (tw_channel_text_read(&own, in->a.dataset, in->a.path, in->a.object, channels) ==
                TW_OK &&
            own) {
            TW_TRY(tw_text_add(&text, "%s", own));
            continue;
        }
        for (int64_t c = 0; c < channels; c++) TW_TRY(add_channel(&text, in, c));
    }
    TW_TRY(tw_spool_set_channels(j->spool, text.data));
done:
    tw_free(&own);
    tw_text_free(&text);
    return st;
}

static tw_status describe(job *j)
{
    tw_status st = TW_OK;
    const input *in = &j->inputs[0];
    bool bytes = true;
    char where[TW_PATH_MAX + 1100];
    snprintf(where, sizeof where, "%s:%.1000s", in->a.path, in->a.object);
    for (int i = 0; i < j->count; i++) {
        TW_TRY(compare_inputs(in, &j->inputs[i]));
        j->inputs[i].first_channel = j->channels;
        j->channels += j->inputs[i].axes.extent[TW_AXIS_C];
        bytes = bytes && j->inputs[i].bytes;
    }
    j->samples = in->axes.extent[TW_AXIS_N];
    j->pixels = in->axes.extent[TW_AXIS_H] * in->axes.extent[TW_AXIS_W];
    j->size = bytes ? 1 : sizeof(float);
    TW_TRY(open_labels(j));
    TW_TRY(tw_spool_describe(j->spool, where,
                             in->axes.points ? TW_DATASET_POINTS
                             : bytes         ? TW_DATASET_UINT8
                                             : TW_DATASET_FLOAT32,
                             in->axes.extent[TW_AXIS_H], in->axes.extent[TW_AXIS_W], j->channels,
                             j->labelled));
    if (j->fill == FILL_MEAN) tw_spool_fill_mean(j->spool);
    TW_TRY(name_channels(j));
done:
    return st;
}

/* ---- values ---- */

static tw_status refuse_missing(const input *in, int64_t sample, int64_t value, double stored,
                                const char *why)
{
    return tw_error_set(TW_EDATA,
                        "%s: %.1000s[%lld]: value %lld of the sample is missing: it is %g, %s%s; "
                        "--fill VALUE or --fill mean says what to put in the place of missing "
                        "values",
                        in->a.path, in->a.object, (long long)sample, (long long)value, stored,
                        strcmp(why, "NaN") == 0 ? "not a number" : "a ",
                        strcmp(why, "NaN") == 0 ? "" : why);
}

/* Value `i` of a block of samples of one input, unpacked and filled. */
static tw_status take_value(job *j, input *in, int64_t first, int64_t i, double *out)
{
    tw_status st = TW_OK;
    const char *why;
    const double stored = j->value[i];
    double v = tw_foreign_unpack(&in->cf, stored, &why);
    if (why) {
        if (j->fill == FILL_REFUSE)
            TW_TRY(refuse_missing(in, first + i / in->elements, i % in->elements, stored, why));
        v = j->fill == FILL_MEAN ? NAN : j->fill_value;
        if (j->fill == FILL_VALUE)
            tw_spool_add_missing(j->spool, in->first_channel + i % in->axes.extent[TW_AXIS_C], 1);
    } else if (in->a.shape.class == H5T_INTEGER && fabs(stored) > EXACT_IN_FLOAT &&
               !in->cf.packed && (double)(float)v != v) {
        in->rounded++;
    }
    TW_CHECK(!isfinite(v) || isfinite((float)v), TW_EDATA,
             "%s: %s[%lld]: value %lld of the sample is %g, which is beyond float32 (3.4e38); "
             "scale the data",
             in->a.path, in->a.object, (long long)(first + i / in->elements),
             (long long)(i % in->elements), v);
    *out = v;
done:
    return st;
}

/* Where value i of a block goes among stored elements. */
static int64_t target(const job *j, const input *in, int64_t i)
{
    const int64_t channels = in->axes.extent[TW_AXIS_C];
    return i / channels * j->channels + in->first_channel + i % channels;
}

static bool has_nan(const char *raw, int64_t count)
{
    int64_t bad = 0;
    for (int64_t i = 0; i < count; i++) {
        float v;
        memcpy(&v, raw + (size_t)i * sizeof v, sizeof v);
        bad += isnan(v);
    }
    return bad > 0;
}

/* Samples that need no unpacking: copied as they are. */
static bool copy_plain(job *j, const input *in, int64_t count, const char *raw)
{
    const tw_h5_array *s = &in->a.shape;
    const bool floats = s->class == H5T_FLOAT && s->exact && j->size == sizeof(float);
    const int64_t channels = in->axes.extent[TW_AXIS_C];
    if (!in->cf.trivial &&
        !(in->bytes && in->cf.missing_count == 0 && isinf(in->cf.least) && isinf(in->cf.most)))
        return false;
    if (!(in->bytes && j->size == 1) && (!floats || has_nan(raw, count * in->elements)))
        return false;
    const size_t run = (size_t)channels * j->size;
    char *to = j->stored + (size_t)in->first_channel * j->size;
    if (channels == j->channels) {
        memcpy(to, raw, (size_t)(count * j->pixels) * run);
        return true;
    }
    for (int64_t p = 0; p < count * j->pixels; p++)
        memcpy(to + (size_t)(p * j->channels) * j->size, raw + (size_t)p * run, run);
    return true;
}

/* Samples first … first + count − 1 of one input into the block. */
static tw_status take(job *j, input *in, int64_t first, int64_t count)
{
    tw_status st = TW_OK;
    const char *raw;
    int64_t there;
    for (int64_t done = 0; done < count; done += there) {
        double v = 0;
        TW_TRY(tw_foreign_reader_get(in->reader, first + done, &there, &raw));
        if (there > count - done) there = count - done;
        const int64_t n = there * in->elements, at = done * j->pixels * j->channels;
        char *stored = j->stored;
        j->stored += (size_t)at * j->size;
        const bool plain = copy_plain(j, in, there, raw);
        j->stored = stored;
        if (plain) continue;
        memcpy(j->value, raw, (size_t)n * in->a.shape.size);
        TRY_H5(H5Tconvert(in->type, H5T_NATIVE_DOUBLE, (size_t)n, j->value, NULL, H5P_DEFAULT),
               TW_EDATA, "%s: the elements of %s cannot be converted", in->a.path, in->a.object);
        for (int64_t i = 0; i < n; i++) {
            TW_TRY(take_value(j, in, first + done, i, &v));
            const int64_t to = at + target(j, in, i);
            if (j->size == 1)
                ((uint8_t *)j->stored)[to] = (uint8_t)v;
            else
                ((float *)(void *)j->stored)[to] = (float)v;
        }
    }
done:
    return st;
}

/* Labels first … first + count − 1; whole numbers of doubles are exact as far as labels go. */
static tw_status take_labels(job *j, int64_t first, int64_t count)
{
    tw_status st = TW_OK;
    const input *in = &j->labels;
    const int64_t classes = j->options->num_classes;
    const int64_t limit = classes > 0 ? classes : TW_DATASET_CLASSES_MAX;
    const char *raw;
    int64_t there;
    for (int64_t done = 0; done < count; done += there) {
        TW_TRY(tw_foreign_reader_get(in->reader, first + done, &there, &raw));
        if (there > count - done) there = count - done;
        memcpy(j->value, raw, (size_t)there * in->a.shape.size);
        TRY_H5(H5Tconvert(in->type, H5T_NATIVE_DOUBLE, (size_t)there, j->value, NULL, H5P_DEFAULT),
               TW_EDATA, "%s: the elements of %s cannot be converted", in->a.path, in->a.object);
        memcpy(j->label + done, j->value, (size_t)there * sizeof *j->label);
    }
    for (int64_t i = 0; i < count; i++)
        TW_CHECK(j->label[i] >= 0 && j->label[i] < (double)limit &&
                     j->label[i] == floor(j->label[i]),
                 TW_EDATA, "%s: %s[%lld] is %.15g; 0 to %lld was expected", in->a.path,
                 in->a.object, (long long)(first + i), j->label[i], (long long)limit - 1);
done:
    return st;
}

static tw_status read_all(job *j)
{
    tw_status st = TW_OK;
    const input *in = &j->inputs[0];
    const int64_t elements = j->pixels * j->channels;
    j->block = BLOCK / elements > 0 ? BLOCK / elements : 1;
    TW_TRY(tw_alloc_arena(&j->stored, (size_t)(j->block * elements) * j->size, "samples"));
    /* 16: the largest element that is converted */
    TW_TRY(tw_alloc_arena(&j->value, (size_t)(j->block * elements) * 16, "samples"));
    TW_TRY(tw_alloc(&j->label, j->block, sizeof *j->label, "labels"));
    for (int64_t first = 0; first < j->samples; first += j->block) {
        const int64_t n = j->samples - first < j->block ? j->samples - first : j->block;
        for (int i = 0; i < j->count; i++) TW_TRY(take(j, &j->inputs[i], first, n));
        if (j->labelled) TW_TRY(take_labels(j, first, n));
        for (int64_t i = 0; i < n; i++) {
            char where[TW_PATH_MAX + 1100];
            snprintf(where, sizeof where, "%s: %.1000s[%lld]", in->a.path, in->a.object,
                     (long long)(first + i));
            TW_TRY(tw_spool_append(j->spool, NULL, j->stored + (size_t)(i * elements) * j->size,
                                   j->labelled ? (int64_t)j->label[i] : -1, where));
        }
    }
    for (int i = 0; i < j->count; i++)
        if (j->inputs[i].rounded)
            tw_log_warn("%s:%s: %lld integers above 16777216 were rounded: samples are float32",
                        j->inputs[i].a.path, j->inputs[i].a.object,
                        (long long)j->inputs[i].rounded);
done:
    return st;
}

static void close_input(input *in)
{
    tw_foreign_reader_destroy(&in->reader);
    tw_h5_close(&in->type);
    tw_foreign_close(&in->a);
}

static void close_job(job *j)
{
    for (int i = 0; i < j->count; i++) close_input(&j->inputs[i]);
    close_input(&j->labels);
    tw_free(&j->inputs);
    tw_free(&j->stored);
    tw_free(&j->value);
    tw_free(&j->label);
}

static tw_status run(const tw_import_options *options, tw_spool *spool)
{
    tw_status st = TW_OK;
    const input closed = {.a = {.file = H5I_INVALID_HID, .dataset = H5I_INVALID_HID},
                          .type = H5I_INVALID_HID};
    job j = {.options = options, .spool = spool, .labels = closed};
    TW_CHECK(options->input_count == 1 || options->stack, TW_EUSAGE,
             "%d inputs; one FILE:/path was expected, or --stack, which makes them channels of the "
             "same samples",
             options->input_count);
    TW_TRY(tw_h5_start());
    TW_TRY(parse_fill(&j));
    TW_TRY(tw_alloc(&j.inputs, options->input_count, sizeof *j.inputs, "arrays"));
    for (; j.count < options->input_count; j.count++) j.inputs[j.count] = closed;
    for (int i = 0; i < j.count; i++) TW_TRY(open_input(&j, &j.inputs[i], options->inputs[i]));
    TW_TRY(describe(&j));
    TW_TRY(read_all(&j));
done:
    close_job(&j);
    return st;
}

const tw_importer tw_import_hdf5 = {
    .name = "hdf5",
    .summary = "arrays of any HDF5 or netCDF-4 file, FILE:/path: images [N,H,W,C], [N,C,H,W], "
               "[N,H,W], points [N,D], or any --layout",
    .isolated = true,
    .run = run,
};
