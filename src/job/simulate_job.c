/* Measurements of clean data: for tests of methods, and for telling how well they do. */
#include <math.h>
#include <string.h>

#include "job/restore_task.h"
#include "tweedie/job_restore.h"
#include "tweedie/memory.h"

typedef struct simulation {
    const tw_simulate_options *o;
    tw_config *config;
    restore_task task;
    tw_dataset *data;
    tw_dataset_writer *writer;
    tw_text text;
    void *stored;
    double *x, *y;
    float *out;
    int64_t count;
} simulation;

static tw_status plan(simulation *s)
{
    tw_status st = TW_OK;
    const tw_simulate_options *o = s->o;
    const tw_dataset_options opening = {.path = o->data,
                                        .split = o->split && *o->split ? o->split : "all"};
    TW_TRY(tw_config_create(&s->config));
    TW_TRY(tw_config_override(s->config, o->assignment_count, o->assignments));
    TW_TRY(restore_task_bind(&s->task, s->config));
    TW_TRY(tw_config_finish(s->config));
    TW_TRY(tw_dataset_open(&s->data, NULL, &opening));
    const tw_dataset_spec *spec = tw_dataset_get_spec(s->data);
    const int64_t there = tw_dataset_count(s->data);
    TW_CHECK(o->first >= 0 && o->first < there && o->count <= there - o->first, TW_EUSAGE,
             "%lld rows from row %lld: %s has rows 0 to %lld", (long long)o->count,
             (long long)o->first, o->data, (long long)there - 1);
    s->count = o->count > 0 ? o->count : there - o->first;
    TW_TRY(restore_task_prepare(&s->task, spec, false));
    TW_CHECK(s->task.a->outputs <= TW_DATASET_CHANNELS_MAX || !s->task.a->out.points, TW_ECONFIG,
             "task: %lld numbers are measured; points of at most %d are stored",
             (long long)s->task.a->outputs, TW_DATASET_CHANNELS_MAX);
    TW_TRY(tw_alloc(&s->stored, 1, tw_dataset_sample_bytes(spec), "a sample"));
    TW_TRY(tw_alloc(&s->x, s->task.a->dims, sizeof *s->x, "a sample"));
    TW_TRY(tw_alloc(&s->y, s->task.a->outputs, sizeof *s->y, "a measurement"));
    TW_TRY(tw_alloc(&s->out, s->task.a->outputs, sizeof *s->out, "a measurement"));
done:
    return st;
}

static tw_status begin(simulation *s)
{
    tw_status st = TW_OK;
    char noise[TW_TEXT_DOUBLE_MAX];
    tw_dataset_spec spec;
    const tw_dataset_writer_options options = {
        .path = s->o->out, .mode = s->o->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW};
    restore_task_spec(&spec, &s->task);
    spec.count = s->count;
    if (s->task.a->kind->channelwise && !s->task.a->out.points)
        spec.channel_text = tw_dataset_get_spec(s->data)->channel_text;
    TW_TRY(tw_format(spec.name, sizeof spec.name, "measurements"));
    TW_TRY(tw_format(spec.source, sizeof spec.source, "simulated from rows %lld to %lld of %.600s",
                     (long long)s->o->first, (long long)(s->o->first + s->count - 1),
                     tw_dataset_get_spec(s->data)->name));
    TW_TRY(tw_dataset_writer_create(&s->writer, &spec, &options));
    tw_text_from_double(noise, s->task.config.noise);
    TW_TRY(tw_operator_describe(&s->text, s->task.a));
    TW_TRY(tw_text_add(&s->text, " noise=%s data=%s", noise, tw_dataset_get_spec(s->data)->digest));
    TW_TRY(tw_dataset_writer_set_text(s->writer, "task", s->text.data));
done:
    return st;
}

/* The noise of a row is that of its index among the data. */
static tw_status measure(simulation *s, int64_t row)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *spec = tw_dataset_get_spec(s->data);
    TW_TRY(tw_dataset_read_stored(s->data, row, 1, s->stored, NULL));
    for (int64_t i = 0; i < s->task.a->dims; i++)
        s->x[i] = spec->kind == TW_DATASET_UINT8 ? (double)((const uint8_t *)s->stored)[i]
                                                 : (double)((const float *)s->stored)[i];
    tw_operator_simulate(s->task.a, s->x, s->task.config.noise, s->task.a->seed, row, s->y);
    for (int64_t i = 0; i < s->task.a->outputs; i++) {
        const bool known = !s->task.a->measured || s->task.a->measured[i] > 0;
        s->out[i] = known ? (float)s->y[i] : 0;
    }
    TW_TRY(tw_dataset_writer_append(s->writer, 1, s->out, NULL));
done:
    return st;
}

static tw_status run(simulation *s)
{
    tw_status st = TW_OK;
    const char *const inputs[] = {s->o->data};
    TW_TRY(plan(s));
    TW_TRY(
        tw_output_check(s->o->out, s->o->replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW, inputs, 1));
    TW_TRY(begin(s));
    for (int64_t i = 0; i < s->count; i++) TW_TRY(measure(s, s->o->first + i));
    TW_TRY(tw_dataset_writer_finish(&s->writer, NULL));
done:
    return st;
}

tw_status tw_simulate_job(const tw_simulate_options *options, int64_t *count)
{
    simulation s = {.o = options};
    const tw_status st = run(&s);
    if (st == TW_OK && count) *count = s.count;
    tw_dataset_writer_abort(&s.writer);
    tw_dataset_destroy(&s.data);
    restore_task_free(&s.task);
    tw_config_destroy(&s.config);
    tw_text_free(&s.text);
    tw_free(&s.stored);
    tw_free(&s.x);
    tw_free(&s.y);
    tw_free(&s.out);
    return st;
}
