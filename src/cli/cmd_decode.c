/* tweedie decode: what latent codes stand for, and what lies between two of them. */
#include <stdio.h>
#include <string.h>

#include "cli/row_options.h"
#include "tweedie/comm.h"
#include "tweedie/memory.h"
#include "tweedie/text.h"

typedef struct options {
    row_options rows;
    double temperature;
    const char *interpolate;
    int64_t steps;
} options;

extern const tw_command tw_cmd_decode;

static const tw_option table[] = {
    ROW_OPTIONS("codes",
                "what `tweedie encode` wrote, or any dataset of float32 in the prior's "
                "units",
                "of the codes (default: all)"),
    {"temperature", TW_CONFIG_DOUBLE, offsetof(options, temperature), "1", .min = 0, .max = 1e6,
     .value = "TAU", .help = "codes are multiplied by it"},
    {"interpolate", TW_CONFIG_STRING, offsetof(options, interpolate), "", .value = "I,J",
     .help = "in place of the codes: steps from row I to row J on the great circle"},
    {"steps", TW_CONFIG_INT64, offsetof(options, steps), "8", .min = 2, .max = 1e6, .value = "K",
     .help = "of --interpolate, both ends included"},
};

static tw_status read_ends(tw_decode_options *out, const options *o)
{
    tw_status st = TW_OK;
    char text[64];
    *out = (tw_decode_options){.temperature = o->temperature};
    if (!o->interpolate[0]) goto done;
    const char *comma = strchr(o->interpolate, ',');
    TW_CHECK(comma && tw_format(text, sizeof text, "%.*s", (int)(comma - o->interpolate),
                                o->interpolate) == TW_OK,
             TW_EUSAGE, "--interpolate %s: expected two rows, as 3,17", o->interpolate);
    TW_CHECK(tw_text_to_int64(text, &out->from) && tw_text_to_int64(comma + 1, &out->to), TW_EUSAGE,
             "--interpolate %s: expected two rows, as 3,17", o->interpolate);
    out->steps = o->steps;
done:
    return st;
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    tw_row_job_options job;
    tw_decode_options decoding;
    tw_row_job_result r = {0};
    TW_TRY(tw_options_parse(&tw_cmd_decode, argc, argv, &o, &a));
    TW_TRY(row_options_job(&job, &o.rows, &a));
    TW_TRY(read_ends(&decoding, &o));
    TW_TRY(tw_decode_job(comm, &job, &decoding, &r));
    if (tw_comm_rank(comm) == 0) row_options_report(&job, &r, "samples");
done:
    return st;
}

const tw_command tw_cmd_decode = {
    .name = "decode",
    .summary = "samples of latent codes, and between them",
    .usage = "RUN_OR_WEIGHTS --codes CODES.h5 --out FILE [likelihood.key=value ...]",
    .help = "Carries each code back to the data without noise, by the probability-flow ODE or by "
            "DDIM. FILE is a dataset as the training data were.\n"
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
