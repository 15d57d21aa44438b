/* A classifier's features over samples that ranks share. */
#include "tweedie/features.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/state.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"
#include "tweedie/restore.h"

/* Images at once: of Inception's size as many as make its buffers about a gigabyte. */
enum { BATCH = 64, BATCH_LARGE = 16 };

struct tw_features {
    const tw_comm *comm;
    const tw_dataset_spec *spec; /* of the samples */
    tw_restored *restored;
    tw_model_features *network;
    int64_t batch;
    tw_text text;
};

/* Of the samples' own kind and shape; a network of any extent takes pictures of every kind. */
static tw_status check(const tw_features *f, const char *path)
{
    tw_status st = TW_OK;
    const tw_dataset_spec *c = &f->restored->samples, *s = f->spec;
    if (f->restored->model->net->any_extent && s->kind != TW_DATASET_POINTS) return TW_OK;
    TW_CHECK(c->kind == s->kind && c->height == s->height && c->width == s->width &&
                 c->channels == s->channels,
             TW_ECONFIG,
             "%s: its network takes %s of %lld x %lld x %lld, and the samples are %s of %lld x "
             "%lld x %lld",
             path, tw_dataset_kind_name(c->kind), (long long)c->height, (long long)c->width,
             (long long)c->channels, tw_dataset_kind_name(s->kind), (long long)s->height,
             (long long)s->width, (long long)s->channels);
    TW_CHECK(!f->restored->model->condition, TW_ECONFIG,
             "%s: its network is given conditions, and features are of samples alone", path);
done:
    return st;
}

static tw_status plan(tw_features *f, const char *path)
{
    tw_status st = TW_OK;
    const tw_model *m = f->restored->model;
    TW_TRY(check(f, path));
    const tw_shape sample = m->net->any_extent ? tw_state_sample_shape(f->spec) : m->sample;
    f->batch = m->net->any_extent ? BATCH_LARGE : BATCH;
    st = tw_model_features_create(&f->network, m, sample, f->batch, TW_PRECISION_F32,
                                  TW_CONVOLUTION_AUTO);
    if (st != TW_OK) tw_error_prefix("%s: ", path);
    if (st != TW_OK) goto done;
    TW_TRY(tw_text_add(&f->text, "%s: %s, %lld features", path, m->net->kind.name,
                       (long long)tw_model_features_width(f->network)));
done:
    return st;
}

tw_status tw_features_open(tw_features **out, const tw_comm *comm, const char *path,
                           const tw_dataset_spec *spec)
{
    tw_status st = TW_OK;
    tw_features *f = NULL;
    st = tw_alloc(&f, 1, sizeof *f, "features");
    if (comm) st = tw_comm_agree(comm, st);
    if (st != TW_OK) goto done;
    f->comm = comm;
    f->spec = spec;
    TW_TRY(tw_restore(&f->restored, comm, path, NULL));
    st = plan(f, path);
    if (comm) st = tw_comm_agree(comm, st);
    if (st != TW_OK) goto done;
    *out = f;
    f = NULL;
done:
    tw_features_destroy(&f);
    return st;
}

void tw_features_destroy(tw_features **features)
{
    if (!*features) return;
    tw_model_features_destroy(&(*features)->network);
    tw_restore_destroy(&(*features)->restored);
    tw_text_free(&(*features)->text);
    tw_free(features);
}

int64_t tw_features_width(const tw_features *f)
{
    return tw_model_features_width(f->network);
}

const char *tw_features_text(const tw_features *f)
{
    return f->text.data;
}

const char *tw_features_digest(const tw_features *f)
{
    return f->restored->digest;
}

/* ---- computing ---- */

typedef struct buffers {
    void *stored;
    uint8_t *pixels; /* of floats that are taken as pictures */
    float *x;
} buffers;

static void free_buffers(buffers *b)
{
    tw_free(&b->stored);
    tw_free(&b->pixels);
    tw_free(&b->x);
}

static tw_status allocate(buffers *b, const tw_features *f)
{
    tw_status st = TW_OK;
    const int64_t numbers = f->batch * tw_dataset_elements(f->spec);
    TW_TRY(tw_alloc(&b->stored, f->batch, tw_dataset_sample_bytes(f->spec), "a batch of samples"));
    TW_TRY(tw_alloc(&b->pixels, numbers, 1, "a batch of samples"));
    TW_TRY(tw_alloc(&b->x, numbers, sizeof *b->x, "a batch of samples"));
done:
    return st;
}

/* In the network's units. Pictures of floats are rounded to 256 levels, as they would be saved. */
static void prepare(const tw_features *f, const buffers *b, int64_t n)
{
    const tw_dataset_spec bytes = {.kind = TW_DATASET_UINT8,
                                   .height = f->spec->height,
                                   .width = f->spec->width,
                                   .channels = f->spec->channels};
    if (f->spec->kind != TW_DATASET_FLOAT32 || !f->restored->model->net->any_extent) {
        const bool own = f->spec->kind != TW_DATASET_UINT8;
        tw_dataset_normalise(own ? &f->restored->samples : f->spec, n, b->stored, b->x);
        return;
    }
    tw_dataset_normalise(f->spec, n, b->stored, b->x);
    tw_dataset_pixels(f->spec, n, b->x, b->pixels);
    tw_dataset_normalise(&bytes, n, b->pixels, b->x);
}

/* Batches first … last − 1 of `count` samples. */
static tw_status compute_share(const tw_features *f, tw_stored_reader *read, void *self,
                               int64_t first, int64_t last, int64_t count, float *out)
{
    tw_status st = TW_OK;
    buffers b = {0};
    TW_TRY(allocate(&b, f));
    for (int64_t at = first * f->batch; at < last * f->batch && at < count; at += f->batch) {
        const int64_t n = count - at < f->batch ? count - at : f->batch;
        TW_TRY(read(self, at, n, b.stored));
        prepare(f, &b, n);
        tw_model_features_compute(f->network, n, b.x, out + at * tw_features_width(f));
    }
done:
    free_buffers(&b);
    return st;
}

tw_status tw_features_compute(const tw_features *f, tw_stored_reader *read, void *self,
                              int64_t count, float *out)
{
    tw_status st = TW_OK;
    const int64_t batches = (count + f->batch - 1) / f->batch, width = tw_features_width(f);
    const int64_t rank = f->comm ? tw_comm_rank(f->comm) : 0,
                  ranks = f->comm ? tw_comm_size(f->comm) : 1;
    st = compute_share(f, read, self, batches * rank / ranks, batches * (rank + 1) / ranks, count,
                       out);
    if (!f->comm) return st;
    TW_TRY(tw_comm_agree(f->comm, st));
    for (int64_t r = 0; r < ranks; r++) {
        const int64_t from = batches * r / ranks * f->batch;
        const int64_t end = batches * (r + 1) / ranks * f->batch, to = end < count ? end : count;
        if (to > from)
            TW_TRY(tw_comm_broadcast(f->comm, out + from * width,
                                     (size_t)((to - from) * width) * sizeof *out, (int)r));
    }
done:
    return st;
}

/* ---- the shipped network ---- */

/* From the folder of the program: an installation's bin, and a build folder of the source. */
static const char *const places[] = {"../share/tweedie/datasets", "../../datasets", "../datasets"};

bool tw_features_shipped(char *path, size_t size, const tw_dataset_spec *spec)
{
    char program[TW_PATH_MAX], place[2 * TW_PATH_MAX], found[PATH_MAX];
    if (spec->kind != TW_DATASET_UINT8 || spec->height != 28 || spec->width != 28 ||
        spec->channels != 1)
        return false;
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0) return false;
    program[n] = '\0';
    char *slash = strrchr(program, '/');
    if (!slash) return false;
    *slash = '\0';
    for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
        snprintf(place, sizeof place, "%s/%s/mnist-features.h5", program, places[k]);
        if (!realpath(place, found) || strlen(found) >= size) continue;
        memcpy(path, found, strlen(found) + 1);
        return true;
    }
    return false;
}
