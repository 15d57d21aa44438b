/* Posterior samples of the rows of a file of measurements, and what is told of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "job/restore_job_internal.h"
#include "tweedie/memory.h"

/* ---- planning ---- */

static int64_t divisor(int64_t a, int64_t b)
{
    return b == 0 ? a : divisor(b, a % b);
}

static tw_status read(row_job *j)
{
    restoring *r = j->self;
    return restore_prior_read(&r->prior, j, r->o);
}

/* A block of measurements fills whole batches. */
static tw_status settings(row_job *j)
{
    tw_status st = TW_OK;
    restoring *r = j->self;
    TW_TRY(restore_prior_settings(&r->prior, j, r->o));
    TW_TRY(tw_restore_config(&j->config, j->restored,
                             "sample.batch sample.seed sample.clip sample.clip_min "
                             "sample.clip_max sample.decode compute.precision compute.convolution",
                             "task restore sample guidance compute", r->prior.count,
                             r->prior.assignments));
    TW_TRY(restore_task_bind(&r->task, j->config));
    TW_TRY(tw_run_config_bind(&j->run, j->config, TW_RUN_SAMPLE | TW_RUN_COMPUTE,
                              tw_posterior_usual_sampler(&r->task.config)));
    TW_TRY(tw_config_finish(j->config));
    TW_CHECK(!*j->run.sample.known && !*j->run.sample.mask, TW_ECONFIG,
             "sample.known: is for `tweedie sample`; here the task says what is given");
    j->batch = j->run.sample.batch;
    j->block = j->batch / divisor(j->batch, r->o->per);
done:
    return st;
}

static bool decodes(const restoring *r)
{
    return r->job.restored->samples.encoder[0] && !r->o->latents;
}

/* The autoencoder, of a model of latents. */
static tw_status open_decoder(row_job *j)
{
    tw_status st = TW_OK;
    restoring *r = j->self;
    r->spec = &j->restored->samples;
    TW_CHECK(r->spec->encoder[0] || !r->o->latents, TW_EUSAGE,
             "--latents: the samples of %s are no latents", j->options->weights);
    if (!decodes(r)) {
        TW_CHECK(r->o->latents || !*j->run.sample_decode, TW_ECONFIG,
                 "sample.decode: the samples of %s are no latents, and nothing decodes them",
                 j->options->weights);
        return TW_OK;
    }
    TW_CHECK(*j->run.sample_decode, TW_ECONFIG,
             "sample.decode: %s is a model of latents; --decode names the autoencoder whose "
             "samples were measured, --latents says that the latents themselves were",
             j->options->weights);
    TW_TRY(latent_decoder_open(&r->decoder, j->comm, j->run.sample_decode));
    r->spec = &r->decoder.network->samples;
done:
    return st;
}

static tw_status plan_decoder(restoring *r)
{
    const row_job *j = &r->job;
    r->dims = tw_dataset_elements(r->spec);
    if (!r->decoder.network) return TW_OK;
    return latent_decoder_plan_map(&r->decoder, &j->restored->samples, j->batch, j->precision,
                                   (tw_convolution)j->run.compute.convolution);
}

static tw_status check(row_job *j)
{
    tw_status st = TW_OK;
    restoring *r = j->self;
    TW_TRY(plan_decoder(r));
    TW_TRY(restore_task_prepare(&r->task, r->spec, true));
    TW_TRY(restore_task_check(&r->task, tw_dataset_get_spec(j->data), j->options->data));
    TW_TRY(restore_picture_check(r));
done:
    return st;
}

static tw_status describe(row_job *j)
{
    tw_status st = TW_OK;
    restoring *r = j->self;
    TW_TRY(tw_text_add(&j->text, "restore "));
    TW_TRY(tw_posterior_describe(&j->text, r->posterior));
    TW_TRY(restore_prior_describe(&j->text, &r->prior, j));
    if (r->decoder.network) TW_TRY(tw_text_add(&j->text, " decode=%s", r->decoder.network->digest));
    TW_TRY(tw_text_add(&j->text, " quantiles="));
    for (int64_t i = 0; i < r->task.levels.count; i++) {
        char level[TW_TEXT_DOUBLE_MAX];
        tw_text_from_double(level, r->task.levels.values[i]);
        TW_TRY(tw_text_add(&j->text, "%s%s", i ? "," : "", level));
    }
    if (r->o->keep) TW_TRY(tw_text_add(&j->text, " keep=yes"));
done:
    return st;
}

static tw_status allocate(restoring *r)
{
    tw_status st = TW_OK;
    const row_job *j = &r->job;
    int64_t all;
    TW_TRY(tw_multiply(&all, j->block, r->task.a->outputs, "a block of measurements"));
    TW_TRY(tw_alloc(&r->y, all, sizeof *r->y, "a block of measurements"));
    TW_TRY(tw_multiply(&all, j->block, r->o->per, "a block of samples"));
    if (r->decoder.network) {
        int64_t latents;
        TW_TRY(tw_multiply(&latents, all, j->dims, "a block of latents"));
        TW_TRY(tw_alloc(&r->latents, latents, sizeof *r->latents, "a block of latents"));
    }
    TW_TRY(tw_multiply(&all, all, r->dims, "a block of samples"));
    TW_TRY(tw_alloc(&r->samples, all, sizeof *r->samples, "a block of samples"));
    TW_TRY(tw_alloc(&r->sorted, r->o->per, sizeof *r->sorted, "samples"));
done:
    return st;
}

static void add_column(row_job *j, const char *name, int64_t width)
{
    j->columns.column[j->columns.count++] = (column){name, COLUMN_F32, width};
}

static tw_status plan(row_job *j)
{
    tw_status st = TW_OK;
    restoring *r = j->self;
    tw_model *m = j->restored->model;
    int64_t width;
    TW_TRY(restore_prior_plan(&r->prior, j, r->o->per));
    const tw_posterior_options options = {.config = &r->task.config,
                                          .sampler = &j->run.sample,
                                          .process = m->process,
                                          .prior = restore_prior_view(&r->prior, j),
                                          .a = r->task.a,
                                          .map = r->decoder.network ? &r->decoder.map : NULL,
                                          .noise = r->task.config.noise / fabs(r->task.scale),
                                          .per = r->o->per,
                                          .bounded = j->restored->samples.kind == TW_DATASET_UINT8};
    TW_TRY(tw_posterior_create(&r->posterior, &options));
    add_column(j, "mean", r->dims);
    add_column(j, "standard_deviation", r->dims);
    TW_TRY(tw_multiply(&width, r->dims, r->task.levels.count, "quantiles"));
    add_column(j, "quantiles", width);
    TW_TRY(tw_multiply(&width, r->dims, r->o->per, "samples"));
    if (r->o->keep) add_column(j, "samples", width);
    TW_TRY(describe(j));
    TW_TRY(allocate(r));
done:
    return st;
}

/* ---- computing ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between order statistics at p (K + 1), at most the outer ones: so the next of K + 1 exchangeable
 * numbers is below the r-th of K with the probability r / (K + 1). */
static double quantile(const double *sorted, int64_t count, double p)
{
    const double at = fmin(fmax(p * (double)(count + 1) - 1, 0), (double)(count - 1));
    const int64_t low = (int64_t)floor(at), high = low + 1 < count ? low + 1 : low;
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

/* Number d of row i: mean, deviation and quantiles of its K samples, in the units of the data. */
static void summarise(restoring *r, int64_t i, int64_t d)
{
    const row_job *j = &r->job;
    const tw_dataset_spec *s = r->spec;
    const int64_t per = r->o->per, levels = r->task.levels.count;
    const double scale = restore_scale(s, d % s->channels),
                 offset = restore_offset(s, d % s->channels);
    double mean = 0, square = 0;
    for (int64_t k = 0; k < per; k++) {
        r->sorted[k] = offset + scale * (double)r->samples[(i * per + k) * r->dims + d];
        mean += r->sorted[k] / (double)per;
        if (r->o->keep) /* in the order of the samples */
            ((float *)j->values[RESTORE_SAMPLES])[(i * per + k) * r->dims + d] =
                (float)r->sorted[k];
    }
    for (int64_t k = 0; k < per; k++) square += (r->sorted[k] - mean) * (r->sorted[k] - mean);
    qsort(r->sorted, (size_t)per, sizeof *r->sorted, ascending);
    ((float *)j->values[RESTORE_MEAN])[i * r->dims + d] = (float)mean;
    ((float *)j->values[RESTORE_STD])[i * r->dims + d] =
        per > 1 ? (float)sqrt(square / (double)(per - 1)) : 0;
    for (int64_t q = 0; q < levels; q++)
        ((float *)j->values[RESTORE_QUANTILES])[(i * levels + q) * r->dims + d] =
            (float)quantile(r->sorted, per, r->task.levels.values[q]);
}

tw_status restore_read_measurements(restoring *r, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    row_job *j = &r->job;
    const tw_dataset_spec *met = tw_dataset_get_spec(j->data);
    void *stored = NULL;
    TW_TRY(tw_alloc(&stored, n, tw_dataset_sample_bytes(met), "measurements"));
    TW_TRY(tw_dataset_read_stored(j->data, first, n, stored, NULL));
    restore_task_measurements(&r->task, met, n, stored, r->y);
done:
    tw_free(&stored);
    return st;
}

static tw_status compute(row_job *j, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    restoring *r = j->self;
    TW_TRY(restore_read_measurements(r, first, n));
    TW_TRY(tw_posterior_run(r->posterior, first, n, r->y, r->latents ? r->latents : r->samples));
    if (r->latents) latent_decoder_run(&r->decoder, n * r->o->per, r->latents, r->samples);
    for (int64_t k = 0; k < n * r->o->per * r->dims; k++)
        TW_CHECK(isfinite(r->samples[k]), TW_EDIVERGED,
                 "measurement %lld: a sample of it is not finite: method %s with these settings "
                 "does not fit the task and its noise",
                 (long long)(first + k / (r->o->per * r->dims)), r->task.config.method.kind->name);
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < r->dims; d++) summarise(r, i, d);
done:
    return st;
}

/* ---- the result ---- */

static tw_status begin(restoring *r)
{
    tw_status st = TW_OK;
    row_job *j = &r->job;
    char range[64];
    const tw_dataset_writer_options options = {.path = j->options->out,
                                               .mode = row_job_output_mode(j)};
    tw_dataset_spec spec = *r->spec;
    spec.count = j->count;
    spec.num_classes = 0;
    spec.class_names = NULL;
    spec.split_count = 0;
    if (spec.kind == TW_DATASET_UINT8) {
        TW_TRY(tw_alloc(&r->units, 2 * spec.channels, sizeof *r->units, "units"));
        for (int64_t c = 0; c < 2 * spec.channels; c++) r->units[c] = 127.5f;
        spec.kind = TW_DATASET_FLOAT32;
        spec.offset = r->units;
        spec.scale = r->units + spec.channels;
    }
    TW_TRY(tw_format(spec.name, sizeof spec.name, "posterior means"));
    TW_TRY(tw_format(spec.source, sizeof spec.source, "restored by %s after %lld steps",
                     j->restored->meta.weights, (long long)j->restored->meta.step));
    TW_TRY(tw_dataset_writer_create(&r->writer, &spec, &options));
    TW_TRY(tw_dataset_writer_set_text(r->writer, "settings", j->settings));
    TW_TRY(tw_format(range, sizeof range, "%lld %lld", (long long)j->first, (long long)j->count));
    TW_TRY(tw_dataset_writer_set_text(r->writer, "range", range));
    TW_TRY(restore_picture_begin(r));
    TW_TRY(restore_files_begin(r, &spec));
done:
    return st;
}

static tw_status take(void *self, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    restoring *r = self;
    row_job *j = &r->job;
    const tw_dataset_spec *s = r->spec;
    const bool points = s->kind == TW_DATASET_POINTS;
    const int64_t at = first - j->first;
    int64_t dims[4] = {r->task.levels.count, s->height, s->width, s->channels};
    if (points) dims[1] = s->channels;
    TW_TRY(tw_dataset_writer_append(r->writer, n, j->values[RESTORE_MEAN], NULL));
    TW_TRY(tw_dataset_writer_add_rows(r->writer, "standard_deviation", points ? 1 : 3, dims + 1, at,
                                      n, j->values[RESTORE_STD]));
    TW_TRY(tw_dataset_writer_add_rows(r->writer, "quantiles", points ? 2 : 4, dims, at, n,
                                      j->values[RESTORE_QUANTILES]));
    dims[0] = r->o->per;
    if (r->o->keep)
        TW_TRY(tw_dataset_writer_add_rows(r->writer, "samples", points ? 2 : 4, dims, at, n,
                                          j->values[RESTORE_SAMPLES]));
    TW_TRY(restore_files_append(r, n));
    for (int64_t i = 0; i < n; i++) TW_TRY(restore_picture_row(r, i, first + i));
done:
    return st;
}

static tw_status merge(row_job *j)
{
    tw_status st = TW_OK;
    restoring *r = j->self;
    char level[TW_TEXT_DOUBLE_MAX];
    tw_text levels = {0};
    TW_TRY(begin(r));
    for (int64_t i = 0; i < r->task.levels.count; i++) {
        tw_text_from_double(level, r->task.levels.values[i]);
        TW_TRY(tw_text_add(&levels, "%s%s", i ? " " : "", level));
    }
    TW_TRY(tw_dataset_writer_set_text(r->writer, "quantile_levels", levels.data));
    TW_TRY(row_job_each_part(j, take, r));
    TW_TRY(tw_dataset_writer_finish(&r->writer, NULL));
    TW_TRY(restore_files_end(r));
    TW_TRY(restore_picture_end(r));
    j->result.evaluations = tw_sampler_evaluations(tw_posterior_sampler(r->posterior));
done:
    restore_files_abort(r);
    tw_dataset_writer_abort(&r->writer);
    tw_text_free(&levels);
    return st;
}

/* The file itself says all there is. */
static tw_status report(row_job *j)
{
    j->result.evaluations = NAN;
    return TW_OK;
}

static tw_status check_options(const tw_restore_job_options *o)
{
    tw_status st = TW_OK;
    TW_CHECK(o->per >= 1, TW_EUSAGE, "--count: at least one posterior sample is made");
    TW_CHECK(!o->grid || !*o->grid || o->rows.join, TW_EUSAGE,
             "--grid: the picture is made of the joined file; give --join");
    TW_CHECK(
        !o->files || !*o->files || (o->keep && o->rows.join), TW_EUSAGE,
        "--files: are made of samples that are kept, when the parts are joined; with --keep, and "
        "as a job of all measurements or the one that joins");
    TW_CHECK(!o->files || !*o->files || o->per <= RESTORE_FILES_MOST, TW_EUSAGE,
             "--files: %lld samples of each measurement; a file for each of at most %d is made",
             (long long)o->per, RESTORE_FILES_MOST);
    TW_CHECK(!o->truth || !*o->truth || (o->grid && *o->grid), TW_EUSAGE,
             "--truth: is for the picture of --grid; tweedie evaluate --posterior --truth judges");
done:
    return st;
}

tw_status tw_restore_job(const tw_comm *comm, const tw_restore_job_options *options,
                         tw_row_job_result *out)
{
    static const row_task task = {.verb = "restoring",
                                  .read = read,
                                  .settings = settings,
                                  .open = open_decoder,
                                  .unlabelled = true,
                                  .check = check,
                                  .plan = plan,
                                  .compute = compute,
                                  .merge = merge,
                                  .report = report};
    tw_status st = check_options(options);
    restoring r = {.job = {.comm = comm, .options = &options->rows, .task = &task, .self = &r},
                   .o = options};
    if (st == TW_OK) st = row_job_run(&r.job);
    if (st == TW_OK && out) *out = r.job.result;
    tw_posterior_destroy(&r.posterior);
    restore_prior_free(&r.prior);
    tw_dataset_destroy(&r.truth);
    restore_task_free(&r.task);
    tw_free(&r.y);
    latent_decoder_free(&r.decoder);
    tw_free(&r.latents);
    tw_free(&r.samples);
    tw_free(&r.sorted);
    tw_free(&r.units);
    tw_free(&r.pixels);
    row_job_close(&r.job);
    return st;
}
