/* The structure of a file from a child process: built there, written as plain bytes, and believed
 * here no more than the file itself.
 *
 *     file_index, configuration, losses, units, entries, chunks */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/checkpoint_index.h"
#include "checkpoint/container.h"
#include "h5/isolate.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"

typedef struct request {
    int64_t bytes;
    char path[TW_CHECKPOINT_PATH];
} request;

_Static_assert(sizeof(request) <= TW_ISOLATE_ARGUMENT, "a request fits");

/* ---- the child ---- */

static tw_status write_all(int file, const void *bytes, int64_t size)
{
    tw_status st = TW_OK;
    const char *p = bytes;
    while (size > 0) {
        const ssize_t n = write(file, p, (size_t)size);
        if (n < 0 && errno == EINTR) continue;
        TW_CHECK(n > 0, TW_ENOMEM, "out of memory: the structure of a checkpoint: %s",
                 strerror(errno));
        p += n;
        size -= n;
    }
done:
    return st;
}

static tw_status judge(const void *argument, int result)
{
    tw_status st = TW_OK;
    const request *r = argument;
    file_index x = {0};
    TW_TRY(index_build(&x, r->path, r->bytes));
    TW_TRY(write_all(result, &x, sizeof x));
    TW_TRY(write_all(result, x.meta.config, x.config_bytes));
    TW_TRY(write_all(result, x.meta.losses, 2 * x.meta.loss_count * (int64_t)sizeof(double)));
    for (int k = 0; k < UNITS_COUNT; k++)
        TW_TRY(
            write_all(result, unit_offsets(&x.meta, k), x.unit_count[k] * (int64_t)sizeof(float)));
    TW_TRY(write_all(result, x.entries, x.count * (int64_t)sizeof *x.entries));
    TW_TRY(write_all(result, x.chunks, x.chunk_count * (int64_t)sizeof *x.chunks));
done:
    index_clear(&x);
    return st;
}

/* ---- what comes back ---- */

/* Memory of `count` things, as malloc gives it, filled from the result. */
static tw_status receive(void *out, int file, int64_t *at, int64_t count, size_t size,
                         const char *path)
{
    tw_status st = TW_OK;
    void *memory = NULL;
    TW_CHECK(count >= 0 && count <= INT32_MAX, TW_EDATA, "%s: damaged: %lld things of %zu bytes",
             path, (long long)count, size);
    memory = calloc((size_t)(count > 0 ? count : 1), size);
    TW_CHECK(memory, TW_ENOMEM, "out of memory: the structure of %s", path);
    TW_TRY(tw_file_read_at(file, memory, count * (int64_t)size, *at, path));
    *at += count * (int64_t)size;
    memcpy(out, &memory, sizeof memory);
    memory = NULL;
done:
    free(memory);
    return st;
}

/* The same for what tw_checkpoint_meta_clear frees. */
static tw_status receive_fact(void *out, int file, int64_t *at, int64_t count, size_t size,
                              const char *path)
{
    tw_status st = TW_OK;
    void *memory = NULL;
    TW_CHECK(count >= 0 && count <= INT32_MAX, TW_EDATA, "%s: damaged: %lld things of %zu bytes",
             path, (long long)count, size);
    TW_TRY(tw_alloc(&memory, count, size, "facts of a checkpoint"));
    TW_TRY(tw_file_read_at(file, memory, count * (int64_t)size, *at, path));
    *at += count * (int64_t)size;
    memcpy(out, &memory, sizeof memory);
    memory = NULL;
done:
    tw_free(&memory);
    return st;
}

static tw_status receive_index(file_index *out, int file, const char *path)
{
    tw_status st = TW_OK;
    file_index x, y;
    char *config = NULL;
    double *losses = NULL;
    int64_t at = 0;
    memset(&y, 0, sizeof y);
    TW_TRY(tw_file_read_at(file, &x, sizeof x, at, path));
    at += (int64_t)sizeof x;
    y = x; /* whose pointers mean nothing here */
    y.meta.config = NULL;
    y.meta.losses = NULL;
    forget_units(&y.meta);
    y.entries = NULL;
    y.chunks = NULL;
    TW_TRY(receive_fact(&config, file, &at, x.config_bytes, 1, path));
    y.meta.config = config;
    if (x.meta.loss_count > 0)
        TW_TRY(receive_fact(&losses, file, &at, x.meta.loss_count, 2 * sizeof *losses, path));
    y.meta.losses = losses;
    for (int k = 0; k < UNITS_COUNT; k++) {
        float *units = NULL;
        if (x.unit_count[k] > 0)
            TW_TRY(receive_fact(&units, file, &at, x.unit_count[k], sizeof *units, path));
        set_units(&y.meta, k, units);
    }
    TW_TRY(receive(&y.entries, file, &at, x.count, sizeof *y.entries, path));
    TW_TRY(receive(&y.chunks, file, &at, x.chunk_count, sizeof *y.chunks, path));
    *out = y;
    memset(&y, 0, sizeof y);
done:
    index_clear(&y);
    return st;
}

/* ---- judging it ---- */

static tw_status check_units(const file_index *x, int which, const char *path)
{
    tw_status st = TW_OK;
    const int64_t count = x->unit_count[which], channels = unit_channels(&x->meta, which);
    const float *units = unit_offsets(&x->meta, which); /* scales lie behind them */
    TW_CHECK(count == 0 || count == 2 * channels, TW_EDATA, "%s: damaged: %lld offsets and scales",
             path, (long long)count);
    for (int64_t i = 0; i < count; i++)
        TW_CHECK(isfinite(units[i]), TW_EDATA, "%s: /%s holds %g for channel %lld", path,
                 i < channels ? unit_offset_names[which] : unit_scale_names[which],
                 (double)units[i], (long long)(i % channels));
done:
    return st;
}

static tw_status check_facts(const file_index *x, const char *path)
{
    tw_status st = TW_OK;
    const tw_checkpoint_meta *m = &x->meta;
    const int64_t counts[] = {m->samples,  m->ranks,       m->threads,
                              m->restarts, m->height,      m->width,
                              m->channels, m->num_classes, m->condition_channels};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        TW_CHECK(counts[i] >= 0, TW_EDATA, "%s: one of its counts is %lld, expected 0 or more",
                 path, (long long)counts[i]);
    for (int i = 0; i < meta_field_count; i++)
        TW_CHECK(meta_fields[i].type != META_TEXT ||
                     memchr((const char *)m + meta_fields[i].offset, 0, meta_fields[i].size),
                 TW_EDATA, "%s: damaged: its %s has no end", path, meta_fields[i].name);
    TW_CHECK(x->config_bytes > 0 && m->config[x->config_bytes - 1] == '\0', TW_EDATA,
             "%s: damaged: /config has no end", path);
    for (int64_t i = 0; i < 2 * m->loss_count; i++)
        TW_CHECK(isfinite(m->losses[i]), TW_EDATA, "%s: /loss_history holds %g in row %lld", path,
                 m->losses[i], (long long)(i / 2));
    for (int k = 0; k < UNITS_COUNT; k++) TW_TRY(check_units(x, k, path));
done:
    return st;
}

static tw_status check_entry(const file_index *x, const index_entry *e, int64_t *left,
                             const char *path)
{
    tw_status st = TW_OK;
    int64_t n;
    TW_CHECK(memchr(e->group, 0, sizeof e->group) && memchr(e->name, 0, sizeof e->name), TW_EDATA,
             "%s: damaged: a name has no end", path);
    const tw_checkpoint_array a = {e->group, e->name, e->rank, e->dims, NULL};
    st = count_elements(&n, &a, TW_EDATA);
    if (st != TW_OK) tw_error_prefix("%s: ", path);
    if (st != TW_OK) goto done;
    TW_CHECK(n * (int64_t)sizeof(float) <= *left, TW_EDATA,
             "%s: with /%s/%s its arrays claim more bytes than the file has", path, e->group,
             e->name);
    *left -= n * (int64_t)sizeof(float);
    const chunk_grid g = grid_of(e->rank, e->dims);
    TW_CHECK(e->first_chunk >= 0 && e->first_chunk <= x->chunk_count - g.count, TW_EDATA,
             "%s: damaged: the chunks of /%s/%s", path, e->group, e->name);
    for (int64_t k = 0; k < g.count; k++)
        TW_CHECK(x->chunks[e->first_chunk + k] >= 0 &&
                     x->chunks[e->first_chunk + k] <= INT64_MAX / 2,
                 TW_EDATA, "%s: damaged: the chunks of /%s/%s", path, e->group, e->name);
done:
    return st;
}

tw_status index_check(const file_index *x, const char *path, int64_t bytes)
{
    tw_status st = TW_OK;
    int64_t left = bytes;
    TW_TRY(check_facts(x, path));
    for (int64_t i = 0; i < x->count; i++) {
        const index_entry *e = &x->entries[i];
        TW_TRY(check_entry(x, e, &left, path));
        const int order = i > 0 ? strcmp(e[-1].group, e->group) : -1;
        TW_CHECK(order < 0 || (order == 0 && strcmp(e[-1].name, e->name) < 0), TW_EDATA,
                 "%s: damaged: /%s/%s is there twice", path, e->group, e->name);
    }
done:
    return st;
}

tw_status index_fetch(file_index *out, const char *path, int64_t bytes)
{
    tw_status st = TW_OK;
    request r = {.bytes = bytes};
    int file = -1;
    TW_TRY(tw_format(r.path, sizeof r.path, "%s", path));
    TW_TRY(tw_isolate_call(judge, &r, sizeof r, &file, path));
    TW_TRY(receive_index(out, file, path));
done:
    if (file >= 0) close(file);
    return st;
}
