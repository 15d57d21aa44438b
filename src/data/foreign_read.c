/* Reading an array in the order of samples.
 *
 * Samples come in bands of up to BAND_BYTES. A band of contiguous data is one selection. Chunks are
 * unpacked once each: where those that share samples fit a band together, straight into it; else (a
 * chunk along N, of more samples than a band) they are cut into pieces, one for each band, which
 * are written behind each other to a scratch file in the order in which bands will read them:
 *
 *   chunk 0 ─┬─ rows of band 0 ─→ [band 0: piece of chunk 0, of chunk 1, …]
 *   chunk 1 ─┼─ rows of band 1 ─→ [band 1: …]
 *
 * so every byte is read once from the file, written once and read once again, in long runs. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "data/foreign.h"
#include "data/spool.h"
#include "tweedie/memory.h"

enum {
    BAND_BYTES = 32 << 20,
    TILE_BYTES = 1 << 18 /* of samples that are put together at a time: stays in the cache */
};

struct tw_foreign_reader {
    const tw_foreign *a;
    const tw_foreign_axes *axes;
    const char *scratch;
    size_t element;
    int64_t sample;         /* bytes of one */
    int64_t count;          /* samples of the array */
    int64_t group;          /* samples that share chunks */
    int64_t band;           /* samples in memory at most */
    bool sorted;            /* through the scratch file */
    int64_t strides[8];     /* of the file's axes in [H][W][C] order, bytes */
    int64_t first, held;    /* samples in memory */
    int64_t group_loaded;   /* in the scratch file; −1: none */
    hid_t type;             /* of the file */
    char *samples, *pieces; /* [band] */
    int64_t scratch_bytes;  /* through the scratch file */
    int file;
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Where each axis of the file goes among samples [N][H][W][C]. */
static void set_strides(tw_foreign_reader *r)
{
    int64_t stride = (int64_t)r->element;
    static const int inward[TW_AXES] = {TW_AXIS_C, TW_AXIS_W, TW_AXIS_H, TW_AXIS_N};
    for (int k = 0; k < TW_AXES; k++) {
        const int which = inward[k], axis = r->axes->axis[which];
        if (which == TW_AXIS_N) r->sample = stride;
        if (axis >= 0) r->strides[axis] = stride;
        stride *= r->axes->extent[which];
    }
}

static int64_t chunk_samples(const tw_foreign_reader *r)
{
    const int n = r->axes->axis[TW_AXIS_N];
    return n < 0 ? 1 : r->a->shape.chunk[n];
}

static void choose_bands(tw_foreign_reader *r)
{
    const bool chunked = r->a->shape.chunk_rows > 0;
    const int64_t most = BAND_BYTES / r->sample > 0 ? BAND_BYTES / r->sample : 1;
    r->group = chunked ? least(chunk_samples(r), r->count) : 1;
    r->sorted = r->group > most;
    r->band = r->sorted ? most : most / r->group * r->group;
    r->band = least(r->band, r->count);
}

tw_status tw_foreign_reader_create(tw_foreign_reader **out, const tw_foreign *a,
                                   const tw_foreign_axes *axes, const char *scratch)
{
    tw_status st = TW_OK;
    tw_foreign_reader *r = NULL;
    TW_TRY(tw_alloc(&r, 1, sizeof *r, "a reader"));
    r->a = a;
    r->axes = axes;
    r->scratch = scratch;
    r->element = a->shape.size;
    r->count = axes->extent[TW_AXIS_N];
    r->file = -1;
    r->group_loaded = -1;
    r->type = H5I_INVALID_HID;
    set_strides(r);
    choose_bands(r);
    TRY_H5(r->type = H5Dget_type(a->dataset), TW_EDATA, "%s: the type of %s cannot be read",
           a->path, a->object);
    TW_TRY(tw_alloc_arena(&r->samples, (size_t)(r->band * r->sample), "a band of samples"));
    if (a->shape.chunk_rows == 0 || r->sorted)
        TW_TRY(tw_alloc_arena(&r->pieces, (size_t)(r->band * r->sample), "a band of samples"));
    if (r->sorted) TW_TRY(tw_spool_open_scratch(&r->file, scratch));
    *out = r;
    r = NULL;
done:
    tw_foreign_reader_destroy(&r);
    return st;
}

void tw_foreign_reader_destroy(tw_foreign_reader **reader)
{
    tw_foreign_reader *r = *reader;
    if (!r) return;
    tw_h5_close(&r->type);
    if (r->file >= 0) close(r->file);
    tw_free(&r->samples);
    tw_free(&r->pieces);
    tw_free(reader);
}

tw_foreign_cost tw_foreign_reader_cost(const tw_foreign_reader *r)
{
    return (tw_foreign_cost){.chunks = r->a->chunks ? r->a->chunks->count : 0,
                             .scratch = r->scratch_bytes,
                             .memory = r->band * r->sample * (r->pieces ? 2 : 1)};
}

/* The part of the file that holds `count` samples from `first`. */
static tw_h5_box samples_box(const tw_foreign_reader *r, int64_t first, int64_t count)
{
    tw_h5_box box = {.start = {0}};
    const int n = r->axes->axis[TW_AXIS_N];
    memcpy(box.extent, r->a->shape.dims, sizeof box.extent);
    if (n >= 0) {
        box.start[n] = first;
        box.extent[n] = count;
    }
    return box;
}

/* ---- contiguous data ---- */

static tw_status read_contiguous(tw_foreign_reader *r, int64_t first, int64_t count)
{
    tw_status st = TW_OK;
    const tw_h5_box box = samples_box(r, first, count);
    const int rank = r->a->shape.rank;
    int64_t dense[8];
    bool same = true;
    tw_h5_dense_strides(rank, box.extent, r->element, dense);
    for (int i = 0; i < rank; i++) same = same && (box.extent[i] == 1 || dense[i] == r->strides[i]);
    char *to = same ? r->samples : r->pieces;
    TW_TRY(tw_h5_read_box(r->a->dataset, H5P_DEFAULT, r->type, rank, &box, to, r->a->path,
                          r->a->object));
    if (!same)
        tw_h5_copy_box(rank, box.extent, r->element, r->samples, r->strides, r->pieces, dense);
done:
    return st;
}

/* ---- chunks of more samples than a band ---- */

static tw_status transfer(tw_foreign_reader *r, bool write, char *bytes, int64_t size, int64_t at)
{
    tw_status st = TW_OK;
    while (size > 0) {
        const ssize_t n = write ? pwrite(r->file, bytes, (size_t)size, (off_t)at)
                                : pread(r->file, bytes, (size_t)size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        TW_CHECK(n > 0, TW_EIO, "%s: its scratch file cannot be %s: %s", r->scratch,
                 write ? "written" : "read", n < 0 ? strerror(errno) : "it became shorter");
        bytes += n;
        size -= n;
        at += n;
        r->scratch_bytes += n;
    }
done:
    return st;
}

/* The chunks of the group that begins at sample `first`, one after the other. */
typedef struct walk {
    int64_t at[8], offset[8]; /* chunk coordinates, elements */
    int64_t extent[8];        /* of the part that is inside the array */
    int64_t inner;            /* its elements of one sample */
    int64_t before;           /* those of the chunks before it */
} walk;

static void stand(const tw_foreign_reader *r, walk *w)
{
    const int n = r->axes->axis[TW_AXIS_N];
    w->inner = 1;
    for (int i = 0; i < r->a->shape.rank; i++) {
        w->offset[i] = w->at[i] * r->a->shape.chunk[i];
        w->extent[i] = least(r->a->shape.chunk[i], r->a->shape.dims[i] - w->offset[i]);
        if (i != n) w->inner *= w->extent[i];
    }
}

static void begin_walk(const tw_foreign_reader *r, int64_t first, walk *w)
{
    const int n = r->axes->axis[TW_AXIS_N];
    *w = (walk){.before = 0};
    w->at[n] = first / r->a->shape.chunk[n];
    stand(r, w);
}

static bool next_walk(const tw_foreign_reader *r, walk *w)
{
    w->before += w->inner;
    for (int i = r->a->shape.rank - 1; i >= 0; i--) {
        if (i == r->axes->axis[TW_AXIS_N]) continue;
        if (++w->at[i] * r->a->shape.chunk[i] < r->a->shape.dims[i]) {
            stand(r, w);
            return true;
        }
        w->at[i] = 0;
    }
    return false;
}

/* Where the piece of the chunk for the band from sample `from` of its group begins. */
static int64_t piece_at(const tw_foreign_reader *r, const walk *w, int64_t from, int64_t rows)
{
    return from * r->sample + w->before * rows * (int64_t)r->element;
}

/* Unpacks every chunk of the group at sample `first`, and sorts its rows by bands. */
static tw_status sort_group(tw_foreign_reader *r, int64_t first)
{
    tw_status st = TW_OK;
    const int n = r->axes->axis[TW_AXIS_N], rank = r->a->shape.rank;
    int64_t chunk_strides[8], piece_strides[8], offset[8];
    const tw_h5_box box = samples_box(r, first, least(r->group, r->count - first));
    const void *chunk;
    walk w;
    tw_h5_dense_strides(rank, r->a->shape.chunk, r->element, chunk_strides);
    TW_TRY(tw_h5_chunks_begin(r->a->chunks, &box, false));
    begin_walk(r, first, &w);
    do {
        TW_TRY(tw_h5_chunks_next(r->a->chunks, offset, &chunk));
        const int64_t all = w.extent[n];
        for (int64_t from = 0; from < all; from += r->band) {
            const int64_t rows = least(r->band, all - from);
            w.extent[n] = rows;
            tw_h5_dense_strides(rank, w.extent, r->element, piece_strides);
            tw_h5_copy_box(rank, w.extent, r->element, r->pieces, piece_strides,
                           (const char *)chunk + from * chunk_strides[n], chunk_strides);
            TW_TRY(transfer(r, true, r->pieces, rows * w.inner * (int64_t)r->element,
                            piece_at(r, &w, from, rows)));
        }
    } while (next_walk(r, &w));
    r->group_loaded = first;
done:
    return st;
}

/* Chunks from this one on, along the last axis, that are whole: their pieces are alike and lie
 * behind each other. At least one. */
static int64_t alike(const tw_foreign_reader *r, const walk *w)
{
    const int last = r->a->shape.rank - 1;
    if (last == r->axes->axis[TW_AXIS_N]) return 1;
    const int64_t whole = r->a->shape.dims[last] / r->a->shape.chunk[last];
    return w->at[last] < whole ? whole - w->at[last] : 1;
}

/* Puts `count` rows from `row` on, of the band of `rows` samples that is in the pieces, where they
 * belong. */
static void place_rows(tw_foreign_reader *r, int64_t row, int64_t count, int64_t rows)
{
    const int n = r->axes->axis[TW_AXIS_N], rank = r->a->shape.rank, last = rank - 1;
    const int64_t element = (int64_t)r->element;
    int64_t strides[8];
    bool more = true;
    walk w;
    for (begin_walk(r, r->group_loaded, &w); more;) {
        const tw_h5_row side = {.count = alike(r, &w),
                                .out_stride = r->a->shape.chunk[last] * r->strides[last],
                                .in_stride = w.inner * rows * element};
        int64_t to = row * r->strides[n];
        w.extent[n] = rows;
        tw_h5_dense_strides(rank, w.extent, r->element, strides);
        for (int i = 0; i < rank; i++)
            if (i != n) to += w.offset[i] * r->strides[i];
        w.extent[n] = count;
        tw_h5_copy_boxes(&side, rank, w.extent, r->element, r->samples + to, r->strides,
                         r->pieces + w.before * rows * element + row * strides[n], strides);
        for (int64_t k = 0; k < side.count; k++) more = next_walk(r, &w);
    }
}

/* Puts the band from sample `from` of the loaded group together, as many rows at a time as stay in
 * the cache while the pieces of every chunk go into them. */
static tw_status read_sorted(tw_foreign_reader *r, int64_t from, int64_t rows)
{
    tw_status st = TW_OK;
    const int64_t tile = r->sample < TILE_BYTES ? TILE_BYTES / r->sample : 1;
    TW_TRY(transfer(r, false, r->pieces, rows * r->sample, from * r->sample));
    for (int64_t row = 0; row < rows; row += tile)
        place_rows(r, row, least(tile, rows - row), rows);
done:
    return st;
}

tw_status tw_foreign_reader_get(tw_foreign_reader *r, int64_t first, int64_t *count,
                                const char **samples)
{
    tw_status st = TW_OK;
    if (first < r->first || first >= r->first + r->held) {
        int64_t rows = least(r->band, r->count - first);
        const int64_t group = first / r->group * r->group;
        if (r->sorted) rows = least(rows, group + r->group - first);
        r->held = 0;
        if (r->sorted) {
            if (r->group_loaded != group) TW_TRY(sort_group(r, group));
            TW_TRY(read_sorted(r, first - group, rows));
        } else if (r->a->shape.chunk_rows > 0) {
            const tw_h5_box box = samples_box(r, first, rows);
            TW_TRY(tw_h5_chunks_read_box(r->a->chunks, &box, r->samples, r->strides));
        } else {
            TW_TRY(read_contiguous(r, first, rows));
        }
        r->first = first;
        r->held = rows;
    }
    *count = r->first + r->held - first;
    *samples = r->samples + (first - r->first) * r->sample;
done:
    return st;
}
