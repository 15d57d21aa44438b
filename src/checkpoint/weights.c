/* Weights: one set of parameters, found in whatever a user names, for building a network from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint/checkpoint_format.h"
#include "tweedie/memory.h"
#include "tweedie/output.h"
#include "tweedie/param_names.h"

static bool is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* "raw, ema:0.9999": what a file has. */
static void list_weights(char *out, size_t size, const tw_checkpoint *c)
{
    const char *last = "";
    size_t n = 0;
    out[0] = '\0';
    for (int64_t i = 0; i < tw_checkpoint_count(c) && n < size; i++) {
        char name[NAME_BYTES];
        const char *group = tw_checkpoint_array_view(c, i)->group;
        if (strcmp(group, last) == 0 || !weights_of_group(name, sizeof name, group)) continue;
        n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", name);
        last = group;
    }
}

/* The group of `file` that holds `which`. A weights file holds one set, in "params". */
static tw_status find_group(char *group, size_t size, const tw_checkpoint *file, const char *which)
{
    tw_status st = TW_OK;
    char has[512];
    const tw_checkpoint_meta *meta = tw_checkpoint_meta_view(file);
    if (!which) which = meta->weights;
    bool ema = strncmp(which, "ema:", 4) == 0;
    TW_CHECK(ema || strcmp(which, "raw") == 0, TW_EUSAGE,
             "weights '%s' are unknown (expected raw or ema:RATE)", which);
    if (tw_checkpoint_is_weights(file)) {
        TW_CHECK(strcmp(which, meta->weights) == 0, TW_EDATA, "%s: holds the weights %s, not %s",
                 tw_checkpoint_path(file), meta->weights, which);
        TW_TRY(tw_format(group, size, "params"));
    } else {
        TW_TRY(tw_format(group, size, "%s%s", ema ? "ema/" : "params", ema ? which + 4 : ""));
    }
    list_weights(has, sizeof has, file);
    TW_CHECK(tw_checkpoint_has_group(file, group), TW_EDATA, "%s: has no weights %s, only %s",
             tw_checkpoint_path(file), which, has);
done:
    return st;
}

/* @param[out] out    tw_checkpoint_close
 * @param[out] group  at least 64 bytes: the group of the file that holds them */
static tw_status open_weights(tw_checkpoint **out, const char *path, const char *which, char *group,
                              size_t size)
{
    tw_status st = TW_OK;
    char newest[TW_CHECKPOINT_PATH];
    tw_checkpoint *file = NULL;
    int64_t step;
    TW_TRY(tw_format(newest, sizeof newest, "%s", path));
    if (is_directory(path)) {
        TW_TRY(tw_checkpoint_find_newest(path, newest, sizeof newest, &step));
        TW_CHECK(step >= 0, TW_ENOINPUT, "%s: the run has no checkpoint yet", path);
    }
    TW_TRY(tw_checkpoint_open(&file, newest));
    TW_TRY(find_group(group, size, file, which));
    *out = file;
    file = NULL;
done:
    tw_checkpoint_close(&file);
    return st;
}

/* ---- one set in memory
 * ------------------------------------------------------------------------------------------------------------
 */

/* Names and shapes as they travel from rank to rank. */
typedef struct row {
    char name[NAME_BYTES];
    int64_t rank, dims[TW_CHECKPOINT_DIMS], offset;
} row;

typedef struct parcel {
    int64_t count, storage_count, config_bytes; /* with the NUL */
    tw_checkpoint_meta meta;                    /* its pointers mean nothing elsewhere */
    char digest[TW_CHECKPOINT_DIGEST];
    row *rows;
    char *config;
    float *units[UNITS_COUNT]; /* [2 channels], or NULL */
    int64_t unit_count[UNITS_COUNT];
    float *storage;
} parcel;

static void discard(parcel *p)
{
    tw_free(&p->rows);
    tw_free(&p->config);
    for (int k = 0; k < UNITS_COUNT; k++) tw_free(&p->units[k]);
    tw_free(&p->storage);
}

static tw_status list_rows(parcel *p, const tw_checkpoint *file, const char *group)
{
    tw_status st = TW_OK;
    int64_t n;
    TW_TRY(tw_alloc(&p->rows, tw_checkpoint_count(file), sizeof *p->rows, "names of weights"));
    for (int64_t i = 0; i < tw_checkpoint_count(file); i++) {
        const tw_checkpoint_array *a = tw_checkpoint_array_view(file, i);
        if (strcmp(a->group, group) != 0 || tw_name_is_of_objective(a->name)) continue;
        row *r = &p->rows[p->count++];
        strcpy(r->name, a->name); /* from an index_entry of the same size */
        r->rank = a->rank;
        memcpy(r->dims, a->dims, (size_t)a->rank * sizeof *r->dims);
        r->offset = p->storage_count;
        TW_TRY(count_elements(&n, a, TW_EDATA));
        p->storage_count += n;
    }
done:
    return st;
}

static tw_status pack(parcel *p, const char *path, const char *which)
{
    tw_status st = TW_OK;
    tw_checkpoint *file = NULL;
    char group[NAME_BYTES];
    TW_TRY(open_weights(&file, path, which, group, sizeof group));
    TW_TRY(list_rows(p, file, group));
    TW_TRY(tw_alloc_arena(&p->storage, (size_t)p->storage_count * sizeof *p->storage, "weights"));
    for (int64_t i = 0; i < p->count; i++)
        TW_TRY(tw_checkpoint_read_array(file, tw_checkpoint_find(file, group, p->rows[i].name),
                                        p->storage + p->rows[i].offset));
    p->meta = *tw_checkpoint_meta_view(file);
    strcpy(p->digest, tw_checkpoint_digest(file));
    TW_TRY(tw_strdup(&p->config, p->meta.config));
    p->config_bytes = (int64_t)strlen(p->config) + 1;
    for (int k = 0; k < UNITS_COUNT; k++) {
        TW_TRY(copy_units(&p->units[k], &p->meta, k));
        p->unit_count[k] = p->units[k] ? 2 * unit_channels(&p->meta, k) : 0;
    }
    if (!tw_checkpoint_is_weights(file)) {
        TW_TRY(
            tw_format(p->meta.source, sizeof p->meta.source, "%.500s", tw_checkpoint_path(file)));
        TW_CHECK(weights_of_group(p->meta.weights, sizeof p->meta.weights, group), TW_EDATA,
                 "%s: a name is too long", path);
    }
done:
    tw_checkpoint_close(&file);
    return st;
}

/* Rank zero's parcel to all. */
static tw_status deliver(parcel *p, const tw_comm *comm)
{
    tw_status st = TW_OK;
    parcel head = *p;
    bool root = tw_comm_rank(comm) == 0;
    TW_TRY(tw_comm_broadcast(comm, &head, sizeof head, 0));
    if (!root) {
        *p = head;
        p->rows = NULL;
        p->config = NULL;
        memset(p->units, 0, sizeof p->units);
        p->storage = NULL;
        st = tw_alloc(&p->rows, p->count, sizeof *p->rows, "names of weights");
        if (st == TW_OK) st = tw_alloc(&p->config, p->config_bytes, 1, "a configuration");
        for (int k = 0; k < UNITS_COUNT; k++)
            if (st == TW_OK && p->unit_count[k] > 0)
                st = tw_alloc(&p->units[k], p->unit_count[k], sizeof(float),
                              "channel offsets and scales");
        if (st == TW_OK)
            st = tw_alloc_arena(&p->storage, (size_t)p->storage_count * sizeof *p->storage,
                                "weights");
    }
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(tw_comm_broadcast(comm, p->rows, (size_t)p->count * sizeof *p->rows, 0));
    TW_TRY(tw_comm_broadcast(comm, p->config, (size_t)p->config_bytes, 0));
    for (int k = 0; k < UNITS_COUNT; k++)
        if (p->unit_count[k] > 0)
            TW_TRY(
                tw_comm_broadcast(comm, p->units[k], (size_t)p->unit_count[k] * sizeof(float), 0));
    TW_TRY(tw_comm_broadcast(comm, p->storage, (size_t)p->storage_count * sizeof *p->storage, 0));
done:
    return st;
}

/* The parcel as the caller sees it; keeps rows and storage. */
struct owned {
    tw_weights public;
    row *rows;
};

static tw_status unpack(tw_weights **out, parcel *p)
{
    tw_status st = TW_OK;
    struct owned *w = NULL;
    TW_TRY(tw_alloc(&w, 1, sizeof *w, "weights"));
    TW_TRY(tw_alloc(&w->public.arrays, p->count, sizeof *w->public.arrays, "the list of weights"));
    w->public.meta = p->meta;
    w->public.meta.config = p->config;
    for (int k = 0; k < UNITS_COUNT; k++) set_units(&w->public.meta, k, p->units[k]);
    w->public.meta.losses = NULL;
    w->public.meta.loss_count = 0;
    strcpy(w->public.digest, p->digest);
    w->public.count = p->count;
    w->public.storage = p->storage;
    w->public.storage_count = p->storage_count;
    w->rows = p->rows;
    for (int64_t i = 0; i < p->count; i++)
        w->public.arrays[i] =
            (tw_checkpoint_array){"params", w->rows[i].name, (int)w->rows[i].rank, w->rows[i].dims,
                                  p->storage + w->rows[i].offset};
    *p = (parcel){0};
    *out = &w->public;
    return TW_OK;
done:
    tw_free(&w);
    return st;
}

tw_status tw_weights_load(tw_weights **out, const tw_comm *comm, const char *path,
                          const char *which)
{
    tw_status st = TW_OK;
    parcel p;
    memset(&p, 0, sizeof p);
    if (!comm || tw_comm_rank(comm) == 0) st = pack(&p, path, which);
    if (comm) st = tw_comm_agree(comm, st);
    if (st == TW_OK && comm && tw_comm_size(comm) > 1) st = deliver(&p, comm);
    if (st == TW_OK) st = unpack(out, &p);
    if (comm) {
        tw_status mine = st;
        st = tw_comm_agree(comm, st);
        if (st != TW_OK && mine == TW_OK) tw_weights_destroy(out);
    }
    discard(&p);
    return st;
}

void tw_weights_destroy(tw_weights **weights)
{
    struct owned *w = (struct owned *)(void *)*weights; /* the public part comes first */
    if (!w) return;
    tw_free(&w->rows);
    tw_checkpoint_meta_clear(&w->public.meta);
    tw_free(&w->public.arrays);
    tw_free(&w->public.storage);
    tw_free(weights);
}

tw_status tw_weights_copy(const tw_weights *w, const tw_checkpoint_array *arrays, int64_t count)
{
    tw_status st = TW_OK;
    char met[128], wanted[128];
    int64_t n;
    for (int64_t i = 0; i < count; i++) {
        const tw_checkpoint_array *to = &arrays[i], *from = NULL;
        for (int64_t k = 0; k < w->count && !from; k++)
            if (strcmp(w->arrays[k].name, to->name) == 0) from = &w->arrays[k];
        TW_CHECK(from, TW_EDATA, "%s: /%s is missing", w->meta.source, to->name);
        describe_dims(met, sizeof met, from->rank, from->dims);
        describe_dims(wanted, sizeof wanted, to->rank, to->dims);
        TW_CHECK(from->rank == to->rank &&
                     memcmp(from->dims, to->dims, (size_t)to->rank * sizeof *to->dims) == 0,
                 TW_EDATA, "%s: /%s has the shape %s, expected %s", w->meta.source, to->name, met,
                 wanted);
        TW_TRY(count_elements(&n, from, TW_EDATA));
        memcpy(to->data, from->data, (size_t)n * sizeof(float));
    }
    TW_CHECK(count == w->count, TW_EDATA, "%s: holds %lld arrays, this network has %lld",
             w->meta.source, (long long)w->count, (long long)count);
done:
    return st;
}

/* RUN/weights/step-%09d-WHICH.h5 */
static tw_status name_export(char *name, const char *from, const tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    char kind[64];
    TW_CHECK(is_directory(from), TW_EUSAGE,
             "%s: is not a run: the new file needs a name; --out FILE gives it one", from);
    TW_TRY(tw_format(kind, sizeof kind, "%s", meta->weights));
    for (char *c = kind; *c; c++)
        if (*c == ':') *c = '-';
    TW_TRY(tw_format(name, TW_CHECKPOINT_PATH, "%s/weights/step-%09lld-%s.h5", from,
                     (long long)meta->step, kind));
done:
    return st;
}

tw_status tw_weights_export(const char *from, const char *which, const char *path, bool replace,
                            char *made)
{
    tw_status st = TW_OK;
    tw_weights *w = NULL;
    tw_output out = {.part = ""};
    char name[TW_CHECKPOINT_PATH] = "";
    const tw_output_mode mode = !path ? TW_OUTPUT_OWN : replace ? TW_OUTPUT_REPLACE : TW_OUTPUT_NEW;
    if (path) TW_TRY(tw_output_check(path, mode, &from, 1));
    TW_TRY(tw_weights_load(&w, NULL, from, which));
    if (path)
        TW_TRY(tw_format(name, sizeof name, "%s", path));
    else
        TW_TRY(name_export(name, from, &w->meta));
    if (!path) TW_TRY(tw_output_check(name, mode, NULL, 0));
    TW_TRY(tw_output_begin(&out, name, mode));
    TW_TRY(tw_weights_write(out.part, w->arrays, w->count, &w->meta));
    TW_TRY(tw_output_publish(&out));
    if (made) TW_TRY(tw_format(made, TW_CHECKPOINT_PATH, "%s", name));
done:
    if (st != TW_OK && out.part[0]) tw_error_prefix("%s: ", name);
    tw_output_discard(&out);
    tw_weights_destroy(&w);
    return st;
}
