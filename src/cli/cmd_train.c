/* tweedie train: train a network, or resume. */
#include "cli/command.h"
#include "tweedie/train.h"

typedef struct options {
    const char *run, *init, *init_weights;
    double max_hours;
    int64_t stop_at_step;
    bool dry_run;
} options;

static const tw_option table[] = {
    {"run", TW_CONFIG_STRING, offsetof(options, run), NULL, .value = "RUN",
     .help = "the run's directory; made where it is missing"},
    {"init", TW_CONFIG_STRING, offsetof(options, init), "", .value = "FILE",
     .help = "start a new run from these weights (RUN, checkpoint or weights file)"},
    {"init-weights", TW_CONFIG_STRING, offsetof(options, init_weights), "", .value = "W",
     .help = "which of them: raw or ema:RATE"},
    {"max-hours", TW_CONFIG_DOUBLE, offsetof(options, max_hours), "0", .min = 0, .max = 1e6,
     .value = "H", .help = "save and stop (exit 75) after so many hours; 0: never"},
    {"stop-at-step", TW_CONFIG_INT64, offsetof(options, stop_at_step), "0", .min = 0, .max = 1e12,
     .value = "K", .help = "save and stop (exit 75) after this step; 0: never"},
    {"dry-run", TW_CONFIG_BOOL, offsetof(options, dry_run), "false",
     .help = "check everything, estimate memory and time, write nothing"},
};

extern const tw_command tw_cmd_train;

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    TW_TRY(tw_options_parse(&tw_cmd_train, argc, argv, &o, &a));
    {
        const tw_train_options train = {.config = a.values[0],
                                        .run = o.run,
                                        .assignment_count = a.assignment_count,
                                        .assignments = a.assignments,
                                        .init = o.init,
                                        .init_weights = o.init_weights,
                                        .max_hours = o.max_hours,
                                        .stop_at_step = o.stop_at_step,
                                        .dry_run = o.dry_run};
        TW_TRY(tw_train(comm, &train));
    }
done:
    return st;
}

const tw_command tw_cmd_train = {
    .name = "train",
    .summary = "train a network, or resume",
    .usage = "CONFIG.ini --run RUN [section.key=value ...]",
    .help = "Trains on all ranks of this launch. Where RUN holds checkpoints it resumes from the "
            "newest that verifies, always: the same\n"
            "command starts and continues a run. SIGUSR1, SIGTERM and Ctrl-C finish the step, save "
            "and exit 75 (a second\n"
            "Ctrl-C ends it at once); SIGUSR2, or a file RUN/checkpoint-now, saves and goes on. "
            "Exit 76: the loss diverged.\n"
            "Exit 73: another process trains this run.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = 1,
    .takes_assignments = true,
    .parallel = true,
    .watched = true,
    .stops = true,
    .run = run,
};
