/* tweedie reconstruct: how well an autoencoder keeps data. */
#include <stdio.h>

#include "cli/row_options.h"
#include "tweedie/comm.h"
#include "tweedie/job_latents.h"

typedef struct options {
    row_options rows;
    const char *grid;
    int64_t grid_count;
} options;

extern const tw_command tw_cmd_reconstruct;

static const tw_option table[] = {
    ROW_OPTIONS("data", "a dataset such as the autoencoder was trained with",
                "of the dataset (default: all)"),
    {"grid", TW_CONFIG_STRING, offsetof(options, grid), "", .value = "PNG",
     .help = "a picture of the first rows, each beside its reconstruction"},
    {"grid-count", TW_CONFIG_INT64, offsetof(options, grid_count), "32", .min = 1, .max = 32767,
     .value = "N", .help = "rows in it"},
};

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    tw_row_job_options job;
    tw_latents_summary s = {0};
    TW_TRY(tw_options_parse(&tw_cmd_reconstruct, argc, argv, &o, &a));
    TW_TRY(row_options_job(&job, &o.rows, &a));
    TW_CHECK(o.grid[0] || !tw_options_is_given(&tw_cmd_reconstruct, &a, "grid-count"), TW_EUSAGE,
             "--grid-count: needs --grid");
    TW_TRY(tw_reconstruct_job(comm, &job, o.grid, o.grid_count, &s));
    if (tw_comm_rank(comm) != 0) goto done;
    row_options_report_made(&job, &s.rows, "reconstructions");
    if (s.rows.complete || !job.join) goto done;
    printf("  PSNR %.2f dB, SSIM %.4f", s.psnr, s.ssim);
    if (s.codes)
        printf(" (means over rows); %lld of %lld codes used, perplexity %.1f\n", (long long)s.used,
               (long long)s.codes, s.perplexity);
    else
        printf(", KL %.1f nats (means over rows)\n", s.kl);
done:
    return st;
}

const tw_command tw_cmd_reconstruct = {
    .name = "reconstruct",
    .summary = "how well an autoencoder keeps data",
    .usage = "AUTOENCODER_RUN --data DATA.h5 --out OUT.h5 [--grid PNG] [sample.batch=N] "
             "[compute.key=value ...]",
    .help =
        "Encodes each sample and decodes its mean: the reconstructions as a dataset, with /psnr "
        "(dB), /ssim and /kl (nats of the latent against\n"
        "N(0, 1)) of each row, and their means. Blocks, --first and exit codes are as of "
        "`tweedie likelihood`.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = 1,
    .takes_assignments = true,
    .parallel = true,
    .stops = true,
    .run = run,
};
