/* tweedie report: one page about runs, to look at and to hand on. */
#include <stdio.h>

#include "cli/command.h"
#include "tweedie/report.h"

extern const tw_command tw_cmd_report;

typedef struct options {
    const char *out;
    bool force;
} options;

static const tw_option table[] = {
    {"out", TW_CONFIG_STRING, offsetof(options, out), NULL, .value = "FILE.html",
     .help = "the page"},
    {"force", TW_CONFIG_BOOL, offsetof(options, force), "false",
     .help = "replace FILE.html if it exists"},
};

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    (void)comm;
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    tw_text notes = {0};
    TW_TRY(tw_options_parse(&tw_cmd_report, argc, argv, &o, &a));
    const tw_output_mode mode = o.force ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW;
    TW_TRY(tw_output_check(o.out, mode, (const char *const *)a.values, a.count));
    TW_TRY(tw_report_write(o.out, mode, a.count, a.values, &notes));
    printf("%s\n", o.out);
done:
    tw_report_warn(&notes);
    return st;
}

const tw_command tw_cmd_report = {
    .name = "report",
    .summary = "one page of HTML about runs: curves, samples, configurations, provenance",
    .usage = "RUN... --out FILE.html",
    .help = "Reads the files of the runs alone, beside their trainers or after their end. Curves "
            "of several runs are drawn over each other,\nand what differs in their configurations "
            "is marked. The page holds all it shows: no scripts, and nothing from elsewhere.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = TW_REPORT_RUNS_MAX,
    .run = run,
};
