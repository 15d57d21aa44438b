/* Log-likelihoods of the rows of a dataset. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "h5/h5.h"
#include "job/row_job.h"
#include "tweedie/likelihood_bound.h"
#include "tweedie/memory.h"

enum { INDEX, LOGP, ERROR, EVALUATIONS, PRIOR, BITS }; /* columns; the terms are the last */

/* Sums of a column, in the order of the rows. */
typedef struct sums {
    double mean, squares; /* Welford 1962 */
} sums;

typedef struct likelihood {
    row_job job;
    bool bound, bytes;
    int terms; /* column; 0: none */
    double log_scale;
    tw_likelihood *flow;
    tw_bound *steps;
    float *noisy;                  /* [block][dims]: dequantised */
    tw_likelihood_result *results; /* [block], of one repeat */
    double *squares, *one;         /* [block]; [block][terms] of one repeat */
    column_writer *writer;
    int64_t taken;
    sums logp, bits, prior, evaluations;
    double *mean_terms; /* [terms] */
    tw_likelihood_summary summary;
} likelihood;

/* ---- planning ---- */

static void add_column(row_job *j, const char *name, column_type type, int64_t width)
{
    j->columns.column[j->columns.count++] = (column){name, type, width};
}

static tw_status plan_bound(likelihood *l)
{
    tw_status st = TW_OK;
    row_job *j = &l->job;
    int64_t all;
    TW_TRY(tw_bound_create(&l->steps, &j->run.likelihood, j->restored->model->process, &j->score,
                           l->bytes));
    TW_TRY(tw_bound_describe(&j->text, l->steps));
    l->terms = j->columns.count;
    const int64_t width = tw_bound_terms(l->steps);
    add_column(j, "terms", COLUMN_F64, width);
    TW_TRY(tw_multiply(&all, j->block, width, "the terms of the bound"));
    TW_TRY(tw_alloc(&l->one, all, sizeof *l->one, "the terms of the bound"));
    TW_TRY(tw_alloc(&l->mean_terms, width, sizeof *l->mean_terms, "the terms of the bound"));
done:
    return st;
}

static tw_status plan_flow(likelihood *l)
{
    tw_status st = TW_OK;
    row_job *j = &l->job;
    TW_TRY(
        tw_likelihood_create(&l->flow, &j->run.likelihood, j->restored->model->process, &j->score));
    TW_TRY(tw_text_add(&j->text, "kind=ode "));
    TW_TRY(tw_likelihood_describe(&j->text, l->flow));
    TW_TRY(tw_alloc(&l->results, j->block, sizeof *l->results, "a block of results"));
    TW_TRY(tw_alloc(&l->noisy, j->block * j->dims, sizeof *l->noisy, "a block of samples"));
done:
    return st;
}

static tw_status plan(row_job *j)
{
    tw_status st = TW_OK;
    likelihood *l = j->self;
    l->bytes = j->restored->samples.kind == TW_DATASET_UINT8;
    l->log_scale = row_job_log_scale(j);
    l->bound = tw_likelihood_kind_for(&j->run.likelihood, j->restored->model->process) ==
               TW_LIKELIHOOD_BOUND;
    add_column(j, "index", COLUMN_I64, 0);
    add_column(j, "logp", COLUMN_F64, 0);
    add_column(j, "standard_error", COLUMN_F64, 0);
    add_column(j, "evaluations", COLUMN_I64, 0);
    add_column(j, "prior", COLUMN_F64, 0);
    if (l->bytes) add_column(j, "bits_per_dimension", COLUMN_F64, 0);
    TW_TRY(l->bound ? plan_bound(l) : plan_flow(l));
    TW_TRY(tw_alloc(&l->squares, j->block, sizeof *l->squares, "a block of results"));
done:
    return st;
}

/* ---- computing ---- */

static void add_row(const likelihood *l, int64_t i, double logp, double prior, double error,
                    int64_t evaluations)
{
    const row_job *j = &l->job;
    ((double *)j->values[LOGP])[i] += logp;
    ((double *)j->values[PRIOR])[i] += prior;
    ((double *)j->values[ERROR])[i] = error; /* of a single repeat */
    ((int64_t *)j->values[EVALUATIONS])[i] += evaluations;
    l->squares[i] += logp * logp;
}

static tw_status one_flow(likelihood *l, int64_t first, int64_t n, int64_t repeat)
{
    tw_status st = TW_OK;
    row_job *j = &l->job;
    memcpy(l->noisy, j->x, (size_t)(n * j->dims) * sizeof *j->x);
    if (l->bytes)
        tw_dequantise((uint64_t)j->run.likelihood.seed, repeat, first, n, j->dims, l->noisy);
    TW_TRY(tw_likelihood_run(l->flow, first, n, repeat, l->noisy, l->results, NULL));
    for (int64_t i = 0; i < n; i++)
        add_row(l, i, l->results[i].logp - l->log_scale, l->results[i].prior, l->results[i].error,
                l->results[i].evaluations);
done:
    return st;
}

/* Terms in bits per dimension of bytes, else in nats. */
static tw_status one_bound(likelihood *l, int64_t first, int64_t n, int64_t repeat)
{
    tw_status st = TW_OK;
    row_job *j = &l->job;
    const int64_t width = tw_bound_terms(l->steps);
    const double unit = l->bytes ? (double)j->dims * M_LN2 : 1,
                 share = 1 / (unit * (double)j->run.likelihood.repeats);
    double *terms = j->values[l->terms];
    TW_TRY(tw_bound_run(l->steps, first, n, repeat, j->x, l->one));
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t k = 0; k < width; k++) {
            sum += l->one[i * width + k];
            terms[i * width + k] += share * l->one[i * width + k];
        }
        add_row(l, i, -sum - l->log_scale, -l->one[i * width + width - 1], NAN, width - 1);
    }
done:
    return st;
}

/* Means over the repeats, and their standard errors where there are several. */
static tw_status finish_rows(const likelihood *l, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    const row_job *j = &l->job;
    const double repeats = (double)j->run.likelihood.repeats;
    for (int64_t i = 0; i < n; i++) {
        double *logp = (double *)j->values[LOGP] + i, *error = (double *)j->values[ERROR] + i;
        ((int64_t *)j->values[INDEX])[i] = first + i;
        *logp /= repeats;
        ((double *)j->values[PRIOR])[i] /= repeats;
        if (repeats > 1)
            *error = sqrt(fmax(l->squares[i] / repeats - *logp * *logp, 0) / (repeats - 1));
        if (l->bytes)
            ((double *)j->values[BITS])[i] = l->bound ? -*logp / ((double)j->dims * M_LN2)
                                                      : tw_bits_per_dimension(*logp, j->dims);
        TW_CHECK(isfinite(*logp), TW_EDIVERGED,
                 "row %lld: its log-likelihood is not finite: the weights, or the settings of "
                 "[likelihood], do not fit the data",
                 (long long)(first + i));
    }
done:
    return st;
}

static tw_status compute(row_job *j, int64_t first, int64_t n)
{
    tw_status st = TW_OK;
    likelihood *l = j->self;
    for (int i = 0; i < j->columns.count; i++)
        memset(j->values[i], 0, (size_t)n * column_row_bytes(&j->columns.column[i]));
    memset(l->squares, 0, (size_t)n * sizeof *l->squares);
    TW_TRY(row_job_read_samples(j, first, n, j->x));
    for (int64_t repeat = 0; repeat < j->run.likelihood.repeats; repeat++)
        TW_TRY(l->bound ? one_bound(l, first, n, repeat) : one_flow(l, first, n, repeat));
    TW_TRY(finish_rows(l, first, n));
done:
    return st;
}

/* ---- the result ---- */

static void add(sums *s, int64_t before, double value)
{
    const double off = value - s->mean;
    s->mean += off / (double)(before + 1);
    s->squares += off * (value - s->mean);
}

static double error_of(const sums *s, int64_t n)
{
    return n > 1 ? sqrt(s->squares / (double)n / (double)(n - 1)) : NAN;
}

static void add_to_sums(likelihood *l, int64_t n)
{
    const row_job *j = &l->job;
    const int64_t width = l->bound ? tw_bound_terms(l->steps) : 0;
    for (int64_t i = 0; i < n; i++, l->taken++) {
        add(&l->logp, l->taken, ((double *)j->values[LOGP])[i]);
        add(&l->prior, l->taken, ((double *)j->values[PRIOR])[i]);
        add(&l->evaluations, l->taken, (double)((int64_t *)j->values[EVALUATIONS])[i]);
        if (l->bytes) add(&l->bits, l->taken, ((double *)j->values[BITS])[i]);
        for (int64_t k = 0; k < width; k++)
            l->mean_terms[k] += ((double *)j->values[l->terms])[i * width + k] / (double)j->count;
    }
}

static void summarise(likelihood *l)
{
    const row_job *j = &l->job;
    tw_likelihood_summary *s = &l->summary;
    s->mean = l->logp.mean;
    s->error = error_of(&l->logp, l->taken);
    s->bits = l->bytes ? l->bits.mean : NAN;
    s->bits_error = l->bytes ? error_of(&l->bits, l->taken) : NAN;
    s->prior = l->prior.mean;
    l->job.result.evaluations = l->evaluations.mean;
    s->bound = l->bound;
    s->dims = j->dims;
    snprintf(s->weights, sizeof s->weights, "%s", j->restored->digest);
    snprintf(s->data, sizeof s->data, "%s", tw_dataset_get_spec(j->data)->digest);
    snprintf(s->encoder, sizeof s->encoder, "%s", j->restored->samples.encoder);
}

static const char *words_of_scale(const likelihood *l)
{
    if (l->bytes && l->bound)
        return "logp is the probability of the bytes themselves: bits per dimension = -logp / (D "
               "ln 2), without an offset";
    if (l->bytes)
        return "logp is the density of dequantised bytes in model units, 2 (v + u) / 256 - 1 with "
               "u uniform in [0, 1): a byte's bin is 2 / 256 wide, so bits per dimension = -logp / "
               "(D ln 2) + 7";
    return "logp is a density in the units of the data: that of model units, (v - offset) / scale, "
           "less the sum of log scale over the numbers of a sample (log_scale); no bits per "
           "dimension, as real numbers have no bins";
}

static tw_status write_means(const likelihood *l, hid_t file, const char *path)
{
    tw_status st = TW_OK;
    const tw_likelihood_summary *s = &l->summary;
    TW_TRY(column_write_double(file, path, "mean_nats", s->mean));
    TW_TRY(column_write_double(file, path, "standard_error_nats", s->error));
    TW_TRY(column_write_double(file, path, "mean_prior", s->prior));
    TW_TRY(column_write_double(file, path, "log_scale", l->log_scale));
    if (!l->bytes) goto done;
    TW_TRY(column_write_double(file, path, "mean_bits_per_dimension", s->bits));
    TW_TRY(column_write_double(file, path, "standard_error_bits_per_dimension", s->bits_error));
    TW_TRY(column_write_double(file, path, "offset_bits", l->bound ? 0 : 7));
done:
    return st;
}

static tw_status write_attributes(const likelihood *l, hid_t file, const char *path)
{
    tw_status st = TW_OK;
    const row_job *j = &l->job;
    char range[64];
    TW_TRY(tw_format(range, sizeof range, "%lld %lld", (long long)j->first, (long long)j->count));
    TW_TRY(tw_h5_write_text(file, path, "format", "tweedie-likelihood"));
    TW_TRY(tw_h5_write_int(file, path, "format_version", 1));
    TW_TRY(tw_h5_write_text(file, path, "kind", l->bound ? "bound" : "ode"));
    TW_TRY(tw_h5_write_text(file, path, "settings", j->settings));
    TW_TRY(tw_h5_write_text(file, path, "range", range));
    TW_TRY(tw_h5_write_text(file, path, "split", tw_dataset_get_split(j->data)->name));
    TW_TRY(tw_h5_write_text(file, path, "weights_digest", l->summary.weights));
    TW_TRY(tw_h5_write_text(file, path, "data_digest", l->summary.data));
    TW_TRY(tw_h5_write_text(file, path, "scale", words_of_scale(l)));
    if (l->summary.encoder[0]) {
        TW_TRY(tw_h5_write_text(file, path, "encoder", l->summary.encoder));
        TW_TRY(tw_h5_write_text(file, path, "of",
                                "latents of an autoencoder, not the samples that they decode to"));
    }
    if (l->bound)
        TW_TRY(tw_h5_write_text(file, path, "terms",
                                l->bytes ? "bits per dimension: L_0, L_1, ..., L_T-1, L_T"
                                         : "nats: L_0, L_1, ..., L_T-1, L_T"));
    TW_TRY(write_means(l, file, path));
done:
    return st;
}

/* /mean_terms and /term_times: what a plot of the bound by time step is made of. */
static tw_status write_curve(hid_t file, const char *path, const char *name, int64_t n,
                             const double *values)
{
    tw_status st = TW_OK;
    const hsize_t extent = (hsize_t)n;
    hid_t space = H5I_INVALID_HID, list = H5I_INVALID_HID, array = H5I_INVALID_HID;
    TRY_H5(space = H5Screate_simple(1, &extent, NULL), TW_EIO, "%s: cannot be written", path);
    TRY_H5(list = H5Pcreate(H5P_DATASET_CREATE), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Pset_obj_track_times(list, false), TW_EIO, "%s: cannot be written", path);
    TRY_H5(array = H5Dcreate2(file, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, list, H5P_DEFAULT),
           TW_EIO, "%s: %s cannot be made", path, name);
    TRY_H5(H5Dwrite(array, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), TW_EIO,
           "%s: %s cannot be written", path, name);
done:
    tw_h5_close(&array);
    tw_h5_close(&list);
    tw_h5_close(&space);
    return st;
}

static tw_status write_curves(likelihood *l, hid_t file, const char *path)
{
    tw_status st = TW_OK;
    if (!l->bound) return TW_OK;
    const int64_t n = tw_bound_terms(l->steps);
    TW_TRY(write_curve(file, path, "mean_terms", n, l->mean_terms));
    for (int64_t k = 0; k < n; k++) l->one[k] = tw_bound_time(l->steps, k);
    TW_TRY(write_curve(file, path, "term_times", n, l->one));
done:
    return st;
}

static tw_status take(void *self, int64_t first, int64_t n)
{
    likelihood *l = self;
    (void)first;
    add_to_sums(l, n);
    return column_writer_append(l->writer, n, l->job.values);
}

static tw_status merge(row_job *j)
{
    tw_status st = TW_OK;
    likelihood *l = j->self;
    const char *path = j->options->out;
    TW_TRY(column_writer_create(&l->writer, path, row_job_output_mode(j), &j->columns, j->count));
    TW_TRY(row_job_each_part(j, take, l));
    summarise(l);
    TW_TRY(write_attributes(l, column_writer_file(l->writer), path));
    TW_TRY(write_curves(l, column_writer_file(l->writer), path));
    TW_TRY(column_writer_finish(&l->writer));
done:
    column_writer_abort(&l->writer);
    return st;
}

static tw_status report(row_job *j)
{
    tw_status st = TW_OK;
    likelihood *l = j->self;
    column_reader r;
    TW_TRY(column_reader_open(&r, j->options->out, &j->columns));
    for (int64_t at = 0; at < j->count && st == TW_OK; at += j->block) {
        const int64_t n = j->count - at < j->block ? j->count - at : j->block;
        st = column_reader_read(&r, at, n, j->values);
        if (st == TW_OK) add_to_sums(l, n);
    }
    column_reader_close(&r);
    summarise(l);
done:
    return st;
}

tw_status tw_likelihood_job(const tw_comm *comm, const tw_row_job_options *options,
                            tw_likelihood_summary *out)
{
    static const row_task task = {.verb = "computing the likelihood of",
                                  .split = "test",
                                  .check = row_job_check_samples,
                                  .plan = plan,
                                  .compute = compute,
                                  .merge = merge,
                                  .report = report};
    likelihood l = {.job = {.comm = comm, .options = options, .task = &task, .self = &l}};
    const tw_status st = row_job_run(&l.job);
    if (st == TW_OK && out) {
        *out = l.summary;
        out->rows = l.job.result;
    }
    tw_likelihood_destroy(&l.flow);
    tw_bound_destroy(&l.steps);
    tw_free(&l.noisy);
    tw_free(&l.results);
    tw_free(&l.squares);
    tw_free(&l.one);
    tw_free(&l.mean_terms);
    row_job_close(&l.job);
    return st;
}
