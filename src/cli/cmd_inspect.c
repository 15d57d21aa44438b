/* tweedie inspect: what a file, a run, a network or a plan is. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/inspect.h"

typedef struct options {
    const char *fingerprint, *plan, *keys, *ranks, *grid;
    int64_t most;
    tw_config_doubles times;
    tw_config_ints labels;
    bool json, force;
} options;

static const tw_option table[] = {
    {"fingerprint", TW_CONFIG_STRING, offsetof(options, fingerprint), "", .value = "CONFIG.ini",
     .help = "build its network, fill it by rule, and print the numbers that any implementation "
             "must give; of a RUN or weights file: with its weights, in f32"},
    {"times", TW_CONFIG_DOUBLES, offsetof(options, times), "", .value = "A,B,...",
     .kinds = "--fingerprint", .help = "a time for each sample, as the embedding receives it"},
    {"labels", TW_CONFIG_INTS, offsetof(options, labels), "", .value = "A,B,...",
     .kinds = "--fingerprint", .help = "class indices, for networks that take them"},
    {"plan", TW_CONFIG_STRING, offsetof(options, plan), "", .value = "CONFIG.ini",
     .help = "print the plan of its training step"},
    {"keys", TW_CONFIG_STRING, offsetof(options, keys), "", .value = "CONFIG.ini",
     .help = "check it, and print all keys there are, with their values and what they do"},
    {"ranks", TW_CONFIG_STRING, offsetof(options, ranks), "", .value = "CONFIG.ini",
     .help = "check it, and print the largest number of ranks that can share its batch"},
    {"most", TW_CONFIG_INT64, offsetof(options, most), "1000000", .min = 1, .max = 1e9,
     .value = "N", .kinds = "--ranks", .help = "of up to N"},
    {"grid", TW_CONFIG_STRING, offsetof(options, grid), "", .value = "PNG", .kinds = "file",
     .help = "of a dataset: draw its first samples, and of each channel range, mean and histogram"},
    {"force", TW_CONFIG_BOOL, offsetof(options, force), "false", .kinds = "file",
     .help = "replace PNG if it exists"},
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .kinds = "file --fingerprint",
     .help = "print JSON"},
};

extern const tw_command tw_cmd_inspect;

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    (void)comm;
    TW_TRY(tw_options_parse(&tw_cmd_inspect, argc, argv, &o, &a));
    {
        const tw_inspect_picture picture = {o.grid, o.force ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW};
        const bool fingerprint = *o.fingerprint, plan = *o.plan, keys = *o.keys, ranks = *o.ranks;
        const tw_inspect_network network = {.config = fingerprint ? o.fingerprint
                                                      : plan      ? o.plan
                                                      : keys      ? o.keys
                                                                  : o.ranks,
                                            .assignment_count = a.assignment_count,
                                            .assignments = a.assignments,
                                            .times = o.times,
                                            .labels = o.labels,
                                            .json = o.json};
        TW_CHECK(
            fingerprint + plan + keys + ranks + a.count == 1, TW_EUSAGE,
            "inspect: a file or run, or --fingerprint, --plan, --keys or --ranks: one of them");
        TW_TRY(tw_options_check_kind(&tw_cmd_inspect, &a, "inspect",
                                     (const char *const[]){fingerprint ? "--fingerprint"
                                                           : plan      ? "--plan"
                                                           : keys      ? "--keys"
                                                           : ranks     ? "--ranks"
                                                                       : "file",
                                                           NULL}));
        TW_CHECK(!a.count || !a.assignment_count, TW_EUSAGE,
                 "%s: a file takes no settings; --plan, --keys, --ranks and --fingerprint do",
                 a.assignments[0]);
        if (fingerprint)
            TW_TRY(tw_inspect_fingerprint(&network));
        else if (plan)
            TW_TRY(tw_inspect_plan(&network));
        else if (keys)
            TW_TRY(tw_inspect_keys(&network));
        else if (ranks)
            TW_TRY(tw_inspect_ranks(&network, o.most));
        else
            TW_TRY(tw_inspect_file(a.values[0], o.grid[0] ? &picture : NULL, o.json));
    }
done:
    return st;
}

const tw_command tw_cmd_inspect = {
    .name = "inspect",
    .summary = "what a file, run, network or plan is",
    .usage = "FILE_OR_RUN | --fingerprint CONFIG.ini --times A,B | --plan|--keys|--ranks "
             "CONFIG.ini [section.key=value ...]",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 0,
    .most = 1,
    .takes_assignments = true,
    .run = run,
};
