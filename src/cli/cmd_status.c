/* tweedie status: where a run stands. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/queue_state.h"
#include "tweedie/clock.h"
#include "tweedie/json.h"
#include "tweedie/memory.h"
#include "tweedie/run_status.h"
#include "tweedie/text.h"

typedef struct options {
    bool json;
} options;

extern const tw_command tw_cmd_status;

static const tw_option table[] = {
    {"json", TW_CONFIG_BOOL, offsetof(options, json), "false", .help = "print one JSON object"},
};

enum { QUEUE = 160 };

static void line(const char *name)
{
    printf("%-12s ", name);
}

static void print_value(const char *name, double value, double before)
{
    if (isnan(value)) return;
    line(name);
    printf("%.5g", value);
    if (before != 0 && !isnan(before)) {
        const double percent = 100 * (value - before) / fabs(before);
        printf("  (%s, from %.5g)",
               fabs(percent) < 0.1 ? "level"
               : percent < 0       ? "falling"
                                   : "rising",
               before);
    }
    printf("\n");
}

/* What a person does next. */
static void next(char *out, size_t size, const tw_run_status *s, const char *run, bool queued)
{
    const char *text = NULL;
    switch (s->state) {
    case TW_RUN_TRAINING:
    case TW_RUN_SAVING:
    case TW_RUN_STARTING:
        text = "nothing: it is at work";
        break;
    case TW_RUN_FINISHED:
        if (tw_format(out, size, "tweedie sample %s --count 64 --out samples.h5", run) != TW_OK)
            out[0] = '\0';
        return;
    case TW_RUN_DIVERGED:
        text = "a smaller optimizer.learning_rate or a smaller optimizer.clip in a new run";
        break;
    case TW_RUN_FAILED:
        text = "read the end of its train.log";
        break;
    case TW_RUN_NEW:
    case TW_RUN_STOPPED:
    case TW_RUN_LOST:
        text = queued ? "nothing: it waits in the queue" : NULL;
        break;
    }
    if (text) {
        (void)tw_format(out, size, "%s", text);
        return;
    }
    if (tw_format(out, size, "begin it again as before: it resumes in %s", run) != TW_OK)
        out[0] = '\0';
}

static void print_progress(const tw_run_status *s)
{
    char text[TW_DURATION];
    line("step");
    printf("%lld", (long long)(s->step < 0 ? 0 : s->step));
    if (s->steps > 0)
        printf(" of %lld (%.1f %%)", (long long)s->steps,
               100 * (double)(s->step < 0 ? 0 : s->step) / (double)s->steps);
    printf("\n");
    print_value("loss", s->loss, s->loss_before);
    print_value("validation", s->validation, s->validation_before);
    if (!isnan(s->rate)) {
        line("speed");
        printf("%.4g samples/s by the clock, batch %lld", s->rate, (long long)s->batch);
        if (s->ranks > 0)
            printf(", %lld rank%s of %lld thread%s", (long long)s->ranks, s->ranks == 1 ? "" : "s",
                   (long long)s->threads, s->threads == 1 ? "" : "s");
        printf("\n");
    }
    line("so far");
    tw_text_duration(text, s->seconds);
    printf("%s", text);
    if (!isnan(s->core_hours)) printf(", %.3g core-hours", s->core_hours);
    printf(", %lld restart%s\n", (long long)s->restarts, s->restarts == 1 ? "" : "s");
    if (s->seconds_left > 0) {
        line("left");
        tw_text_duration(text, s->seconds_left);
        printf("%s", text);
        if (!isnan(s->core_hours_left)) printf(", %.3g core-hours", s->core_hours_left);
        printf("\n");
    }
}

static void print(const tw_run_status *s, const char *queue, const char *todo)
{
    char text[TW_DURATION];
    line("state");
    printf("%s", queue[0] && !s->holder[0] ? "queued" : tw_run_state_name(s->state));
    if (queue[0]) printf("; %s", queue);
    if (s->holder[0]) printf("; %s", s->holder);
    printf("\n");
    print_progress(s);
    if (s->holder[0] && !isnan(s->silent)) {
        line("last line");
        tw_text_duration(text, s->silent);
        printf("%s ago\n", text);
    }
    line("checkpoint");
    tw_text_duration(text, s->checkpoint_age);
    if (s->checkpoint_step >= 0)
        printf("%s, %s old\n", s->checkpoint, text);
    else
        printf("none yet\n");
    line("next");
    printf("%s\n", todo);
}

static void add(tw_json *json, const char *key, double value)
{
    if (isfinite(value))
        tw_json_double(json, key, value);
    else
        tw_json_null(json, key);
}

static void count(tw_json *json, const char *key, int64_t value)
{
    if (value >= 0)
        tw_json_int64(json, key, value);
    else
        tw_json_null(json, key);
}

static void describe(tw_json *json, const tw_run_status *s, const char *run, const char *queue,
                     const char *todo)
{
    tw_json_object(json, NULL);
    tw_json_string(json, "run", run);
    tw_json_string(json, "state",
                   queue[0] && !s->holder[0] ? "queued" : tw_run_state_name(s->state));
    tw_json_string(json, "queue", queue[0] ? queue : NULL);
    tw_json_string(json, "holder", s->holder[0] ? s->holder : NULL);
    count(json, "step", s->step);
    count(json, "steps", s->steps);
    count(json, "batch", s->batch);
    add(json, "loss", s->loss);
    add(json, "loss_before", s->loss_before);
    add(json, "validation_loss", s->validation);
    add(json, "validation_loss_before", s->validation_before);
    add(json, "images_per_second", s->rate);
    count(json, "ranks", s->ranks);
    count(json, "threads", s->threads);
    count(json, "restarts", s->restarts);
    add(json, "seconds", s->seconds);
    add(json, "core_hours", s->core_hours);
    add(json, "seconds_left", s->seconds_left);
    add(json, "core_hours_left", s->core_hours_left);
    add(json, "seconds_silent", s->silent);
    tw_json_string(json, "checkpoint", s->checkpoint_step >= 0 ? s->checkpoint : NULL);
    count(json, "checkpoint_step", s->checkpoint_step);
    add(json, "checkpoint_age", s->checkpoint_age);
    tw_json_string(json, "next", todo);
    tw_json_end(json);
}

static tw_status run(struct tw_comm *comm, int argc, char **argv)
{
    (void)comm;
    tw_status st = TW_OK;
    options o;
    tw_arguments a;
    tw_run_status s;
    tw_json json = {0};
    char queue[QUEUE] = "", todo[4400] = "";

    TW_TRY(tw_options_parse(&tw_cmd_status, argc, argv, &o, &a));
    TW_TRY(tw_run_status_read(&s, a.values[0], tw_clock_wall_seconds()));
    queue_state(queue, sizeof queue, a.values[0]);
    next(todo, sizeof todo, &s, a.values[0], queue[0]);
    if (o.json) {
        describe(&json, &s, a.values[0], queue, todo);
        TW_TRY(tw_json_finish(&json));
        printf("%s\n", json.text.data);
    } else {
        print(&s, queue, todo);
    }
done:
    tw_text_free(&json.text);
    return st;
}

const tw_command tw_cmd_status = {
    .name = "status",
    .summary = "where a run stands: progress, speed, cost, newest checkpoint, what to do next",
    .usage = "RUN",
    .help = "Reads the files of RUN alone, beside its trainer or after its end. Speed is by the "
            "clock, with saves, grids\nand validation counted; \"lost\" is a run whose trainer "
            "is gone without a last word.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .least = 1,
    .most = 1,
    .run = run,
};
