/* Flat arrays of training as named arrays of a file. */
#include "run/state.h"

#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/param_names.h"
#include "tweedie/text.h"

/* "params" and EMA are whole networks, an optimiser's arrays hold what is trained. */
static bool holds(const char *group, const tw_param_view *v)
{
    return v->trainable || strcmp(group, "params") == 0 || strncmp(group, "ema/", 4) == 0;
}

static int64_t count_arrays(const tw_state *s, int64_t *floats)
{
    int64_t n = 0;
    *floats = 0;
    for (int g = 0; g < s->group_count; g++)
        for (int i = 0; i < s->params->view_count; i++) {
            if (!holds(s->groups[g].name, &s->params->views[i])) continue;
            *floats += s->params->views[i].count;
            n++;
        }
    return n;
}

static void describe_array(tw_state *s, int64_t k, const tw_state_group *group,
                           const tw_param_view *v, float *plain)
{
    const bool scalar = v->shape.rank == 0; /* which files do not know */
    s->dims[k][0] = 1;
    for (int i = 0; i < v->shape.rank; i++) s->dims[k][i] = v->shape.dims[i];
    s->arrays[k] =
        (tw_checkpoint_array){group->name, v->name, scalar ? 1 : v->shape.rank, s->dims[k], plain};
    s->views[k] = v;
    /* a constant is the parameters' own, whichever group speaks of it */
    s->flats[k] = v->trainable ? group->flat : s->params->value;
}

static void describe_arrays(tw_state *s)
{
    float *plain = s->plain;
    int64_t k = 0;
    for (int g = 0; g < s->group_count; g++)
        for (int i = 0; i < s->params->view_count; i++) {
            const tw_param_view *v = &s->params->views[i];
            if (!holds(s->groups[g].name, v)) continue;
            describe_array(s, k++, &s->groups[g], v, plain);
            plain += v->count;
        }
}

tw_status tw_state_create(tw_state **out, const tw_params *params, const tw_state_group *groups,
                          int group_count)
{
    tw_status st = TW_OK;
    tw_state *s = NULL;
    int64_t floats;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "the state of a run"));
    s->params = params;
    s->group_count = group_count;
    TW_TRY(tw_alloc(&s->groups, group_count, sizeof *s->groups, "groups of arrays"));
    TW_TRY(tw_alloc(&s->names, group_count, sizeof *s->names, "groups of arrays"));
    for (int g = 0; g < group_count; g++) {
        TW_TRY(tw_format(s->names[g], sizeof s->names[g], "%s", groups[g].name));
        s->groups[g] = (tw_state_group){s->names[g], groups[g].flat};
    }
    s->count = count_arrays(s, &floats);
    s->bytes = (size_t)floats * sizeof(float);
    TW_TRY(tw_alloc(&s->arrays, s->count + 1, sizeof *s->arrays, "arrays of a run"));
    TW_TRY(tw_alloc(&s->views, s->count, sizeof *s->views, "arrays of a run"));
    TW_TRY(tw_alloc(&s->flats, s->count, sizeof *s->flats, "arrays of a run"));
    TW_TRY(tw_alloc(&s->dims, s->count + 1, sizeof *s->dims, "arrays of a run"));
    TW_TRY(tw_alloc_arena(&s->plain, s->bytes, "the copy that a checkpoint is written from"));
    memset(s->plain, 0, s->bytes); /* here, not in the first save, which training waits for: pages
                                      take longer to come than to fill */
    describe_arrays(s);
    *out = s;
    s = NULL;
done:
    tw_state_destroy(&s);
    return st;
}

void tw_state_destroy(tw_state **state)
{
    tw_state *s = *state;
    if (!s) return;
    tw_free(&s->groups);
    tw_free(&s->names);
    tw_free(&s->arrays);
    tw_free(&s->views);
    tw_free(&s->flats);
    tw_free(&s->dims);
    tw_free(&s->plain);
    tw_free(&s->numbers_plain);
    tw_free(state);
}

tw_status tw_state_add_numbers(tw_state *s, const char *group, const char *name, double *values,
                               int64_t count)
{
    tw_status st = TW_OK;
    float *plain = NULL;
    TW_TRY(tw_alloc(&plain, count, sizeof *plain, "the copy that a checkpoint is written from"));
    s->numbers = values;
    s->numbers_plain = plain;
    s->number_count = count;
    s->dims[s->count][0] = count;
    s->arrays[s->count] = (tw_checkpoint_array){group, name, 1, s->dims[s->count], plain};
    s->bytes += (size_t)count * sizeof *plain;
    s->count++;
done:
    return st;
}

/* How many arrays are views of the parameter store. */
static int64_t view_arrays(const tw_state *s)
{
    return s->numbers ? s->count - 1 : s->count;
}

void tw_state_snapshot(tw_state *s)
{
    for (int64_t k = 0; k < view_arrays(s); k++)
        tw_params_to_plain(s->views[k], s->flats[k], s->arrays[k].data);
    for (int64_t k = 0; k < s->number_count; k++) s->numbers_plain[k] = (float)s->numbers[k];
}

void tw_state_restore(tw_state *s)
{
    for (int64_t k = 0; k < view_arrays(s); k++)
        tw_params_from_plain(s->views[k], s->arrays[k].data, s->flats[k]);
    for (int64_t k = 0; k < s->number_count; k++) s->numbers[k] = (double)s->numbers_plain[k];
}

tw_status tw_state_load_weights(tw_params *params, const tw_weights *weights)
{
    tw_status st = TW_OK;
    tw_state *state = NULL;
    tw_checkpoint_array *arrays = NULL;
    int64_t count = 0;
    const tw_state_group group = {"params", params->value};
    TW_TRY(tw_state_create(&state, params, &group, 1));
    TW_TRY(tw_alloc(&arrays, state->count, sizeof *arrays, "the list of weights"));
    for (int64_t k = 0; k < state->count; k++)
        if (!tw_name_is_of_objective(state->arrays[k].name)) arrays[count++] = state->arrays[k];
    tw_state_snapshot(state);
    TW_TRY(tw_weights_copy(weights, arrays, count));
    tw_state_restore(state);
done:
    tw_free(&arrays);
    tw_state_destroy(&state);
    return st;
}

tw_status tw_state_ema_name(char *out, size_t size, double rate)
{
    char text[TW_TEXT_DOUBLE_MAX];
    tw_text_from_double(text, rate);
    return tw_format(out, size, "ema/%s", text);
}

static const char *const kinds[] = {
    [TW_DATASET_UINT8] = "uint8", [TW_DATASET_FLOAT32] = "float32", [TW_DATASET_POINTS] = "points"};

/* More than fits is not kept: half of it would be wrong. */
static tw_status keep_channel_text(char *out, size_t size, const tw_dataset_spec *spec)
{
    const char *text = spec->channel_text ? spec->channel_text : "";
    return tw_format(out, size, "%s", strlen(text) < size ? text : "");
}

tw_status tw_state_describe_samples(tw_checkpoint_meta *meta, const tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    TW_TRY(tw_format(meta->sample_kind, sizeof meta->sample_kind, "%s", kinds[spec->kind]));
    meta->height = spec->height;
    meta->width = spec->width;
    meta->channels = spec->channels;
    meta->num_classes = spec->num_classes;
    TW_TRY(keep_channel_text(meta->channel_text, sizeof meta->channel_text, spec));
    TW_TRY(tw_format(meta->encoder, sizeof meta->encoder, "%s", spec->encoder));
    meta->offset = spec->kind == TW_DATASET_UINT8 ? NULL : spec->offset;
    meta->scale = spec->kind == TW_DATASET_UINT8 ? NULL : spec->scale;
    const tw_dataset_spec *c = spec->condition;
    if (!c) return TW_OK;
    TW_TRY(tw_format(meta->condition_kind, sizeof meta->condition_kind, "%s", kinds[c->kind]));
    meta->condition_channels = c->channels;
    TW_TRY(keep_channel_text(meta->condition_channel_text, sizeof meta->condition_channel_text, c));
    meta->condition_offset = c->kind == TW_DATASET_UINT8 ? NULL : c->offset;
    meta->condition_scale = c->kind == TW_DATASET_UINT8 ? NULL : c->scale;
done:
    return st;
}

/* −1: there is none of this name. */
static int kind_of(const char *name)
{
    for (int k = 0; k < (int)(sizeof kinds / sizeof *kinds); k++)
        if (strcmp(kinds[k], name) == 0) return k;
    return -1;
}

tw_status tw_state_condition_spec(tw_dataset_spec *out, const tw_checkpoint_meta *meta,
                                  const tw_dataset_spec *samples)
{
    tw_status st = TW_OK;
    const int kind = kind_of(meta->condition_kind);
    *out = (tw_dataset_spec){.is_condition = true};
    if (!meta->condition_kind[0]) return TW_OK;
    const bool points = samples->kind == TW_DATASET_POINTS;
    TW_CHECK(kind >= 0 && (kind == TW_DATASET_POINTS) == points, TW_EDATA,
             "its conditions are of kind '%s' and its samples '%s', which is impossible",
             meta->condition_kind, meta->sample_kind);
    TW_CHECK(meta->condition_channels >= 1 && meta->condition_channels <= TW_DATASET_CHANNELS_MAX,
             TW_EDATA, "its conditions have %lld channels; 1 to %d were expected",
             (long long)meta->condition_channels, TW_DATASET_CHANNELS_MAX);
    *out = tw_dataset_condition_spec(samples, kind == TW_DATASET_UINT8, meta->condition_channels);
    out->offset = meta->condition_offset;
    out->scale = meta->condition_scale;
    if (meta->condition_channel_text[0]) out->channel_text = meta->condition_channel_text;
done:
    return st;
}

tw_status tw_state_sample_spec(tw_dataset_spec *out, const tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    tw_dataset_spec spec = {.height = meta->height,
                            .width = meta->width,
                            .channels = meta->channels,
                            .num_classes = meta->num_classes,
                            .offset = meta->offset,
                            .scale = meta->scale,
                            .channel_text = meta->channel_text[0] ? meta->channel_text : NULL};
    const int kind = kind_of(meta->sample_kind);
    TW_CHECK(kind >= 0, TW_EDATA,
             "its samples are of kind '%s'; uint8, float32 or points was expected",
             meta->sample_kind);
    TW_CHECK(spec.height >= 1 && spec.width >= 1 && spec.channels >= 1 &&
                 spec.channels <= TW_DATASET_CHANNELS_MAX && spec.height <= INT32_MAX &&
                 spec.width <= INT32_MAX &&
                 (kind != TW_DATASET_POINTS || spec.height * spec.width == 1) &&
                 spec.num_classes >= 0 && spec.num_classes <= TW_DATASET_CLASSES_MAX,
             TW_EDATA,
             "its samples are %s of %lld x %lld x %lld with %lld classes, which is impossible",
             meta->sample_kind, (long long)spec.height, (long long)spec.width,
             (long long)spec.channels, (long long)spec.num_classes);
    spec.kind = (tw_dataset_kind)kind;
    TW_TRY(tw_format(spec.encoder, sizeof spec.encoder, "%s", meta->encoder));
    *out = spec;
done:
    return st;
}

tw_shape tw_state_sample_shape(const tw_dataset_spec *spec)
{
    if (spec->kind == TW_DATASET_POINTS) return TW_SHAPE(spec->channels);
    return TW_SHAPE(spec->height, spec->width, spec->channels);
}
