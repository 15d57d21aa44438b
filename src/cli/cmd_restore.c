/* tweedie restore: posterior samples of linear inverse problems. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "tweedie/comm.h"
#include "tweedie/file.h"
#include "tweedie/job_restore.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

typedef struct options {
    const char *task, *input, *out, *method, *split, *first, *weights, *grid;
    const char *class, *guide, *scale, *decode, *truth, *truth_split, *files;
    int64_t rows, count, grid_rows;
    bool simulate, keep, join, force, clean, latents;
} options;

extern const tw_command tw_cmd_restore;

static const tw_option table[] = {
    {"task", TW_CONFIG_STRING, offsetof(options, task), "", .value = "TASK",
     .help = "what was measured (task.kind): inpaint, colorize, superres, deblur, compressed, "
             "denoise, linear"},
    {"input", TW_CONFIG_STRING, offsetof(options, input), NULL, .value = "Y.h5",
     .help =
         "the measurements, a dataset in the data's own units, or clean samples to simulate them"},
    {"out", TW_CONFIG_STRING, offsetof(options, out), NULL, .value = "X.h5",
     .help = "posterior means, deviations and quantiles, or the simulated measurements"},
    {"count", TW_CONFIG_INT64, offsetof(options, count), "16", .min = 1, .max = 1e6, .value = "K",
     .help = "posterior samples of each measurement"},
    {"method", TW_CONFIG_STRING, offsetof(options, method), "", .value = "NAME",
     .help = "how samples are held to the measurement (restore.method)"},
    {"class", TW_CONFIG_STRING, offsetof(options, class), "", .value = "C",
     .help = "of models with classes: that of all measurements, all for each class in turn, none, "
             "or a file with that of each (sample.class; default: none)"},
    {"guide", TW_CONFIG_STRING, offsetof(options, guide), "", .value = "RUN",
     .help = "a classifier, or an energy model, that guides the samples (guidance.network)"},
    {"decode", TW_CONFIG_STRING, offsetof(options, decode), "", .value = "RUN",
     .help = "models of latents: the autoencoder whose images were measured (sample.decode)"},
    {"latents", TW_CONFIG_BOOL, offsetof(options, latents), "false",
     .help =
         "models of latents: the latents themselves were measured, whatever sample.decode says"},
    {"scale", TW_CONFIG_STRING, offsetof(options, scale), "", .value = "S",
     .help = "how much a guidance changes the score (guidance.scale)"},
    {"keep", TW_CONFIG_BOOL, offsetof(options, keep), "false",
     .help = "X.h5 holds the K samples themselves too"},
    {"files", TW_CONFIG_STRING, offsetof(options, files), "", .value = "DIR",
     .help = "with --keep: K datasets DIR/sample-000.h5 ... too, one sample of each measurement in "
             "each"},
    {"simulate", TW_CONFIG_BOOL, offsetof(options, simulate), "false",
     .help = "measure the samples of --input and add noise (task.noise, task.seed); needs no RUN"},
    {"split", TW_CONFIG_STRING, offsetof(options, split), "", .value = "NAME",
     .help = "of the input (default: all)"},
    {"first", TW_CONFIG_STRING, offsetof(options, first), "", .value = "I",
     .help = "first measurement: this job makes a share, and no X.h5 unless --join is given"},
    {"rows", TW_CONFIG_INT64, offsetof(options, rows), "0", .min = 0, .max = 8e12, .value = "N",
     .help = "measurements; 0: all that follow"},
    {"weights", TW_CONFIG_STRING, offsetof(options, weights), "", .value = "W",
     .help = "raw or ema:RATE (default: the run's first EMA)"},
    {"join", TW_CONFIG_BOOL, offsetof(options, join), "false",
     .help = "make X.h5 of all parts, with --first too"},
    {"force", TW_CONFIG_BOOL, offsetof(options, force), "false",
     .help = "replace an X.h5 of other settings or rows, and the picture"},
    {"clean", TW_CONFIG_BOOL, offsetof(options, clean), "false",
     .help = "remove the parts when they are merged"},
    {"grid", TW_CONFIG_STRING, offsetof(options, grid), "", .value = "PNG",
     .help = "a picture: of each measurement what it says by itself, three samples where kept, "
             "mean, twice the deviation"},
    {"grid-rows", TW_CONFIG_INT64, offsetof(options, grid_rows), "8", .min = 1, .max = 1000,
     .value = "N", .help = "measurements in it"},
    {"truth", TW_CONFIG_STRING, offsetof(options, truth), "", .value = "DATA.h5",
     .help = "what was measured, row by row: the picture's last column"},
    {"truth-split", TW_CONFIG_STRING, offsetof(options, truth_split), "", .value = "NAME",
     .help = "of --truth (default: all)"},
};

enum { ASSIGNMENTS = 256, KEYS = 5 };

/* Options that are keys with names of their own; what is assigned wins. */
typedef struct settings {
    char text[KEYS][TW_PATH_MAX], *list[ASSIGNMENTS + KEYS];
    int count;
} settings;

static tw_status gather(settings *s, const options *o, const tw_arguments *a)
{
    tw_status st = TW_OK;
    const char *const key[KEYS] = {"task.kind", "restore.method", "sample.class", "guidance.scale",
                                   "sample.decode"};
    const char *const value[KEYS] = {o->task, o->method, o->class, o->scale, o->decode};
    TW_CHECK(a->assignment_count <= ASSIGNMENTS, TW_EUSAGE, "%d settings are too many",
             a->assignment_count);
    for (int k = 0; k < KEYS; k++) {
        if (!value[k][0]) continue;
        TW_TRY(tw_format(s->text[k], sizeof s->text[k], "%s=%s", key[k], value[k]));
        s->list[s->count++] = s->text[k];
    }
    for (int i = 0; i < a->assignment_count; i++) s->list[s->count++] = a->assignments[i];
done:
    return st;
}

static tw_status read_first(int64_t *out, const char *text)
{
    const tw_config_field field = {.type = TW_CONFIG_INT64, .max = 8e12};
    *out = 0;
    if (!text[0]) return TW_OK;
    const tw_status st = tw_config_value(&field, text, out);
    return st == TW_ECONFIG ? tw_error_set(TW_EUSAGE, "--first %s", tw_error_message()) : st;
}

static tw_status simulate(const tw_comm *comm, const options *o, const settings *s, int64_t first)
{
    tw_status st = TW_OK;
    int64_t count = 0;
    const tw_simulate_options job = {.data = o->input,
                                     .split = o->split,
                                     .first = first,
                                     .count = o->rows,
                                     .out = o->out,
                                     .replace = o->force,
                                     .assignment_count = s->count,
                                     .assignments = s->list};
    if (tw_comm_rank(comm) == 0) st = tw_simulate_job(&job, &count);
    TW_TRY(tw_comm_agree(comm, st));
    if (tw_comm_rank(comm) == 0)
        printf("%s: measurements of rows %lld to %lld\n", o->out, (long long)first,
               (long long)(first + count - 1));
done:
    return st;
}

static void report(const tw_restore_job_options *job, const tw_row_job_result *r)
{
    const long long first = r->first, last = r->first + r->count - 1;
    if (!job->rows.join)
        printf("%s.parts: measurements %lld to %lld are there; the same command without --first "
               "makes one file of them and others\n",
               job->rows.out, first, last);
    else if (r->complete)
        printf("%s: measurements %lld to %lld, there already\n", job->rows.out, first, last);
    else
        printf("%s: measurements %lld to %lld, %lld samples each, %.1f evaluations a sample\n",
               job->rows.out, first, last, (long long)job->per, r->evaluations);
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    settings s = {.count = 0};
    int64_t first;
    tw_row_job_result r = {0};
    TW_TRY(tw_options_parse(&tw_cmd_restore, argc, argv, &o, &a));
    TW_TRY(gather(&s, &o, &a));
    TW_TRY(read_first(&first, o.first));
    TW_CHECK(o.simulate || a.count, TW_EUSAGE,
             "which weights? (a run, a checkpoint or a weights file); usage: tweedie restore %s",
             tw_cmd_restore.usage);
    TW_CHECK(!o.latents || !o.decode[0], TW_EUSAGE, "--latents and --decode exclude each other");
    if (o.simulate) {
        TW_TRY(simulate(comm, &o, &s, first));
        goto done;
    }
    const tw_restore_job_options job = {.rows = {.weights = a.values[0],
                                                 .which = o.weights,
                                                 .data = o.input,
                                                 .split = o.split,
                                                 .first = first,
                                                 .count = o.rows,
                                                 .join = o.join || !o.first[0],
                                                 .out = o.out,
                                                 .replace = o.force,
                                                 .clean = o.clean,
                                                 .assignment_count = s.count,
                                                 .assignments = s.list},
                                        .guide = o.guide,
                                        .latents = o.latents,
                                        .per = o.count,
                                        .keep = o.keep,
                                        .files = o.files,
                                        .grid = o.grid,
                                        .grid_rows = o.grid_rows,
                                        .truth = o.truth,
                                        .truth_split = o.truth_split};
    TW_TRY(tw_restore_job(comm, &job, &r));
    if (tw_comm_rank(comm) == 0) report(&job, &r);
done:
    return st;
}

const tw_command tw_cmd_restore = {
    .name = "restore",
    .summary = "posterior samples of linear inverse problems",
    .usage = "[RUN_OR_WEIGHTS] --task TASK --input Y.h5 --out X.h5 [section.key=value ...]",
    .help =
        "Samples of p(x | y) for each measurement y = A x + noise of the input, with the network "
        "as "
        "the prior: X.h5 is a dataset of their means\n"
        "with /standard_deviation, /quantiles and /samples where kept. Blocks, --first and exit "
        "codes are as of `tweedie likelihood`.\n"
        "Settings: task.kind, noise (of a measurement, in the data's units), seed and the task's "
        "own (mask, box, half; factor; kernel, width,\n"
        "border; fraction, transform; matrix, format); restore.method (sde, replacement, repaint, "
        "dps, mcg, pigdm, moments, ddrm, ddnm, langevin,\n"
        "gibbs, smc), its own, and quantiles; sample.kind, steps, batch, seed, ...; guidance.kind, "
        "scale, time_min, time_max, ...;\n"
        "compute.threads, precision, convolution. Methods that differentiate the score are refused "
        "where a second network guides.\n"
        "Of a model of latents what --decode makes of them was measured and is restored, by "
        "method dps.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 0,
    .most = 1,
    .takes_assignments = true,
    .parallel = true,
    .stops = true,
    .run = run,
};
