/* Importing: an importer or generator fills the spool, then the spool is written in a random order.
 */
#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "data/format.h"
#include "data/importer.h"
#include "data/points.h"
#include "data/spool_condition.h"
#include "h5/isolate.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

enum { DEFAULT_POINTS = 10000 };

bool tw_import_format(int i, const char **name, const char **summary)
{
    if (i < 0 || i >= tw_import_count + tw_points_count) return false;
    const int j = i - tw_import_count;
    *name = j < 0 ? tw_import_table[i]->name : tw_points_table[j]->name;
    *summary = j < 0 ? tw_import_table[i]->summary : tw_points_table[j]->summary;
    return true;
}

bool tw_import_is_generated(const char *format)
{
    for (int i = 0; i < tw_points_count; i++)
        if (strcmp(tw_points_table[i]->name, format) == 0) return true;
    return false;
}

const char *tw_import_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* Whether the word stands in the name, and not as the end of a longer one ("latest"). */
static bool has_word(const char *name, const char *word)
{
    for (const char *c = strstr(name, word); c; c = strstr(c + 1, word))
        if (c == name || !isalpha((unsigned char)c[-1])) return true;
    return false;
}

const char *tw_import_split_of(const char *path)
{
    const char *name = tw_import_basename(path);
    if (has_word(name, "t10k") || has_word(name, "test")) return "test";
    return has_word(name, "train") || has_word(name, "data_batch") ? "train" : NULL;
}

static tw_status generate(const tw_points_generator *generator, const tw_import_options *options,
                          tw_spool *spool)
{
    tw_status st = TW_OK;
    const int64_t count = options->count > 0 ? options->count : DEFAULT_POINTS;
    TW_TRY(tw_spool_describe(spool, generator->name, TW_DATASET_POINTS, 1, 1, 2, true));
    for (int64_t i = 0; i < count; i++) {
        float point[2];
        int32_t label;
        generator->generate(options->seed, i, point, &label);
        TW_TRY(tw_spool_append(spool, NULL, point, label, generator->name));
    }
done:
    return st;
}

static tw_status list_formats(tw_text *out, const char *wanted)
{
    tw_status st = TW_OK;
    const char *names[64], *summary;
    int64_t count = 0;
    while (count < 64 && tw_import_format((int)count, &names[count], &summary)) {
        TW_TRY(tw_text_add(out, "%s%s", count ? ", " : "", names[count]));
        count++;
    }
    TW_TRY(tw_text_add_nearest(out, wanted, names, count));
done:
    return st;
}

tw_status tw_import_fill(const tw_import_options *options, tw_spool *spool)
{
    tw_status st = TW_OK;
    tw_text formats = {0};
    for (int i = 0; i < tw_import_count; i++) {
        if (strcmp(tw_import_table[i]->name, options->format) != 0) continue;
        TW_CHECK(options->input_count > 0, TW_EUSAGE, "--format %s needs at least one input",
                 options->format);
        TW_TRY(tw_import_table[i]->run(options, spool));
        TW_CHECK(tw_spool_count(spool) > 0, TW_EDATA, "%s: there are no samples in it",
                 options->inputs[0]);
        goto done;
    }
    for (int i = 0; i < tw_points_count; i++) {
        if (strcmp(tw_points_table[i]->name, options->format) != 0) continue;
        TW_CHECK(options->input_count == 0, TW_EUSAGE,
                 "--format %s makes its points itself; it reads no \"%s\"", options->format,
                 options->inputs[0]);
        TW_TRY(generate(tw_points_table[i], options, spool));
        goto done;
    }
    TW_TRY(list_formats(&formats, options->format));
    TW_FAIL(TW_EUSAGE, "there is no format \"%s\"; there are %s", options->format, formats.data);
done:
    tw_text_free(&formats);
    return st;
}

void tw_import_choose_units(const tw_import_options *options, const tw_spool *spool, float *offset,
                            float *scale)
{
    const tw_dataset_spec *spec = tw_spool_get_spec(spool);
    tw_import_normalise how = options->normalise;
    if (how == TW_NORMALISE_AUTO && options->input_count == 0) how = TW_NORMALISE_NONE;
    if (how == TW_NORMALISE_AUTO)
        how = spec->kind == TW_DATASET_POINTS ? TW_NORMALISE_STANDARD : TW_NORMALISE_RANGE;
    for (int64_t c = 0; c < spec->channels; c++) {
        tw_spool_channel s;
        tw_spool_channel_statistics(spool, c, &s);
        double o = 0, k = 1;
        if (how == TW_NORMALISE_RANGE) {
            o = 0.5 * s.least + 0.5 * s.most;
            k = 0.5 * s.most - 0.5 * s.least;
        } else if (how == TW_NORMALISE_STANDARD) {
            o = s.mean;
            k = s.deviation;
        }
        offset[c] = (float)o;
        scale[c] = (float)k >= FLT_MIN && isfinite((float)k) ? (float)k
                                                             : 1; /* a constant channel stays one */
    }
}

static tw_status add_split(tw_dataset_spec *spec, const char *name, int64_t count)
{
    tw_status st = TW_OK;
    const int64_t first = spec->split_count ? spec->splits[spec->split_count - 1].last : 0;
    if (count == 0) goto done;
    for (int i = 0; i < spec->split_count; i++)
        TW_CHECK(strcmp(spec->splits[i].name, name) != 0, TW_EDATA,
                 "some inputs are split \"%s\" by their names and others are not; import them "
                 "apart, or with --split",
                 name);
    TW_CHECK(spec->split_count < TW_DATASET_SPLITS_MAX, TW_EDATA, "more than %d splits",
             TW_DATASET_SPLITS_MAX);
    tw_dataset_split *split = &spec->splits[spec->split_count++];
    TW_TRY(tw_format(split->name, sizeof split->name, "%s", name));
    split->first = first;
    split->last = first + count;
done:
    return st;
}

static tw_status choose_splits(const tw_import_options *options, tw_spool *spool,
                               tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    spec->split_count = 0;
    tw_spool_put_first(spool, "train"); /* whatever the order of the inputs */
    for (int i = 0; i < tw_spool_parts(spool); i++) {
        const char *name = tw_spool_part_name(spool, i);
        const int64_t count = tw_spool_part_count(spool, i);
        TW_CHECK(!name || options->test_fraction == 0, TW_EUSAGE,
                 "--test-fraction is for inputs without a split; these have \"%s\"",
                 name ? name : "");
        const int64_t test = name ? 0 : (int64_t)llround(options->test_fraction * (double)count);
        TW_CHECK(test < count, TW_EUSAGE,
                 "--test-fraction %g leaves none of the %lld samples to train on",
                 options->test_fraction, (long long)count);
        if (test > 0 && options->keep_order)
            tw_log_warn("split \"test\" is the last %lld of the %lld samples, in the order of the "
                        "inputs; without --keep-order it is chosen at random",
                        (long long)test, (long long)count);
        TW_TRY(add_split(spec, name ? name : "train", count - test));
        TW_TRY(add_split(spec, "test", test));
    }
done:
    return st;
}

static tw_status choose_texts(const tw_import_options *options, tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    if (options->name) {
        TW_CHECK(strlen(options->name) < sizeof spec->name, TW_EUSAGE,
                 "--name is longer than %zu bytes", sizeof spec->name - 1);
        memcpy(spec->name, options->name, strlen(options->name) + 1);
    } else {
        const char *base = tw_import_basename(options->path), *dot = strrchr(base, '.');
        snprintf(spec->name, sizeof spec->name, "%.*s",
                 dot && dot > base ? (int)(dot - base) : (int)strlen(base), base);
    }
    const char *license = options->license ? options->license : "unknown";
    TW_CHECK(strlen(license) < sizeof spec->license, TW_EUSAGE,
             "--license is longer than %zu bytes", sizeof spec->license - 1);
    memcpy(spec->license, license, strlen(license) + 1);
    if (options->source) {
        TW_CHECK(strlen(options->source) < sizeof spec->source, TW_EUSAGE,
                 "--source is longer than %zu bytes", sizeof spec->source - 1);
        memcpy(spec->source, options->source, strlen(options->source) + 1);
        goto done;
    }
    size_t used = (size_t)snprintf(spec->source, sizeof spec->source, "tweedie import --format %s",
                                   options->format);
    for (int i = 0; i < options->input_count && used < sizeof spec->source; i++)
        used += (size_t)snprintf(spec->source + used, sizeof spec->source - used, " %s",
                                 tw_import_basename(options->inputs[i]));
    if (options->input_count == 0)
        snprintf(spec->source + used, sizeof spec->source - used, " --count %lld --seed %llu",
                 (long long)spec->count, (unsigned long long)options->seed);
done:
    return st;
}

static tw_status choose_classes(const tw_import_options *options, tw_spool *spool,
                                tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    const int64_t largest = tw_spool_largest_label(spool);
    int64_t named;
    (void)tw_spool_class_names(spool, &named);
    if (options->class_names) {
        char copy[TW_PATH_MAX], *rest = copy;
        TW_CHECK(named == 0, TW_EUSAGE, "--class-names: the inputs name their classes themselves");
        TW_TRY(tw_format(copy, sizeof copy, "%s", options->class_names));
        for (char *name; (name = strsep(&rest, ",")) != NULL;)
            TW_TRY(tw_spool_name_class(spool, named++, name));
    }
    spec->num_classes = options->num_classes > 0 ? options->num_classes
                        : largest + 1 > named    ? largest + 1
                                                 : named;
    TW_CHECK(largest >= 0 || (spec->num_classes == 0), TW_EUSAGE,
             "classes were given, but the inputs have no labels");
    TW_CHECK(largest < spec->num_classes || largest < 0, TW_EDATA,
             "label %lld is out of range: there are %lld classes", (long long)largest,
             (long long)spec->num_classes);
    if (named > 0)
        TW_CHECK(named == spec->num_classes, TW_EDATA,
                 "there are %lld class names for %lld classes", (long long)named,
                 (long long)spec->num_classes);
    spec->class_names = named > 0 ? tw_spool_class_names(spool, &named) : NULL;
done:
    return st;
}

static tw_status write_dataset(const tw_import_options *options, tw_spool *spool,
                               const tw_spool_condition *condition, tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    tw_dataset_writer *writer = NULL;
    const tw_dataset_writer_options how = {.path = options->path,
                                           .mode =
                                               options->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW,
                                           .gzip = options->gzip};
    TW_TRY(tw_dataset_writer_create(&writer, spec, &how));
    for (int i = 0; i < tw_spool_parts(spool); i++) {
        TW_TRY(tw_spool_write(spool, i, options->keep_order, options->seed, writer));
        TW_TRY(tw_spool_condition_write(condition, options, spool, i, writer));
    }
    TW_TRY(tw_dataset_writer_finish(&writer, spec->digest));
done:
    tw_dataset_writer_abort(&writer);
    return st;
}

/* The file of an input: of "FILE:/path" what stands before the colon. */
static tw_status file_of(char **out, const char *input)
{
    tw_status st = TW_OK;
    const char *colon = input ? strstr(input, ":/") : NULL;
    struct stat info;
    TW_TRY(tw_strdup(out, input ? input : ""));
    if (colon && stat(input, &info) != 0) (*out)[colon - input] = '\0';
done:
    return st;
}

static tw_status check_output(const tw_import_options *o)
{
    tw_status st = TW_OK;
    char **inputs = NULL;
    const int more = o->input_count + 1, count = more + o->condition_count;
    TW_TRY(tw_alloc(&inputs, count, sizeof *inputs, "the list of inputs"));
    for (int i = 0; i < o->input_count; i++) TW_TRY(file_of(&inputs[i], o->inputs[i]));
    TW_TRY(file_of(&inputs[o->input_count], o->labels));
    for (int i = 0; i < o->condition_count; i++)
        TW_TRY(file_of(&inputs[more + i], o->conditions[i]));
    TW_TRY(tw_output_check(o->path, o->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW,
                           (const char *const *)inputs, count));
done:
    for (int i = 0; inputs && i < count; i++) tw_free(&inputs[i]);
    tw_free(&inputs);
    return st;
}

static tw_status check_options(const tw_import_options *options)
{
    tw_status st = TW_OK;
    TW_TRY(check_output(options));
    TW_CHECK(options->test_fraction >= 0 && options->test_fraction < 1, TW_EUSAGE,
             "--test-fraction %g; at least 0 and below 1 was expected", options->test_fraction);
    TW_CHECK(!options->split || options->test_fraction == 0, TW_EUSAGE,
             "--split and --test-fraction exclude each other");
    TW_CHECK(options->gzip >= 0 && options->gzip <= 9, TW_EUSAGE, "--gzip %d; 0 to 9 was expected",
             options->gzip);
    if (options->split) {
        const size_t n = strlen(options->split);
        TW_CHECK(
            n > 0 && n < TW_DATASET_NAME_MAX &&
                strspn(options->split,
                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == n,
            TW_EUSAGE, "--split \"%s\"; at most %d letters, digits, '_', '-' or '.' were expected",
            options->split, TW_DATASET_NAME_MAX - 1);
        TW_CHECK(strcmp(options->split, "all") != 0, TW_EUSAGE,
                 "--split all; that name stands for all samples of a file");
    }
done:
    return st;
}

static void describe_channels(tw_import_channel *out, const tw_dataset_spec *spec,
                              const tw_spool *spool)
{
    for (int64_t c = 0; c < spec->channels && c < TW_IMPORT_CHANNELS; c++) {
        tw_import_channel *to = &out[c];
        tw_spool_channel s;
        tw_spool_channel_statistics(spool, c, &s);
        to->least = s.least;
        to->most = s.most;
        to->mean = s.mean;
        to->missing = s.missing;
        (void)tw_channel_text_get(spec->channel_text, c, TW_CHANNEL_NAME, to->name,
                                  sizeof to->name);
        (void)tw_channel_text_get(spec->channel_text, c, TW_CHANNEL_UNITS, to->units,
                                  sizeof to->units);
    }
}

/* The import itself, in this process. */
typedef struct importing {
    const tw_import_options *options;
    tw_import_result result;
} importing;

/* A spec that outlives what it pointed at. */
static tw_dataset_spec alone(const tw_dataset_spec *spec)
{
    tw_dataset_spec s = *spec;
    s.offset = s.scale = NULL;
    s.class_names = NULL;
    s.channel_text = NULL;
    s.condition = NULL;
    return s;
}

static void describe(tw_import_result *out, const tw_dataset_spec *spec, const tw_spool *spool,
                     const tw_spool_condition *condition)
{
    describe_channels(out->channels, spec, spool);
    out->spec = alone(spec);
    out->conditional = spec->condition != NULL;
    if (!spec->condition) return;
    out->condition = alone(spec->condition);
    if (condition->spool)
        describe_channels(out->condition_channels, spec->condition, condition->spool);
}

/* What the samples are, once they are in the spool. @param[out] units  the caller's to free */
static tw_status choose(const tw_import_options *options, tw_spool *spool, tw_dataset_spec *spec,
                        float **units)
{
    tw_status st = TW_OK;
    *spec = *tw_spool_get_spec(spool);
    spec->count = tw_spool_count(spool);
    TW_TRY(choose_splits(options, spool, spec));
    TW_CHECK(spec->kind != TW_DATASET_UINT8 || options->normalise == TW_NORMALISE_AUTO ||
                 options->normalise == TW_NORMALISE_NONE,
             TW_EUSAGE, "--normalise: is for values that are not bytes; these are, and stay so");
    TW_TRY(choose_classes(options, spool, spec));
    TW_TRY(choose_texts(options, spec));
    spec->channel_text = tw_spool_channels(spool);
    if (spec->kind == TW_DATASET_UINT8) goto done;
    TW_TRY(tw_alloc(units, 2 * spec->channels, sizeof **units, "channel offsets and scales"));
    spec->offset = *units;
    spec->scale = *units + spec->channels;
    tw_import_choose_units(options, spool, *units, *units + spec->channels);
done:
    return st;
}

static tw_status import_here(void *self)
{
    tw_status st = TW_OK;
    importing *im = self;
    const tw_import_options *options = im->options;
    tw_spool *spool = NULL;
    tw_spool_condition condition = {0};
    tw_dataset_spec spec;
    tw_output where;
    float *units = NULL;
    /* beside the file itself, where a link leads elsewhere */
    TW_TRY(tw_output_begin(&where, options->path,
                           options->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW));
    TW_TRY(tw_spool_create(&spool, where.path, options->split));
    TW_TRY(tw_import_fill(options, spool));
    TW_TRY(choose(options, spool, &spec, &units));
    TW_TRY(tw_spool_condition_read(&condition, options, where.path, spool, &spec));
    if (tw_spool_condition_is_there(&condition)) spec.condition = &condition.spec;
    TW_TRY(write_dataset(options, spool, &condition, &spec));
    describe(&im->result, &spec, spool, &condition);
done:
    tw_free(&units);
    tw_spool_condition_free(&condition);
    tw_spool_destroy(&spool);
    return st;
}

static bool is_isolated(const char *format)
{
    for (int i = 0; i < tw_import_count; i++)
        if (strcmp(tw_import_table[i]->name, format) == 0) return tw_import_table[i]->isolated;
    return false;
}

tw_status tw_dataset_import(const tw_import_options *options, tw_import_result *result)
{
    tw_status st = TW_OK;
    importing im = {.options = options};
    TW_TRY(check_options(options));
    if (options->input_count > 0 && is_isolated(options->format))
        TW_TRY(tw_isolate(import_here, &im, &im.result, sizeof im.result, options->inputs[0]));
    else
        TW_TRY(import_here(&im));
    if (result) *result = im.result;
done:
    return st;
}
