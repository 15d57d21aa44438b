/* Reading a file: the hash first, then its structure (see checkpoint_index.h), then its arrays,
 * whose chunks are read from where the structure says that they lie. Nothing in the file is
 * believed because the library could read it, and what a caller asks for must be there exactly. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/checkpoint_format.h"
#include "checkpoint/checkpoint_index.h"
#include "checkpoint/container.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"

/* Fletcher's checksum of 32 bits as HDF5 defines it for a chunk: over words of 16 bits, the first
 * byte the higher; sums modulo 65535. */
static uint32_t fletcher32(const unsigned char *bytes, int64_t size)
{
    enum { FOLD = 360 }; /* so many words cannot overflow 32 bits */
    uint32_t a = 0, b = 0;
    for (int64_t at = 0; at < size;) {
        const int64_t end = size - at < 2 * FOLD ? size : at + 2 * FOLD;
        for (; at < end; at += 2) {
            a += (uint32_t)bytes[at] << 8 | bytes[at + 1];
            b += a;
        }
        a = (a & 0xffff) + (a >> 16);
        b = (b & 0xffff) + (b >> 16);
    }
    a = (a & 0xffff) + (a >> 16);
    b = (b & 0xffff) + (b >> 16);
    return b << 16 | a;
}

/* Whether a chunk of so many bytes ends in its own checksum. */
static bool is_sound(const unsigned char *chunk, int64_t bytes)
{
    const unsigned char *end = chunk + bytes - CHECKSUM_BYTES;
    const uint32_t stored =
        (uint32_t)end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16 | (uint32_t)end[3] << 24;
    return fletcher32(chunk, bytes - CHECKSUM_BYTES) == stored;
}

/* The address of a chunk counts the user block in some versions of HDF5 and does not in others; the
 * first chunk's checksum tells. */
static tw_status find_base(tw_checkpoint *c)
{
    tw_status st = TW_OK;
    static const int64_t bases[] = {CONTAINER_BLOCK, 0};
    const tw_checkpoint_array *a = c->arrays;
    if (c->index.count == 0) goto done;
    const chunk_grid g = grid_of(a->rank, a->dims);
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        const int64_t at = bases[i] + c->index.chunks[c->index.entries[0].first_chunk];
        if (at > c->bytes - g.bytes) continue;
        TW_TRY(tw_file_read_at(c->file, c->buffer, g.bytes, at, c->path));
        c->index.base = bases[i];
        if (is_sound(c->buffer, g.bytes)) goto done;
    }
    TW_FAIL(TW_EDATA, "%s: /%s/%s does not have the checksum that was written with it", c->path,
            a->group, a->name);
done:
    return st;
}

static tw_status make_arrays(tw_checkpoint *c)
{
    tw_status st = TW_OK;
    int64_t most = 1;
    TW_TRY(tw_alloc(&c->arrays, c->index.count, sizeof *c->arrays, "the list of arrays"));
    for (int64_t i = 0; i < c->index.count; i++) {
        index_entry *e = &c->index.entries[i];
        const int64_t bytes = grid_of(e->rank, e->dims).bytes;
        c->arrays[i] = (tw_checkpoint_array){e->group, e->name, e->rank, e->dims, NULL};
        if (bytes > most) most = bytes;
    }
    TW_TRY(tw_alloc(&c->buffer, most, 1, "a chunk of a checkpoint"));
done:
    return st;
}

/* A checkpoint that bears the name of a step holds that step. */
static tw_status check_step(const tw_checkpoint *c)
{
    tw_status st = TW_OK;
    const char *slash = strrchr(c->path, '/');
    const int64_t step = c->index.meta.step;
    int64_t named;
    TW_CHECK(step >= 0 && step <= TW_CHECKPOINT_STEP_MAX, TW_EDATA,
             "%s: its step is %lld, expected 0 to %lld", c->path, (long long)step,
             (long long)TW_CHECKPOINT_STEP_MAX);
    TW_CHECK(c->index.weights || !step_of_name(slash ? slash + 1 : c->path, &named) ||
                 named == step,
             TW_EDATA, "%s: holds step %lld, not the one of its name", c->path, (long long)step);
done:
    return st;
}

tw_status checkpoint_open_checked(tw_checkpoint **out, const char *path,
                                  const char digest[TW_CHECKPOINT_DIGEST], bool own)
{
    tw_status st = TW_OK;
    tw_checkpoint *c = NULL;
    struct stat opened, named;

    TW_TRY(tw_alloc(&c, 1, sizeof *c, "an open checkpoint"));
    strcpy(c->digest, digest);
    c->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    TW_CHECK(c->file >= 0, errno == EIO ? TW_EIO : TW_ENOINPUT, "%s: cannot be read: %s", path,
             strerror(errno));
    TW_TRY(tw_format(c->path, sizeof c->path, "%s", path));
    TW_CHECK(fstat(c->file, &opened) == 0, TW_EIO, "%s: cannot be read: %s", path, strerror(errno));
    c->bytes = (int64_t)opened.st_size;
    TW_TRY((own ? index_build : index_fetch)(&c->index, path, c->bytes));
    TW_CHECK(stat(path, &named) == 0 && named.st_ino == opened.st_ino &&
                 named.st_dev == opened.st_dev,
             TW_EIO, "%s: was replaced while it was read", path);
    TW_TRY(index_check(&c->index, path, c->bytes));
    TW_TRY(check_step(c));
    TW_TRY(make_arrays(c));
    TW_TRY(find_base(c));
    *out = c;
    c = NULL;
done:
    tw_checkpoint_close(&c);
    return st;
}

tw_status tw_checkpoint_open(tw_checkpoint **out, const char *path)
{
    tw_status st = TW_OK;
    char digest[TW_CHECKPOINT_DIGEST];
    TW_TRY(tw_checkpoint_check(path, digest));
    TW_TRY(checkpoint_open_checked(out, path, digest, false));
done:
    return st;
}

void tw_checkpoint_close(tw_checkpoint **file)
{
    tw_checkpoint *c = *file;
    if (!c) return;
    if (c->file >= 0) close(c->file);
    index_clear(&c->index);
    tw_free(&c->arrays);
    tw_free(&c->buffer);
    tw_free(file);
}

const char *tw_checkpoint_path(const tw_checkpoint *c)
{
    return c->path;
}

const char *tw_checkpoint_digest(const tw_checkpoint *c)
{
    return c->digest;
}

int64_t tw_checkpoint_bytes(const tw_checkpoint *c)
{
    return c->bytes;
}

bool tw_checkpoint_is_weights(const tw_checkpoint *c)
{
    return c->index.weights;
}

const tw_checkpoint_meta *tw_checkpoint_meta_view(const tw_checkpoint *c)
{
    return &c->index.meta;
}

int64_t tw_checkpoint_count(const tw_checkpoint *c)
{
    return c->index.count;
}

const tw_checkpoint_array *tw_checkpoint_array_view(const tw_checkpoint *c, int64_t index)
{
    return &c->arrays[index];
}

bool tw_checkpoint_has_group(const tw_checkpoint *c, const char *group)
{
    for (int64_t i = 0; i < c->index.count; i++)
        if (strcmp(c->arrays[i].group, group) == 0) return true;
    return false;
}

int64_t tw_checkpoint_find(const tw_checkpoint *c, const char *group, const char *name)
{
    int64_t low = 0, high = c->index.count; /* sorted by group and name */
    while (low < high) {
        int64_t middle = (low + high) / 2;
        int order = strcmp(c->arrays[middle].group, group);
        if (order == 0) order = strcmp(c->arrays[middle].name, name);
        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

tw_status tw_checkpoint_read_array(const tw_checkpoint *c, int64_t index, float *data)
{
    tw_status st = TW_OK;
    TW_CHECK(index >= 0 && index < c->index.count, TW_EINTERNAL, "%s: no array %lld", c->path,
             (long long)index);
    const tw_checkpoint_array *a = &c->arrays[index];
    const chunk_grid g = grid_of(a->rank, a->dims);
    const int64_t *chunks = c->index.chunks + c->index.entries[index].first_chunk,
                  across = g.count / g.outer;
    for (int64_t k = 0; k < g.count; k++) {
        const int64_t row = k % across * g.step,
                      rows = g.rows - row < g.step ? g.rows - row : g.step,
                      at = c->index.base + chunks[k];
        TW_CHECK(at <= c->bytes - g.bytes, TW_EDATA, "%s: /%s/%s lies behind the end of the file",
                 c->path, a->group, a->name);
        TW_TRY(tw_file_read_at(c->file, c->buffer, g.bytes, at, c->path));
        TW_CHECK(is_sound(c->buffer, g.bytes), TW_EDATA,
                 "%s: /%s/%s does not have the checksum that was written with it", c->path,
                 a->group, a->name);
        memcpy(data + (k / across * g.rows + row) * g.inner, c->buffer,
               (size_t)(rows * g.inner) * sizeof *data);
    }
done:
    return st;
}

static tw_status read_one(const tw_checkpoint *c, const tw_checkpoint_array *a)
{
    tw_status st = TW_OK;
    char met[128], wanted[128];
    int64_t index = tw_checkpoint_find(c, a->group, a->name);
    TW_CHECK(index >= 0, TW_EDATA, "%s: /%s/%s is missing", c->path, a->group, a->name);
    const tw_checkpoint_array *f = &c->arrays[index];
    bool same =
        f->rank == a->rank && memcmp(f->dims, a->dims, (size_t)a->rank * sizeof *a->dims) == 0;
    describe_dims(met, sizeof met, f->rank, f->dims);
    describe_dims(wanted, sizeof wanted, a->rank, a->dims);
    TW_CHECK(same, TW_EDATA, "%s: /%s/%s has the shape %s, expected %s", c->path, a->group, a->name,
             met, wanted);
    TW_TRY(tw_checkpoint_read_array(c, index, a->data));
done:
    return st;
}

static int compare_names(const void *a, const void *b)
{
    const tw_checkpoint_array *x = *(const tw_checkpoint_array *const *)a,
                              *y = *(const tw_checkpoint_array *const *)b;
    int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->name, y->name);
}

/* Each array of the groups that the caller names must be one of the caller's. */
static tw_status refuse_surplus(const tw_checkpoint *c, const tw_checkpoint_array *arrays,
                                int64_t count)
{
    tw_status st = TW_OK;
    const tw_checkpoint_array **sorted = NULL;
    TW_TRY(tw_alloc(&sorted, count, sizeof *sorted, "names of arrays"));
    for (int64_t i = 0; i < count; i++) sorted[i] = &arrays[i];
    if (count > 0) qsort(sorted, (size_t)count, sizeof *sorted, compare_names);
    for (int64_t i = 0; i < c->index.count; i++) {
        const tw_checkpoint_array *a = &c->arrays[i];
        bool named = false;
        for (int64_t k = 0; k < count && !named; k++)
            named = strcmp(arrays[k].group, a->group) == 0;
        if (!named || bsearch(&a, sorted, (size_t)count, sizeof *sorted, compare_names)) continue;
        TW_FAIL(TW_EDATA, "%s: holds /%s/%s, which this network does not have", c->path, a->group,
                a->name);
    }
done:
    tw_free(&sorted);
    return st;
}

tw_status tw_checkpoint_read(const tw_checkpoint *c, const tw_checkpoint_array *arrays,
                             int64_t count)
{
    tw_status st = TW_OK;
    TW_TRY(refuse_surplus(c, arrays, count));
    for (int64_t i = 0; i < count; i++) TW_TRY(read_one(c, &arrays[i]));
done:
    return st;
}

tw_status tw_checkpoint_verify(const tw_checkpoint *c)
{
    tw_status st = TW_OK;
    float *data = NULL;
    int64_t room = 0, n;
    for (int64_t i = 0; i < c->index.count; i++) {
        const tw_checkpoint_array *a = &c->arrays[i];
        TW_TRY(count_elements(&n, a, TW_EDATA));
        if (n > room) {
            tw_free(&data);
            TW_TRY(tw_alloc_arena(&data, (size_t)n * sizeof *data, "an array of a checkpoint"));
            room = n;
        }
        TW_TRY(tw_checkpoint_read_array(c, i, data));
        for (int64_t k = 0; k < n; k++)
            TW_CHECK(isfinite(data[k]), TW_EDATA, "%s: /%s/%s holds %g at element %lld", c->path,
                     a->group, a->name, (double)data[k], (long long)k);
    }
done:
    tw_free(&data);
    return st;
}
