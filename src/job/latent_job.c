/* What an autoencoder makes of the rows of a dataset. */
#include <math.h>
#include <string.h>

#include "job/encoder.h"
#include "job/latent_scale.h"
#include "job/row_job.h"
#include "tweedie/job_latents.h"
#include "tweedie/memory.h"
#include "tweedie/metrics_posterior.h"
#include "tweedie/png.h"

/* Columns; of encoding LOG_VARIANCE is the second where moments are asked for; all others but the
 * first are of reconstructions, the last by what latents are. */
enum { NUMBERS, PSNR, SSIM, KL, CODES = KL, LOG_VARIANCE = PSNR };
enum { PAIRS_IN_A_ROW = 4 };

typedef enum direction { TO_LATENTS, FROM_LATENTS, THERE_AND_BACK } direction;

typedef struct latents {
    row_job job;
    direction way;
    const char *grid;
    int64_t grid_count;
    tw_dataset_spec spec;       /* of a latent, without units */
    float *mean, *log_variance; /* [block][numbers of a latent] */
    bool moments;               /* OUT has the log variances beside the means */
    latent_scale sums;          /* of the numbers of OUT */
    float *offset, *scale;      /* [channels] */
    double *measured[3];        /* [count]: /psnr, /ssim, /kl */
    int32_t *label;             /* [block], where the data have some */
    uint8_t *pixels;            /* [pairs][2] images */
    int64_t pictured;
    int64_t codes, vectors; /* what latents are made of, and how many a latent; 0: of any numbers */
    int32_t *index;         /* [block][vectors] */
    double *uses;           /* [codes]: how often OUT's rows take each */
    tw_dataset_writer *writer;
    tw_latents_summary summary;
} latents;

/* ---- planning ---- */

static tw_status settings(row_job *j)
{
    tw_status st = TW_OK;
    enum { BLOCK_BATCHES = 8 };
    const tw_row_job_options *o = j->options;
    TW_TRY(latent_encoder_settings(&j->config, &j->run, &j->batch, j->restored, o->assignment_count,
                                   o->assignments));
    j->block = BLOCK_BATCHES * j->batch;
done:
    return st;
}

static tw_status check_latents(row_job *j)
{
    tw_status st = TW_OK;
    const latents *l = j->self;
    const tw_dataset_spec *met = tw_dataset_get_spec(j->data), *want = &l->spec;
    TW_CHECK(met->kind == want->kind && met->height == want->height && met->width == want->width &&
                 met->channels == want->channels,
             TW_EDATA,
             "%s: holds %s of %lld x %lld x %lld, latents of this network are %s of %lld x %lld x "
             "%lld",
             j->options->data, tw_dataset_kind_name(met->kind), (long long)met->height,
             (long long)met->width, (long long)met->channels, tw_dataset_kind_name(want->kind),
             (long long)want->height, (long long)want->width, (long long)want->channels);
    TW_CHECK(met->encoder[0], TW_EDATA,
             "%s: does not say whose latents it holds; what tweedie encode-data wrote, or samples "
             "of a model of it, was expected",
             j->options->data);
    TW_CHECK(strcmp(met->encoder, j->restored->digest) == 0, TW_EDATA,
             "%s: holds latents of the weights %s, and %s are %s", j->options->data, met->encoder,
             j->options->weights, j->restored->digest);
done:
    return st;
}

static tw_status check(row_job *j)
{
    tw_status st = TW_OK;
    latents *l = j->self;
    TW_CHECK(tw_model_is_autoencoder(j->restored->model), TW_ECONFIG,
             "%s: network.kind = %s is no autoencoder, and has no latents; `tweedie encode` and "
             "`decode` are for the codes of a score",
             j->options->weights, j->restored->model->net->kind.name);
    TW_CHECK(!l->moments || !tw_model_codes(j->restored->model), TW_ECONFIG,
             "--moments: %s has a codebook (network.codes): its latents have no variance",
             j->options->weights);
    l->spec = latent_encoder_spec(j->restored->model);
    TW_TRY(l->way == FROM_LATENTS ? check_latents(j) : row_job_check_samples(j));
done:
    return st;
}

/* How many columns of one number there are. */
static int measures(const latents *l)
{
    return l->way != THERE_AND_BACK ? 0 : l->codes ? 2 : 3;
}

static tw_status plan_codes(latents *l)
{
    tw_status st = TW_OK;
    const row_job *j = &l->job;
    int64_t all;
    l->codes = tw_model_codes(j->restored->model);
    if (!l->codes) return TW_OK;
    l->vectors = tw_model_codec_numbers(j->codec) / l->spec.channels;
    TW_TRY(tw_multiply(&all, j->block, l->vectors, "codes"));
    TW_TRY(tw_alloc(&l->index, all, sizeof *l->index, "codes"));
    TW_TRY(tw_alloc(&l->uses, l->codes, sizeof *l->uses, "codes"));
done:
    return st;
}

static int64_t made_numbers(const latents *l)
{
    return l->way == TO_LATENTS ? tw_model_codec_numbers(l->job.codec) : l->job.dims;
}

static tw_status plan(row_job *j)
{
    tw_status st = TW_OK;
    static const char *const verbs[] = {"encode-data", "decode-data", "reconstruct"};
    static const char *const extra[] = {"psnr", "ssim", "kl"};
    latents *l = j->self;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, j->block, tw_model_codec_numbers(j->codec), "latents"));
    TW_TRY(tw_alloc(&l->mean, numbers, sizeof *l->mean, "latents"));
    TW_TRY(tw_alloc(&l->log_variance, numbers, sizeof *l->log_variance, "latents"));
    if (tw_dataset_get_spec(j->data)->num_classes)
        TW_TRY(tw_alloc(&l->label, j->block, sizeof *l->label, "labels"));
    j->columns.column[j->columns.count++] = (column){"numbers", COLUMN_F32, made_numbers(l)};
    if (l->moments)
        j->columns.column[j->columns.count++] =
            (column){"log_variance", COLUMN_F32, made_numbers(l)};
    TW_TRY(plan_codes(l));
    for (int k = 0; k < measures(l); k++)
        j->columns.column[j->columns.count++] = (column){extra[k], COLUMN_F64, 0};
    if (l->way == THERE_AND_BACK && l->codes)
        j->columns.column[j->columns.count++] = (column){"codes", COLUMN_I64, l->vectors};
    TW_TRY(tw_text_add(&j->text, "%s batch=%lld%s", verbs[l->way], (long long)j->batch,
                       l->moments ? " moments" : ""));
done:
    return st;
}

/* ---- computing ---- */

static double divergence(const float *mean, const float *log_variance, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        const double m = (double)mean[k], v = fmin(fmax((double)log_variance[k], -30), 20);
        sum += 0.5 * (m * m + exp(v) - 1 - v);
    }
    return sum;
}

/* PSNR, SSIM and KL of one row, of bytes as they are stored. */
static tw_status measure(latents *l, int64_t i, const float *x, const float *made)
{
    tw_status st = TW_OK;
    const row_job *j = &l->job;
    const tw_dataset_spec *s = &j->restored->samples;
    const int64_t latent = tw_model_codec_numbers(j->codec);
    const bool bytes = s->kind == TW_DATASET_UINT8;
    const double range = bytes ? 255 : 2;
    float *pair = NULL;
    uint8_t *stored = NULL;
    TW_TRY(tw_alloc(&pair, 2 * j->dims, sizeof *pair, "a pair of samples"));
    TW_TRY(tw_alloc(&stored, j->dims, 1, "a sample"));
    memcpy(pair, x, (size_t)j->dims * sizeof *pair);
    memcpy(pair + j->dims, made, (size_t)j->dims * sizeof *pair);
    for (int k = 0; bytes && k < 2; k++) {
        tw_dataset_denormalise(s, 1, pair + k * j->dims, stored);
        for (int64_t d = 0; d < j->dims; d++) pair[k * j->dims + d] = (float)stored[d];
    }
    ((double *)j->values[PSNR])[i] = tw_psnr(pair, pair + j->dims, j->dims, range);
    ((double *)j->values[SSIM])[i] =
        tw_ssim(pair, pair + j->dims, s->height, s->width, s->channels, range);
    for (int64_t k = 0; k < l->vectors; k++)
        ((int64_t *)j->values[CODES])[i * l->vectors + k] = l->index[i * l->vectors + k];
    if (!l->codes)
        ((double *)j->values[KL])[i] =
            divergence(l->mean + i * latent, l->log_variance + i * latent, latent);
done:
    tw_free(&pair);
    tw_free(&stored);
    return st;
}

static tw_status check_finite(const latents *l, int64_t first, int64_t n, const float *made)
{
    tw_status st = TW_OK;
    for (int64_t k = 0; k < n * made_numbers(l); k++)
        TW_CHECK(isfinite(made[k]), TW_EDIVERGED,
                 "row %lld: its result is not finite: the weights do not fit the data",
                 (long long)(first + k / made_numbers(l)));
done:
    return st;
}

static tw_status compute(row_job *j, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    latents *l = j->self;
    float *made = j->values[NUMBERS];
    if (l->way == FROM_LATENTS) {
        TW_TRY(tw_dataset_read_stored(j->data, first, n, l->mean, NULL));
    } else {
        TW_TRY(row_job_read_samples(j, first, n, j->x));
        tw_model_codec_encode(j->codec, n, j->x, l->mean, l->log_variance);
    }
    if (l->way == TO_LATENTS)
        memcpy(made, l->mean, (size_t)(n * made_numbers(l)) * sizeof *made);
    else
        tw_model_codec_decode(j->codec, n, l->mean, made, l->index);
    if (l->moments)
        memcpy(j->values[LOG_VARIANCE], l->log_variance,
               (size_t)(n * made_numbers(l)) * sizeof *made);
    TW_TRY(check_finite(l, first, n, made));
    if (l->moments) TW_TRY(check_finite(l, first, n, l->log_variance));
    for (int64_t i = 0; l->way == THERE_AND_BACK && i < n; i++)
        TW_TRY(measure(l, i, j->x + i * j->dims, made + i * j->dims));
done:
    return st;
}

/* ---- the result ---- */

static tw_status add_up(void *self, int64_t first, int64_t n)
{
    latents *l = self;
    (void)first;
    latent_scale_add(&l->sums, n, l->job.values[NUMBERS],
                     l->moments ? l->job.values[LOG_VARIANCE] : NULL);
    return TW_OK;
}

/* The units that make the variance of all numbers one. */
static tw_status measure_scale(latents *l)
{
    tw_status st = TW_OK;
    const int64_t channels = l->spec.channels;
    l->sums.numbers = made_numbers(l);
    TW_TRY(row_job_each_part(&l->job, add_up, l));
    TW_TRY(latent_scale_get(&l->summary.scale, &l->sums, l->job.options->weights));
    TW_TRY(tw_alloc(&l->offset, channels, sizeof *l->offset, "units"));
    TW_TRY(tw_alloc(&l->scale, channels, sizeof *l->scale, "units"));
    for (int64_t c = 0; c < channels; c++) {
        l->offset[c] = 0;
        l->scale[c] = (float)l->summary.scale;
    }
done:
    return st;
}

/* Labels as the data's; splits too, where OUT has all their rows. */
static tw_status describe_out(tw_dataset_spec *out, latents *l)
{
    tw_status st = TW_OK;
    static const char *const names[] = {"latents", "decoded", "reconstructions"};
    const row_job *j = &l->job;
    const tw_dataset_spec *data = tw_dataset_get_spec(j->data);
    *out = l->way == TO_LATENTS ? l->spec : j->restored->samples;
    out->offset = l->way == TO_LATENTS ? l->offset : out->offset;
    out->scale = l->way == TO_LATENTS ? l->scale : out->scale;
    out->count = j->count;
    out->num_classes = data->num_classes;
    out->class_names = data->class_names;
    out->split_count = j->count == data->count ? data->split_count : 0;
    memcpy(out->splits, data->splits, sizeof out->splits);
    TW_TRY(tw_format(out->name, sizeof out->name, "%s", names[l->way]));
    if (l->way == TO_LATENTS)
        TW_TRY(tw_format(out->encoder, sizeof out->encoder, "%s", j->restored->digest));
    TW_TRY(tw_format(out->license, sizeof out->license, "%s", data->license));
    TW_TRY(tw_format(out->source, sizeof out->source, "of %.400s, by %.64s after %lld steps",
                     data->name, j->restored->meta.weights, (long long)j->restored->meta.step));
    l->summary.height = out->height;
    l->summary.width = out->width;
    l->summary.channels = out->channels;
done:
    return st;
}

static tw_status begin(latents *l)
{
    tw_status st = TW_OK;
    row_job *j = &l->job;
    char range[64];
    tw_dataset_spec spec;
    tw_dataset_spec variances;
    int64_t pixels;
    const tw_dataset_writer_options options = {.path = j->options->out,
                                               .mode = row_job_output_mode(j)};
    if (l->way == TO_LATENTS) TW_TRY(measure_scale(l));
    TW_TRY(describe_out(&spec, l));
    variances = tw_dataset_log_variance_spec(&spec);
    if (l->moments) spec.log_variance = &variances;
    TW_TRY(tw_dataset_writer_create(&l->writer, &spec, &options));
    TW_TRY(tw_dataset_writer_set_text(l->writer, "settings", j->settings));
    TW_TRY(tw_format(range, sizeof range, "%lld %lld", (long long)j->first, (long long)j->count));
    TW_TRY(tw_dataset_writer_set_text(l->writer, "range", range));
    for (int k = 0; k < measures(l); k++)
        TW_TRY(tw_alloc(&l->measured[k], j->count, sizeof(double), "measurements"));
    if (!l->grid || !*l->grid) goto done;
    TW_TRY(tw_multiply(&pixels, 2 * l->grid_count, j->dims, "a picture"));
    TW_TRY(tw_alloc(&l->pixels, pixels, 1, "a picture"));
done:
    return st;
}

static tw_status draw(latents *l, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    row_job *j = &l->job;
    const int64_t left = l->grid_count - l->pictured, count = n < left ? n : left;
    if (!l->pixels || count <= 0) return TW_OK;
    TW_TRY(row_job_read_samples(j, first, count, j->x));
    for (int64_t i = 0; i < count; i++) {
        uint8_t *to = l->pixels + 2 * l->pictured++ * j->dims;
        tw_dataset_pixels(&j->restored->samples, 1, j->x + i * j->dims, to);
        tw_dataset_pixels(&j->restored->samples, 1, (float *)j->values[NUMBERS] + i * j->dims,
                          to + j->dims);
    }
done:
    return st;
}

static tw_status take(void *self, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    latents *l = self;
    row_job *j = &l->job;
    for (int64_t k = 0; l->way == THERE_AND_BACK && k < n * l->vectors; k++)
        l->uses[((int64_t *)j->values[CODES])[k]]++;
    for (int k = 0; k < measures(l); k++)
        memcpy(l->measured[k] + (first - j->first), j->values[PSNR + k],
               (size_t)n * sizeof(double));
    if (l->label) TW_TRY(tw_dataset_read_stored(j->data, first, n, NULL, l->label));
    if (l->way == TO_LATENTS) {
        TW_TRY(tw_dataset_writer_append(l->writer, n, j->values[NUMBERS], l->label));
        if (l->moments)
            TW_TRY(tw_dataset_writer_append_log_variance(l->writer, n, j->values[LOG_VARIANCE]));
        goto done;
    }
    tw_dataset_denormalise(&j->restored->samples, n, j->values[NUMBERS], j->stored);
    TW_TRY(tw_dataset_writer_append(l->writer, n, j->stored, l->label));
    TW_TRY(draw(l, first, n));
done:
    return st;
}

static double mean_of(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i];
    return sum / (double)n;
}

static tw_status finish_reconstruction(latents *l)
{
    tw_status st = TW_OK;
    static const char *const names[] = {"psnr", "ssim", "kl"};
    const row_job *j = &l->job;
    const tw_dataset_spec *s = &j->restored->samples;
    tw_output out = {.part = ""};
    for (int k = 0; k < measures(l); k++)
        TW_TRY(tw_dataset_writer_add_numbers(l->writer, names[k], l->measured[k]));
    l->summary.psnr = mean_of(l->measured[0], j->count);
    l->summary.ssim = mean_of(l->measured[1], j->count);
    if (!l->codes) l->summary.kl = mean_of(l->measured[2], j->count);
    l->summary.codes = l->codes;
    if (l->codes) l->summary.perplexity = tw_perplexity(l->uses, l->codes, &l->summary.used);
    if (!l->pixels) goto done;
    TW_TRY(
        tw_output_begin(&out, l->grid, j->options->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_SAME));
    TW_TRY(tw_png_write_grid(out.part, l->pixels, 2 * l->pictured, s->height, s->width, s->channels,
                             2 * PAIRS_IN_A_ROW));
    TW_TRY(tw_output_publish(&out));
done:
    tw_output_discard(&out);
    return st;
}

static tw_status merge(row_job *j)
{
    tw_status st = TW_OK;
    latents *l = j->self;
    TW_TRY(begin(l));
    TW_TRY(row_job_each_part(j, take, l));
    if (l->way == THERE_AND_BACK) TW_TRY(finish_reconstruction(l));
    TW_TRY(tw_dataset_writer_finish(&l->writer, NULL));
done:
    tw_dataset_writer_abort(&l->writer);
    return st;
}

/* The file itself says all there is. */
static tw_status report(row_job *j)
{
    (void)j;
    return TW_OK;
}

static tw_status run(latents *l, const tw_comm *comm, const tw_row_job_options *options,
                     tw_latents_summary *out)
{
    static const char *const verbs[] = {"encoding", "decoding", "reconstructing"};
    static const int halves[] = {TW_CODEC_ENCODER, TW_CODEC_DECODER,
                                 TW_CODEC_ENCODER | TW_CODEC_DECODER};
    const row_task task = {.verb = verbs[l->way],
                           .settings = settings,
                           .codec = halves[l->way],
                           .unlabelled = true,
                           .check = check,
                           .plan = plan,
                           .compute = compute,
                           .merge = merge,
                           .report = report};
    l->job = (row_job){.comm = comm, .options = options, .task = &task, .self = l};
    l->summary = (tw_latents_summary){.scale = NAN, .psnr = NAN, .ssim = NAN, .kl = NAN};
    const tw_status st = row_job_run(&l->job);
    l->summary.rows = l->job.result;
    if (st == TW_OK && out) *out = l->summary;
    tw_free(&l->mean);
    tw_free(&l->log_variance);
    tw_free(&l->offset);
    tw_free(&l->scale);
    tw_free(&l->label);
    tw_free(&l->pixels);
    tw_free(&l->index);
    tw_free(&l->uses);
    for (int k = 0; k < 3; k++) tw_free(&l->measured[k]);
    row_job_close(&l->job);
    return st;
}

tw_status tw_encode_data_job(const tw_comm *comm, const tw_row_job_options *options, bool moments,
                             tw_latents_summary *out)
{
    latents l = {.way = TO_LATENTS, .moments = moments};
    return run(&l, comm, options, out);
}

tw_status tw_decode_data_job(const tw_comm *comm, const tw_row_job_options *options,
                             tw_latents_summary *out)
{
    latents l = {.way = FROM_LATENTS};
    return run(&l, comm, options, out);
}

tw_status tw_reconstruct_job(const tw_comm *comm, const tw_row_job_options *options,
                             const char *grid, int64_t grid_count, tw_latents_summary *out)
{
    tw_status st = TW_OK;
    latents l = {.way = THERE_AND_BACK, .grid = grid, .grid_count = grid_count};
    TW_CHECK(!grid || !*grid || options->join, TW_EUSAGE,
             "--grid: the picture is made of the joined file; give --join");
    TW_TRY(run(&l, comm, options, out));
done:
    return st;
}
