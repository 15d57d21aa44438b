/* y = A x + σ n in the units of the data, x = S x' + o: (y − A o) / g = A (S / g) x' + (σ / g) n.
 */
#include "job/restore_task.h"

#include <math.h>
#include <string.h>

#include "tweedie/memory.h"

static const tw_config_field level_field = {
    "restore",
    "quantiles",
    TW_CONFIG_DOUBLES,
    offsetof(restore_task, levels),
    "0.05, 0.5, 0.95",
    1e-6,
    1 - 1e-6,
    .help = "levels of the quantiles of the posterior samples; the interval of 90 % is 0.05 to "
            "0.95"};

tw_status restore_task_bind(restore_task *t, tw_config *config)
{
    tw_status st = TW_OK;
    TW_TRY(tw_operator_bind(&t->a, config));
    TW_TRY(tw_posterior_bind(&t->config, config));
    TW_TRY(tw_config_bind(config, &level_field, 1, t));
done:
    return st;
}

void restore_task_free(restore_task *t)
{
    tw_operator_destroy(&t->a);
    tw_posterior_config_free(&t->config);
    tw_free(&t->shift);
}

double restore_offset(const tw_dataset_spec *s, int64_t c)
{
    if (s->kind == TW_DATASET_UINT8) return 127.5;
    return s->offset ? (double)s->offset[c] : 0;
}

double restore_scale(const tw_dataset_spec *s, int64_t c)
{
    if (s->kind == TW_DATASET_UINT8) return 127.5;
    return s->scale ? (double)s->scale[c] : 1;
}

static tw_status into_model_units(restore_task *t, const tw_dataset_spec *s)
{
    tw_status st = TW_OK;
    double *offsets = NULL, *unit = NULL;
    bool same = true;
    TW_TRY(tw_alloc(&offsets, t->a->dims, sizeof *offsets, "offsets"));
    TW_TRY(tw_alloc(&unit, s->channels, sizeof *unit, "units"));
    TW_TRY(tw_alloc(&t->shift, t->a->outputs, sizeof *t->shift, "offsets"));
    for (int64_t i = 0; i < t->a->dims; i++) offsets[i] = restore_offset(s, i % s->channels);
    tw_operator_forward(t->a, offsets, t->shift);
    t->scale = 0;
    for (int64_t c = 0; c < s->channels; c++) {
        t->scale = fmax(t->scale, fabs(restore_scale(s, c)));
        same = same && restore_scale(s, c) == restore_scale(s, 0);
    }
    if (same) t->scale = restore_scale(s, 0);
    for (int64_t c = 0; c < s->channels; c++) unit[c] = restore_scale(s, c) / t->scale;
    if (!same) TW_TRY(tw_operator_set_units(t->a, unit));
done:
    tw_free(&offsets);
    tw_free(&unit);
    return st;
}

tw_status restore_task_prepare(restore_task *t, const tw_dataset_spec *s, bool model)
{
    tw_status st = TW_OK;
    const tw_extent in = {s->height, s->width, s->channels, s->kind == TW_DATASET_POINTS};
    for (int64_t i = 1; i < t->levels.count; i++)
        TW_CHECK(t->levels.values[i] > t->levels.values[i - 1], TW_ECONFIG,
                 "restore.quantiles: %g after %g; ascending levels were expected",
                 t->levels.values[i], t->levels.values[i - 1]);
    TW_CHECK(t->levels.count >= 1, TW_ECONFIG, "restore.quantiles: at least one was expected");
    TW_TRY(tw_operator_prepare(t->a, &in));
    t->scale = 1;
    if (model) TW_TRY(into_model_units(t, s));
done:
    return st;
}

void restore_task_spec(tw_dataset_spec *out, const restore_task *t)
{
    const tw_extent *e = &t->a->out;
    *out = (tw_dataset_spec){.kind = e->points ? TW_DATASET_POINTS : TW_DATASET_FLOAT32,
                             .height = e->height,
                             .width = e->width,
                             .channels = e->channels};
}

tw_status restore_task_check(const restore_task *t, const tw_dataset_spec *met, const char *path)
{
    tw_status st = TW_OK;
    tw_dataset_spec want;
    restore_task_spec(&want, t);
    const bool points = met->kind == TW_DATASET_POINTS;
    TW_CHECK(points == (want.kind == TW_DATASET_POINTS) && met->height == want.height &&
                 met->width == want.width && met->channels == want.channels,
             TW_EDATA,
             "%s: holds %s of %lld x %lld x %lld; measurements of task %s are %s of %lld x "
             "%lld x %lld",
             path, tw_dataset_kind_name(met->kind), (long long)met->height, (long long)met->width,
             (long long)met->channels, t->a->kind->kind.name, tw_dataset_kind_name(want.kind),
             (long long)want.height, (long long)want.width, (long long)want.channels);
done:
    return st;
}

void restore_task_measurements(const restore_task *t, const tw_dataset_spec *met, int64_t n,
                               const void *stored, double *y)
{
    const int64_t m = t->a->outputs;
    for (int64_t i = 0; i < n * m; i++) {
        const double v = met->kind == TW_DATASET_UINT8 ? (double)((const uint8_t *)stored)[i]
                                                       : (double)((const float *)stored)[i];
        y[i] = (v - (t->shift ? t->shift[i % m] : 0)) / t->scale;
    }
}
