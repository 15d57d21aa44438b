/* tweedie likelihood: how probable a trained model finds data. */
#include <math.h>
#include <stdio.h>

#include "cli/row_options.h"
#include "tweedie/comm.h"
#include "tweedie/json.h"

typedef struct options {
    row_options rows;
    bool json;
} options;

extern const tw_command tw_cmd_likelihood;

static const tw_option table[] = {
    ROW_OPTIONS("data", "a dataset such as the network was trained with",
                "of the dataset (default: test where there is one, else all)"),
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print one JSON object"},
};

static tw_status print_json(const tw_row_job_options *job, const tw_likelihood_summary *s)
{
    tw_status st = TW_OK;
    tw_json json = {0};
    tw_json_object(&json, NULL);
    tw_json_string(&json, "path", job->out);
    tw_json_string(&json, "kind", s->bound ? "bound" : "ode");
    tw_json_int64(&json, "first", s->rows.first);
    tw_json_int64(&json, "samples", s->rows.count);
    tw_json_int64(&json, "dimensions", s->dims);
    tw_json_double(&json, "nats", s->mean);
    tw_json_double(&json, "nats_standard_error", s->error);
    tw_json_double(&json, "bits_per_dimension", s->bits);
    tw_json_double(&json, "bits_per_dimension_standard_error", s->bits_error);
    tw_json_double(&json, "prior", s->prior);
    tw_json_double(&json, "evaluations", s->rows.evaluations);
    tw_json_string(&json, "weights_digest", s->weights);
    tw_json_string(&json, "dataset_digest", s->data);
    if (s->encoder[0]) tw_json_string(&json, "encoder", s->encoder);
    tw_json_end(&json);
    TW_TRY(tw_json_finish(&json));
    printf("%s\n", json.text.data);
done:
    tw_text_free(&json.text);
    return st;
}

static void print_words(const tw_likelihood_summary *s)
{
    printf("log p %s%.6g nats a %s", s->bound ? ">= " : "", s->mean,
           s->encoder[0] ? "latent" : "sample");
    if (isfinite(s->error)) printf(" +- %.2g", s->error);
    if (isfinite(s->bits)) printf(", %s%.4f bits per dimension", s->bound ? "<= " : "", s->bits);
    if (isfinite(s->bits_error)) printf(" +- %.2g", s->bits_error);
    printf("\n");
    if (s->encoder[0])
        printf("of latents of the autoencoder %s, not of the samples that they decode to\n",
               s->encoder);
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    tw_row_job_options job;
    tw_likelihood_summary s = {0};
    TW_TRY(tw_options_parse(&tw_cmd_likelihood, argc, argv, &o, &a));
    TW_TRY(row_options_job(&job, &o.rows, &a));
    TW_CHECK(!o.json || job.join, TW_EUSAGE,
             "--json prints the means of the whole, and --first makes a share: add --join");
    TW_TRY(tw_likelihood_job(comm, &job, &s));
    if (tw_comm_rank(comm) > 0) goto done;
    if (o.json)
        TW_TRY(print_json(&job, &s));
    else {
        row_options_report(&job, &s.rows, "rows");
        if (job.join) print_words(&s);
    }
done:
    return st;
}

const tw_command tw_cmd_likelihood = {
    .name = "likelihood",
    .summary = "log-likelihoods of data: nats, and bits per dimension",
    .usage = "RUN_OR_WEIGHTS --data DATA.h5 --out FILE [likelihood.key=value ...]",
    .help =
        "Continuous processes: the exact log-likelihood by the probability-flow ODE, bytes "
        "dequantised. Discrete ones (ddpm): the variational\n"
        "bound, with its terms by time step. FILE has a row for each sample: /logp in nats, "
        "/standard_error, /evaluations, /prior and, of bytes,\n"
        "/bits_per_dimension; what the numbers mean stands in its attributes. Blocks are kept in "
        "FILE.parts, so a job that was killed goes on\n"
        "with what is missing, and several share the work with --first. The result is the same "
        "bits on any number of ranks. Exit 64: parts are\n"
        "there that were made with other weights, data or settings. Computes in float32 unless "
        "compute.precision says otherwise, by the definition\n"
        "of convolutions unless compute.convolution does. Of a model of latents DATA holds "
        "latents, and the likelihood is theirs, not that of the samples\n"
        "that they decode to; it says so.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = 1,
    .takes_assignments = true,
    .parallel = true,
    .stops = true,
    .run = run,
};
