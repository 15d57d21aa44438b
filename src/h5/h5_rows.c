/* Boxes and rows of a dataset: the library reads contiguous ones, chunks are put together here. */
#include <string.h>

#include "h5/h5_chunk.h"
#include "tweedie/memory.h"

tw_status tw_h5_read_box(hid_t dataset, hid_t transfer, hid_t type, int rank, const tw_h5_box *box,
                         void *out, const char *path, const char *object)
{
    tw_status st = TW_OK;
    hsize_t start[8], extent[8];
    hid_t space = H5I_INVALID_HID, memory = H5I_INVALID_HID;
    for (int i = 0; i < rank; i++) {
        start[i] = (hsize_t)box->start[i];
        extent[i] = (hsize_t)box->extent[i];
    }
    TRY_H5(space = H5Dget_space(dataset), TW_EIO, "%s: %s cannot be read", path, object);
    TRY_H5(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, extent, NULL), TW_EIO,
           "%s: %s cannot be read", path, object);
    TRY_H5(memory = H5Screate_simple(rank, extent, NULL), TW_EIO, "%s: %s cannot be read", path,
           object);
    TRY_H5(H5Dread(dataset, type, memory, space, transfer, out), TW_EDATA,
           "%s: rows %lld to %lld of %s cannot be read", path, (long long)box->start[0],
           (long long)(box->start[0] + box->extent[0] - 1), object);
done:
    tw_h5_close(&memory);
    tw_h5_close(&space);
    return st;
}

/* ---- chunks into a box ---- */

enum {
    BATCH_BYTES = 4 << 20, /* chunks that are put in their places together */
    TILE_BYTES = 1 << 18   /* of the box, for which a batch is gone through: stays in the cache */
};

/* A box that is being filled. */
typedef struct filling {
    const tw_h5_chunks *c;
    tw_h5_box box;
    char *out;
    const int64_t *out_strides;
    int64_t in_strides[8];
} filling;

/* The parts of the chunk at `offset`, and of so many that lie behind it along the last axis and in
 * memory, that are in the box; of them only what is at first … end − 1 along `axis`. */
static void place(const filling *f, const int64_t *offset, const char *chunk, int64_t count,
                  int axis, int64_t first, int64_t end)
{
    const tw_h5_chunks *c = f->c;
    int64_t extent[8];
    char *out = f->out;
    for (int i = 0; i < c->rank; i++) {
        int64_t from = f->box.start[i], to = from + f->box.extent[i];
        if (from < offset[i]) from = offset[i];
        if (to > offset[i] + c->chunk[i]) to = offset[i] + c->chunk[i];
        if (i == axis && from < first) from = first;
        if (i == axis && to > end) to = end;
        extent[i] = to - from;
        if (extent[i] <= 0) return;
        chunk += (from - offset[i]) * f->in_strides[i];
        out += (from - f->box.start[i]) * f->out_strides[i];
    }
    const tw_h5_row side = {.count = count,
                            .out_stride = c->chunk[c->rank - 1] * f->out_strides[c->rank - 1],
                            .in_stride = (int64_t)c->bytes};
    tw_h5_copy_boxes(&side, c->rank, extent, c->element, out, f->out_strides, chunk, f->in_strides);
}

/* Chunks from k on that lie behind each other along the last axis, whole and in the box. */
static int64_t alike(const filling *f, int64_t k, int64_t count, int64_t (*offsets)[8], int axis)
{
    const int last = f->c->rank - 1;
    const int64_t size = f->c->chunk[last], low = f->box.start[last];
    const int64_t *first = offsets[k];
    int64_t n = 1;
    if (axis == last || first[last] < low) return 1;
    for (; k + n < count; n++) {
        const int64_t *next = offsets[k + n];
        if (memcmp(first, next, (size_t)last * sizeof *next) != 0 ||
            next[last] != first[last] + n * size || next[last] + size > low + f->box.extent[last])
            break;
    }
    return n;
}

/* The axis along which a chunk touches memory that is further apart than a cache is large, although
 * it is small itself; −1 where there is none. */
static int scattered_axis(const filling *f)
{
    int widest = 0;
    for (int i = 1; i < f->c->rank; i++)
        if (f->out_strides[i] > f->out_strides[widest]) widest = i;
    return f->c->bytes <= BATCH_BYTES / 16 &&
                   f->c->chunk[widest] * f->out_strides[widest] > 2 * TILE_BYTES
               ? widest
               : -1;
}

static tw_status place_each(tw_h5_chunks *c, const filling *f)
{
    tw_status st = TW_OK;
    int64_t offset[8];
    const void *chunk;
    for (;;) {
        TW_TRY(tw_h5_chunks_next(c, offset, &chunk));
        if (!chunk) goto done;
        place(f, offset, chunk, 1, -1, 0, 0);
    }
done:
    return st;
}

/* Tile by tile of the box, the same of each chunk of a batch: what they write lies side by side,
 * and goes to the cache once. */
static void place_batch(const filling *f, int axis, int64_t count, const char *chunks,
                        int64_t (*offsets)[8])
{
    const int64_t stride = f->out_strides[axis];
    const int64_t rows = stride < TILE_BYTES ? TILE_BYTES / stride : 1;
    int64_t first = INT64_MAX, end = 0;
    for (int64_t k = 0; k < count; k++) {
        const int64_t from = offsets[k][axis], to = from + f->c->chunk[axis];
        if (from < first) first = from;
        if (to > end) end = to;
    }
    if (first < f->box.start[axis]) first = f->box.start[axis];
    if (end > f->box.start[axis] + f->box.extent[axis])
        end = f->box.start[axis] + f->box.extent[axis];
    for (int64_t row = first; row < end; row += rows)
        for (int64_t k = 0, n; k < count; k += n) {
            n = alike(f, k, count, offsets, axis);
            place(f, offsets[k], chunks + (size_t)k * f->c->bytes, n, axis, row, row + rows);
        }
}

static tw_status place_in_batches(tw_h5_chunks *c, const filling *f, int axis)
{
    tw_status st = TW_OK;
    const int64_t most = BATCH_BYTES / (int64_t)c->bytes;
    int64_t(*offsets)[8] = NULL, count = 0;
    char *batch = NULL;
    const void *chunk = f;
    TW_TRY(tw_alloc_arena(&batch, (size_t)most * c->bytes, "chunks"));
    TW_TRY(tw_alloc(&offsets, most, sizeof *offsets, "places of chunks"));
    while (chunk) {
        TW_TRY(tw_h5_chunks_next(c, offsets[count], &chunk));
        if (chunk) memcpy(batch + (size_t)count++ * c->bytes, chunk, c->bytes);
        if (count == most || !chunk) {
            place_batch(f, axis, count, batch, offsets);
            count = 0;
        }
    }
done:
    tw_free(&offsets);
    tw_free(&batch);
    return st;
}

tw_status tw_h5_chunks_read_box(tw_h5_chunks *c, const tw_h5_box *box, void *out,
                                const int64_t *out_strides)
{
    tw_status st = TW_OK;
    filling f = {.c = c, .box = *box, .out = out, .out_strides = out_strides};
    tw_h5_dense_strides(c->rank, c->chunk, c->element, f.in_strides);
    TW_TRY(tw_h5_chunks_begin(c, box, true));
    const int axis = scattered_axis(&f);
    TW_TRY(axis < 0 ? place_each(c, &f) : place_in_batches(c, &f, axis));
done:
    return st;
}

/* ---- rows ---- */

/* Elements of the file's type in `raw` become those of `type` in `out`; both may be the same. */
static tw_status convert(hid_t from, hid_t type, int64_t count, void *raw, void *out,
                         const char *path, const char *object)
{
    tw_status st = TW_OK;
    const size_t size = H5Tget_size(type);
    if (H5Tequal(from, type) <= 0)
        TRY_H5(H5Tconvert(from, type, (size_t)count, raw, NULL, H5P_DEFAULT), TW_EDATA,
               "%s: the elements of %s cannot be converted", path, object);
    if (raw != out) memcpy(out, raw, (size_t)count * size);
done:
    return st;
}

static tw_status read_chunked(const tw_h5_array *a, hid_t dataset, hid_t transfer, hid_t type,
                              const tw_h5_box *box, void *out, const char *path, const char *object)
{
    tw_status st = TW_OK;
    tw_h5_chunks c = {0};
    int64_t strides[8], elements = 1;
    hid_t from = H5I_INVALID_HID;
    char *raw = NULL;
    for (int i = 0; i < a->rank; i++) elements *= box->extent[i];
    TW_TRY(tw_h5_chunks_open(&c, dataset, transfer, a, -1, path, object));
    TW_TRY(tw_h5_number_type(&from, dataset, path, object));
    if (a->size > H5Tget_size(type))
        TW_TRY(tw_alloc_arena(&raw, (size_t)elements * a->size, "rows of an array"));
    tw_h5_dense_strides(a->rank, box->extent, a->size, strides);
    TW_TRY(tw_h5_chunks_read_box(&c, box, raw ? raw : out, strides));
    TW_TRY(convert(from, type, elements, raw ? raw : out, out, path, object));
done:
    tw_free(&raw);
    tw_h5_close(&from);
    tw_h5_chunks_close(&c);
    return st;
}

tw_status tw_h5_read_rows(hid_t dataset, hid_t transfer, hid_t type, int64_t first, int64_t count,
                          void *out, const char *path, const char *object)
{
    tw_status st = TW_OK;
    tw_h5_array a;
    tw_h5_box box = {.start = {first}};
    TW_TRY(tw_h5_look(&a, dataset, path, object));
    TW_CHECK(first >= 0 && count >= 1 && first <= a.dims[0] - count, TW_EDATA,
             "%s: %s has %lld rows; %lld to %lld were asked for", path, object,
             (long long)a.dims[0], (long long)first, (long long)(first + count - 1));
    memcpy(box.extent, a.dims, sizeof box.extent);
    box.extent[0] = count;
    TW_TRY(a.chunk_rows > 0
               ? read_chunked(&a, dataset, transfer, type, &box, out, path, object)
               : tw_h5_read_box(dataset, transfer, type, a.rank, &box, out, path, object));
done:
    return st;
}
