/* tweedie bench: the speed of this machine. */
#include <string.h>

#include "cli/bench.h"
#include "cli/command.h"

typedef struct options {
    int64_t repetitions, megabytes, nodes;
    int communication;
    double compute_ms;
    bool json, alone;
} options;

static const tw_option table[] = {
    {"repetitions", TW_CONFIG_INT64, offsetof(options, repetitions), "0", .min = 0, .max = 100000,
     .value = "N", .help = "how often everything is measured, in turn; 0: node 3 times, others 10"},
    {"compute-ms", TW_CONFIG_DOUBLE, offsetof(options, compute_ms), "0", .min = 0, .max = 1e6,
     .value = "MS", .kinds = "reduce",
     .help = "waits in the place of a backward pass of so long, and tells what of the "
             "reduction they hide"},
    {"communication", TW_CONFIG_CHOICE, offsetof(options, communication), "auto",
     .choices = "auto|thread|inline", .value = "HOW", .kinds = "reduce",
     .help = "a thread of its own, or moments between operations (auto: a thread where a "
             "CPU is to spare)"},
    {"megabytes", TW_CONFIG_INT64, offsetof(options, megabytes), "143", .min = 1, .max = 100000,
     .value = "MB", .kinds = "reduce", .help = "size of the gradient"},
    {"alone", TW_CONFIG_BOOL, offsetof(options, alone), "false", .kinds = "step sample",
     .help = "leave out the convolutions that it is held against"},
    {"nodes", TW_CONFIG_INT64, offsetof(options, nodes), "1", .min = 1, .max = 1000000,
     .value = "N", .kinds = "node", .help = "nodes that are to share train.batch"},
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print JSON"},
};

extern const tw_command tw_cmd_bench;

static bool kind(int i, tw_command_kind *out)
{
    if (i >= tw_bench_count) return false;
    *out = (tw_command_kind){.name = tw_bench_table[i]->name,
                             .usage = strcmp(tw_bench_table[i]->name, "reduce") == 0
                                          ? ""
                                          : "CONFIG.ini [section.key=value ...]",
                             .summary = tw_bench_table[i]->summary};
    return true;
}

static tw_status find(const tw_bench **out, const char *name)
{
    tw_status st = TW_OK;
    tw_command_kind none;
    for (int i = 0; i < tw_bench_count; i++)
        if (strcmp(tw_bench_table[i]->name, name) == 0) {
            *out = tw_bench_table[i];
            return TW_OK;
        }
    TW_TRY(tw_command_kind_find(&none, &tw_cmd_bench, name));
done:
    return st;
}

static int64_t repetitions(const tw_bench *bench, int64_t asked)
{
    return asked ? asked : bench->repetitions ? bench->repetitions : 10;
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    const tw_bench *bench = NULL;
    TW_TRY(tw_options_parse(&tw_cmd_bench, argc, argv, &o, &a));
    TW_TRY(find(&bench, a.values[0]));
    TW_TRY(tw_options_check_kind(&tw_cmd_bench, &a, "bench",
                                 (const char *const[]){bench->name, NULL}));
    {
        const tw_bench_options b = {.config = a.count > 1 ? a.values[1] : NULL,
                                    .assignment_count = a.assignment_count,
                                    .assignments = a.assignments,
                                    .repetitions = repetitions(bench, o.repetitions),
                                    .nodes = o.nodes,
                                    .alone = o.alone,
                                    .compute_ms = o.compute_ms,
                                    .megabytes = o.megabytes,
                                    .communication = o.communication,
                                    .json = o.json};
        TW_TRY(bench->run(comm, &b));
    }
done:
    return st;
}

const tw_command tw_cmd_bench = {
    .name = "bench",
    .summary = "the speed of this machine: a training step against its convolutions, and more",
    .usage = "step|sample|node|reduce|read [CONFIG.ini] [section.key=value ...]",
    .help = "step     a whole training step against the sum of its convolutions as oneDNN's "
            "primitives give them, interleaved\n"
            "sample   a denoising step against its forward convolutions\n"
            "node     short trainings at each ranks x threads of this node, and the lines of a job "
            "script for the fastest; started alone, it starts the ranks by srun or mpirun\n"
            "reduce   the gradient reduction against a plain MPI_Allreduce, and the update of "
            "slices against that of everything\n"
            "read     loading batches from the dataset",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .kind = kind,
    .least = 1,
    .most = 2,
    .takes_assignments = true,
    .parallel = true,
    .run = run,
};
