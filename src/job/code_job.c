/* Codes of the rows of a dataset, and samples of the rows of codes. */
#include <math.h>
#include <string.h>

#include "job/row_job.h"
#include "tweedie/likelihood_codes.h"
#include "tweedie/memory.h"

enum { NUMBERS, EVALUATIONS, LOGP, ERROR }; /* columns */

typedef struct coding {
    row_job job;
    bool logp;                       /* of encoding */
    const tw_decode_options *decode; /* NULL: encoding */
    double log_scale;
    tw_codes *codes;
    tw_likelihood_result *results; /* [block] */
    float *ends;                   /* [2][dims]: of the interpolation */
    tw_dataset_writer *writer;
    double *all_logp, *all_error; /* [count]: of OUT */
    double evaluations;
} coding;

/* ---- planning ---- */

/* What a code of such samples is stored as. */
static tw_dataset_kind code_kind(const row_job *j)
{
    return j->restored->samples.kind == TW_DATASET_POINTS ? TW_DATASET_POINTS : TW_DATASET_FLOAT32;
}

static tw_status check_codes(row_job *j)
{
    tw_status st = TW_OK;
    const coding *c = j->self;
    const tw_dataset_spec *met = tw_dataset_get_spec(j->data), *want = &j->restored->samples;
    TW_CHECK(met->kind == code_kind(j) && met->height == want->height &&
                 met->width == want->width && met->channels == want->channels,
             TW_EDATA,
             "%s: holds %s of %lld x %lld x %lld, codes of this network are %s of %lld x %lld x "
             "%lld",
             j->options->data, tw_dataset_kind_name(met->kind), (long long)met->height,
             (long long)met->width, (long long)met->channels, tw_dataset_kind_name(code_kind(j)),
             (long long)want->height, (long long)want->width, (long long)want->channels);
    if (c->decode->steps == 0) goto done;
    TW_CHECK(c->decode->from >= 0 && c->decode->from < j->rows && c->decode->to >= 0 &&
                 c->decode->to < j->rows,
             TW_EUSAGE, "--interpolate %lld,%lld: %s has rows 0 to %lld",
             (long long)c->decode->from, (long long)c->decode->to, j->options->data,
             (long long)(j->rows - 1));
    j->rows = c->decode->steps;
done:
    return st;
}

static tw_status describe(row_job *j)
{
    tw_status st = TW_OK;
    const coding *c = j->self;
    char temperature[TW_TEXT_DOUBLE_MAX];
    TW_TRY(tw_text_add(&j->text, c->decode ? "decode " : "encode "));
    TW_TRY(tw_codes_describe(&j->text, c->codes));
    if (c->logp) TW_TRY(tw_text_add(&j->text, " logp=yes"));
    if (!c->decode) goto done;
    tw_text_from_double(temperature, c->decode->temperature);
    TW_TRY(tw_text_add(&j->text, " temperature=%s", temperature));
    if (c->decode->steps > 0)
        TW_TRY(tw_text_add(&j->text, " interpolate=%lld,%lld,%lld", (long long)c->decode->from,
                           (long long)c->decode->to, (long long)c->decode->steps));
done:
    return st;
}

static tw_status plan(row_job *j)
{
    tw_status st = TW_OK;
    coding *c = j->self;
    const tw_process *p = j->restored->model->process;
    TW_TRY(tw_codes_create(&c->codes, &j->run.likelihood, p, &j->score));
    TW_CHECK(!c->logp || !tw_process_is_discrete(p), TW_ECONFIG,
             "--logp: process.kind %s has no exact log p beside its codes; `tweedie likelihood` "
             "gives its variational bound",
             p->kind->kind.name);
    c->log_scale = row_job_log_scale(j);
    j->columns.column[j->columns.count++] = (column){"numbers", COLUMN_F32, j->dims};
    j->columns.column[j->columns.count++] = (column){"evaluations", COLUMN_I64, 0};
    if (c->logp) {
        j->columns.column[j->columns.count++] = (column){"logp", COLUMN_F64, 0};
        j->columns.column[j->columns.count++] = (column){"standard_error", COLUMN_F64, 0};
        TW_TRY(tw_alloc(&c->results, j->block, sizeof *c->results, "a block of results"));
        TW_TRY(tw_alloc(&c->all_logp, j->count, sizeof *c->all_logp, "log-likelihoods"));
        TW_TRY(tw_alloc(&c->all_error, j->count, sizeof *c->all_error, "log-likelihoods"));
    }
    TW_TRY(tw_alloc(&c->ends, 2 * j->dims, sizeof *c->ends, "two codes"));
    TW_TRY(describe(j));
done:
    return st;
}

/* ---- computing ---- */

/* What lies between two codes is of the first one's class, under the first one's condition. */
static tw_status read_ends(coding *c, int64_t n)
{
    tw_status st = TW_OK;
    row_job *j = &c->job;
    const tw_decode_options *d = c->decode;
    TW_TRY(tw_dataset_read_stored(j->data, d->to, 1, c->ends + j->dims, NULL));
    TW_TRY(tw_dataset_read_stored(j->data, d->from, 1, c->ends, j->label));
    for (int64_t i = 1; j->label && i < n; i++) j->label[i] = j->label[0];
    for (int64_t i = 0; i < n; i++) TW_TRY(row_job_read_conditions(j, d->from, 1, i));
done:
    return st;
}

/* Codes are in the prior's units already, so they are read as they are stored. */
static tw_status read_codes(coding *c, int64_t first, int64_t n, float *z)
{
    tw_status st = TW_OK;
    row_job *j = &c->job;
    const tw_decode_options *d = c->decode;
    if (d->steps == 0) {
        TW_TRY(tw_dataset_read_stored(j->data, first, n, z, j->label));
        TW_TRY(row_job_read_conditions(j, first, n, 0));
    } else {
        TW_TRY(read_ends(c, n));
    }
    row_job_condition(j, first, n);
    for (int64_t i = 0; d->steps > 0 && i < n; i++)
        tw_codes_interpolate(z + i * j->dims, c->ends, c->ends + j->dims, j->dims,
                             d->steps > 1 ? (double)(first + i) / (double)(d->steps - 1) : 0);
    for (int64_t k = 0; d->temperature != 1 && k < n * j->dims; k++)
        z[k] = (float)(d->temperature * (double)z[k]);
done:
    return st;
}

static tw_status encode_with_logp(coding *c, int64_t first, int64_t n, float *x)
{
    tw_status st = TW_OK;
    const row_job *j = &c->job;
    TW_TRY(tw_codes_encode_with_logp(c->codes, first, n, x, c->results));
    for (int64_t i = 0; i < n; i++) {
        ((int64_t *)j->values[EVALUATIONS])[i] = c->results[i].evaluations;
        ((double *)j->values[LOGP])[i] = c->results[i].logp - c->log_scale;
        ((double *)j->values[ERROR])[i] = c->results[i].error;
    }
done:
    return st;
}

static tw_status check_finite(const row_job *j, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    const float *x = j->values[NUMBERS];
    for (int64_t k = 0; k < n * j->dims; k++)
        TW_CHECK(isfinite(x[k]), TW_EDIVERGED,
                 "row %lld: its result is not finite: the weights, or the settings of "
                 "[likelihood], do not fit the data",
                 (long long)(first + k / j->dims));
done:
    return st;
}

static tw_status compute(row_job *j, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    coding *c = j->self;
    float *x = j->values[NUMBERS];
    int64_t *evaluations = j->values[EVALUATIONS];
    TW_TRY(c->decode ? read_codes(c, first, n, x) : row_job_read_samples(j, first, n, x));
    if (c->logp)
        TW_TRY(encode_with_logp(c, first, n, x));
    else
        TW_TRY(c->decode ? tw_codes_decode(c->codes, first, n, x, evaluations)
                         : tw_codes_encode(c->codes, first, n, x, evaluations));
    TW_TRY(check_finite(j, first, n));
done:
    return st;
}

/* ---- the result ---- */

static tw_status begin(coding *c)
{
    tw_status st = TW_OK;
    row_job *j = &c->job;
    char range[64];
    const tw_dataset_writer_options options = {.path = j->options->out,
                                               .mode = row_job_output_mode(j)};
    tw_dataset_spec spec = j->restored->samples, condition;
    spec.count = j->count;
    spec.num_classes = j->label ? spec.num_classes : 0;
    spec.class_names = NULL;
    spec.split_count = 0;
    if (spec.condition) {
        condition = *spec.condition;
        condition.count = j->count;
        spec.condition = &condition;
    }
    if (!c->decode) {
        spec.kind = code_kind(j);
        spec.offset = spec.scale = NULL;
        spec.encoder[0] = '\0';
    }
    TW_TRY(tw_format(spec.name, sizeof spec.name, c->decode ? "decoded" : "codes"));
    TW_TRY(tw_format(spec.source, sizeof spec.source, "%s by %s after %lld steps",
                     c->decode ? "decoded" : "encoded", j->restored->meta.weights,
                     (long long)j->restored->meta.step));
    TW_TRY(tw_dataset_writer_create(&c->writer, &spec, &options));
    TW_TRY(tw_dataset_writer_set_text(c->writer, "settings", j->settings));
    TW_TRY(tw_format(range, sizeof range, "%lld %lld", (long long)j->first, (long long)j->count));
    TW_TRY(tw_dataset_writer_set_text(c->writer, "range", range));
done:
    return st;
}

/* Labels and conditions of the rows again. */
static tw_status read_given(coding *c, int64_t first, int64_t n)
{
    row_job *j = &c->job;
    return c->decode ? read_codes(c, first, n, j->x) : row_job_read_samples(j, first, n, j->x);
}

static tw_status take(void *self, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    coding *c = self;
    row_job *j = &c->job;
    for (int64_t i = 0; i < n; i++) {
        c->evaluations += (double)((int64_t *)j->values[EVALUATIONS])[i] / (double)j->count;
        if (!c->logp) continue;
        c->all_logp[first - j->first + i] = ((double *)j->values[LOGP])[i];
        c->all_error[first - j->first + i] = ((double *)j->values[ERROR])[i];
    }
    if (j->label || j->y) TW_TRY(read_given(c, first, n));
    if (j->y) TW_TRY(tw_dataset_writer_append_condition(c->writer, n, j->condition));
    if (!c->decode)
        TW_TRY(tw_dataset_writer_append(c->writer, n, j->values[NUMBERS], j->label));
    else {
        tw_dataset_denormalise(&j->restored->samples, n, j->values[NUMBERS], j->stored);
        TW_TRY(tw_dataset_writer_append(c->writer, n, j->stored, j->label));
    }
done:
    return st;
}

static tw_status merge(row_job *j)
{
    tw_status st = TW_OK;
    coding *c = j->self;
    TW_TRY(begin(c));
    TW_TRY(row_job_each_part(j, take, c));
    if (c->logp) {
        TW_TRY(tw_dataset_writer_add_numbers(c->writer, "logp", c->all_logp));
        TW_TRY(tw_dataset_writer_add_numbers(c->writer, "standard_error", c->all_error));
    }
    TW_TRY(tw_dataset_writer_finish(&c->writer, NULL));
    j->result.evaluations = c->evaluations;
done:
    tw_dataset_writer_abort(&c->writer);
    return st;
}

/* The file itself says all there is. */
static tw_status report(row_job *j)
{
    j->result.evaluations = NAN;
    return TW_OK;
}

static tw_status run(coding *c, tw_row_job_result *out)
{
    const tw_status st = row_job_run(&c->job);
    if (st == TW_OK && out) *out = c->job.result;
    tw_codes_destroy(&c->codes);
    tw_free(&c->results);
    tw_free(&c->ends);
    tw_free(&c->all_logp);
    tw_free(&c->all_error);
    row_job_close(&c->job);
    return st;
}

tw_status tw_encode_job(const tw_comm *comm, const tw_row_job_options *options, bool logp,
                        tw_row_job_result *out)
{
    static const row_task task = {.verb = "encoding",
                                  .check = row_job_check_samples,
                                  .plan = plan,
                                  .compute = compute,
                                  .merge = merge,
                                  .report = report};
    coding c = {.job = {.comm = comm, .options = options, .task = &task, .self = &c}, .logp = logp};
    return run(&c, out);
}

tw_status tw_decode_job(const tw_comm *comm, const tw_row_job_options *options,
                        const tw_decode_options *decoding, tw_row_job_result *out)
{
    static const row_task task = {.verb = "decoding",
                                  .check = check_codes,
                                  .plan = plan,
                                  .compute = compute,
                                  .merge = merge,
                                  .report = report};
    coding c = {.job = {.comm = comm, .options = options, .task = &task, .self = &c},
                .decode = decoding};
    return run(&c, out);
}
