/* torch.save before 1.6: five pickles (magic number, protocol, system, the object, the keys of its
 * storages in the order of their data), then the data: a count and the elements of each. */
#include <string.h>

#include "weights/container.h"
#include "weights/pickle.h"

extern const tw_container tw_container_torch_legacy;

/* 0x1950a86a20f9469cfc6c as LONG1 */
static const uint8_t magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};

static tw_claim claims(const uint8_t *bytes, int64_t size)
{
    return size >= 4 && memcmp(bytes, magic, 4) == 0 ? TW_CLAIM_SURE : TW_CLAIM_NO;
}

typedef struct named {
    const tw_item *key;
    tw_item *storage;
} named;

/* Open addressing; half full at most. */
typedef struct reader {
    tw_archive *a;
    named *table;
    int64_t count, room;
} reader;

static uint64_t hash(const tw_item *key)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (int64_t i = 0; i < key->as.text.length; i++)
        h = (h ^ (unsigned char)key->as.text.data[i]) * UINT64_C(1099511628211);
    return h ^ h >> 32;
}

static named *find(const reader *r, const tw_item *key)
{
    uint64_t at = hash(key) & (uint64_t)(r->room - 1);
    while (r->table[at].key) {
        const tw_item *k = r->table[at].key;
        if (k->as.text.length == key->as.text.length &&
            memcmp(k->as.text.data, key->as.text.data, (size_t)key->as.text.length) == 0)
            break;
        at = (at + 1) & (uint64_t)(r->room - 1);
    }
    return &r->table[at];
}

static tw_status grow(reader *r)
{
    const reader old = *r;
    if (2 * r->count < r->room) return TW_OK;
    r->room = old.room ? 2 * old.room : 64;
    const tw_status st = tw_arena_take(&r->a->arena, &r->table, r->room, sizeof *r->table);
    if (st != TW_OK) return st;
    for (int64_t i = 0; i < old.room; i++)
        if (old.table[i].key) *find(r, old.table[i].key) = old.table[i];
    return TW_OK;
}

static tw_status persistent(void *self, tw_item **out, const tw_item *id)
{
    tw_status st = TW_OK;
    reader *r = self;
    const tw_dtype *dtype;
    const tw_item *key, *view;
    int64_t count;
    TW_TRY(tw_torch_storage_id(id, &dtype, &key, &count, &view));
    TW_CHECK(!view || view->type == TW_ITEM_NONE, TW_EDATA,
             "a storage is a view of another, as torch 0.3 and older wrote: save the file again "
             "with a newer torch");
    TW_TRY(grow(r));
    named *n = find(r, key);
    if (!n->key) {
        tw_item *item = NULL;
        TW_TRY(tw_item_new(&r->a->arena, &item, TW_ITEM_STORAGE));
        TW_TRY(tw_arena_take(&r->a->arena, &item->as.storage, 1, sizeof *item->as.storage));
        *item->as.storage = (tw_storage){.dtype = dtype, .count = count};
        *n = (named){key, item};
        r->count++;
    }
    TW_CHECK(n->storage->as.storage->dtype == dtype && n->storage->as.storage->count == count,
             TW_EDATA, "a storage has two types or lengths");
    *out = n->storage;
done:
    return st;
}

/* The data of one storage, behind its count. */
static tw_status locate(reader *r, const tw_item *key, const uint8_t *bytes, int64_t size,
                        int64_t *at)
{
    tw_status st = TW_OK;
    TW_CHECK(key->type == TW_ITEM_TEXT && r->room > 0, TW_EDATA, "a storage's key is %s",
             tw_item_type_name(key));
    const named *n = find(r, key);
    TW_CHECK(n->key, TW_EDATA, "data are listed for a storage that no tensor has");
    tw_storage *s = n->storage->as.storage;
    TW_CHECK(size - *at >= 8, TW_EDATA, "the file is cut short before a storage's data");
    const uint64_t count = tw_bytes_u64(bytes + *at);
    const int element = s->dtype ? s->dtype->size : 1;
    TW_CHECK(count == (uint64_t)s->count && !s->bytes, TW_EDATA,
             "a storage of %lld elements is followed by data of %llu", (long long)s->count,
             (unsigned long long)count);
    *at += 8;
    TW_CHECK(s->count <= (size - *at) / element, TW_EDATA,
             "the file is cut short: a storage of %lld elements of %d bytes has %lld left",
             (long long)s->count, element, (long long)(size - *at));
    s->bytes = bytes + *at;
    *at += s->count * element;
done:
    return st;
}

static tw_status locate_all(reader *r, const tw_item *keys, const uint8_t *bytes, int64_t size)
{
    tw_status st = TW_OK;
    int64_t at = 0;
    TW_CHECK(keys->type == TW_ITEM_LIST && keys->as.list.count == r->count, TW_EDATA,
             "its tensors have %lld storages, and data are listed for %lld", (long long)r->count,
             (long long)(keys->type == TW_ITEM_LIST ? keys->as.list.count : 0));
    for (const tw_link *l = keys->as.list.first; l; l = l->next)
        TW_TRY(locate(r, l->value, bytes, size, &at));
    TW_CHECK(at == size, TW_EDATA, "%lld bytes follow the data of the last storage",
             (long long)(size - at));
done:
    return st;
}

static tw_status check_system(const tw_item *protocol, const tw_item *system)
{
    tw_status st = TW_OK;
    int64_t version = 0;
    const tw_item *little = tw_item_find(system, "little_endian");
    TW_CHECK(tw_item_integer(protocol, &version) && version == 1001, TW_EDATA,
             "its protocol is %lld, not 1001", (long long)version);
    TW_CHECK(little && little->type == TW_ITEM_BOOL, TW_EDATA, "it does not say its byte order");
    TW_CHECK(little->as.yes, TW_EDATA, "it was written big-endian, which is not read");
done:
    return st;
}

static tw_status read_stream(tw_archive *a, tw_item **out, const uint8_t *bytes, int64_t size)
{
    tw_status st = TW_OK;
    reader r = {.a = a};
    const tw_pickle_host host = {&r, persistent};
    tw_item *parts[5];
    int64_t at = 0;
    TW_CHECK(size >= (int64_t)sizeof magic && memcmp(bytes, magic, sizeof magic) == 0, TW_EDATA,
             "the magic number is wrong");
    for (int k = 0; k < 5; k++) {
        int64_t length;
        TW_TRY(tw_pickle_read(a, &parts[k], &length, bytes + at, size - at, k == 3 ? &host : NULL));
        at += length;
    }
    TW_TRY(check_system(parts[1], parts[2]));
    TW_TRY(locate_all(&r, parts[4], bytes + at, size - at));
    *out = parts[3];
done:
    return st;
}

tw_status tw_torch_legacy_storage(tw_archive *a, tw_item **out, const uint8_t *bytes, int64_t size)
{
    tw_status st = TW_OK;
    TW_CHECK(a->depth == 0, TW_EDATA, "a stream in a stream in a stream");
    a->depth++;
    st = read_stream(a, out, bytes, size);
    a->depth--;
    if (st != TW_OK) {
        tw_error_prefix("the stream of a storage: ");
        goto done;
    }
    TW_CHECK((*out)->type == TW_ITEM_STORAGE, TW_EDATA, "the stream of a storage holds %s",
             tw_item_type_name(*out));
done:
    return st;
}

static tw_status read_legacy(tw_archive *a)
{
    tw_status st;
    a->depth++; /* a storage's stream belongs into a plain pickle alone */
    st = read_stream(a, &a->root, a->bytes, a->size);
    a->depth--;
    return st;
}

const tw_container tw_container_torch_legacy = {
    .name = "torch legacy",
    .summary = "torch.save before 1.6",
    .claims = claims,
    .read = read_legacy,
};
