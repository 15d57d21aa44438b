/* Scratch files of records: a sample's bytes, then its label as int32. */
#include "data/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/format.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/rng.h"

/* Sums over one channel, taken about its first value so that the deviation of large values with a
 * small spread is not lost. */
typedef struct channel {
    double origin, least, most, sum, squares;
    int64_t values, missing;
} channel;

typedef struct part {
    char name[TW_DATASET_NAME_MAX]; /* "": the input did not say */
    int file;
    int64_t count; /* records, those in the buffer included */
    char *buffer;
    size_t buffered; /* bytes in it */
    uint64_t names;  /* tw_spool_part_names */
} part;

struct tw_spool {
    char *path;
    char *split; /* NULL: as the importer says */
    bool described, labelled;
    tw_dataset_spec spec;
    size_t record;
    size_t capacity;
    part parts[TW_DATASET_SPLITS_MAX];
    int part_count;
    channel *channels;
    bool fill_mean;     /* NaN is a missing value, and becomes the mean of its channel */
    char *channel_text; /* as of tw_dataset_spec; NULL: none */
    int64_t largest_label;
    char **names;
    int64_t name_count, name_capacity;
};

tw_status tw_spool_create(tw_spool **out, const char *path, const char *split)
{
    tw_status st = TW_OK;
    tw_spool *s = NULL;
    TW_TRY(tw_alloc(&s, 1, sizeof *s, "a spool"));
    for (int i = 0; i < TW_DATASET_SPLITS_MAX; i++) s->parts[i].file = -1;
    s->largest_label = -1;
    TW_TRY(tw_strdup(&s->path, path));
    if (split) TW_TRY(tw_strdup(&s->split, split));
    *out = s;
    s = NULL;
done:
    tw_spool_destroy(&s);
    return st;
}

void tw_spool_destroy(tw_spool **spool)
{
    tw_spool *s = *spool;
    if (!s) return;
    for (int i = 0; i < TW_DATASET_SPLITS_MAX; i++) {
        if (s->parts[i].file >= 0) close(s->parts[i].file);
        tw_free(&s->parts[i].buffer);
    }
    for (int64_t i = 0; i < s->name_count; i++) tw_free(&s->names[i]);
    tw_free(&s->names);
    tw_free(&s->channels);
    tw_free(&s->channel_text);
    tw_free(&s->split);
    tw_free(&s->path);
    tw_free(spool);
}

tw_status tw_spool_describe(tw_spool *s, const char *where, tw_dataset_kind kind, int64_t height,
                            int64_t width, int64_t channels, bool labelled)
{
    tw_status st = TW_OK;
    const tw_dataset_spec new = {
        .kind = kind, .count = 1, .height = height, .width = width, .channels = channels};
    if (s->described) {
        const tw_dataset_spec *old = &s->spec;
        TW_CHECK(old->height == height && old->width == width && old->channels == channels &&
                     old->kind == kind,
                 TW_EDATA,
                 "%s: %s of %lld x %lld x %lld; those before it are %s of %lld x %lld x %lld "
                 "(height x width x channels)",
                 where, tw_dataset_kind_name(kind), (long long)height, (long long)width,
                 (long long)channels, tw_dataset_kind_name(old->kind), (long long)old->height,
                 (long long)old->width, (long long)old->channels);
        TW_CHECK(s->labelled == labelled, TW_EDATA,
                 "%s: its samples have %s, unlike those before it", where,
                 labelled ? "labels" : "no labels");
        goto done;
    }
    TW_TRY(tw_format_check(&new, where));
    s->spec = new;
    s->labelled = labelled;
    s->record = tw_dataset_sample_bytes(&new) + sizeof(int32_t);
    s->capacity = s->record < TW_BLOCK_BYTES ? TW_BLOCK_BYTES / s->record * s->record : s->record;
    TW_TRY(tw_alloc(&s->channels, channels, sizeof *s->channels, "channel statistics"));
    s->described = true;
done:
    return st;
}

bool tw_spool_is_described(const tw_spool *s)
{
    return s->described;
}

const tw_dataset_spec *tw_spool_get_spec(const tw_spool *s)
{
    return &s->spec;
}

tw_status tw_spool_open_scratch(int *out, const char *path)
{
    tw_status st = TW_OK;
    char name[TW_PATH_MAX];
    TW_TRY(tw_file_temporary(name, sizeof name, path));
    int file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    TW_CHECK(file >= 0, TW_EIO, "%s: no scratch file can be made beside it: %s", path,
             strerror(errno));
    (void)unlink(name);
    *out = file;
done:
    return st;
}

static tw_status find_part(tw_spool *s, const char *split, int *out)
{
    tw_status st = TW_OK;
    if (!split) split = "";
    for (int i = 0; i < s->part_count; i++) {
        if (strcmp(s->parts[i].name, split) != 0) continue;
        *out = i;
        return TW_OK;
    }
    TW_CHECK(s->part_count < TW_DATASET_SPLITS_MAX, TW_EDATA, "split \"%s\": more than %d splits",
             split, TW_DATASET_SPLITS_MAX);
    part *p = &s->parts[s->part_count];
    TW_TRY(tw_format(p->name, sizeof p->name, "%s", split));
    TW_TRY(tw_spool_open_scratch(&p->file, s->path));
    TW_TRY(tw_alloc_arena(&p->buffer, s->capacity, "a block of records"));
    *out = s->part_count++;
done:
    return st;
}

static tw_status flush_part(tw_spool *s, int i)
{
    tw_status st = TW_OK;
    part *p = &s->parts[i];
    for (size_t done = 0; done < p->buffered;) {
        ssize_t n = write(p->file, p->buffer + done, p->buffered - done);
        TW_CHECK(n > 0 || errno == EINTR, TW_EIO, "%s: its scratch file cannot be written: %s",
                 s->path, strerror(errno));
        if (n > 0) done += (size_t)n;
    }
    p->buffered = 0;
done:
    return st;
}

static void measure_value(channel *c, double v)
{
    if (c->values == 0) c->origin = c->least = c->most = v;
    c->least = fmin(c->least, v);
    c->most = fmax(c->most, v);
    c->sum += v - c->origin;
    c->squares += (v - c->origin) * (v - c->origin);
    c->values++;
}

static tw_status measure(tw_spool *s, const float *v, const char *where)
{
    tw_status st = TW_OK;
    const int64_t dims = tw_dataset_elements(&s->spec), channels = s->spec.channels;
    for (int64_t i = 0; i < dims; i++) {
        channel *c = &s->channels[i % channels];
        if (s->fill_mean && isnan(v[i])) {
            c->missing++;
            continue;
        }
        TW_CHECK(isfinite(v[i]), TW_EDATA,
                 "%s: value %lld of the sample is %g; finite numbers were expected", where,
                 (long long)i, (double)v[i]);
        measure_value(c, v[i]);
    }
done:
    return st;
}

/* Bytes are counted whole: their sums are exact. */
static void measure_bytes(tw_spool *s, const uint8_t *v)
{
    const int64_t dims = tw_dataset_elements(&s->spec), channels = s->spec.channels;
    for (int64_t k = 0; k < channels; k++) {
        channel *c = &s->channels[k];
        int64_t sum = 0, squares = 0;
        uint8_t low = 255, high = 0;
        for (int64_t i = k; i < dims; i += channels) {
            low = v[i] < low ? v[i] : low;
            high = v[i] > high ? v[i] : high;
            sum += v[i];
            squares += v[i] * v[i];
        }
        if (c->values == 0 || low < c->least) c->least = low;
        if (c->values == 0 || high > c->most) c->most = high;
        c->sum += (double)sum;
        c->squares += (double)squares;
        c->values += dims / channels;
    }
}

/* FNV-1a over the names, each with a NUL behind it. */
static void add_name(part *p, const char *where)
{
    const char *slash = strrchr(where, '/'), *name = slash ? slash + 1 : where,
               *dot = strrchr(name, '.');
    const size_t n = dot ? (size_t)(dot - name) : strlen(name);
    for (size_t i = 0; i < n; i++)
        p->names = (p->names ^ (unsigned char)name[i]) * UINT64_C(1099511628211);
    p->names = (p->names + 1) * UINT64_C(1099511628211);
}

tw_status tw_spool_append(tw_spool *s, const char *split, const void *stored, int64_t label,
                          const char *where)
{
    tw_status st = TW_OK;
    const size_t bytes = s->record - sizeof(int32_t);
    int i = 0;
    if (s->labelled)
        TW_CHECK(label >= 0 && label < TW_DATASET_CLASSES_MAX, TW_EDATA,
                 "%s: the label is %lld; 0 to %d was expected", where, (long long)label,
                 TW_DATASET_CLASSES_MAX - 1);
    const int32_t kept = s->labelled ? (int32_t)label : -1;
    if (s->spec.kind == TW_DATASET_UINT8)
        measure_bytes(s, stored);
    else
        TW_TRY(measure(s, stored, where));
    TW_TRY(find_part(s, s->split ? s->split : split, &i));
    part *p = &s->parts[i];
    memcpy(p->buffer + p->buffered, stored, bytes);
    memcpy(p->buffer + p->buffered + bytes, &kept, sizeof kept);
    p->buffered += s->record;
    p->count++;
    add_name(p, where);
    if (kept > s->largest_label) s->largest_label = kept;
    if (p->buffered == s->capacity) TW_TRY(flush_part(s, i));
done:
    return st;
}

tw_status tw_spool_name_class(tw_spool *s, int64_t label, const char *name)
{
    tw_status st = TW_OK;
    char **more = NULL;
    TW_CHECK(label == s->name_count, TW_EINTERNAL, "class %lld is named after %lld",
             (long long)label, (long long)s->name_count);
    TW_CHECK(strlen(name) < TW_DATASET_CLASS_MAX, TW_EDATA,
             "class name \"%.80s…\" is longer than %d bytes", name, TW_DATASET_CLASS_MAX - 1);
    if (s->name_count == s->name_capacity) {
        int64_t capacity = s->name_capacity ? 2 * s->name_capacity : 64;
        TW_TRY(tw_alloc(&more, capacity, sizeof *more, "class names"));
        if (s->names) memcpy(more, s->names, (size_t)s->name_count * sizeof *more);
        tw_free(&s->names);
        s->names = more;
        s->name_capacity = capacity;
    }
    TW_TRY(tw_strdup(&s->names[s->name_count], name));
    s->name_count++;
done:
    return st;
}

int64_t tw_spool_count(const tw_spool *s)
{
    int64_t count = 0;
    for (int i = 0; i < s->part_count; i++) count += s->parts[i].count;
    return count;
}

int64_t tw_spool_largest_label(const tw_spool *s)
{
    return s->largest_label;
}

void tw_spool_channel_statistics(const tw_spool *s, int64_t i, tw_spool_channel *out)
{
    const channel *c = &s->channels[i];
    const double n = (double)(c->values ? c->values : 1), mean = c->sum / n;
    const double variance = c->squares / n - mean * mean;
    *out = (tw_spool_channel){c->least, c->most, c->origin + mean,
                              sqrt(variance > 0 ? variance : 0), c->missing};
}

void tw_spool_fill_mean(tw_spool *s)
{
    s->fill_mean = true;
}

void tw_spool_add_missing(tw_spool *s, int64_t i, int64_t count)
{
    s->channels[i].missing += count;
}

tw_status tw_spool_set_channels(tw_spool *s, const char *text)
{
    tw_status st = TW_OK;
    tw_free(&s->channel_text);
    TW_TRY(tw_strdup(&s->channel_text, text));
done:
    return st;
}

const char *tw_spool_channels(const tw_spool *s)
{
    return s->channel_text;
}

/* Missing values become the mean of those that are there. */
static tw_status fill_missing(const tw_spool *s, float *v)
{
    tw_status st = TW_OK;
    const int64_t dims = tw_dataset_elements(&s->spec), channels = s->spec.channels;
    for (int64_t i = 0; i < dims; i++) {
        if (!isnan(v[i])) continue;
        const channel *c = &s->channels[i % channels];
        TW_CHECK(c->values > 0, TW_EDATA,
                 "every value of channel %lld is missing: it has no mean to fill them with",
                 (long long)(i % channels));
        v[i] = (float)(c->origin + c->sum / (double)c->values);
    }
done:
    return st;
}

const char *const *tw_spool_class_names(const tw_spool *s, int64_t *count_out)
{
    *count_out = s->name_count;
    return (const char *const *)s->names;
}

void tw_spool_put_first(tw_spool *s, const char *split)
{
    for (int i = s->part_count - 1; i > 0; i--) {
        if (strcmp(s->parts[i].name, split) != 0) continue;
        const part first = s->parts[i];
        memmove(&s->parts[1], &s->parts[0], (size_t)i * sizeof first);
        s->parts[0] = first;
    }
}

int tw_spool_parts(const tw_spool *s)
{
    return s->part_count;
}

const char *tw_spool_part_name(const tw_spool *s, int i)
{
    return s->parts[i].name[0] ? s->parts[i].name : NULL;
}

int64_t tw_spool_part_count(const tw_spool *s, int i)
{
    return s->parts[i].count;
}

uint64_t tw_spool_part_names(const tw_spool *s, int i)
{
    return s->parts[i].names;
}

static tw_status read_record(const tw_spool *s, const part *p, int64_t record)
{
    tw_status st = TW_OK;
    for (size_t done = 0; done < s->record;) {
        ssize_t n = pread(p->file, p->buffer + done, s->record - done,
                          (off_t)(record * (int64_t)s->record + (int64_t)done));
        TW_CHECK(n > 0 || (n < 0 && errno == EINTR), TW_EIO,
                 "%s: its scratch file cannot be read: %s", s->path,
                 n < 0 ? strerror(errno) : "it became shorter");
        if (n > 0) done += (size_t)n;
    }
done:
    return st;
}

tw_status tw_spool_each(tw_spool *s, int i, bool keep_order, uint64_t seed, tw_spool_take *take,
                        void *self)
{
    tw_status st = TW_OK;
    const tw_rng_stream stream = {.seed = seed, .purpose = TW_RNG_IMPORT_SHUFFLE, .position = i};
    const part *p = &s->parts[i];
    tw_rng_permutation order;
    int32_t label;
    tw_rng_permutation_init(&order, &stream, p->count);
    TW_TRY(flush_part(s, i));
    for (int64_t k = 0; k < p->count; k++) {
        TW_TRY(read_record(s, p, keep_order ? k : tw_rng_permute(&order, k)));
        if (s->fill_mean && s->spec.kind != TW_DATASET_UINT8)
            TW_TRY(fill_missing(s, (float *)p->buffer));
        memcpy(&label, p->buffer + s->record - sizeof label, sizeof label);
        TW_TRY(take(self, p->buffer, label));
    }
done:
    return st;
}

typedef struct writing {
    const tw_spool *spool;
    tw_dataset_writer *writer;
} writing;

static tw_status append_sample(void *self, const void *stored, int32_t label)
{
    const writing *w = self;
    return tw_dataset_writer_append(w->writer, 1, stored, w->spool->labelled ? &label : NULL);
}

tw_status tw_spool_write(tw_spool *s, int i, bool keep_order, uint64_t seed,
                         tw_dataset_writer *writer)
{
    writing w = {s, writer};
    return tw_spool_each(s, i, keep_order, seed, append_sample, &w);
}
