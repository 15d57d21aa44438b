/* Where a run stands. The lines of metrics.jsonl fall into parts: each begins with an event "start"
 * and ends with its last line, which says how it ended unless the trainer was killed. */
#include "tweedie/run_status.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tweedie/checkpoint.h"
#include "tweedie/config.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/metric_lines.h"
#include "tweedie/rundir.h"
#include "tweedie/text.h"

enum { MEAN_OF = 10 };

/* What is remembered while lines go by. */
typedef struct scan {
    tw_run_status *s;
    tw_metric_series loss, validation;
    char event[16];                /* of the newest line; "" where it is no event */
    double begun, newest;          /* times of the part */
    double first_time;             /* of its first line that counts samples, */
    double first_samples, samples; /* and how many were seen there, and now */
    bool any, cores_known;
} scan;

static void end_part(scan *c)
{
    if (!c->any) return;
    const double seconds = fmax(c->newest - c->begun, 0);
    c->s->seconds += seconds;
    c->s->core_hours +=
        c->cores_known ? seconds / 3600 * (double)(c->s->ranks * c->s->threads) : NAN;
    c->any = false;
}

static void begin_part(scan *c, const char *line, double time)
{
    double n;
    end_part(c);
    c->any = true;
    c->begun = time;
    c->first_samples = c->samples = NAN;
    c->cores_known = tw_metric_number(&n, line, "ranks");
    c->s->ranks = c->cores_known ? (int64_t)n : -1;
    c->cores_known = tw_metric_number(&n, line, "threads") && c->cores_known;
    c->s->threads = c->cores_known ? (int64_t)n : -1;
    if (tw_metric_number(&n, line, "steps")) c->s->steps = (int64_t)n;
    if (tw_metric_number(&n, line, "batch")) c->s->batch = (int64_t)n;
}

static tw_status take(void *self, const char *line)
{
    tw_status st = TW_OK;
    scan *c = self;
    double step, time, value;
    if (!tw_metric_number(&step, line, "step") || !tw_metric_number(&time, line, "time")) goto done;
    if (!tw_metric_text(c->event, sizeof c->event, line, "event")) c->event[0] = '\0';
    if (tw_metric_number(&value, line, "restart")) {
        const bool other =
            (int64_t)value != c->s->restarts; /* a line of before there were events */
        c->s->restarts = (int64_t)value;
        if (strcmp(c->event, "start") == 0 || !c->any || other) begin_part(c, line, time);
    }
    c->newest = time;
    c->s->step = (int64_t)step;
    if (tw_metric_number(&value, line, "samples")) {
        if (isnan(c->first_samples)) {
            c->first_samples = value;
            c->first_time = time;
        }
        c->samples = value;
    }
    if (tw_metric_number(&value, line, "loss")) TW_TRY(tw_metric_series_add(&c->loss, step, value));
    if (tw_metric_number(&value, line, "validation_loss"))
        TW_TRY(tw_metric_series_add(&c->validation, step, value));
    if (tw_metric_number(&value, line, "images_per_second") && isnan(c->s->rate))
        c->s->rate = value;
done:
    return st;
}

static double mean(const tw_metric_series *m, int64_t first, int64_t count)
{
    double sum = 0;
    if (first < 0 || count < 1) return NAN;
    for (int64_t i = first; i < first + count; i++) sum += m->value[i];
    return sum / (double)count;
}

static void conclude(scan *c, double now)
{
    tw_run_status *s = c->s;
    const tw_metric_series *l = &c->loss, *v = &c->validation;
    const int64_t n = l->count >= 2 * MEAN_OF ? MEAN_OF : l->count > 1 ? l->count / 2 : l->count;
    s->loss = mean(l, l->count - n, n);
    s->loss_before = mean(l, l->count - 2 * n, n);
    s->validation = mean(v, v->count - 1, v->count ? 1 : 0);
    s->validation_before = mean(v, v->count - 2, v->count > 1 ? 1 : 0);
    if (c->samples > c->first_samples && c->newest > c->first_time)
        s->rate = (c->samples - c->first_samples) / (c->newest - c->first_time);
    if (c->newest > 0) s->silent = fmax(now - c->newest, 0);
    end_part(c);
    if (s->steps >= 0 && s->batch > 0 && s->step >= 0)
        s->seconds_left = (double)((s->steps - s->step) * s->batch) / s->rate;
    if (s->ranks > 0) s->core_hours_left = s->seconds_left / 3600 * (double)(s->ranks * s->threads);
}

/* The newest checkpoint by name, and whether one is half written. */
static tw_status look_at_checkpoints(tw_run_status *s, bool *saving, const char *run, double now)
{
    tw_status st = TW_OK;
    int64_t *steps = NULL, count = 0;
    char path[TW_CHECKPOINT_PATH];
    struct stat info;
    *saving = false;
    TW_TRY(tw_format(path, sizeof path, "%s/checkpoints", run));
    if (!tw_file_exists(path)) goto done;
    TW_TRY(tw_checkpoint_list(run, &steps, &count));
    if (count > 0) {
        s->checkpoint_step = steps[0];
        TW_TRY(tw_checkpoint_name(s->checkpoint, sizeof s->checkpoint, run, steps[0]));
        if (stat(s->checkpoint, &info) == 0)
            s->checkpoint_age = fmax(now - (double)info.st_mtime, 0);
    }
    TW_TRY(tw_format(path, sizeof path, "%s/checkpoints", run));
    DIR *folder = opendir(path);
    for (const struct dirent *e; folder && (e = readdir(folder));)
        if (e->d_name[0] == '.' && strstr(e->d_name, ".tmp")) *saving = true;
    if (folder) closedir(folder);
done:
    tw_free(&steps);
    return st;
}

/* What a run of before there were events has only in its configuration. */
static tw_status read_config(tw_run_status *s, const char *run)
{
    tw_status st = TW_OK;
    tw_config *config = NULL;
    char path[TW_CHECKPOINT_PATH];
    TW_TRY(tw_format(path, sizeof path, "%s/config.ini", run));
    if (!tw_file_exists(path)) goto done;
    TW_TRY(tw_config_create(&config));
    TW_TRY(tw_config_read(config, path));
    const char *steps = tw_config_find(config, "train", "steps");
    const char *batch = tw_config_find(config, "train", "batch");
    if (s->steps < 0 && steps) s->steps = strtoll(steps, NULL, 10);
    if (s->batch < 0 && batch) s->batch = strtoll(batch, NULL, 10);
done:
    tw_config_destroy(&config);
    return st;
}

static tw_run_state state_of(const tw_run_status *s, const char *event, bool saving)
{
    if (s->holder[0]) {
        const bool ended = event[0] && strcmp(event, "start") != 0;
        if (s->step < 0 || ended) return TW_RUN_STARTING;
        return saving ? TW_RUN_SAVING : TW_RUN_TRAINING;
    }
    if (strcmp(event, "diverged") == 0) return TW_RUN_DIVERGED;
    if (strcmp(event, "failed") == 0) return TW_RUN_FAILED;
    if (s->steps >= 0 && s->checkpoint_step >= s->steps) return TW_RUN_FINISHED;
    if (strcmp(event, "stopped") == 0 || strcmp(event, "finished") == 0) return TW_RUN_STOPPED;
    if (s->step < 0) return s->checkpoint_step >= 0 ? TW_RUN_STOPPED : TW_RUN_NEW;
    return TW_RUN_LOST;
}

const char *tw_run_state_name(tw_run_state state)
{
    static const char *const names[] = {"new",  "starting", "training", "saving",  "stopped",
                                        "lost", "failed",   "diverged", "finished"};
    return names[state];
}

tw_status tw_run_status_read(tw_run_status *out, const char *run, double now)
{
    tw_status st = TW_OK;
    tw_run_status s = {.step = -1,
                       .steps = -1,
                       .batch = -1,
                       .ranks = -1,
                       .threads = -1,
                       .rate = NAN,
                       .seconds_left = NAN,
                       .core_hours_left = NAN,
                       .silent = NAN,
                       .checkpoint_step = -1,
                       .checkpoint_age = NAN};
    scan c = {.s = &s};
    char path[TW_CHECKPOINT_PATH];
    struct stat info;
    bool saving = false;
    TW_CHECK(stat(run, &info) == 0, TW_ENOINPUT, "%s: there is no such run", run);
    TW_CHECK(S_ISDIR(info.st_mode), TW_ENOINPUT, "%s: the directory of a run was expected", run);
    TW_TRY(tw_rundir_holder(s.holder, sizeof s.holder, run));
    TW_TRY(look_at_checkpoints(&s, &saving, run, now));
    TW_TRY(tw_format(path, sizeof path, "%s/metrics.jsonl", run));
    const bool lines = tw_file_exists(path);
    if (lines) TW_TRY(tw_metric_lines(path, take, &c));
    TW_CHECK(lines || s.holder[0] || s.checkpoint_step >= 0, TW_EDATA,
             "%s: holds no metrics.jsonl and no checkpoint: this is no run", run);
    TW_TRY(read_config(&s, run));
    if (s.step < 0 && s.checkpoint_step >= 0) s.step = s.checkpoint_step;
    conclude(&c, now);
    s.state = state_of(&s, c.event, saving);
    *out = s;
done:
    tw_metric_series_free(&c.loss);
    tw_metric_series_free(&c.validation);
    return st;
}
