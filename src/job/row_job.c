/* Jobs over the rows of a dataset: what is wanted, what is there, what is missing; then compute and
 * merge. */
#include "job/row_job.h"

#include <math.h>
#include <string.h>

#include "h5/h5.h"
#include "run/compute.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/signals.h"

/* As samplers that keep a batch full: the tail of a block leaves slots empty. */
enum { BLOCK_BATCHES = 8, LINE_SECONDS = 5 };

static const char made_with_others[] = "was made with other weights, data or settings";

static tw_status agree(const row_job *j, tw_status st)
{
    return j->comm ? tw_comm_agree(j->comm, st) : st;
}

/* ---- the score: the network's, and a place to stop at, as a block may take minutes ---- */

static tw_status go_on(void)
{
    return tw_signals_stop()
               ? tw_error_set(TW_ESTOPPED,
                              "stopped by a signal; the same command goes on with what "
                              "is missing")
               : TW_OK;
}

static tw_status eval(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                      float *score)
{
    tw_status st = TW_OK;
    const tw_score *s = tw_model_score_view(((row_job *)self)->network);
    TW_TRY(go_on());
    TW_TRY(s->eval(s->self, n, x, t, index, score));
done:
    return st;
}

static tw_status vjp(void *self, int64_t n, const float *x, const double *t, const int64_t *index,
                     const float *v, float *score, float *out)
{
    tw_status st = TW_OK;
    const tw_score *s = tw_model_score_view(((row_job *)self)->network);
    TW_TRY(go_on());
    TW_TRY(s->vjp(s->self, n, x, t, index, v, score, out));
done:
    return st;
}

static tw_status eval_variance(void *self, int64_t n, const float *x, const double *t,
                               const int64_t *index, float *score, float *v)
{
    tw_status st = TW_OK;
    const tw_score *s = tw_model_score_view(((row_job *)self)->network);
    TW_TRY(go_on());
    TW_TRY(s->eval_variance(s->self, n, x, t, index, score, v));
done:
    return st;
}

static void condition(void *self, const int32_t *label)
{
    const tw_score *s = tw_model_score_view(((row_job *)self)->network);
    s->condition(s->self, label);
}

static tw_score make_score(row_job *j)
{
    const tw_score *s = tw_model_score_view(j->network);
    return (tw_score){.self = j,
                      .dims = s->dims,
                      .eval = eval,
                      .vjp = s->vjp ? vjp : NULL,
                      .eval_variance = s->eval_variance ? eval_variance : NULL,
                      .condition = s->condition ? condition : NULL,
                      .classes = s->classes,
                      .unlabelled = s->unlabelled};
}

/* ---- planning ---- */

/* A guided score is that of no process's marginals, so nothing follows from it by their flow. */
static tw_status refuse_guidance(const tw_row_job_options *o)
{
    tw_status st = TW_OK;
    for (int i = 0; i < o->assignment_count; i++)
        TW_CHECK(strncmp(o->assignments[i], "guidance.", strlen("guidance.")) != 0, TW_EUSAGE,
                 "%s: a guided model has no likelihoods and no codes: its score is that of no "
                 "density along the process; the network's own are computed without it",
                 o->assignments[i]);
done:
    return st;
}

/* In float32 where nothing else is asked for: the noise of bf16 makes a solver's steps small, and a
 * code worthless. */
static tw_status read_settings(row_job *j)
{
    tw_status st = TW_OK;
    const tw_row_job_options *o = j->options;
    if (j->task->settings) return j->task->settings(j);
    TW_TRY(refuse_guidance(o));
    TW_TRY(tw_restore_config(&j->config, j->restored, "likelihood", "likelihood compute",
                             o->assignment_count, o->assignments));
    TW_TRY(tw_run_config_bind(&j->run, j->config, TW_RUN_LIKELIHOOD | TW_RUN_COMPUTE, NULL));
    TW_TRY(tw_config_finish(j->config));
    if (j->run.compute.precision == TW_PRECISION_AUTO) j->run.compute.precision = TW_PRECISION_F32;
    if (j->run.compute.convolution == TW_CONVOLUTION_AUTO)
        j->run.compute.convolution = TW_CONVOLUTION_DIRECT;
    j->batch = j->run.likelihood.batch;
    j->block = BLOCK_BATCHES * j->batch;
done:
    return st;
}

static tw_status allocate(row_job *j)
{
    tw_status st = TW_OK;
    int64_t numbers;
    TW_TRY(tw_multiply(&numbers, j->block, j->dims, "a block of samples"));
    TW_TRY(tw_alloc(&j->x, numbers, sizeof *j->x, "a block of samples"));
    TW_TRY(tw_alloc(&j->stored, numbers, sizeof(float), "a block of samples"));
    if (j->restored->model->classes)
        TW_TRY(tw_alloc(&j->label, j->block, sizeof *j->label, "labels of samples"));
    if (j->restored->samples.condition) {
        const tw_dataset_spec *c = j->restored->samples.condition;
        TW_TRY(tw_multiply(&numbers, j->block, tw_dataset_elements(c), "conditions of samples"));
        TW_TRY(tw_alloc(&j->y, numbers, sizeof *j->y, "conditions of samples"));
        TW_TRY(
            tw_alloc(&j->condition, j->block, tw_dataset_sample_bytes(c), "conditions of samples"));
    }
    for (int i = 0; i < j->columns.count; i++)
        TW_TRY(tw_alloc(&j->values[i], j->block, column_row_bytes(&j->columns.column[i]),
                        "a block of results"));
done:
    return st;
}

/* The line that parts are compared by. */
static tw_status describe(row_job *j)
{
    const tw_dataset_split *split = tw_dataset_get_split(j->data);
    return tw_format(j->settings, sizeof j->settings,
                     "weights=%s data=%s rows=%lld:%lld %s precision=%s convolution=%s",
                     j->restored->digest, tw_dataset_get_spec(j->data)->digest,
                     (long long)split->first, (long long)split->last, j->text.data,
                     tw_precision_name(j->precision),
                     tw_convolution_name((tw_convolution)j->run.compute.convolution));
}

static tw_status plan_network(row_job *j)
{
    tw_status st = TW_OK;
    tw_model *m = j->restored->model;
    const tw_convolution convolution = (tw_convolution)j->run.compute.convolution;
    if (j->task->codec)
        return tw_model_codec_create(&j->codec, m, j->task->codec, j->batch, j->precision,
                                     convolution);
    const int64_t points = j->batch * tw_guidance_rows(&j->run.guidance);
    TW_TRY(tw_model_score_create(&j->network, m, points, j->precision, convolution));
    j->score = make_score(j);
done:
    return st;
}

static tw_status plan(row_job *j)
{
    tw_status st = TW_OK;
    j->dims = j->restored->model->dims;
    if (j->task->check) TW_TRY(j->task->check(j));
    TW_TRY(row_job_check_given(j));
    TW_TRY(row_job_choose_rows(j));
    TW_TRY(plan_network(j));
    TW_TRY(block_work_check_array(j->first, j->block, "rows"));
    TW_TRY(j->task->plan(j));
    TW_TRY(describe(j));
    TW_TRY(allocate(j));
done:
    return st;
}

static tw_status prepare(row_job *j)
{
    tw_status st = TW_OK;
    TW_TRY(tw_restore(&j->restored, j->comm, j->options->weights, j->options->which));
    if (j->task->read) TW_TRY(j->task->read(j));
    TW_TRY(agree(j, read_settings(j)));
    TW_TRY(tw_compute_prepare(&j->precision, NULL, &j->run.compute, j->comm));
    if (j->task->open) TW_TRY(j->task->open(j));
    TW_TRY(row_job_open_data(j));
    TW_TRY(agree(j, plan(j)));
done:
    return st;
}

/* ---- parts ---- */

static int64_t rows_of(const row_job *j, int64_t k)
{
    const int64_t left = j->rows - k * j->block;
    return left < j->block ? left : j->block;
}

/* A part that is damaged is as good as missing; one of other settings is an error. */
static tw_status open_part(bool *there, column_reader *r, const row_job *j, int64_t k,
                           const char *path)
{
    tw_status st = TW_OK;
    column_reader part = {.file = -1};
    const column_head *h = &part.head;
    *there = false;
    if (!tw_file_exists(path)) goto done;
    st = column_reader_open(&part, path, &j->columns);
    if (st == TW_OK && (strcmp(h->settings, j->settings) != 0 || h->first != k * j->block ||
                        h->count != rows_of(j, k))) {
        st = parts_differ(path, made_with_others, h->settings, j->settings);
        goto done;
    }
    if (st == TW_OK) st = column_reader_check(&part);
    *there = st == TW_OK;
    if (st != TW_OK) tw_log_warn("%s; it is made again", tw_error_message());
    st = TW_OK;
    if (!*there) goto done;
    *r = part;
    part.file = -1;
done:
    column_reader_close(&part);
    return st;
}

static tw_status check_block(void *self, int64_t k, bool *there)
{
    tw_status st = TW_OK;
    row_job *j = self;
    char path[TW_PATH_MAX];
    column_reader r;
    bool open = false;
    TW_TRY(parts_path(path, j->directory, k * j->block));
    TW_TRY(open_part(&open, &r, j, k, path));
    if (open && (r.head.rows != rows_of(j, k) || column_reader_verify(&r, j->values) != TW_OK)) {
        tw_log_warn("%s; it is made again", tw_error_message());
        column_reader_close(&r);
        open = false;
    }
    *there = open;
done:
    if (open) column_reader_close(&r);
    return st;
}

static tw_status write_part(const row_job *j, int64_t k)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX], range[64];
    column_writer *w = NULL;
    TW_TRY(parts_path(path, j->directory, k * j->block));
    TW_TRY(column_writer_create(&w, path, TW_OUTPUT_OWN, &j->columns, rows_of(j, k)));
    TW_TRY(tw_format(range, sizeof range, "%lld %lld", (long long)(k * j->block),
                     (long long)rows_of(j, k)));
    TW_TRY(tw_h5_write_text(column_writer_file(w), path, "settings", j->settings));
    TW_TRY(tw_h5_write_text(column_writer_file(w), path, "range", range));
    TW_TRY(column_writer_append(w, rows_of(j, k), j->values));
    TW_TRY(column_writer_finish(&w));
done:
    column_writer_abort(&w);
    return st;
}

static void show(row_job *j)
{
    const double now = tw_clock_seconds(), done = (double)(j->work.before + j->work.active),
                 total = (double)j->work.missing_count;
    if (now - j->last < LINE_SECONDS || j->rank != 0) return;
    j->last = now;
    tw_log_info("%.0f of %.0f blocks of %lld rows, %.0f s left", done, total, (long long)j->block,
                (total - done) * (now - j->start) / done);
}

static tw_status make_block(void *self, int64_t k)
{
    tw_status st = TW_OK;
    row_job *j = self;
    TW_TRY(go_on());
    TW_TRY(j->task->compute(j, k * j->block, rows_of(j, k)));
    TW_TRY(write_part(j, k));
    show(j);
done:
    return st;
}

static tw_status make_missing(row_job *j)
{
    tw_status st = TW_OK;
    const int64_t first = j->first / j->block;
    j->work = (block_work){.comm = j->comm,
                           .rank = j->rank,
                           .ranks = j->ranks,
                           .self = j,
                           .check = check_block,
                           .make = make_block,
                           .first = first,
                           .count = (j->first + j->count - 1) / j->block + 1 - first};
    TW_TRY(block_work_list(&j->work));
    if (j->work.missing_count == 0) goto done;
    TW_TRY(agree(j, j->rank == 0 ? tw_output_check_folder(j->directory) : TW_OK));
    j->start = j->last = tw_clock_seconds();
    tw_log_info("%s %lld rows, %lld blocks of %lld; %lld are there", j->task->verb,
                (long long)j->count, (long long)j->work.count, (long long)j->block,
                (long long)(j->work.count - j->work.missing_count));
    TW_TRY(block_work_run(&j->work));
    tw_log_info("made %lld blocks in %.1f s", (long long)j->work.missing_count,
                tw_clock_seconds() - j->start);
done:
    return st;
}

tw_status row_job_each_part(row_job *j, tw_status (*take)(void *self, int64_t first, int64_t n),
                            void *self)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    column_reader r;
    bool open = false;
    const int64_t end = j->first + j->count;
    for (int64_t at = j->first; at < end;) {
        const int64_t k = at / j->block, from = at - k * j->block;
        int64_t n = rows_of(j, k) - from;
        if (n > end - at) n = end - at;
        TW_TRY(parts_path(path, j->directory, k * j->block));
        TW_TRY(open_part(&open, &r, j, k, path));
        TW_CHECK(open, TW_ENOINPUT, "%s: is missing", path);
        TW_TRY(column_reader_read(&r, from, n, j->values));
        column_reader_close(&r);
        open = false;
        TW_TRY(take(self, at, n));
        at += n;
    }
done:
    if (open) column_reader_close(&r);
    return st;
}

/* ---- OUT ---- */

/* A file under the final name must be what this job makes, or something that it may replace. */
static tw_status look_at_out(row_job *j)
{
    tw_status st = TW_OK;
    const tw_row_job_options *o = j->options;
    const column_set none = {.count = 0};
    column_reader r = {.file = -1};
    const column_head *h = &r.head;
    if (!o->join || !tw_file_exists(o->out)) goto done;
    /* what is no regular file is never replaced: no advice to force it */
    if (tw_file_size(NULL, o->out) != TW_OK)
        TW_TRY(tw_output_check(o->out, TW_OUTPUT_REPLACE, NULL, 0));
    const bool ours = column_reader_open(&r, o->out, &none) == TW_OK;
    if (ours && strcmp(h->settings, j->settings) == 0 && h->first == j->first &&
        h->count == j->count) {
        j->result.complete = true;
        goto done;
    }
    if (o->replace) goto done;
    TW_CHECK(ours, TW_EUSAGE,
             "%s: exists already, and is no result of this command; --force replaces it", o->out);
    if (strcmp(h->settings, j->settings) != 0)
        TW_TRY(parts_differ(o->out, made_with_others, h->settings, j->settings));
    TW_CHECK(
        h->first >= j->first && h->first + h->count <= j->first + j->count, TW_EUSAGE,
        "%s: exists already and holds the rows %lld to %lld, not all of which were asked for now; "
        "--force replaces it",
        o->out, (long long)h->first, (long long)(h->first + h->count - 1));
    j->fewer = true;
done:
    column_reader_close(&r);
    return st;
}

tw_output_mode row_job_output_mode(const row_job *j)
{
    return j->options->replace || j->fewer ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW;
}

/* The inputs are never replaced, whatever --force says. */
static tw_status judge_out(row_job *j)
{
    tw_status st = TW_OK;
    const char *const inputs[] = {j->options->data, j->options->weights};
    TW_TRY(look_at_out(j));
    if (j->options->join && !j->result.complete)
        TW_TRY(tw_output_check(j->options->out, row_job_output_mode(j), inputs, 2));
done:
    return st;
}

static tw_status share_completeness(row_job *j)
{
    tw_status st = TW_OK;
    double complete = j->result.complete;
    if (j->comm) TW_TRY(tw_comm_max(j->comm, &complete, 1));
    j->result.complete = complete > 0;
done:
    return st;
}

static tw_status merge(row_job *j)
{
    tw_status st = TW_OK;
    if (j->rank == 0) st = j->result.complete ? j->task->report(j) : j->task->merge(j);
    TW_TRY(agree(j, st));
    if (j->options->clean) TW_TRY(agree(j, j->rank == 0 ? parts_remove(j->directory) : TW_OK));
done:
    return st;
}

tw_status row_job_run(row_job *j)
{
    tw_status st = TW_OK;
    const tw_row_job_options *o = j->options;
    j->rank = j->comm ? tw_comm_rank(j->comm) : 0;
    j->ranks = j->comm ? tw_comm_size(j->comm) : 1;
    TW_CHECK(!o->clean || o->join, TW_EUSAGE, "parts are removed only when they are merged");
    TW_TRY(parts_directory(j->directory, o->out));
    TW_TRY(agree(j, tw_signals_install()));
    TW_TRY(prepare(j));
    TW_TRY(agree(j, j->rank == 0 ? judge_out(j) : TW_OK));
    TW_TRY(share_completeness(j));
    if (!j->result.complete) TW_TRY(make_missing(j));
    if (o->join) TW_TRY(merge(j));
    j->result.first = j->first;
    j->result.count = j->count;
done:
    return st;
}

void row_job_close(row_job *j)
{
    tw_dataset_destroy(&j->data);
    tw_model_score_destroy(&j->network);
    tw_model_codec_destroy(&j->codec);
    tw_run_config_free(&j->run);
    tw_config_destroy(&j->config);
    tw_restore_destroy(&j->restored);
    tw_text_free(&j->text);
    for (int i = 0; i < COLUMNS_MAX; i++) tw_free(&j->values[i]);
    tw_free(&j->x);
    tw_free(&j->stored);
    tw_free(&j->label);
    tw_free(&j->y);
    tw_free(&j->condition);
    block_work_free(&j->work);
}
