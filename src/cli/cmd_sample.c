/* tweedie sample: generate a sample set from what training left. */
#include <stdio.h>

#include "cli/command.h"
#include "tweedie/comm.h"
#include "tweedie/file.h"
#include "tweedie/job.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

typedef struct options {
    int64_t count;
    const char *out;
    const char *first, *weights, *seed, *condition;
    bool join, force, clean, latents;
    const char *grid;
    int64_t grid_count;
    const char *images;
    const char *guide, *scale, *class, *decode;
} options;

extern const tw_command tw_cmd_sample;

static const tw_option table[] = {
    {"count", TW_CONFIG_INT64, offsetof(options, count), NULL, .min = 1, .max = 8e12, .value = "N",
     .help = "samples"},
    {"out", TW_CONFIG_STRING, offsetof(options, out), NULL, .value = "FILE",
     .help = "the sample set, a dataset file"},
    {"first", TW_CONFIG_STRING, offsetof(options, first), "", .value = "I",
     .help =
         "index of the first sample: this job generates a share, and joins it to no file unless "
         "--join is given"},
    {"weights", TW_CONFIG_STRING, offsetof(options, weights), "", .value = "W",
     .help = "raw or ema:RATE (default: the first EMA of the run)"},
    {"seed", TW_CONFIG_STRING, offsetof(options, seed), "", .value = "S",
     .help = "of the samples (sample.seed)"},
    {"condition", TW_CONFIG_STRING, offsetof(options, condition), "", .value = "DATA.h5",
     .help = "conditional models: what each sample is given, row i modulo the rows there are "
             "(sample.condition)"},
    {"join", TW_CONFIG_BOOL, offsetof(options, join), "false",
     .help = "make one file of all parts; without RUN_OR_WEIGHTS nothing is sampled, and all parts "
             "must be there"},
    {"force", TW_CONFIG_BOOL, offsetof(options, force), "false",
     .help = "replace a FILE of other settings or with other samples, parts of other settings, and "
             "pictures"},
    {"clean", TW_CONFIG_BOOL, offsetof(options, clean), "false",
     .help = "remove the parts when they are joined"},
    {"grid", TW_CONFIG_STRING, offsetof(options, grid), "", .value = "PNG",
     .help = "a picture of the first samples, a column for each class where they have one; of "
             "points, a "
             "heat map"},
    {"grid-count", TW_CONFIG_INT64, offsetof(options, grid_count), "64", .min = 1, .max = 65535,
     .value = "N", .help = "images in it"},
    {"class", TW_CONFIG_STRING, offsetof(options, class), "", .value = "C",
     .help =
         "of models with classes: a class, all in turn, none, or a file of them (sample.class)"},
    {"guide", TW_CONFIG_STRING, offsetof(options, guide), "", .value = "RUN",
     .help = "a classifier, or an energy model, that guides the samples (guidance.network)"},
    {"scale", TW_CONFIG_STRING, offsetof(options, scale), "", .value = "S",
     .help = "how much a guidance changes the score (guidance.scale)"},
    {"decode", TW_CONFIG_STRING, offsetof(options, decode), "", .value = "RUN",
     .help = "models of latents: the autoencoder that decodes the samples (sample.decode)"},
    {"latents", TW_CONFIG_BOOL, offsetof(options, latents), "false",
     .help = "models of latents: do not decode, whatever sample.decode says"},
    {"images", TW_CONFIG_STRING, offsetof(options, images), "", .value = "DIR",
     .help = "write each sample as DIR/INDEX.png too"},
};

/* The number of an option that may be left out. */
static tw_status read_number(int64_t *out, const char *name, const char *text, int64_t otherwise,
                             double most)
{
    const tw_config_field field = {.type = TW_CONFIG_INT64, .max = most};
    if (!text[0]) {
        *out = otherwise;
        return TW_OK;
    }
    tw_status st = tw_config_value(&field, text, out);
    return st == TW_ECONFIG ? tw_error_set(TW_EUSAGE, "--%s %s", name, tw_error_message()) : st;
}

static void report(const options *o, const tw_sample_job_options *d, const tw_sample_job_result *r)
{
    const long long first = d->first, last = d->first + d->count - 1;
    if (d->join)
        printf("%s: samples %lld to %lld%s; digest %s\n", o->out, first, last,
               r->complete ? ", there already" : "", r->digest);
    else
        printf(
            "%s.parts: samples %lld to %lld are there; --join makes one file of them and others\n",
            o->out, first, last);
}

enum { ASSIGNMENTS = 256 };

/* Options that stand for settings, behind those that were given. */
static tw_status settings(char **out, int *count, const options *o, const tw_arguments *a)
{
    tw_status st = TW_OK;
    enum { KEYS = 5 };
    static char text[KEYS][TW_PATH_MAX];
    const char *const key[] = {"sample.seed", "sample.class", "guidance.scale", "sample.condition",
                               "sample.decode"};
    const char *const value[] = {o->seed, o->class, o->scale, o->condition, o->decode};
    int64_t number;
    TW_CHECK(a->assignment_count < ASSIGNMENTS - KEYS, TW_EUSAGE, "%d settings are too many",
             a->assignment_count);
    TW_TRY(read_number(&number, "seed", o->seed, 0, 9e18));
    for (int k = 0; k < a->assignment_count; k++) out[(*count)++] = a->assignments[k];
    for (int k = 0; k < KEYS; k++) {
        if (!value[k][0]) continue;
        TW_TRY(tw_format(text[k], sizeof text[k], "%s=%s", key[k], value[k]));
        out[(*count)++] = text[k];
    }
done:
    return st;
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    tw_sample_job_result result = {0};
    char *assignments[ASSIGNMENTS];
    int n = 0;
    int64_t first;
    TW_TRY(tw_options_parse(&tw_cmd_sample, argc, argv, &o, &a));
    TW_TRY(read_number(&first, "first", o.first, 0, 8e12));
    TW_TRY(settings(assignments, &n, &o, &a));
    const tw_sample_job_options generate = {.weights = a.count ? a.values[0] : NULL,
                                            .which = o.weights,
                                            .first = first,
                                            .count = o.count,
                                            .join = o.join || !o.first[0],
                                            .out = o.out,
                                            .replace = o.force,
                                            .clean = o.clean,
                                            .grid = o.grid,
                                            .grid_count = o.grid_count,
                                            .images = o.images,
                                            .guide = o.guide,
                                            .latents = o.latents,
                                            .assignment_count = n,
                                            .assignments = assignments};
    TW_CHECK(a.count || o.join, TW_EUSAGE,
             "which weights? (a run, a checkpoint or a weights file); usage: tweedie sample %s",
             tw_cmd_sample.usage);
    TW_CHECK(a.count || !tw_options_is_given(&tw_cmd_sample, &a, "weights"), TW_EUSAGE,
             "--weights: joining generates nothing; it is for a RUN_OR_WEIGHTS");
    TW_CHECK(a.count || !o.guide[0], TW_EUSAGE,
             "--guide: joining generates nothing; it is for a RUN_OR_WEIGHTS");
    TW_CHECK(!o.latents || !o.decode[0], TW_EUSAGE, "--latents and --decode exclude each other");
    TW_CHECK(o.grid[0] || !tw_options_is_given(&tw_cmd_sample, &a, "grid-count"), TW_EUSAGE,
             "--grid-count: needs --grid");
    TW_TRY(tw_sample_job(comm, &generate, &result));
    if (tw_comm_rank(comm) == 0) report(&o, &generate, &result);
done:
    return st;
}

const tw_command tw_cmd_sample = {
    .name = "sample",
    .summary = "generate samples from a trained network",
    .usage = "[RUN_OR_WEIGHTS] --count N --out FILE [sample.key=value ...]",
    .help =
        "Generates samples in blocks of sample.batch, each a file in FILE.parts; then joins them. "
        "A job that was killed goes on with what is\n"
        "missing. Several jobs share the work with --first; then `tweedie sample --join "
        "--count N --out FILE` joins. Sample i depends on\n"
        "weights, settings, seed and i alone. Exit 64: FILE or parts are there that were sampled "
        "with other weights or settings. Exit 75: stopped\n"
        "by SIGTERM or SIGUSR1. Settings: sample.kind, steps, spacing, variance, clip, eta, "
        "batch, seed, class; guidance.kind (classifier_free\n"
        "needs nothing but a network with label dropout), scale, time_min, time_max, temperature; "
        "compute.threads, precision, "
        "convolution.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 0,
    .most = 1,
    .takes_assignments = true,
    .parallel = true,
    .stops = true,
    .run = run,
};
