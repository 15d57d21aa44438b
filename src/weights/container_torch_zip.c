/* torch.save since 1.6: a ZIP of stored entries under one folder, data.pkl the object, data/KEY a
 * storage each. */
#include <string.h>
#include <zlib.h>

#include "weights/container.h"
#include "weights/pickle.h"
#include "weights/zip.h"

extern const tw_container tw_container_torch_zip;

typedef struct reader {
    tw_archive *a;
    tw_zip zip;
    const char *root; /* with its slash */
    int64_t root_length;
    bool big_endian;
} reader;

static tw_claim claims(const uint8_t *bytes, int64_t size)
{
    return size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0 ? TW_CLAIM_SURE : TW_CLAIM_NO;
}

/* ROOT/FOLDER/NAME */
static tw_zip_entry *find(const reader *r, const char *folder, const char *name, int64_t length)
{
    char path[512];
    const int64_t n = (int64_t)strlen(folder);
    if (r->root_length + n + length > (int64_t)sizeof path) return NULL;
    memcpy(path, r->root, (size_t)r->root_length);
    memcpy(path + r->root_length, folder, (size_t)n);
    memcpy(path + r->root_length + n, name, (size_t)length);
    return tw_zip_find(&r->zip, path, r->root_length + n + length);
}

/* The folder of the one entry that ends in /data.pkl: files are renamed, folders inside are not. */
static tw_status find_root(reader *r, const tw_zip_entry **pickle)
{
    tw_status st = TW_OK;
    static const char suffix[] = "/data.pkl";
    const int64_t n = (int64_t)sizeof suffix - 1;
    *pickle = NULL;
    for (int64_t i = 0; i < r->zip.count; i++) {
        const tw_zip_entry *e = &r->zip.entries[i];
        if (e->name_length <= n || memcmp(e->name + e->name_length - n, suffix, (size_t)n) != 0)
            continue;
        TW_CHECK(!*pickle, TW_EDATA, "two entries are called data.pkl");
        *pickle = e;
        r->root = e->name;
        r->root_length = e->name_length - n + 1;
    }
    TW_CHECK(*pickle, TW_EDATA, "no entry is called data.pkl");
done:
    return st;
}

static tw_status read_byte_order(reader *r)
{
    tw_status st = TW_OK;
    const tw_zip_entry *e = find(r, "", "byteorder", 9);
    if (!e) return TW_OK; /* torch before 2.1 */
    const char *text = (const char *)r->a->bytes + e->at;
    r->big_endian = e->size >= 3 && memcmp(text, "big", 3) == 0;
    TW_CHECK(r->big_endian || (e->size >= 6 && memcmp(text, "little", 6) == 0), TW_EDATA,
             "its byte order is neither little nor big");
done:
    return st;
}

/* A storage may be the tensors' of many: it is made once. */
static tw_status persistent(void *self, tw_item **out, const tw_item *id)
{
    tw_status st = TW_OK;
    reader *r = self;
    const tw_dtype *dtype;
    const tw_item *key, *view;
    int64_t count;
    char shown[100];
    tw_storage *s = NULL;
    TW_TRY(tw_torch_storage_id(id, &dtype, &key, &count, &view));
    (void)tw_bytes_shown(shown, key->as.text.data, key->as.text.length);
    tw_zip_entry *e = find(r, "data/", key->as.text.data, key->as.text.length);
    TW_CHECK(e, TW_EDATA, "the storage data/%s is missing", shown);
    TW_CHECK(e->size == count * (dtype ? dtype->size : 1), TW_EDATA,
             "the storage data/%s has %lld bytes, not those of %lld elements of %d", shown,
             (long long)e->size, (long long)count, dtype ? dtype->size : 1);
    if (!e->storage) {
        TW_TRY(tw_item_new(&r->a->arena, &e->storage, TW_ITEM_STORAGE));
        TW_TRY(tw_arena_take(&r->a->arena, &s, 1, sizeof *s));
        *s = (tw_storage){.dtype = dtype,
                          .count = count,
                          .bytes = r->a->bytes + e->at,
                          .big_endian = r->big_endian,
                          .has_crc = true,
                          .crc = e->crc};
        e->storage->as.storage = s;
    }
    TW_CHECK(e->storage->as.storage->dtype == dtype, TW_EDATA,
             "the storage data/%s is of two types", shown);
    *out = e->storage;
done:
    return st;
}

static tw_status read_zip(tw_archive *a)
{
    tw_status st = TW_OK;
    reader r = {.a = a};
    const tw_zip_entry *pickle;
    const tw_pickle_host host = {&r, persistent};
    TW_TRY(tw_zip_read(a, &r.zip));
    TW_TRY(find_root(&r, &pickle));
    TW_TRY(read_byte_order(&r));
    const uint8_t *bytes = a->bytes + pickle->at;
    TW_CHECK(crc32_z(crc32_z(0, NULL, 0), bytes, (size_t)pickle->size) == pickle->crc, TW_EDATA,
             "the CRC-32 of data.pkl is wrong");
    TW_TRY(tw_pickle_read(a, &a->root, NULL, bytes, pickle->size, &host));
done:
    return st;
}

const tw_container tw_container_torch_zip = {
    .name = "torch zip",
    .summary = "torch.save since 1.6",
    .claims = claims,
    .read = read_zip,
};
