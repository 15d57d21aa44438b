/* The central directory of a ZIP file (APPNOTE 6.3): stored entries alone, zip64 where the ordinary
 * fields are full. */
#include "weights/zip.h"

#include <stdlib.h>
#include <string.h>

#include "weights/container.h"

enum { END = 22, END64 = 56, LOCATOR = 20, CENTRAL = 46, LOCAL = 30, COMMENT_MAX = 65535 };

static bool is(const uint8_t *p, const char *signature)
{
    return memcmp(p, signature, 4) == 0;
}

/* The end record stands at the end of the file, before a comment whose length it says. */
static tw_status find_end(const tw_archive *a, int64_t *at)
{
    for (int64_t k = a->size - END; k >= 0 && k >= a->size - END - COMMENT_MAX; k--)
        if (is(a->bytes + k, "PK\5\6") && k + END + tw_bytes_u16(a->bytes + k + 20) == a->size) {
            *at = k;
            return TW_OK;
        }
    return tw_error_set(TW_EDATA, "the end of the central directory is missing: the file is cut "
                                  "short");
}

typedef struct directory {
    uint64_t count, bytes, at;
} directory;

static tw_status read_end64(const tw_archive *a, int64_t end, directory *d)
{
    tw_status st = TW_OK;
    const uint8_t *locator = a->bytes + end - LOCATOR;
    TW_CHECK(end >= LOCATOR + END64 && is(locator, "PK\6\7"), TW_EDATA,
             "its zip64 end record is missing");
    const uint64_t at = tw_bytes_u64(locator + 8);
    TW_CHECK(at <= (uint64_t)(end - LOCATOR - END64) && is(a->bytes + at, "PK\6\6"), TW_EDATA,
             "its zip64 end record is not where it says");
    d->count = tw_bytes_u64(a->bytes + at + 32);
    d->bytes = tw_bytes_u64(a->bytes + at + 40);
    d->at = tw_bytes_u64(a->bytes + at + 48);
done:
    return st;
}

static tw_status find_directory(const tw_archive *a, directory *d)
{
    tw_status st = TW_OK;
    int64_t end = 0;
    TW_TRY(find_end(a, &end));
    const uint8_t *p = a->bytes + end;
    *d = (directory){tw_bytes_u16(p + 10), tw_bytes_u32(p + 12), tw_bytes_u32(p + 16)};
    if (d->count == 0xffff || d->bytes == 0xffffffff || d->at == 0xffffffff)
        TW_TRY(read_end64(a, end, d));
    TW_CHECK(d->at <= (uint64_t)end && d->bytes <= (uint64_t)end - d->at &&
                 d->count <= d->bytes / CENTRAL,
             TW_EDATA, "the central directory lies outside of the file");
done:
    return st;
}

/* The zip64 extra field holds, in this order, those of the fields that are full. */
static tw_status read_extra64(const uint8_t *extra, int64_t length, uint64_t *fields[3])
{
    while (length >= 4) {
        const int64_t n = tw_bytes_u16(extra + 2);
        if (n > length - 4) break;
        if (tw_bytes_u16(extra) == 1) {
            int64_t at = 0;
            for (int k = 0; k < 3; k++) {
                if (*fields[k] != 0xffffffff) continue;
                if (at + 8 > n) return tw_error_set(TW_EDATA, "a zip64 field is too short");
                *fields[k] = tw_bytes_u64(extra + 4 + at);
                at += 8;
            }
            return TW_OK;
        }
        extra += 4 + n;
        length -= 4 + n;
    }
    return TW_OK; /* none: the values are what they are, and are held against the file */
}

/* Where the data are, which the local header alone says. */
static tw_status locate(const tw_archive *a, tw_zip_entry *e, uint64_t header, uint64_t size)
{
    tw_status st = TW_OK;
    char name[100];
    const uint64_t file = (uint64_t)a->size;
    (void)tw_bytes_shown(name, e->name, e->name_length);
    TW_CHECK(header <= file - LOCAL && is(a->bytes + header, "PK\3\4"), TW_EDATA,
             "the entry %s is not where the directory says", name);
    const uint8_t *p = a->bytes + header;
    const uint64_t at = header + LOCAL + tw_bytes_u16(p + 26) + (uint64_t)tw_bytes_u16(p + 28);
    TW_CHECK(at <= file && size <= file - at, TW_EDATA,
             "the entry %s of %llu bytes reaches past the end of the file", name,
             (unsigned long long)size);
    e->at = (int64_t)at;
    e->size = (int64_t)size;
done:
    return st;
}

/* One entry of the central directory. @param[in,out] at  moves behind it */
static tw_status read_entry(const tw_archive *a, tw_zip_entry *e, int64_t *at, int64_t end)
{
    tw_status st = TW_OK;
    char name[100];
    const uint8_t *p = a->bytes + *at;
    TW_CHECK(end - *at >= CENTRAL && is(p, "PK\1\2"), TW_EDATA,
             "the central directory is damaged at byte %lld", (long long)*at);
    const int64_t names = tw_bytes_u16(p + 28), extra = tw_bytes_u16(p + 30),
                  comment = tw_bytes_u16(p + 32);
    TW_CHECK(end - *at - CENTRAL >= names + extra + comment, TW_EDATA,
             "the central directory is damaged at byte %lld", (long long)*at);
    e->name = (const char *)p + CENTRAL;
    e->name_length = names;
    e->crc = tw_bytes_u32(p + 16);
    (void)tw_bytes_shown(name, e->name, names);
    TW_CHECK(!(tw_bytes_u16(p + 8) & 1), TW_EDATA, "the entry %s is encrypted", name);
    TW_CHECK(tw_bytes_u16(p + 10) == 0, TW_EDATA,
             "the entry %s is compressed; torch stores its entries as they are", name);
    uint64_t packed = tw_bytes_u32(p + 20), size = tw_bytes_u32(p + 24),
             header = tw_bytes_u32(p + 42);
    TW_TRY(read_extra64(p + CENTRAL + names, extra, (uint64_t *[]){&size, &packed, &header}));
    TW_CHECK(packed == size, TW_EDATA, "the entry %s has two sizes", name);
    TW_TRY(locate(a, e, header, size));
    *at += CENTRAL + names + extra + comment;
done:
    return st;
}

static int compare_names(const char *a, int64_t na, const char *b, int64_t nb)
{
    const int order = memcmp(a, b, (size_t)(na < nb ? na : nb));
    return order ? order : (na > nb) - (na < nb);
}

static int compare(const void *a, const void *b)
{
    const tw_zip_entry *x = a, *y = b;
    return compare_names(x->name, x->name_length, y->name, y->name_length);
}

tw_status tw_zip_read(tw_archive *a, tw_zip *out)
{
    tw_status st = TW_OK;
    directory d;
    tw_zip zip = {0};
    TW_CHECK(a->size >= LOCAL + CENTRAL + END, TW_EDATA, "the file is cut short");
    TW_TRY(find_directory(a, &d));
    zip.count = (int64_t)d.count;
    TW_TRY(tw_arena_take(&a->arena, &zip.entries, zip.count, sizeof *zip.entries));
    int64_t at = (int64_t)d.at;
    for (int64_t i = 0; i < zip.count; i++)
        TW_TRY(read_entry(a, &zip.entries[i], &at, (int64_t)(d.at + d.bytes)));
    if (zip.count > 0) qsort(zip.entries, (size_t)zip.count, sizeof *zip.entries, compare);
    for (int64_t i = 1; i < zip.count; i++)
        TW_CHECK(compare(&zip.entries[i - 1], &zip.entries[i]) != 0, TW_EDATA,
                 "two entries have the same name");
    *out = zip;
done:
    return st;
}

tw_zip_entry *tw_zip_find(const tw_zip *zip, const char *name, int64_t length)
{
    int64_t low = 0, high = zip->count;
    while (low < high) {
        const int64_t k = low + (high - low) / 2;
        tw_zip_entry *e = &zip->entries[k];
        const int order = compare_names(name, length, e->name, e->name_length);
        if (order == 0) return e;
        if (order < 0)
            high = k;
        else
            low = k + 1;
    }
    return NULL;
}
