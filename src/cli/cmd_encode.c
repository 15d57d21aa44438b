/* tweedie encode: the latent codes of data. */
#include <stdio.h>

#include "cli/row_options.h"
#include "tweedie/comm.h"

typedef struct options {
    row_options rows;
    bool logp;
} options;

extern const tw_command tw_cmd_encode;

static const tw_option table[] = {
    ROW_OPTIONS("data", "a dataset such as the network was trained with",
                "of the dataset (default: all)"),
    {"logp", TW_CONFIG_BOOL, offsetof(options, logp), "false",
     .help = "with /logp and /standard_error: log density of each row as it is, bytes not "
             "dequantised"},
};

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    tw_row_job_options job;
    tw_row_job_result r = {0};
    TW_TRY(tw_options_parse(&tw_cmd_encode, argc, argv, &o, &a));
    TW_TRY(row_options_job(&job, &o.rows, &a));
    TW_TRY(tw_encode_job(comm, &job, o.logp, &r));
    if (tw_comm_rank(comm) == 0) row_options_report(&job, &r, "codes");
done:
    return st;
}

const tw_command tw_cmd_encode = {
    .name = "encode",
    .summary = "the latent codes of data",
    .usage = "RUN_OR_WEIGHTS --data DATA.h5 --out CODES.h5 [likelihood.key=value ...]",
    .help = "Carries each sample to the process's last time without noise: by the "
            "probability-flow ODE, or by inverted DDIM where the process is\n"
            "discrete (likelihood.inversions makes each of its steps exact). The codes are a "
            "dataset of float32, which `tweedie decode` takes back.\n"
            "Blocks, --first and exit codes are as of `tweedie likelihood`.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = 1,
    .takes_assignments = true,
    .parallel = true,
    .stops = true,
    .run = run,
};
