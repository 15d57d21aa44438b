/* Spelling of files: attributes, names, shapes. */
#include "checkpoint/checkpoint_format.h"

#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"

enum { CHUNK_BYTES = 1 << 20 };

#define FIELD(member, type)                                                                        \
    {                                                                                              \
#member, type, offsetof(tw_checkpoint_meta, member),                                       \
            sizeof(((tw_checkpoint_meta *)0)->member)                                              \
    }
const meta_field meta_fields[] = {
    FIELD(step, META_INT64),
    FIELD(samples, META_INT64),
    FIELD(seed, META_UINT64),
    FIELD(ranks, META_INT),
    FIELD(threads, META_INT),
    FIELD(restarts, META_INT),
    FIELD(precision, META_TEXT),
    FIELD(dataset_digest, META_TEXT),
    FIELD(versions, META_TEXT),
    FIELD(weights, META_TEXT),
    FIELD(source, META_TEXT),
    FIELD(sample_kind, META_TEXT),
    FIELD(height, META_INT64),
    FIELD(width, META_INT64),
    FIELD(channels, META_INT64),
    FIELD(num_classes, META_INT64),
    FIELD(channel_text, META_TEXT),
    FIELD(encoder, META_TEXT),
    FIELD(condition_kind, META_TEXT),
    FIELD(condition_channels, META_INT64),
    FIELD(condition_channel_text, META_TEXT),
};
#undef FIELD
const int meta_field_count = (int)(sizeof meta_fields / sizeof *meta_fields);

bool is_optional(const meta_field *field)
{
    return field->offset == offsetof(tw_checkpoint_meta, channel_text) ||
           field->offset == offsetof(tw_checkpoint_meta, encoder) ||
           field->offset == offsetof(tw_checkpoint_meta, condition_kind) ||
           field->offset == offsetof(tw_checkpoint_meta, condition_channels) ||
           field->offset == offsetof(tw_checkpoint_meta, condition_channel_text);
}

bool is_valid_name(const char *name, bool path)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (strlen(name) >= NAME_BYTES) return false;
    for (;;) {
        size_t n = strspn(name, letters);
        if (n == 0 || name[0] == '.') return false;
        name += n;
        if (!*name) return true;
        if (!path || *name != '/') return false;
        name++;
    }
}

tw_status count_elements(int64_t *out, const tw_checkpoint_array *a, tw_status code)
{
    tw_status st = TW_OK;
    int64_t n = 1;
    TW_CHECK(is_valid_name(a->group, true) && is_valid_name(a->name, false), code,
             "'%s/%s' cannot be the name of an array", a->group, a->name);
    TW_CHECK(a->rank >= 1 && a->rank <= TW_CHECKPOINT_DIMS, code,
             "%s/%s has %d dimensions, expected 1 to %d", a->group, a->name, a->rank,
             TW_CHECKPOINT_DIMS);
    for (int i = 0; i < a->rank; i++) {
        TW_CHECK(a->dims[i] >= 1, code, "%s/%s: dimension %d is %lld", a->group, a->name, i,
                 (long long)a->dims[i]);
        TW_CHECK(!__builtin_mul_overflow(n, a->dims[i], &n) &&
                     n <= INT64_MAX / (int64_t)sizeof(float),
                 code, "%s/%s is too large", a->group, a->name);
    }
    *out = n;
done:
    return st;
}

const char *const unit_offset_names[UNITS_COUNT] = {"sample_offset", "condition_offset"};
const char *const unit_scale_names[UNITS_COUNT] = {"sample_scale", "condition_scale"};

int64_t unit_channels(const tw_checkpoint_meta *meta, int which)
{
    return which == UNITS_SAMPLE ? meta->channels : meta->condition_channels;
}

const float *unit_offsets(const tw_checkpoint_meta *meta, int which)
{
    return which == UNITS_SAMPLE ? meta->offset : meta->condition_offset;
}

const float *unit_scales(const tw_checkpoint_meta *meta, int which)
{
    return which == UNITS_SAMPLE ? meta->scale : meta->condition_scale;
}

tw_status copy_units(float **out, const tw_checkpoint_meta *meta, int which)
{
    tw_status st = TW_OK;
    float *units = NULL;
    const int64_t channels = unit_channels(meta, which);
    const float *offset = unit_offsets(meta, which), *scale = unit_scales(meta, which);
    if (offset) {
        const size_t bytes = (size_t)channels * sizeof *units;
        TW_CHECK(channels >= 1 && channels <= CHANNELS_MAX && scale, TW_EINTERNAL,
                 "%lld channel offsets and scales", (long long)channels);
        TW_TRY(tw_alloc(&units, 2 * channels, sizeof *units, "channel offsets and scales"));
        memcpy(units, offset, bytes);
        memcpy(units + channels, scale, bytes);
    }
    *out = units;
done:
    return st;
}

void set_units(tw_checkpoint_meta *meta, int which, const float *units)
{
    const float *scale = units ? units + unit_channels(meta, which) : NULL;
    if (which == UNITS_SAMPLE) {
        meta->offset = units;
        meta->scale = scale;
    } else {
        meta->condition_offset = units;
        meta->condition_scale = scale;
    }
}

void forget_units(tw_checkpoint_meta *meta)
{
    for (int k = 0; k < UNITS_COUNT; k++) set_units(meta, k, NULL);
}

/* Whether two vectors that may be missing hold the same bytes. */
static bool same_bytes(const void *a, const void *b, size_t bytes)
{
    return bytes == 0 || (!a && !b) || (a && b && memcmp(a, b, bytes) == 0);
}

const char *compare_meta(const tw_checkpoint_meta *a, const tw_checkpoint_meta *b)
{
    for (int i = 0; i < meta_field_count; i++) {
        const meta_field *f = &meta_fields[i];
        const char *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
        if (f->type == META_TEXT ? strcmp(x, y) != 0 : memcmp(x, y, f->size) != 0) return f->name;
    }
    if (strcmp(a->config, b->config) != 0) return "config";
    if (a->loss_count != b->loss_count ||
        !same_bytes(a->losses, b->losses, 2 * (size_t)a->loss_count * sizeof *a->losses))
        return "loss_history";
    for (int k = 0; k < UNITS_COUNT; k++) {
        const size_t bytes = (size_t)unit_channels(a, k) * sizeof(float);
        if (!same_bytes(unit_offsets(a, k), unit_offsets(b, k), bytes)) return unit_offset_names[k];
        if (!same_bytes(unit_scales(a, k), unit_scales(b, k), bytes)) return unit_scale_names[k];
    }
    return NULL;
}

bool is_meta_dataset(const char *name)
{
    for (int k = 0; k < UNITS_COUNT; k++)
        if (strcmp(name, unit_offset_names[k]) == 0 || strcmp(name, unit_scale_names[k]) == 0)
            return true;
    return strcmp(name, "config") == 0 || strcmp(name, "loss_history") == 0;
}

bool weights_of_group(char *out, size_t size, const char *group)
{
    if (strcmp(group, "params") == 0) return snprintf(out, size, "raw") < (int)size;
    if (strncmp(group, "ema/", 4) == 0) return snprintf(out, size, "ema:%s", group + 4) < (int)size;
    return false;
}

void choose_chunk(int64_t *chunk, int rank, const int64_t *dims)
{
    int64_t bytes = sizeof(float);
    for (int i = 0; i < rank; i++) bytes *= chunk[i] = dims[i];
    for (int i = 0; i < rank; i++)
        while (chunk[i] > 1 && bytes > CHUNK_BYTES) {
            bytes /= chunk[i];
            chunk[i] = (chunk[i] + 1) / 2;
            bytes *= chunk[i];
        }
}

chunk_grid grid_of(int rank, const int64_t *dims)
{
    int64_t chunk[TW_CHECKPOINT_DIMS];
    chunk_grid g = {.outer = 1, .inner = 1};
    choose_chunk(chunk, rank, dims);
    while (g.axis < rank - 1 && chunk[g.axis] == 1) g.outer *= dims[g.axis++];
    for (int i = g.axis + 1; i < rank; i++) g.inner *= dims[i];
    g.rows = dims[g.axis];
    g.step = chunk[g.axis];
    g.count = g.outer * ((g.rows + g.step - 1) / g.step);
    g.bytes = g.step * g.inner * (int64_t)sizeof(float) + CHECKSUM_BYTES;
    return g;
}

int64_t grid_index(const chunk_grid *g, int rank, const int64_t *dims, const unsigned long long *at)
{
    int64_t outer = 0;
    for (int i = 0; i < rank; i++)
        if (at[i] >= (unsigned long long)dims[i] || (i > g->axis && at[i] > 0)) return -1;
    for (int i = 0; i < g->axis; i++) outer = outer * dims[i] + (int64_t)at[i];
    const int64_t row = (int64_t)at[g->axis];
    if (row % g->step != 0) return -1;
    return outer * ((g->rows + g->step - 1) / g->step) + row / g->step;
}

void describe_dims(char *out, size_t size, int rank, const int64_t *dims)
{
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i < rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? " x " : "", (long long)dims[i]);
}

void tw_checkpoint_meta_clear(tw_checkpoint_meta *meta)
{
    tw_free(&meta->config);
    tw_free(&meta->losses);
    tw_free(&meta->offset);
    tw_free(&meta->condition_offset);
    forget_units(meta); /* scales lie behind offsets */
    meta->loss_count = 0;
}

int64_t tw_checkpoint_estimate(const tw_checkpoint_array *arrays, int64_t count)
{
    double bytes = 1 << 20; /* head, attributes, configuration */
    for (int64_t i = 0; i < count; i++) {
        double n = sizeof(float);
        for (int k = 0; k < arrays[i].rank; k++) n *= (double)arrays[i].dims[k];
        bytes += n * 1.001 + 2048; /* checksums, and the object itself */
    }
    return bytes < 9e18 ? (int64_t)bytes : INT64_MAX;
}
