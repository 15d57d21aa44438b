/* A small state to save, and a run directory that goes away. For the checkpoint tests. */
#ifndef TWEEDIE_TESTS_CHECKPOINT_FIXTURE_H
#define TWEEDIE_TESTS_CHECKPOINT_FIXTURE_H

#include <ftw.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tweedie/checkpoint.h"

enum { FIXTURE_ARRAYS = 10, FIXTURE_FLOATS = 4096 };

typedef struct fixture {
    tw_checkpoint_array arrays[FIXTURE_ARRAYS];
    tw_checkpoint_meta meta;
    float data[FIXTURE_ARRAYS][FIXTURE_FLOATS];
} fixture;

static const int64_t fixture_dims[2][4] = {{8, 4, 3, 3}, {17, 1, 1, 1}};
static const float fixture_offset[3] = {273.15f, 0, -4}, fixture_scale[3] = {12.5f, 1, 0.001f};
static const double fixture_losses[3][2] = {{10, 1.5}, {20, 0.75}, {30, 0.5}};

static inline int64_t fixture_elements(int array)
{
    return array & 1 ? 17 : 8 * 4 * 3 * 3;
}

static inline void fixture_fill(fixture *f, int64_t step)
{
    static const char *const groups[] = {"params", "ema/0.9999", "ema/0.999", "adam/m", "adam/v"};
    for (int i = 0; i < FIXTURE_ARRAYS; i++) {
        f->arrays[i] = (tw_checkpoint_array){groups[i / 2],
                                             i & 1 ? "down.0.conv1.bias" : "down.0.conv1.weight",
                                             i & 1 ? 1 : 4, fixture_dims[i & 1], f->data[i]};
        for (int64_t k = 0; k < fixture_elements(i); k++)
            f->data[i][k] = sinf((float)(step * 31 + i * 7 + k));
    }
    memset(&f->meta, 0, sizeof f->meta);
    f->meta.step = step;
    f->meta.samples = step * 128;
    f->meta.seed = UINT64_C(0xfedcba9876543210);
    f->meta.ranks = 4;
    f->meta.threads = 2;
    f->meta.restarts = 1;
    strcpy(f->meta.precision, "bf16");
    strcpy(f->meta.dataset_digest, "0123456789abcdef");
    strcpy(f->meta.versions, "tweedie 0.1.0; HDF5 1.10.8");
    f->meta.config = "[run]\nseed = 1\n";
    strcpy(f->meta.sample_kind, "float32");
    f->meta.height = 32;
    f->meta.width = 48;
    f->meta.channels = 3;
    f->meta.num_classes = 10;
    f->meta.offset = fixture_offset;
    f->meta.scale = fixture_scale;
    f->meta.losses = &fixture_losses[0][0];
    f->meta.loss_count = 3;
}

/* That a meta says of the samples what the fixture's does. */
static inline int fixture_same_samples(const tw_checkpoint_meta *m)
{
    return strcmp(m->sample_kind, "float32") == 0 && m->height == 32 && m->width == 48 &&
           m->channels == 3 && m->num_classes == 10 && m->offset &&
           memcmp(m->offset, fixture_offset, sizeof fixture_offset) == 0 &&
           memcmp(m->scale, fixture_scale, sizeof fixture_scale) == 0;
}

static inline void fixture_run(char *run, size_t size)
{
    char path[4096];
    const char *base = getenv("TMPDIR");
    snprintf(run, size, "%s/tweedie-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(run)) abort();
    snprintf(path, sizeof path, "%s/checkpoints", run);
    if (mkdir(path, 0777) != 0) abort();
    snprintf(path, sizeof path, "%s/weights", run);
    if (mkdir(path, 0777) != 0) abort();
}

static inline int fixture_remove_one(const char *path, const struct stat *info, int type,
                                     struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void fixture_remove(const char *run)
{
    nftw(run, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A whole file in memory; *bytes of it; released with free(). */
static inline char *fixture_slurp(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    char *text;
    if (!file) abort();
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    text = malloc(*bytes + 1);
    if (!text || fread(text, 1, *bytes, file) != *bytes) abort();
    text[*bytes] = '\0';
    fclose(file);
    return text;
}

static inline void fixture_spill(const char *path, const char *text, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(text, 1, bytes, file) != bytes || fclose(file) != 0) abort();
}

#endif
