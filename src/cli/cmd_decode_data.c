/* tweedie decode-data: samples of latents, by an autoencoder. */
#include <stdio.h>

#include "cli/row_options.h"
#include "tweedie/comm.h"
#include "tweedie/job_latents.h"

extern const tw_command tw_cmd_decode_data;

static const tw_option table[] = {
    ROW_OPTIONS("latents", "what `tweedie encode-data` wrote, or samples of a model of it",
                "of it (default: all)"),
};

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    row_options o;
    tw_arguments a;
    tw_row_job_options job;
    tw_latents_summary s = {0};
    TW_TRY(tw_options_parse(&tw_cmd_decode_data, argc, argv, &o, &a));
    TW_TRY(row_options_job(&job, &o, &a));
    TW_TRY(tw_decode_data_job(comm, &job, &s));
    if (tw_comm_rank(comm) != 0) goto done;
    row_options_report_made(&job, &s.rows, "samples");
done:
    return st;
}

const tw_command tw_cmd_decode_data = {
    .name = "decode-data",
    .summary = "samples of latents, by an autoencoder",
    .usage = "AUTOENCODER_RUN --latents LATENTS.h5 --out OUT.h5 [sample.batch=N] "
             "[compute.key=value ...]",
    .help = "Decodes each row: the weights must be those that the latents are of.\n"
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
