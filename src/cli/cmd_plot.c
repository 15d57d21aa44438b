/* tweedie plot: pictures of scores, samples, paths and curves, each with its number. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/plot.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"

extern const tw_command tw_cmd_plot;

#define KINDS_OF_RUN "score energy noise paths"

static const tw_option table[] = {
    {"out", TW_CONFIG_STRING, offsetof(tw_plot_options, out), "", .value = "FILE",
     .help = "the picture: SVG where it ends in .svg, else PNG (of a run alone: RUN/report.svg and "
             ".png)"},
    {"force", TW_CONFIG_BOOL, offsetof(tw_plot_options, mode), "false",
     .help = "replace FILE if it exists"},
    {"density", TW_CONFIG_STRING, offsetof(tw_plot_options, density), "", .value = "NAME",
     .kinds = KINDS_OF_RUN " samples",
     .help = "the exact density of these built-in points (circles, mixture, ...) beside"},
    {"time", TW_CONFIG_DOUBLE, offsetof(tw_plot_options, time), "-1", .min = -1, .max = 1e9,
     .value = "T", .kinds = "score energy", .help = "on the model's clock; -1: the smallest noise"},
    {"range", TW_CONFIG_DOUBLE, offsetof(tw_plot_options, range), "2.5", .min = 0.001, .max = 1e6,
     .value = "R", .kinds = "score energy paths samples", .help = "the picture goes from -R to R"},
    {"count", TW_CONFIG_INT64, offsetof(tw_plot_options, count), "40", .min = 1, .max = 10000,
     .value = "N", .kinds = "paths", .help = "paths that are drawn"},
    {"samples", TW_CONFIG_INT64, offsetof(tw_plot_options, samples), "2000", .min = 2,
     .max = 1000000, .value = "N", .kinds = "paths noise",
     .help = "samples that the number is computed from"},
    {"reference", TW_CONFIG_STRING, offsetof(tw_plot_options, reference), "", .value = "DATA.h5",
     .kinds = "samples spectrum",
     .help = "data beside, and the distance to them: sliced Wasserstein's, of power spectra"},
    {"channel", TW_CONFIG_INT64, offsetof(tw_plot_options, channel), "0", .min = 0, .max = 1e6,
     .value = "C", .kinds = "spectrum", .help = "whose power is drawn"},
    {"weights", TW_CONFIG_STRING, offsetof(tw_plot_options, weights), "", .value = "W",
     .kinds = KINDS_OF_RUN, .help = "raw or ema:RATE (default: the run's first EMA)"},
    {"keys", TW_CONFIG_STRING, offsetof(tw_plot_options, keys), "loss,validation_loss",
     .value = "A,B", .kinds = "curve", .help = "of the lines of a metrics file"},
    {"title", TW_CONFIG_STRING, offsetof(tw_plot_options, title), "", .value = "TEXT",
     .help = "over the picture, in place of the usual one; of several panels the first"},
    {"json", TW_CONFIG_BOOL, offsetof(tw_plot_options, json), "false",
     .help = "print one JSON object"},
};

static bool kind(int i, tw_command_kind *out)
{
    if (i >= tw_plot_count) return false;
    *out = (tw_command_kind){.name = tw_plot_table[i]->name,
                             .usage = tw_plot_table[i]->usage,
                             .summary = tw_plot_table[i]->summary};
    return true;
}

static const tw_plot *find(const char *name)
{
    for (int i = 0; i < tw_plot_count; i++)
        if (strcmp(tw_plot_table[i]->name, name) == 0) return tw_plot_table[i];
    return NULL;
}

/* A run alone is short for "run RUN", whatever it is called: pictures have inputs.
 * @param[out] inputs  the first argument that is one */
static tw_status choose(const tw_plot **out, int *inputs, const tw_arguments *a)
{
    tw_status st = TW_OK;
    struct stat info;
    tw_command_kind none;
    const char *name = a->values[0];
    const bool alone = a->count == 1 && stat(name, &info) == 0 && S_ISDIR(info.st_mode);
    *out = find(alone ? "run" : name);
    *inputs = alone ? 0 : 1;
    if (!*out) TW_TRY(tw_command_kind_find(&none, &tw_cmd_plot, name));
    TW_CHECK(a->count > *inputs && a->count - *inputs <= (*out)->most, TW_EUSAGE,
             "usage: tweedie plot %s %s --out FILE", (*out)->name, (*out)->usage);
done:
    return st;
}

void tw_plot_add(tw_plot_numbers *n, double value, const char *name, ...)
{
    va_list arguments;
    if (n->count == TW_PLOT_NUMBERS) return;
    va_start(arguments, name);
    vsnprintf(n->number[n->count].name, sizeof n->number[n->count].name, name, arguments);
    va_end(arguments);
    n->number[n->count++].value = value;
}

static tw_status print(const tw_plot_options *o, const tw_plot_numbers *n)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    if (!o->json) {
        printf("%s\n", o->out);
        for (int i = 0; i < n->count; i++)
            printf("  %-32s %.5g\n", n->number[i].name, n->number[i].value);
        return TW_OK;
    }
    tw_json_object(&json, NULL);
    tw_json_string(&json, "path", o->out);
    tw_json_object(&json, "numbers");
    for (int i = 0; i < n->count; i++) tw_json_double(&json, n->number[i].name, n->number[i].value);
    tw_json_end(&json);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    printf("%s\n", json.text.data);
done:
    tw_text_free(&json.text);
    return st;
}

/* @param own  room for a name that nobody gave */
static tw_status check_output(tw_plot_options *o, const tw_plot *plot, char own[TW_PATH_MAX])
{
    tw_status st = TW_OK;
    TW_CHECK(o->out[0] || plot->own_out, TW_EUSAGE, "--out FILE must be given: the picture");
    if (!o->out[0]) {
        TW_TRY(tw_format(own, TW_PATH_MAX, "%s/report.png", o->inputs[0]));
        o->out = own;
        o->mode = TW_OUTPUT_OWN;
        return TW_OK;
    }
    const char *inputs[18] = {o->reference[0] ? o->reference : NULL};
    for (int i = 0; i < o->input_count; i++) inputs[i + 1] = o->inputs[i];
    TW_TRY(tw_output_check(o->out, o->mode, inputs, o->input_count + 1));
done:
    return st;
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    tw_plot_options o = {0};
    tw_plot_numbers numbers = {0};
    tw_arguments a;
    const tw_plot *plot = NULL;
    char own[TW_PATH_MAX];
    int first = 0;
    (void)comm;
    TW_TRY(tw_options_parse(&tw_cmd_plot, argc, argv, &o, &a));
    o.mode = tw_options_is_given(&tw_cmd_plot, &a, "force") ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW;
    TW_TRY(choose(&plot, &first, &a));
    TW_TRY(
        tw_options_check_kind(&tw_cmd_plot, &a, "plot", (const char *const[]){plot->name, NULL}));
    o.input_count = a.count - first;
    o.inputs = a.values + first;
    o.assignment_count = a.assignment_count;
    o.assignments = a.assignments;
    TW_TRY(check_output(&o, plot, own));
    TW_TRY(plot->run(&o, &numbers));
    TW_TRY(print(&o, &numbers));
done:
    return st;
}

const tw_command tw_cmd_plot = {
    .name = "plot",
    .summary = "draw runs, scores, energies, paths, samples and curves, each with its number",
    .usage = "RUN | PICTURE INPUT... --out FILE [sample.key=value ...]",
    .help =
        "RUN             what a run has logged, and its newest samples, in RUN/report.svg and "
        ".png, which training refreshes at each grid;\n"
        "                number: the mean of its newest losses\n"
        "score RUN       arrows of the learned score, beside the exact one with --density; number: "
        "its relative error over p_t\n"
        "energy RUN      the density of a learned energy; number: total variation from the exact "
        "one\n"
        "noise RUN       size and error of the score by noise level; number: the slope of its size "
        "at small noise\n"
        "paths RUN       samples on their way by the SDE (the run's sampler) and by the ODE; "
        "number: the distance of both ends\n"
        "samples S.h5... points as heat maps; numbers: the weight of each mode with --density, the "
        "distance with --reference\n"
        "curve M.jsonl   what training logged, by step; number: the last value\n\n"
        "Scores, energies, noise, paths and samples are of points in the plane.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .kind = kind,
    .least = 1,
    .most = 17,
    .takes_assignments = true,
    .run = run,
};
