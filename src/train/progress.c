/* Lines for people and metrics.jsonl. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "train/event_file.h"
#include "train/loss_watch.h"
#include "train/trainer.h"
#include "tweedie/clock.h"
#include "tweedie/file.h"
#include "tweedie/json.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/processor.h"
#include "tweedie/text.h"

enum { HISTORY = 4096 }; /* rows of the loss history that a checkpoint keeps */

/* Since some moment. */
typedef struct window {
    int64_t steps;
    double loss, seconds, read, compute, communication;
} window;

struct tw_progress {
    const tw_trainer *t;
    int file;          /* metrics.jsonl */
    bool started;      /* a step was begun, which its first line says */
    bool failing;      /* its last line could not be written, which has been told */
    window line, json; /* since the last line on the terminal, and in the file */
    double last_line;
    double history[2 * HISTORY];
    int64_t rows;
    double pace; /* seconds of a step, smoothed, for the time left */
    loss_watch watch;
    tw_progress_sums sums;
    event_file *events; /* NULL: not asked for, or given up */
};

/* What the run has been through before counts too. */
static void watch_history(tw_progress *p)
{
    double median;
    const int64_t first = p->rows > LOSS_WATCH_WINDOW ? p->rows - LOSS_WATCH_WINDOW : 0;
    for (int64_t i = first; i < p->rows; i++)
        (void)loss_watch_add(&p->watch, p->history[2 * i + 1], &median);
    p->watch.quiet = 0;
}

/* Where the last whole line of an open file ends. */
static tw_status find_last_line(off_t *out, int file, off_t size, const char *path)
{
    tw_status st = TW_OK;
    char buffer[4096];
    for (off_t end = size; end > 0;) {
        const size_t n = end < (off_t)sizeof buffer ? (size_t)end : sizeof buffer;
        const ssize_t got = pread(file, buffer, n, end - (off_t)n);
        TW_CHECK(got >= 0, TW_EIO, "%s: reading failed: %s", path, strerror(errno));
        TW_CHECK(got == (ssize_t)n, TW_EIO, "%s: became shorter while it was read", path);
        const char *newline = memrchr(buffer, '\n', n);
        if (newline) {
            *out = end - (off_t)n + (newline - buffer) + 1;
            goto done;
        }
        end -= (off_t)n;
    }
    *out = 0;
done:
    return st;
}

tw_status tw_progress_open_lines(int *out, const char *path)
{
    tw_status st = TW_OK;
    struct stat info;
    off_t end = 0;
    int file = -1;
    TW_TRY(tw_file_open_own(&file, path, O_RDWR | O_CREAT | O_APPEND));
    TW_CHECK(fstat(file, &info) == 0, TW_EIO, "%s: cannot be looked at: %s", path, strerror(errno));
    TW_TRY(find_last_line(&end, file, info.st_size, path));
    if (end < info.st_size) {
        TW_CHECK(ftruncate(file, end) == 0, TW_EIO, "%s: cannot be cut back: %s", path,
                 strerror(errno));
        tw_log_warn("%s: its last line was not written to the end, and is removed", path);
    }
    *out = file;
    file = -1;
done:
    if (file >= 0) close(file);
    return st;
}

tw_status tw_progress_create(tw_progress **out, const tw_trainer *t)
{
    tw_status st = TW_OK;
    tw_progress *p = NULL;
    char path[TW_PATH_MAX];
    if (!t->past.rundir) return TW_OK;
    TW_TRY(tw_alloc(&p, 1, sizeof *p, "the progress of training"));
    p->t = t;
    p->file = -1;
    p->last_line = tw_clock_seconds();
    p->rows = t->past.loss_rows < HISTORY ? t->past.loss_rows : HISTORY;
    if (p->rows)
        memcpy(p->history, t->past.losses + 2 * (t->past.loss_rows - p->rows),
               2 * (size_t)p->rows * sizeof *p->history);
    watch_history(p);
    TW_TRY(tw_rundir_file(path, sizeof path, t->past.rundir, "metrics.jsonl"));
    TW_TRY(tw_progress_open_lines(&p->file, path));
    tw_log_info(
        "%s: %lld parameters, %d ranks, %lld samples a step in microbatches of %lld, %s, "
        "gradients by %s",
        t->stepper.model->net->kind.name, (long long)tw_params_count(t->stepper.model->params),
        tw_comm_size(t->comm), (long long)t->c->batch, (long long)t->stepper.micro,
        tw_precision_name(t->stepper.precision), tw_reducer_description(t->stepper.reducer));
    *out = p;
    p = NULL;
done:
    tw_progress_destroy(&p);
    return st;
}

void tw_progress_destroy(tw_progress **progress)
{
    if (!*progress) return;
    if ((*progress)->file >= 0) close((*progress)->file);
    event_file_destroy(&(*progress)->events);
    tw_free(progress);
}

static void add(window *w, const tw_step_result *r)
{
    w->steps++;
    w->loss += r->loss;
    w->seconds += r->seconds;
    w->read += r->read_seconds;
    w->compute += r->compute_seconds;
    w->communication += r->communication_seconds;
}

static double left(const tw_progress *p)
{
    return p->pace * (double)(p->t->c->steps - p->t->stepper.step);
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

static void print_line(tw_progress *p, const tw_step_result *r)
{
    char eta[TW_DURATION];
    const window *w = &p->line;
    tw_text_duration(eta, left(p));
    tw_log_info("step %lld/%lld  loss %.4f  norm %.3g  %.1f images/s  read %.0f%% compute %.0f%% "
                "communicate %.0f%%  %s left",
                (long long)p->t->stepper.step, (long long)p->t->c->steps,
                w->loss / (double)w->steps, r->gradient_norm,
                (double)(w->steps * p->t->c->batch) / w->seconds, percent(w->read, w->seconds),
                percent(w->compute, w->seconds), percent(w->communication, w->seconds), eta);
    p->line = (window){0};
    p->last_line = tw_clock_seconds();
}

/* Appends a line whole or not at all. */
static tw_status append_line(int file, const char *line, size_t bytes)
{
    tw_status st = TW_OK;
    const off_t before = lseek(file, 0, SEEK_END);
    TW_CHECK(before >= 0, TW_EIO, "metrics.jsonl: cannot be written: %s", strerror(errno));
    ssize_t n;
    do n = write(file, line, bytes);
    while (n < 0 && errno == EINTR);
    TW_CHECK(n >= 0, TW_EIO, "metrics.jsonl: cannot be written: %s", strerror(errno));
    if (n == (ssize_t)bytes) goto done;
    (void)ftruncate(file, before); /* where that fails, the next start cuts it */
    TW_FAIL(TW_EIO, "metrics.jsonl: only %zd of %zu bytes of a line could be written", n, bytes);
done:
    return st;
}

/* Lines that cannot be written are lost, and the first of them is told: training is worth more. */
static void write_line(tw_progress *p, tw_json *json)
{
    tw_status st = tw_json_finish(json);
    if (st == TW_OK) st = tw_text_add(&json->text, "\n");
    if (st == TW_OK) st = append_line(p->file, json->text.data, (size_t)json->text.length);
    if (st != TW_OK && !p->failing) tw_log_warn("%s", tw_error_message());
    p->failing = st != TW_OK;
    tw_text_free(&json->text);
}

/* TensorBoard's files are given up at their first failure: training is worth more. */
static void check_events(tw_progress *p, tw_status st)
{
    if (st == TW_OK) return;
    tw_log_warn("%s; nothing more is written for TensorBoard", tw_error_message());
    event_file_destroy(&p->events);
}

static void open_events(tw_progress *p)
{
    char path[TW_PATH_MAX];
    if (!p->t->c->tensorboard) return;
    tw_status st = tw_rundir_file(path, sizeof path, p->t->past.rundir, "tensorboard");
    if (st == TW_OK) st = event_file_create(&p->events, path, p->t->stepper.step + 1);
    check_events(p, st);
}

static void add_scalars(tw_progress *p, const event_scalar *scalars, int count)
{
    if (!p->events) return;
    check_events(p, event_file_scalars(p->events, p->t->stepper.step, tw_clock_wall_seconds(),
                                       scalars, count));
}

void tw_progress_picture(tw_progress *p, const char *path)
{
    if (!p || !p->events) return;
    check_events(p, event_file_picture(p->events, p->t->stepper.step, tw_clock_wall_seconds(),
                                       "samples", path));
}

/* A part of a run begins or ends here: what `tweedie status` tells the parts and their cost by. */
static void open_event(tw_progress *p, tw_json *json, const char *event)
{
    tw_json_object(json, NULL);
    tw_json_int64(json, "step", p->t->stepper.step);
    tw_json_string(json, "event", event);
    tw_json_int64(json, "restart", p->t->past.restarts);
    tw_json_double(json, "time", tw_clock_wall_seconds());
}

void tw_progress_start(tw_progress *p)
{
    tw_json json = {0};
    if (!p) return;
    p->started = true;
    p->sums.begun = tw_clock_seconds();
    open_events(p);
    open_event(p, &json, "start");
    tw_json_int64(&json, "steps", p->t->c->steps);
    tw_json_int64(&json, "batch", p->t->c->batch);
    tw_json_int64(&json, "ranks", tw_comm_size(p->t->comm));
    tw_json_int64(&json, "threads", p->t->stepper.threads);
    tw_json_string(&json, "host", tw_comm_host(p->t->comm));
    tw_json_string(&json, "processor", tw_processor_model());
    tw_json_end(&json);
    write_line(p, &json);
}

void tw_progress_end(tw_progress *p, tw_status st)
{
    tw_json json = {0};
    if (!p || !p->started) return;
    open_event(p, &json,
               st == TW_OK          ? "finished"
               : st == TW_ESTOPPED  ? "stopped"
               : st == TW_EDIVERGED ? "diverged"
                                    : "failed");
    tw_json_end(&json);
    write_line(p, &json);
}

/* What the adversarial term of an autoencoder found out in its last step, where there is one. */
static void add_adversarial(tw_json *json, const tw_params *p)
{
    const tw_param_view *scale = tw_params_find(p, "objective.adversarial.scale"),
                        *generator = tw_params_find(p, "objective.adversarial.generator_loss"),
                        *judge = tw_params_find(p, "objective.adversarial.discriminator_loss");
    if (!scale || !generator || !judge) return;
    tw_json_double(json, "adversarial_scale", (double)p->value[scale->offset]);
    tw_json_double(json, "generator_loss", (double)p->value[generator->offset]);
    tw_json_double(json, "discriminator_loss", (double)p->value[judge->offset]);
}

static void write_metrics(tw_progress *p, const tw_step_result *r)
{
    tw_json json = {0};
    const window *w = &p->json;
    tw_json_object(&json, NULL);
    tw_json_int64(&json, "step", p->t->stepper.step);
    tw_json_int64(&json, "samples", p->t->stepper.step * p->t->c->batch);
    tw_json_double(&json, "loss", w->loss / (double)w->steps);
    tw_json_double(&json, "gradient_norm", r->gradient_norm);
    tw_json_double(&json, "learning_rate", r->learning_rate);
    add_adversarial(&json, p->t->stepper.model->params);
    tw_json_double(&json, "images_per_second", (double)(w->steps * p->t->c->batch) / w->seconds);
    tw_json_double(&json, "share_read", w->read / w->seconds);
    tw_json_double(&json, "share_compute", w->compute / w->seconds);
    tw_json_double(&json, "share_communication", w->communication / w->seconds);
    tw_json_double(&json, "seconds_left", left(p));
    tw_json_int64(&json, "restart", p->t->past.restarts);
    tw_json_double(&json, "time", tw_clock_wall_seconds());
    tw_json_end(&json);
    write_line(p, &json);
    const event_scalar scalars[] = {
        {"train/loss", w->loss / (double)w->steps},
        {"train/gradient_norm", r->gradient_norm},
        {"train/learning_rate", r->learning_rate},
        {"speed/images_per_second", (double)(w->steps * p->t->c->batch) / w->seconds},
        {"speed/share_read", w->read / w->seconds},
        {"speed/share_compute", w->compute / w->seconds},
        {"speed/share_communication", w->communication / w->seconds},
    };
    add_scalars(p, scalars, sizeof scalars / sizeof *scalars);
    p->json = (window){0};
}

static void remember(tw_progress *p, const tw_step_result *r)
{
    if (p->rows == HISTORY) {
        memmove(p->history, p->history + HISTORY,
                HISTORY * sizeof *p->history); /* the older half goes */
        p->rows = HISTORY / 2;
    }
    p->history[2 * p->rows] = (double)p->t->stepper.step;
    p->history[2 * p->rows++ + 1] = r->loss;
}

static void warn_of_loss(tw_progress *p, const tw_step_result *r)
{
    double median;
    if (!loss_watch_add(&p->watch, r->loss, &median)) return;
    tw_log_warn("step %lld: the loss is %.4g, more than %d times its median of the last %d steps "
                "(%.4g): the training may be diverging (gradient norm %.3g)",
                (long long)p->t->stepper.step, r->loss, LOSS_WATCH_FACTOR, p->watch.count, median,
                r->gradient_norm);
}

void tw_progress_step(tw_progress *p, const tw_step_result *r)
{
    if (!p) return;
    const bool last = p->t->stepper.step == p->t->c->steps || r->stop;
    p->pace = p->pace > 0 ? 0.95 * p->pace + 0.05 * r->seconds : r->seconds;
    remember(p, r);
    warn_of_loss(p, r);
    add(&p->line, r);
    add(&p->json, r);
    p->sums.steps++;
    p->sums.read += r->read_seconds;
    p->sums.compute += r->compute_seconds;
    p->sums.communication += r->communication_seconds;
    if (p->t->stepper.step % p->t->c->log_every == 0 || last) write_metrics(p, r);
    if (tw_clock_seconds() - p->last_line >= p->t->c->log_seconds || last) print_line(p, r);
}

static void tell_accuracy(const tw_validation *v)
{
    char text[TW_ACCURACY_BINS * 8] = "";
    for (int k = 0, at = 0; k < TW_ACCURACY_BINS; k++)
        at += isnan(v->by_noise[k])
                  ? snprintf(text + at, sizeof text - (size_t)at, " -")
                  : snprintf(text + at, sizeof text - (size_t)at, " %.2f", v->by_noise[k]);
    tw_log_info("  accuracy %.3f; by eighths of the time, from little noise to much:%s",
                v->accuracy, text);
}

void tw_progress_validation(tw_progress *p, const tw_validation *v)
{
    tw_json json = {0};
    if (!p) return;
    tw_log_info("step %lld  validation loss %.5f", (long long)p->t->stepper.step, v->loss);
    if (v->classifies) tell_accuracy(v);
    if (v->codes)
        tw_log_info("  %lld of %lld codes used, perplexity %.1f", (long long)v->used,
                    (long long)v->codes, v->perplexity);
    tw_json_object(&json, NULL);
    tw_json_int64(&json, "step", p->t->stepper.step);
    tw_json_double(&json, "validation_loss", v->loss);
    if (v->classifies) {
        tw_json_double(&json, "accuracy", v->accuracy);
        tw_json_doubles(&json, "accuracy_by_noise", v->by_noise, TW_ACCURACY_BINS);
    }
    if (v->codes) {
        tw_json_int64(&json, "codes_used", v->used);
        tw_json_double(&json, "perplexity", v->perplexity);
    }
    tw_json_int64(&json, "restart", p->t->past.restarts);
    tw_json_double(&json, "time", tw_clock_wall_seconds());
    tw_json_end(&json);
    write_line(p, &json);
    const event_scalar scalars[] = {{"validation/loss", v->loss},
                                    {"validation/accuracy", v->accuracy}};
    add_scalars(p, scalars, v->classifies ? 2 : 1);
}

void tw_progress_quality(tw_progress *p, const tw_quality_result *r)
{
    tw_json json = {0};
    if (!p) return;
    tw_log_info("step %lld  Frechet distance %.4f of %lld samples to %lld of the data",
                (long long)p->t->stepper.step, r->frechet, (long long)r->samples,
                (long long)r->reference);
    tw_json_object(&json, NULL);
    tw_json_int64(&json, "step", p->t->stepper.step);
    tw_json_double(&json, "frechet_distance", r->frechet);
    tw_json_int64(&json, "evaluated_samples", r->samples);
    tw_json_int64(&json, "evaluated_reference", r->reference);
    tw_json_string(&json, "features_digest", r->digest);
    tw_json_int64(&json, "restart", p->t->past.restarts);
    tw_json_double(&json, "time", tw_clock_wall_seconds());
    tw_json_end(&json);
    write_line(p, &json);
}

const double *tw_progress_losses(const tw_progress *p, int64_t *rows)
{
    *rows = p ? p->rows : 0;
    return p ? p->history : NULL;
}

const tw_progress_sums *tw_progress_sums_view(const tw_progress *p)
{
    return p ? &p->sums : NULL;
}
