/* Lines of metrics.jsonl by key. After a resume the later line of a step counts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/report.h"

typedef struct reading {
    tw_run_curves *c;
    tw_status status; /* of what `keep` added */
    double step, restart;
    double time, samples; /* of the line before in this part, or of its start; NaN: none */
} reading;

/* Keys that are no curves: where a line stands, and how much there is of it. */
static bool is_place(const char *key)
{
    static const char *const places[] = {"step",  "samples", "time",    "restart",     "steps",
                                         "batch", "ranks",   "threads", "seconds_left"};
    for (size_t k = 0; k < sizeof places / sizeof *places; k++)
        if (strcmp(key, places[k]) == 0) return true;
    return strncmp(key, "evaluated_", 10) == 0; /* how many samples, not how good */
}

static tw_metric_series *find_or_add(tw_run_curves *c, const char *key)
{
    for (int k = 0; k < c->count; k++)
        if (strcmp(c->series[k].key, key) == 0) return &c->series[k];
    if (c->count == TW_RUN_KEYS_MAX) return NULL;
    memcpy(c->series[c->count].key, key, strlen(key) + 1); /* shorter: tw_metric_each's are */
    return &c->series[c->count++];
}

static void keep(void *self, const char *key, double value)
{
    reading *r = self;
    tw_metric_series *s = is_place(key) || isnan(r->step) ? NULL : find_or_add(r->c, key);
    if (s && r->status == TW_OK) r->status = tw_metric_series_add(s, r->step, value);
}

static void nothing(void *self, const char *key, double value)
{
    (void)self, (void)key, (void)value;
}

static void mark(tw_run_curves *c, double step, bool bad)
{
    if (c->mark_count < TW_RUN_MARKS_MAX) c->marks[c->mark_count++] = (tw_run_mark){step, bad};
}

static double number(const char *line, const char *key)
{
    double v;
    return tw_metric_number(&v, line, key) ? v : NAN;
}

/* Starts, and the last words of a part. */
static void note_event(reading *r, const char *line)
{
    char event[16] = "";
    const double restart = number(line, "restart");
    (void)tw_metric_text(event, sizeof event, line, "event");
    if (strcmp(event, "diverged") == 0 || strcmp(event, "failed") == 0) mark(r->c, r->step, true);
    if (strcmp(event, "start") == 0) {
        if (!tw_metric_text(r->c->host, sizeof r->c->host, line, "host")) r->c->host[0] = '\0';
        if (!tw_metric_text(r->c->processor, sizeof r->c->processor, line, "processor"))
            r->c->processor[0] = '\0';
        r->time = number(line, "time");
        r->samples = r->step * number(line, "batch");
    }
    if (isnan(restart) || restart == r->restart) return;
    if (restart > 0) mark(r->c, r->step, false);
    if (strcmp(event, "start") != 0) r->time = r->samples = NAN;
    r->restart = restart;
}

/* Steps take `busy` of the clock since the line before; their own shares are of that. */
static tw_status add_shares(reading *r, const char *line)
{
    static const char *const keys[] = {"share_read", "share_compute", "share_communication"};
    tw_status st = TW_OK;
    const double samples = number(line, "samples"), time = number(line, "time"),
                 busy = fmin((samples - r->samples) / number(line, "images_per_second") /
                                 (time - r->time),
                             1);
    double share[TW_CLOCK_SHARES] = {0};
    if (isnan(samples) || isnan(number(line, keys[0]))) goto done;
    r->samples = samples;
    r->time = time;
    if (!(busy > 0)) goto done; /* no line before, or a clock that was set */
    for (int k = 0; k < 3; k++) share[k] = busy * number(line, keys[k]);
    share[TW_CLOCK_SAVE] = 1 - busy;
    for (int k = 0; k < TW_CLOCK_SHARES; k++)
        TW_TRY(tw_metric_series_add(&r->c->clock[k], r->step, isfinite(share[k]) ? share[k] : 0));
done:
    return st;
}

static tw_status take(void *self, const char *line)
{
    tw_status st = TW_OK;
    reading *r = self;
    r->c->lines++;
    if (!tw_metric_each(line, nothing, NULL)) {
        if (!r->c->broken++) r->c->first_broken = r->c->lines;
        goto done;
    }
    r->step = number(line, "step");
    if (isnan(r->step)) goto done;
    note_event(r, line);
    (void)tw_metric_each(line, keep, r);
    TW_TRY(r->status);
    TW_TRY(add_shares(r, line));
done:
    return st;
}

tw_status tw_run_curves_read(tw_run_curves *out, const char *path)
{
    tw_status st = TW_OK;
    reading r = {.c = out, .step = NAN, .time = NAN, .samples = NAN};
    *out = (tw_run_curves){0};
    if (!tw_file_exists(path)) goto done;
    TW_TRY(tw_metric_lines(path, take, &r));
done:
    return st;
}

void tw_run_curves_free(tw_run_curves *c)
{
    for (int k = 0; k < c->count; k++) tw_metric_series_free(&c->series[k]);
    for (int k = 0; k < TW_CLOCK_SHARES; k++) tw_metric_series_free(&c->clock[k]);
    c->count = 0;
}

const tw_metric_series *tw_run_curves_find(const tw_run_curves *c, const char *key)
{
    for (int k = 0; k < c->count; k++)
        if (strcmp(c->series[k].key, key) == 0) return &c->series[k];
    return NULL;
}
