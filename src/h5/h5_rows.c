/* Rows of a dataset: the library reads contiguous ones, chunks are unpacked here. */
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

/* The next chunk of the box of chunks from `low` to `high` (chunk coordinates, high not included);
 * false after the last. */
static bool next_chunk(int rank, int64_t *at, const int64_t *low, const int64_t *high)
{
    for (int i = rank - 1; i >= 0; i--) {
        if (++at[i] < high[i]) return true;
        at[i] = low[i];
    }
    return false;
}

/* The part of the chunk at `offset` that lies in `box`, into an array of the box. */
static void place(const tw_h5_chunks *c, size_t element, const int64_t *offset, const char *chunk,
                  const tw_h5_box *box, char *out, const int64_t *out_strides)
{
    int64_t extent[8], in_strides[8];
    tw_h5_dense_strides(c->rank, c->chunk, element, in_strides);
    for (int i = 0; i < c->rank; i++) {
        const int64_t from = offset[i] > box->start[i] ? offset[i] : box->start[i];
        int64_t end = offset[i] + c->chunk[i];
        if (end > box->start[i] + box->extent[i]) end = box->start[i] + box->extent[i];
        extent[i] = end - from;
        chunk += (from - offset[i]) * in_strides[i];
        out += (from - box->start[i]) * out_strides[i];
    }
    tw_h5_copy_box(c->rank, extent, element, out, out_strides, chunk, in_strides);
}

tw_status tw_h5_chunks_read_box(tw_h5_chunks *c, const tw_h5_box *box, void *out,
                                const int64_t *out_strides)
{
    tw_status st = TW_OK;
    int64_t low[8], high[8], at[8], offset[8];
    size_t element = c->bytes;
    const void *chunk;
    for (int i = 0; i < c->rank; i++) {
        at[i] = low[i] = box->start[i] / c->chunk[i];
        high[i] = (box->start[i] + box->extent[i] - 1) / c->chunk[i] + 1;
        element /= (size_t)c->chunk[i];
    }
    do {
        for (int i = 0; i < c->rank; i++) offset[i] = at[i] * c->chunk[i];
        TW_TRY(tw_h5_chunks_read(c, offset, &chunk));
        place(c, element, offset, chunk, box, out, out_strides);
    } while (next_chunk(c->rank, at, low, high));
done:
    return st;
}

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
    TW_TRY(tw_h5_chunks_open(&c, dataset, transfer, a, path, object));
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
