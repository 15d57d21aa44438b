/* tweedie encode-data: the latents of data, by an autoencoder. */
#include <stdio.h>

#include "cli/row_options.h"
#include "tweedie/comm.h"
#include "tweedie/job_latents.h"

extern const tw_command tw_cmd_encode_data;

typedef struct options {
    row_options rows;
    bool moments;
} options;

static const tw_option table[] = {
    ROW_OPTIONS("data", "a dataset such as the autoencoder was trained with",
                "of it (default: all)"),
    {"moments", TW_CONFIG_BOOL, offsetof(options, moments), "false",
     .help = "the log variance of each number beside its mean: data.latents=sample samples latents "
             "anew at each step"},
};

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    tw_row_job_options job;
    tw_latents_summary s = {0};
    TW_TRY(tw_options_parse(&tw_cmd_encode_data, argc, argv, &o, &a));
    TW_TRY(row_options_job(&job, &o.rows, &a));
    TW_TRY(tw_encode_data_job(comm, &job, o.moments, &s));
    if (tw_comm_rank(comm) != 0) goto done;
    row_options_report_made(&job, &s.rows, "latents");
    if (!s.rows.complete && job.join)
        printf("  %lld x %lld x %lld, %sof standard deviation %.6g, which is 1 in model units\n",
               (long long)s.height, (long long)s.width, (long long)s.channels,
               o.moments ? "sampled from their moments " : "", s.scale);
done:
    return st;
}

const tw_command tw_cmd_encode_data = {
    .name = "encode-data",
    .summary = "the latents of data, by an autoencoder",
    .usage = "AUTOENCODER_RUN --data DATA.h5 --out OUT.h5 [sample.batch=N] [compute.key=value ...]",
    .help = "Writes the encoder's mean of each sample: a dataset of float32 images with the data's "
            "labels "
            "and splits, whose units make the variance of all\n"
            "numbers one. Any model can be trained on it (latent diffusion); `tweedie sample RUN "
            "--decode AUTOENCODER_RUN` decodes its samples.\n"
            "With --moments the file has /log_variance beside the means: training with "
            "data.latents=sample samples each latent anew at each step, and\n"
            "the units are those of such samples. data.encoder trains from images without such a "
            "file, bitwise alike.\n"
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
