/* Reading and unpacking single chunks. */
#include "h5/h5_chunk.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"

enum {
    LIST = 1 << 15, /* chunks that are listed ahead */
    /* Read in one call: what lies between is less than another call costs. */
    WINDOW_BYTES = 1 << 20,
    GAP_BYTES = 1 << 14
};

/* ---- filters ---- */

/* As HDF5 computes it: sums of 16-bit big-endian words modulo 65535, an odd last byte in front. */
static uint32_t fletcher32(const unsigned char *data, size_t size)
{
    uint32_t sum1 = 0, sum2 = 0;
    size_t words = size / 2;
    while (words) {
        size_t block = words > 360 ? 360 : words; /* the most without overflow */
        words -= block;
        for (; block; block--, data += 2) {
            sum1 += (uint32_t)(data[0] << 8 | data[1]);
            sum2 += sum1;
        }
        sum1 = (sum1 & 0xffff) + (sum1 >> 16);
        sum2 = (sum2 & 0xffff) + (sum2 >> 16);
    }
    if (size % 2) {
        sum1 += (uint32_t)(*data << 8);
        sum2 += sum1;
        sum1 = (sum1 & 0xffff) + (sum1 >> 16);
        sum2 = (sum2 & 0xffff) + (sum2 >> 16);
    }
    sum1 = (sum1 & 0xffff) + (sum1 >> 16);
    sum2 = (sum2 & 0xffff) + (sum2 >> 16);
    return sum2 << 16 | sum1;
}

static bool checksum_fits(const unsigned char *data, size_t size)
{
    const unsigned char *s = data + size;
    const uint32_t stored =
        (uint32_t)s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24;
    const uint32_t sum = fletcher32(data, size);
    /* HDF5 before 1.6.3 swapped the bytes of each half on little-endian machines */
    const uint32_t old = (sum & 0x00ff00ffu) << 8 | (sum >> 8 & 0x00ff00ffu);
    return stored == sum || stored == old;
}

static void unshuffle(unsigned char *out, const unsigned char *in, size_t size, size_t element)
{
    const size_t count = size / element;
    for (size_t b = 0; b < element; b++)
        for (size_t i = 0; i < count; i++) out[i * element + b] = in[b * count + i];
    memcpy(out + count * element, in + count * element, size - count * element);
}

static tw_status reserve(unsigned char **buffer, size_t *capacity, size_t bytes)
{
    tw_status st = TW_OK;
    if (bytes <= *capacity) goto done;
    tw_free(buffer);
    *capacity = 0;
    TW_TRY(tw_alloc_arena(buffer, bytes, "a chunk"));
    *capacity = bytes;
done:
    return st;
}

static tw_status prepare_inflater(tw_h5_chunks *c)
{
    tw_status st = TW_OK;
    if (c->inflater) {
        (void)inflateReset(c->inflater);
        goto done;
    }
    TW_TRY(tw_alloc(&c->inflater, 1, sizeof *c->inflater, "unpacking chunks"));
    if (inflateInit(c->inflater) == Z_OK) goto done;
    tw_free(&c->inflater);
    TW_FAIL(TW_ENOMEM, "out of memory: unpacking a chunk");
done:
    return st;
}

/* Exactly `size` bytes; one more would fit, so that too many are seen. */
static tw_status inflate_chunk(tw_h5_chunks *c, unsigned char *out, size_t size,
                               const unsigned char *in, size_t in_size)
{
    tw_status st = TW_OK;
    TW_TRY(prepare_inflater(c));
    z_stream *z = c->inflater;
    z->next_in = (unsigned char *)(size_t)in; /* zlib reads it only */
    z->avail_in = (uInt)in_size;
    z->next_out = out;
    z->avail_out = (uInt)(size + 1);
    const int end = inflate(z, Z_FINISH);
    const size_t made = z->total_out;
    TW_CHECK(
        made <= size, TW_EDATA,
        "%s: damaged: a compressed chunk of %s unpacks to more than the %zu bytes of its shape",
        c->path, c->object, size);
    TW_CHECK(end == Z_STREAM_END, TW_EDATA,
             "%s: damaged: a compressed chunk of %s cannot be unpacked (zlib: %s)", c->path,
             c->object, z->msg ? z->msg : "it ends too early");
    TW_CHECK(made == size, TW_EDATA,
             "%s: damaged: a compressed chunk of %s unpacks to %zu bytes; %zu were expected",
             c->path, c->object, made, size);
done:
    return st;
}

/* Undoes the filters that `mask` does not leave out, the last one first. *data are the raw bytes
 * first, the elements then. */
static tw_status unpack(tw_h5_chunks *c, const unsigned char **data, size_t size, unsigned mask)
{
    tw_status st = TW_OK;
    size_t wanted = c->bytes; /* what a filter must give: each checksum below it adds 4 bytes */
    int to = 0;
    for (int i = 0; i < c->filter_count; i++)
        if (c->filters[i].id == H5Z_FILTER_FLETCHER32 && !(mask >> i & 1)) wanted += 4;
    for (int i = c->filter_count - 1; i >= 0; i--) {
        const H5Z_filter_t id = c->filters[i].id;
        if (mask >> i & 1) continue;
        if (id == H5Z_FILTER_DEFLATE) {
            TW_TRY(reserve(&c->buffers[to], &c->capacity[to], wanted + 1));
            TW_TRY(inflate_chunk(c, c->buffers[to], wanted, *data, size));
            size = wanted;
            *data = c->buffers[to];
            to = !to;
            continue;
        }
        TW_CHECK(size == wanted || (id == H5Z_FILTER_FLETCHER32 && size > 4), TW_EDATA,
                 "%s: damaged: a chunk of %s has %zu bytes; %zu were expected", c->path, c->object,
                 size, wanted);
        if (id == H5Z_FILTER_FLETCHER32) {
            size -= 4;
            wanted -= 4;
            TW_CHECK(checksum_fits(*data, size), TW_EDATA,
                     "%s: damaged: the checksum of a chunk of %s is wrong", c->path, c->object);
        } else if (c->filters[i].element > 1) {
            TW_TRY(reserve(&c->buffers[to], &c->capacity[to], size));
            unshuffle(c->buffers[to], *data, size, c->filters[i].element);
            *data = c->buffers[to];
            to = !to;
        }
    }
    TW_CHECK(size == c->bytes, TW_EDATA,
             "%s: damaged: a chunk of %s has %zu bytes; %zu were expected", c->path, c->object,
             size, c->bytes);
done:
    return st;
}

/* ---- reading ---- */

static tw_status take_filters(tw_h5_chunks *c, hid_t list)
{
    tw_status st = TW_OK;
    const int filters = H5Pget_nfilters(list);
    TW_CHECK(filters >= 0 && filters <= TW_H5_FILTERS_MAX, TW_EDATA,
             "%s: %s has %d filters; at most %d are understood", c->path, c->object, filters,
             TW_H5_FILTERS_MAX);
    for (int i = 0; i < filters; i++) {
        unsigned flags, config, values[8] = {0};
        size_t count = sizeof values / sizeof *values;
        tw_h5_filter *f = &c->filters[i];
        f->id = H5Pget_filter2(list, (unsigned)i, &flags, &count, values, 0, NULL, &config);
        TRY_H5(f->id, TW_EDATA, "%s: the filters of %s cannot be read", c->path, c->object);
        f->element = f->id == H5Z_FILTER_SHUFFLE && count > 0 ? values[0] : 1;
        TW_CHECK(f->element >= 1 && f->element <= c->bytes, TW_EDATA,
                 "%s: %s is shuffled by elements of %zu bytes", c->path, c->object, f->element);
    }
    c->filter_count = filters;
done:
    return st;
}

tw_status tw_h5_chunks_open(tw_h5_chunks *c, hid_t dataset, hid_t transfer, const tw_h5_array *a,
                            int file, const char *path, const char *object)
{
    tw_status st = TW_OK;
    hid_t list = H5I_INVALID_HID;
    *c = (tw_h5_chunks){.dataset = dataset,
                        .transfer = transfer,
                        .path = path,
                        .object = object,
                        .rank = a->rank,
                        .element = a->size,
                        .bytes = (size_t)a->chunk_bytes,
                        .index.root = -1};
    memcpy(c->dims, a->dims, sizeof c->dims);
    memcpy(c->chunk, a->chunk, sizeof c->chunk);
    for (int i = 0; i < a->rank; i++) c->grid[i] = (a->dims[i] - 1) / a->chunk[i] + 1;
    TRY_H5(list = H5Dget_create_plist(dataset), TW_EDATA, "%s: the storage of %s cannot be read",
           path, object);
    TW_TRY(take_filters(c, list));
    if (file >= 0) TW_TRY(tw_h5_index_open(&c->index, dataset, file, a));
done:
    tw_h5_close(&list);
    return st;
}

void tw_h5_chunks_close(tw_h5_chunks *c)
{
    if (c->inflater) (void)inflateEnd(c->inflater);
    tw_free(&c->inflater);
    tw_h5_index_free(&c->index);
    for (int i = 0; i < 2; i++) tw_free(&c->buffers[i]);
    tw_free(&c->window);
    tw_free(&c->list);
}

tw_status tw_h5_chunks_check(bool *known, tw_h5_chunks *c, const tw_h5_array *a)
{
    tw_status st = TW_OK;
    const tw_h5_index *x = &c->index;
    bool deflated = false;
    *known = false;
    if (x->root < 0) goto done;
    TW_TRY(tw_h5_index_load(known, &c->index, 0, x->chunks - 1));
    if (!*known) goto done;
    for (int i = 0; i < c->filter_count; i++)
        deflated = deflated || c->filters[i].id == H5Z_FILTER_DEFLATE;
    TW_TRY(tw_h5_check_claim(a, deflated, (uint64_t)x->stored, c->path, c->object));
    TW_CHECK(x->written == x->chunks, TW_EDATA,
             "%s: %lld of the %lld chunks of %s are stored: not all of it was written", c->path,
             (long long)x->written, (long long)x->chunks, c->object);
done:
    return st;
}

/* ---- which chunks ---- */

/* The number of a chunk, row-major. */
static int64_t number_of(const tw_h5_chunks *c, const int64_t *at)
{
    int64_t n = 0;
    for (int i = 0; i < c->rank; i++) n = n * c->grid[i] + at[i];
    return n;
}

tw_status tw_h5_chunks_begin(tw_h5_chunks *c, const tw_h5_box *box, bool any_order)
{
    tw_status st = TW_OK;
    int64_t last[8];
    for (int i = 0; i < c->rank; i++) {
        c->at[i] = c->low[i] = box->start[i] / c->chunk[i];
        last[i] = (box->start[i] + box->extent[i] - 1) / c->chunk[i];
        c->high[i] = last[i] + 1;
    }
    if (!c->list) TW_TRY(tw_alloc(&c->list, LIST, sizeof *c->list, "a list of chunks"));
    TW_TRY(tw_h5_index_load(&c->indexed, &c->index, number_of(c, c->low), number_of(c, last)));
    c->any_order = any_order && c->indexed;
    c->listed = c->next = 0;
    c->all_listed = false;
done:
    return st;
}

/* The next chunk of the box; false after the last. */
static bool step(tw_h5_chunks *c)
{
    for (int i = c->rank - 1; i >= 0; i--) {
        if (++c->at[i] < c->high[i]) return true;
        c->at[i] = c->low[i];
    }
    return false;
}

static int by_offset(const void *a, const void *b, void *index)
{
    const int64_t p = tw_h5_index_get(index, *(const int64_t *)a)->offset;
    const int64_t q = tw_h5_index_get(index, *(const int64_t *)b)->offset;
    return (p > q) - (p < q);
}

/* Lists what comes next, as far as there is room. */
static void list_chunks(tw_h5_chunks *c)
{
    bool ascending = true;
    c->listed = c->next = 0;
    while (!c->all_listed && c->listed < LIST) {
        c->list[c->listed++] = number_of(c, c->at);
        c->all_listed = !step(c);
    }
    if (!c->any_order) return;
    for (int64_t i = 1; i < c->listed && ascending; i++)
        ascending = by_offset(&c->list[i - 1], &c->list[i], &c->index) <= 0;
    if (!ascending) qsort_r(c->list, (size_t)c->listed, sizeof *c->list, by_offset, &c->index);
}

/* ---- their bytes ---- */

static tw_status check_stored(const tw_h5_chunks *c, uint64_t stored)
{
    tw_status st = TW_OK;
    TW_CHECK(stored > 0, TW_EDATA,
             "%s: a chunk of %s was never written: not all of the array is there", c->path,
             c->object);
    TW_CHECK(stored <= c->bytes + c->bytes / 8 + 4096, TW_EDATA,
             "%s: damaged: a chunk of %s takes %llu bytes in the file, and %zu unpacked", c->path,
             c->object, (unsigned long long)stored, c->bytes);
    TW_CHECK(c->bytes / TW_H5_DEFLATE_MOST <= stored, TW_EDATA,
             "%s: damaged: a chunk of %s has %llu bytes, which cannot unpack to %zu", c->path,
             c->object, (unsigned long long)stored, c->bytes);
done:
    return st;
}

/* Has the chunk in the window, and of those listed behind it what lies close behind it, too. */
static tw_status read_window(tw_h5_chunks *c, const tw_h5_place *p)
{
    tw_status st = TW_OK;
    int64_t end = p->offset + p->bytes;
    for (int64_t i = c->next + 1; i < c->listed; i++) {
        const tw_h5_place *q = tw_h5_index_get(&c->index, c->list[i]);
        if (q->bytes == 0 || q->offset < end || q->offset > end + GAP_BYTES ||
            q->offset + q->bytes > p->offset + WINDOW_BYTES)
            break;
        end = q->offset + q->bytes;
    }
    c->window_from = c->window_end = 0;
    TW_TRY(reserve(&c->window, &c->window_capacity, (size_t)(end - p->offset)));
    TW_TRY(tw_file_read_at(c->index.file, c->window, end - p->offset, p->offset, c->path));
    c->window_from = p->offset;
    c->window_end = end;
done:
    return st;
}

static tw_status fetch(tw_h5_chunks *c, int64_t chunk, const unsigned char **raw, size_t *bytes,
                       uint32_t *mask)
{
    tw_status st = TW_OK;
    const tw_h5_place *p = tw_h5_index_get(&c->index, chunk);
    TW_TRY(check_stored(c, p->bytes));
    if (p->offset < c->window_from || p->offset + p->bytes > c->window_end)
        TW_TRY(read_window(c, p));
    *raw = c->window + (p->offset - c->window_from);
    *bytes = p->bytes;
    *mask = p->mask;
done:
    return st;
}

/* The same by the library, which looks the chunk up. */
static tw_status fetch_slowly(tw_h5_chunks *c, const int64_t *offset, const unsigned char **raw,
                              size_t *bytes, uint32_t *mask)
{
    tw_status st = TW_OK;
    hsize_t at[8], stored = 0;
    for (int i = 0; i < c->rank; i++) at[i] = (hsize_t)offset[i];
    if (H5Dget_chunk_storage_size(c->dataset, at, &stored) < 0) stored = 0;
    TW_TRY(check_stored(c, stored));
    c->window_from = c->window_end = 0;
    TW_TRY(reserve(&c->window, &c->window_capacity, stored));
    TRY_H5(H5Dread_chunk(c->dataset, c->transfer, at, mask, c->window), TW_EDATA,
           "%s: a chunk of %s cannot be read", c->path, c->object);
    *raw = c->window;
    *bytes = stored;
done:
    return st;
}

tw_status tw_h5_chunks_next(tw_h5_chunks *c, int64_t *offset, const void **out)
{
    tw_status st = TW_OK;
    const unsigned char *data = NULL;
    size_t bytes = 0;
    uint32_t mask = 0;
    if (c->next == c->listed) list_chunks(c);
    if (c->next < c->listed) {
        const int64_t chunk = c->list[c->next];
        int64_t rest = chunk;
        for (int i = c->rank - 1; i >= 0; i--) {
            offset[i] = rest % c->grid[i] * c->chunk[i];
            rest /= c->grid[i];
        }
        TW_TRY(c->indexed ? fetch(c, chunk, &data, &bytes, &mask)
                          : fetch_slowly(c, offset, &data, &bytes, &mask));
        TW_TRY(unpack(c, &data, bytes, mask));
        c->next++;
        c->count++;
    }
    *out = data;
done:
    return st;
}
