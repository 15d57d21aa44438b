/* tweedie import: makes a dataset file from other data, or from a density of points in the plane.
 */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "tweedie/data.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

enum { CONDITIONS_MAX = 64 };

typedef struct options {
    const char *format;
    bool force;
    int64_t gzip, seed;
    const char *name, *source, *license, *split;
    double test_fraction;
    int64_t classes;
    const char *class_names;
    bool keep_order, transpose;
    const char *size;
    bool crop, grey, rgb;
    const char *background;
    int bits;
    int64_t white;
    bool skip_damaged, split_folders, class_folders;
    const char *layout;
    int order, separator;
    bool stack;
    const char *fill, *labels, *condition, *condition_layout;
    int64_t condition_coarse;
    int normalise;
    int64_t count;
} options;

extern const tw_command tw_cmd_import;

static const tw_option table[] = {
    {"format", TW_CONFIG_STRING, offsetof(options, format), NULL, .value = "NAME",
     .help = "what the inputs are, or which points to generate"},
    {"force", TW_CONFIG_BOOL, offsetof(options, force), "false",
     .help = "replace OUT.h5 if it exists"},
    {"name", TW_CONFIG_STRING, offsetof(options, name), "", .value = "TEXT",
     .help = "name of the dataset (default: that of the file)"},
    {"source", TW_CONFIG_STRING, offsetof(options, source), "", .value = "TEXT",
     .help = "where the data come from (default: the inputs)"},
    {"license", TW_CONFIG_STRING, offsetof(options, license), "", .value = "TEXT",
     .help = "under which terms (default: unknown)"},
    {"split", TW_CONFIG_STRING, offsetof(options, split), "", .value = "NAME",
     .help = "put all samples into this split"},
    {"test-fraction", TW_CONFIG_DOUBLE, offsetof(options, test_fraction), "0", .min = 0,
     .max = 0.999, .value = "F",
     .help = "put this part of the samples into split \"test\", where the inputs know no splits: "
             "chosen at random, with --keep-order the last ones"},
    {"classes", TW_CONFIG_INT64, offsetof(options, classes), "0", .min = 0,
     .max = TW_DATASET_CLASSES_MAX, .value = "K",
     .help = "number of classes (default: the largest label + 1)"},
    {"class-names", TW_CONFIG_STRING, offsetof(options, class_names), "", .value = "A,B,C",
     .help = "names of the classes"},
    {"seed", TW_CONFIG_INT64, offsetof(options, seed), "0", .min = 0, .max = 9e18, .value = "S",
     .help = "of the order in which samples are stored, and of generated points"},
    {"keep-order", TW_CONFIG_BOOL, offsetof(options, keep_order), "false",
     .help = "store samples in the order of the inputs"},
    {"gzip", TW_CONFIG_INT64, offsetof(options, gzip), "0", .min = 0, .max = 9, .value = "N",
     .help = "compress (1 to 9): smaller, but slower to read; 0: not"},
    {"count", TW_CONFIG_INT64, offsetof(options, count), "10000", .min = 1, .max = 1e12,
     .value = "N", .kinds = "generated", .help = "points to generate"},
    {"transpose", TW_CONFIG_BOOL, offsetof(options, transpose), "false", .kinds = "idx",
     .help = "images are stored column by column (EMNIST)"},
    {"size", TW_CONFIG_STRING, offsetof(options, size), "", .value = "HxW", .kinds = "images",
     .help = "resize to this (\"64\" is 64x64)"},
    {"crop", TW_CONFIG_BOOL, offsetof(options, crop), "false", .kinds = "images",
     .help = "cut the centre to the shape of --size before resizing"},
    {"grey", TW_CONFIG_BOOL, offsetof(options, grey), "false", .kinds = "images",
     .help = "one channel (default: as the first image)"},
    {"rgb", TW_CONFIG_BOOL, offsetof(options, rgb), "false", .kinds = "images",
     .help = "three channels"},
    {"background", TW_CONFIG_STRING, offsetof(options, background), "white", .value = "COLOUR",
     .kinds = "images", .help = "white, black, grey or #rrggbb under transparent pixels"},
    {"bits", TW_CONFIG_CHOICE, offsetof(options, bits), "auto", .choices = "auto|8", .value = "N",
     .kinds = "images", .help = "make 9 to 16 bits 8 (default: they become float32 as they are)"},
    {"white", TW_CONFIG_INT64, offsetof(options, white), "0", .min = 0, .max = 1e9, .value = "V",
     .kinds = "images",
     .help = "with --bits 8: the value that becomes 255 (default: by the bits in use)"},
    {"skip-damaged", TW_CONFIG_BOOL, offsetof(options, skip_damaged), "false", .kinds = "images",
     .help = "leave out what cannot be read, and name it"},
    {"split-folders", TW_CONFIG_BOOL, offsetof(options, split_folders), "false", .kinds = "images",
     .help = "folders named train, valid, test are splits, the rest is left out"},
    {"class-folders", TW_CONFIG_BOOL, offsetof(options, class_folders), "false", .kinds = "images",
     .help = "sub-folders are classes, whatever their names"},
    {"layout", TW_CONFIG_STRING, offsetof(options, layout), "", .value = "AXES", .kinds = "hdf5",
     .help = "a letter for each axis: N samples, H, W, C channels, D coordinates, 1 length 1 "
             "(NHWC, NCHW, HWCN, NW, DN …)"},
    {"order", TW_CONFIG_CHOICE, offsetof(options, order), "auto", .choices = "auto|C|F",
     .value = "ORDER", .kinds = "hdf5",
     .help = "F counts axes as MATLAB, Julia and Fortran do, which write column by column "
             "(default: F for files of MATLAB)"},
    {"separator", TW_CONFIG_CHOICE, offsetof(options, separator), "auto",
     .choices = "auto|blank|comma|semicolon", .value = "WHAT", .kinds = "points",
     .help = "between the numbers of a line (default: what the lines have)"},
    {"stack", TW_CONFIG_BOOL, offsetof(options, stack), "false", .kinds = "hdf5",
     .help = "several arrays are channels of the same samples"},
    {"fill", TW_CONFIG_STRING, offsetof(options, fill), "", .value = "VALUE", .kinds = "hdf5",
     .help = "a number, or mean (of the channel), instead of NaN and missing values "
             "(default: they are refused)"},
    {"labels", TW_CONFIG_STRING, offsetof(options, labels), "", .value = "FILE:/path",
     .kinds = "hdf5", .help = "integers, one for each sample"},
    {"condition", TW_CONFIG_STRING, offsetof(options, condition), "", .value = "IN[,IN]",
     .help = "inputs of the same format that hold what is known of each sample, in the same order "
             "(images: under equal names), for conditional models; sides that divide the samples' "
             "are repeated to them, several arrays are channels of one"},
    {"condition-layout", TW_CONFIG_STRING, offsetof(options, condition_layout), "", .value = "AXES",
     .kinds = "hdf5", .help = "as --layout, of --condition (default: that of the samples)"},
    {"condition-coarse", TW_CONFIG_INT64, offsetof(options, condition_coarse), "0", .min = 0,
     .max = 8192, .value = "K",
     .help = "the condition of each image is its own averages over K x K pixels (downscaling)"},
    {"normalise", TW_CONFIG_CHOICE, offsetof(options, normalise), "auto",
     .choices = "auto|range|standard|none", .value = "HOW",
     .help = "float32: each channel to -1 … 1, or to mean 0 and deviation 1"},
};

/* "64" or "48x64". */
static tw_status parse_size(const char *text, int64_t *height, int64_t *width)
{
    tw_status st = TW_OK;
    char copy[32], *x;
    *height = *width = 0;
    if (!text[0]) goto done;
    bool good = strlen(text) < sizeof copy;
    if (good) {
        memcpy(copy, text, strlen(text) + 1);
        if ((x = strchr(copy, 'x')) != NULL) *x = '\0';
        good = tw_text_to_int64(copy, height) && tw_text_to_int64(x ? x + 1 : copy, width) &&
               *height > 0 && *width > 0 && *height <= 8192 && *width <= 8192;
    }
    TW_CHECK(good, TW_EUSAGE, "--size \"%s\"; a side or HEIGHTxWIDTH of 1 to 8192 was expected",
             text);
done:
    return st;
}

static const char *given(const char *text)
{
    return text[0] ? text : NULL;
}

static void report_channels(const char *what, const tw_dataset_spec *spec,
                            const tw_import_channel *channels)
{
    for (int64_t c = 0; c < spec->channels && c < TW_IMPORT_CHANNELS; c++) {
        const tw_import_channel *k = &channels[c];
        printf("  %s %lld%s%s: %g to %g%s%s, mean %g", what, (long long)c, k->name[0] ? " " : "",
               k->name, k->least, k->most, k->units[0] ? " " : "", k->units, k->mean);
        if (k->missing > 0) printf("; %lld missing values were filled", (long long)k->missing);
        printf("\n");
    }
    if (spec->channels > TW_IMPORT_CHANNELS)
        printf("  and %lld more channels\n", (long long)(spec->channels - TW_IMPORT_CHANNELS));
}

static void report_condition(const tw_import_result *r, int64_t coarse)
{
    if (!r->conditional) return;
    printf("  conditions: %s of %lld x %lld x %lld", tw_dataset_kind_name(r->condition.kind),
           (long long)r->condition.height, (long long)r->condition.width,
           (long long)r->condition.channels);
    if (coarse > 0) {
        printf(", averages over %lld x %lld pixels\n", (long long)coarse, (long long)coarse);
        return;
    }
    printf("\n");
    report_channels("condition", &r->condition, r->condition_channels);
}

static void report(const char *path, const tw_dataset_spec *spec)
{
    printf("%s: %lld %s of %lld x %lld x %lld", path, (long long)spec->count,
           tw_dataset_kind_name(spec->kind), (long long)spec->height, (long long)spec->width,
           (long long)spec->channels);
    if (spec->num_classes > 0) printf(", %lld classes", (long long)spec->num_classes);
    for (int i = 0; i < spec->split_count; i++)
        printf("%s%s %lld", i ? ", " : "; ", spec->splits[i].name,
               (long long)(spec->splits[i].last - spec->splits[i].first));
    printf("; digest %s\n", spec->digest);
}

static bool kind(int i, tw_command_kind *out)
{
    const char *name, *summary;
    if (!tw_import_format(i, &name, &summary)) return false;
    const bool generated = tw_import_is_generated(name);
    *out = (tw_command_kind){.name = name,
                             .usage = generated ? "OUT.h5 --format NAME" : NULL,
                             .summary = summary,
                             .also = generated ? "generated" : NULL};
    return true;
}

/* Formats that make their points themselves also answer to "generated". */
static tw_status check_kind(const options *o, const tw_arguments *a)
{
    const char *name, *summary;
    for (int i = 0; tw_import_format(i, &name, &summary); i++) {
        if (strcmp(name, o->format) != 0) continue;
        return tw_options_check_kind(
            &tw_cmd_import, a, "import --format",
            (const char *const[]){name, tw_import_is_generated(name) ? "generated" : NULL, NULL});
    }
    return TW_OK; /* that there is no such format is said elsewhere */
}

static tw_import_options translate(const options *o, const tw_arguments *arguments)
{
    return (tw_import_options){
        .format = o->format,
        .inputs = (const char *const *)(arguments->values + 1),
        .input_count = arguments->count - 1,
        .path = arguments->values[0],
        .replace = o->force,
        .gzip = (int)o->gzip,
        .seed = (uint64_t)o->seed,
        .name = given(o->name),
        .source = given(o->source),
        .license = given(o->license),
        .split = given(o->split),
        .test_fraction = o->test_fraction,
        .num_classes = o->classes,
        .class_names = given(o->class_names),
        .keep_order = o->keep_order,
        .transpose = o->transpose,
        .crop = o->crop,
        .colour = o->grey  ? TW_COLOUR_GREY
                  : o->rgb ? TW_COLOUR_RGB
                           : TW_COLOUR_FIRST,
        .background = o->background,
        .bits = o->bits == 1 ? 8 : 0,
        .white = o->white,
        .skip_damaged = o->skip_damaged,
        .folders = o->split_folders   ? TW_FOLDERS_SPLITS
                   : o->class_folders ? TW_FOLDERS_CLASSES
                                      : TW_FOLDERS_AUTO,
        .layout = strcmp(o->layout, "auto") == 0 ? NULL : given(o->layout),
        .order = (tw_import_order)o->order,
        .separator = "\0 ,;"[o->separator],
        .stack = o->stack,
        .fill = given(o->fill),
        .labels = given(o->labels),
        .condition_layout =
            strcmp(o->condition_layout, "auto") == 0 ? NULL : given(o->condition_layout),
        .condition_coarse = o->condition_coarse,
        .normalise = (tw_import_normalise)o->normalise,
        .count = o->count,
    };
}

/* "A,B" as a list; the names point into `text`. */
static tw_status split_list(char *text, const char **names, int *count)
{
    tw_status st = TW_OK;
    char *rest = text;
    *count = 0;
    for (char *name; rest && (name = strsep(&rest, ",")) != NULL;) {
        TW_CHECK(*name && *count < CONDITIONS_MAX, TW_EUSAGE,
                 "--condition: 1 to %d names with commas between them were expected",
                 CONDITIONS_MAX);
        names[(*count)++] = name;
    }
done:
    return st;
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments arguments;
    tw_import_result result;
    const char *conditions[CONDITIONS_MAX];
    char *list = NULL;
    (void)comm;
    TW_TRY(tw_options_parse(&tw_cmd_import, argc, argv, &o, &arguments));
    TW_CHECK(!(o.grey && o.rgb), TW_EUSAGE, "--grey and --rgb exclude each other");
    TW_CHECK(!(o.split_folders && o.class_folders), TW_EUSAGE,
             "--split-folders and --class-folders exclude each other");
    TW_TRY(check_kind(&o, &arguments));
    tw_import_options import = translate(&o, &arguments);
    TW_TRY(parse_size(o.size, &import.height, &import.width));
    if (o.condition[0]) {
        TW_TRY(tw_strdup(&list, o.condition));
        TW_TRY(split_list(list, conditions, &import.condition_count));
        import.conditions = conditions;
    }
    TW_TRY(tw_dataset_import(&import, &result));
    report(import.path, &result.spec);
    report_channels("channel", &result.spec, result.channels);
    report_condition(&result, o.condition_coarse);
done:
    tw_free(&list);
    return st;
}

const tw_command tw_cmd_import = {
    .name = "import",
    .summary = "make a dataset from images, arrays, points or a known density",
    .usage = "OUT.h5 --format NAME [IN ...]",
    .help =
        "Formats that read:\n"
        "  idx      MNIST and its kin, plain or .gz; images and labels are paired, train and "
        "test told, by their names\n"
        "  cifar    CIFAR-10 and CIFAR-100 binary files (not the Python version)\n"
        "  images   folders of PNG, JPEG, WebP, TIFF and BMP files; sub-folders are classes, or "
        "splits if named train, valid, test …\n"
        "  hdf5     FILE:/path of an array, HDF5 or netCDF-4: [N,H,W,C], [N,C,H,W], [N,H,W], "
        "[N,D] or any --layout; packed and missing values as netCDF says\n"
        "  points   text, one point a line: numbers with a decimal point, separated by white "
        "space, "
        "commas or semicolons, in all lines alike\n"
        "Formats that generate points in the plane: circles, mixture, modes, ring, spiral.\n"
        "Values that are not uint8 become float32 with an offset and scale for each channel, "
        "measured here and undone in what is "
        "sampled: by\n"
        "--normalise range for images, standard for points, none for generated points.\n"
        "Samples are stored in an order that is random but given by --seed. Memory does not "
        "grow with their number.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .kind = kind,
    .kind_option = "format",
    .least = 1,
    .most = -1,
    .run = run,
};
