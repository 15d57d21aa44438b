/* tweedie export-weights: weights as other libraries read them. */
#include <stdio.h>

#include "cli/command.h"
#include "tweedie/weights.h"
#include "weights/exporter.h"

typedef struct options {
    const char *format, *out, *weights;
    bool force;
} options;

extern const tw_command tw_cmd_export_weights;

static const tw_option table[] = {
    {"format", TW_CONFIG_STRING, offsetof(options, format), NULL, .value = "FORMAT",
     .help = "of those above"},
    {"out", TW_CONFIG_STRING, offsetof(options, out), NULL, .value = "FOLDER",
     .help = "where the files go; made where it is missing"},
    {"weights", TW_CONFIG_STRING, offsetof(options, weights), "", .value = "raw|ema:RATE",
     .help = "which ones (default: the run's first EMA, else raw)"},
    {"force", TW_CONFIG_BOOL, offsetof(options, force), "false",
     .help = "replace files in FOLDER that exist"},
};

static bool kind(int i, tw_command_kind *out)
{
    if (i >= tw_export_count) return false;
    *out =
        (tw_command_kind){.name = tw_export_table[i]->name, .summary = tw_export_table[i]->summary};
    return true;
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    tw_text files = {0};
    (void)comm;
    TW_TRY(tw_options_parse(&tw_cmd_export_weights, argc, argv, &o, &a));
    const tw_weights_export_options export = {.path = a.values[0],
                                              .which = o.weights,
                                              .format = o.format,
                                              .folder = o.out,
                                              .replace = o.force};
    TW_TRY(tw_weights_export_as(&files, &export));
    fputs(files.data, stdout);
done:
    tw_text_free(&files);
    return st;
}

const tw_command tw_cmd_export_weights = {
    .name = "export-weights",
    .summary = "write weights as other libraries read them",
    .usage = "RUN|FILE --format FORMAT --out FOLDER",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .kind = kind,
    .kinds_listed = true,
    .kind_option = "format",
    .least = 1,
    .most = 1,
    .run = run,
};
