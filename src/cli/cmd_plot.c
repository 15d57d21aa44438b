/* tweedie plot: pictures of scores, samples, paths and curves, each with its number. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/plot.h"
#include "tweedie/json.h"

extern const tw_command tw_cmd_plot;

#define KINDS_OF_RUN "score energy noise paths"

static const tw_option table[] = {
    {"out", TW_CONFIG_STRING, offsetof(tw_plot_options, out), NULL, .value = "PNG",
     .help = "the picture"},
    {"force", TW_CONFIG_BOOL, offsetof(tw_plot_options, mode), "false",
     .help = "replace PNG if it exists"},
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

static tw_status find(const tw_plot **out, const char *name)
{
    tw_status st = TW_OK;
    tw_command_kind none;
    for (int i = 0; i < tw_plot_count; i++)
        if (strcmp(tw_plot_table[i]->name, name) == 0) {
            *out = tw_plot_table[i];
            return TW_OK;
        }
    TW_TRY(tw_command_kind_find(&none, &tw_cmd_plot, name));
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

static tw_status check_output(const tw_plot_options *o)
{
    tw_status st = TW_OK;
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
    (void)comm;
    TW_TRY(tw_options_parse(&tw_cmd_plot, argc, argv, &o, &a));
    o.mode = tw_options_is_given(&tw_cmd_plot, &a, "force") ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW;
    TW_TRY(find(&plot, a.values[0]));
    TW_TRY(
        tw_options_check_kind(&tw_cmd_plot, &a, "plot", (const char *const[]){plot->name, NULL}));
    TW_CHECK(a.count - 1 <= plot->most, TW_EUSAGE, "usage: tweedie plot %s %s --out PNG",
             plot->name, plot->usage);
    o.input_count = a.count - 1;
    o.inputs = a.values + 1;
    o.assignment_count = a.assignment_count;
    o.assignments = a.assignments;
    TW_TRY(check_output(&o));
    TW_TRY(plot->run(&o, &numbers));
    TW_TRY(print(&o, &numbers));
done:
    return st;
}

const tw_command tw_cmd_plot = {
    .name = "plot",
    .summary = "draw scores, energies, paths, samples and curves, each with its number",
    .usage = "PICTURE INPUT... --out PNG [sample.key=value ...]",
    .help =
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
        "Runs and samples are of points in the plane.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .kind = kind,
    .least = 2,
    .most = 17,
    .takes_assignments = true,
    .run = run,
};
