/* A ZIP file as torch's reader wants it: stored entries whose data begin at multiples of 64, by an
 * extra field "FB" of padding in the local header. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "tweedie/memory.h"
#include "weights/zip.h"

struct tw_zip_written {
    char name[128];
    uint32_t crc;
    int64_t at, size; /* of the local header; of the data */
};

enum { ALIGNMENT = 64, LOCAL = 30, CENTRAL = 46, END = 22 };

static void put16(uint8_t *p, uint64_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}

static void put32(uint8_t *p, uint64_t x)
{
    put16(p, x);
    put16(p + 2, x >> 16);
}

static tw_status put(tw_zip_writer *w, const void *bytes, int64_t n)
{
    if (n > 0 && fwrite(bytes, 1, (size_t)n, w->file) != (size_t)n)
        return tw_error_set(TW_EIO, "cannot be written: %s", strerror(errno));
    w->at += n;
    return TW_OK;
}

static tw_status remember(tw_zip_writer *w, const struct tw_zip_written *entry)
{
    tw_status st = TW_OK;
    struct tw_zip_written *more = NULL;
    if (w->count == w->room) {
        const int64_t room = w->room ? 2 * w->room : 64;
        TW_TRY(tw_alloc(&more, room, sizeof *more, "entries of a zip file"));
        if (w->count) memcpy(more, w->entries, (size_t)w->count * sizeof *more);
        tw_free(&w->entries);
        w->entries = more;
        w->room = room;
    }
    w->entries[w->count++] = *entry;
done:
    return st;
}

/* From the version on, what local and central headers have in common: 26 bytes. */
static void put_common(uint8_t *p, const struct tw_zip_written *e)
{
    put16(p, 20);          /* version needed */
    put16(p + 2, 1 << 11); /* names are UTF-8 */
    put16(p + 8, 0x21);    /* 1 January 1980 */
    put32(p + 10, e->crc);
    put32(p + 14, (uint64_t)e->size);
    put32(p + 18, (uint64_t)e->size);
    put16(p + 22, strlen(e->name));
}

tw_status tw_zip_write(tw_zip_writer *w, const char *name, const void *data, int64_t size)
{
    tw_status st = TW_OK;
    uint8_t head[LOCAL] = {'P', 'K', 3, 4}, extra[4 + ALIGNMENT] = {'F', 'B'};
    struct tw_zip_written e = {.at = w->at, .size = size};
    TW_TRY(tw_format(e.name, sizeof e.name, "%s", name));
    TW_CHECK(w->at + size < INT64_C(0xf0000000), TW_EUNSUPPORTED,
             "torch's file would have more than 4 GB, which is not written");
    e.crc = (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, (size_t)size);
    const int64_t before = w->at + LOCAL + (int64_t)strlen(name) + 4,
                  padding = (ALIGNMENT - before % ALIGNMENT) % ALIGNMENT;
    memset(extra + 4, 'Z', (size_t)padding);
    put16(extra + 2, (uint64_t)padding);
    put_common(head + 4, &e);
    put16(head + 28, (uint64_t)(4 + padding));
    TW_TRY(put(w, head, sizeof head));
    TW_TRY(put(w, name, (int64_t)strlen(name)));
    TW_TRY(put(w, extra, 4 + padding));
    TW_TRY(put(w, data, size));
    TW_TRY(remember(w, &e));
done:
    return st;
}

tw_status tw_zip_write_end(tw_zip_writer *w)
{
    tw_status st = TW_OK;
    const int64_t at = w->at;
    uint8_t end[END] = {'P', 'K', 5, 6};
    TW_CHECK(w->count < 0xffff, TW_EUNSUPPORTED, "torch's file would have %lld entries",
             (long long)w->count);
    for (int64_t i = 0; i < w->count; i++) {
        uint8_t head[CENTRAL] = {'P', 'K', 1, 2};
        const struct tw_zip_written *e = &w->entries[i];
        put_common(head + 6, e);
        put32(head + 42, (uint64_t)e->at);
        TW_TRY(put(w, head, sizeof head));
        TW_TRY(put(w, e->name, (int64_t)strlen(e->name)));
    }
    put16(end + 8, (uint64_t)w->count);
    put16(end + 10, (uint64_t)w->count);
    put32(end + 12, (uint64_t)(w->at - at));
    put32(end + 16, (uint64_t)at);
    TW_TRY(put(w, end, sizeof end));
done:
    return st;
}

void tw_zip_writer_free(tw_zip_writer *w)
{
    tw_free(&w->entries);
}
