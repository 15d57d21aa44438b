/* flax.serialization: one msgpack value, with arrays as the extension type 1 (payload: [shape, name
 * of the type, data]), numpy scalars as 3, complex numbers as 2; arrays beyond 2^30 bytes in
 * chunks. Lengths are big-endian, data little-endian. */
#include <stdio.h>
#include <string.h>

#include "tweedie/text.h"
#include "weights/container.h"

extern const tw_container tw_container_msgpack;

enum { DEPTH_MAX = 64, ARRAY = 1, COMPLEX = 2, SCALAR = 3 };

typedef struct reader {
    tw_archive *a;
    const uint8_t *bytes;
    int64_t size, at;
    int depth;
} reader;

static tw_status value(reader *r, tw_item **out);

static tw_claim claims(const uint8_t *bytes, int64_t size)
{
    const bool map =
        size > 0 && ((bytes[0] > 0x80 && bytes[0] <= 0x8f) || bytes[0] == 0xde || bytes[0] == 0xdf);
    return map ? TW_CLAIM_MAYBE : TW_CLAIM_NO;
}

static tw_status take(reader *r, const uint8_t **out, uint64_t n)
{
    if (n > (uint64_t)(r->size - r->at))
        return tw_error_set(TW_EDATA, "%llu bytes are asked for, and %lld are left",
                            (unsigned long long)n, (long long)(r->size - r->at));
    *out = r->bytes + r->at;
    r->at += (int64_t)n;
    return TW_OK;
}

static tw_status big_endian(reader *r, uint64_t *out, int bytes)
{
    const uint8_t *b = NULL;
    const tw_status st = take(r, &b, (uint64_t)bytes);
    if (st != TW_OK) return st;
    *out = 0;
    for (int k = 0; k < bytes; k++) *out = *out << 8 | b[k];
    return TW_OK;
}

static tw_status span(reader *r, tw_item **out, tw_item_type type, uint64_t n)
{
    tw_status st = TW_OK;
    const uint8_t *b = NULL;
    tw_item *item = NULL;
    TW_TRY(take(r, &b, n));
    TW_CHECK(type != TW_ITEM_TEXT || tw_text_is_utf8((const char *)b, (int64_t)n), TW_EDATA,
             "a text is not UTF-8");
    TW_TRY(tw_item_new(&r->a->arena, &item, type));
    item->as.text.data = (const char *)b;
    item->as.text.length = (int64_t)n;
    *out = item;
done:
    return st;
}

/* ---- arrays ---- */

static tw_status array_shape(const tw_item *dims, int64_t *shape, int *rank)
{
    tw_status st = TW_OK;
    int n = 0;
    TW_CHECK(dims && dims->type == TW_ITEM_LIST && dims->as.list.count <= TW_TENSOR_RANK_MAX,
             TW_EDATA, "an array's shape is not a list of at most %d numbers", TW_TENSOR_RANK_MAX);
    for (const tw_link *l = dims->as.list.first; l; l = l->next) {
        TW_CHECK(l->value->type == TW_ITEM_INTEGER && l->value->as.integer >= 0, TW_EDATA,
                 "an array's shape holds %s that is no size", tw_item_type_name(l->value));
        shape[n++] = l->value->as.integer;
    }
    *rank = n;
done:
    return st;
}

static tw_status array(reader *r, tw_item **out)
{
    tw_status st = TW_OK;
    int64_t shape[TW_TENSOR_RANK_MAX], count = 1;
    int rank = 0;
    char shown[100];
    tw_item *list = NULL;
    tw_storage *s = NULL;
    TW_TRY(value(r, &list));
    const tw_item *type = tw_item_at(list, 1), *data = tw_item_at(list, 2);
    TW_CHECK(r->at == r->size && data && data->type == TW_ITEM_BYTES && list->as.list.count == 3 &&
                 type->type == TW_ITEM_TEXT,
             TW_EDATA, "an array is not [shape, type, data]");
    const tw_dtype *dtype = tw_dtype_find(TW_DTYPE_NAME, type->as.text.data, type->as.text.length);
    TW_CHECK(dtype, TW_EDATA, "an array's type %s is unknown",
             tw_bytes_shown(shown, type->as.text.data, type->as.text.length));
    TW_TRY(array_shape(tw_item_at(list, 0), shape, &rank));
    bool fits = true;
    for (int k = 0; k < rank; k++) fits &= !__builtin_mul_overflow(count, shape[k], &count);
    fits &= !__builtin_mul_overflow(count, (int64_t)dtype->size, &count);
    TW_CHECK(fits && count == data->as.text.length, TW_EDATA,
             "an array's shape and type take other than its %lld bytes",
             (long long)data->as.text.length);
    TW_TRY(tw_arena_take(&r->a->arena, &s, 1, sizeof *s));
    *s = (tw_storage){
        .dtype = dtype, .count = count / dtype->size, .bytes = (const uint8_t *)data->as.text.data};
    TW_TRY(tw_archive_view(r->a, out, s, dtype, rank, shape, NULL, 0));
done:
    return st;
}

static tw_status extension(reader *r, tw_item **out, uint64_t n)
{
    tw_status st = TW_OK;
    const uint8_t *type = NULL, *payload = NULL;
    TW_TRY(take(r, &type, 1));
    TW_TRY(take(r, &payload, n));
    reader inner = {r->a, payload, (int64_t)n, 0, r->depth};
    if (*type == ARRAY || *type == SCALAR) {
        TW_TRY(array(&inner, out));
    } else {
        TW_CHECK(*type == COMPLEX, TW_EDATA, "the extension type %d is unknown", *type);
        TW_TRY(value(&inner, out));
    }
done:
    return st;
}

/* ---- chunks ---- */

/* Of the file itself: not a copy that another chunked array has made. */
static bool is_of_file(const tw_archive *a, const tw_tensor *t)
{
    const uintptr_t at = (uintptr_t)t->storage->bytes, from = (uintptr_t)a->bytes;
    return at >= from && at <= from + (uintptr_t)a->size;
}

/* {"__msgpack_chunked_array__": true, "shape": {"0": …}, "chunks": {"0": array, …}}: chunks that
 * lie one behind the other in memory but not in the file, copied together. */
static tw_status join(reader *r, tw_item *map)
{
    tw_status st = TW_OK;
    const tw_item *dims = tw_item_find(map, "shape"), *chunks = tw_item_find(map, "chunks");
    int64_t shape[TW_TENSOR_RANK_MAX], bytes = 0, at = 0;
    char key[24];
    uint8_t *data = NULL;
    tw_storage *s = NULL;
    tw_item *view = NULL;
    const tw_dtype *dtype = NULL;
    TW_CHECK(dims && dims->type == TW_ITEM_DICT && dims->as.list.count <= TW_TENSOR_RANK_MAX &&
                 chunks && chunks->type == TW_ITEM_DICT && chunks->as.list.count > 0 &&
                 chunks->as.list.count < 1 << 16,
             TW_EDATA, "a chunked array has no shape or no chunks");
    for (int64_t k = 0; k < dims->as.list.count; k++) {
        snprintf(key, sizeof key, "%lld", (long long)k);
        TW_CHECK(tw_item_integer(tw_item_find(dims, key), &shape[k]), TW_EDATA,
                 "a chunked array's shape is not made of integers");
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t k = 0; k < chunks->as.list.count; k++) {
            snprintf(key, sizeof key, "%lld", (long long)k);
            const tw_item *c = tw_item_find(chunks, key);
            TW_CHECK(c && c->type == TW_ITEM_TENSOR && is_of_file(r->a, c->as.tensor) &&
                         (!dtype || c->as.tensor->dtype == dtype),
                     TW_EDATA, "a chunked array lacks the chunk %lld of its type", (long long)k);
            dtype = c->as.tensor->dtype;
            const int64_t n = c->as.tensor->count * dtype->size;
            if (pass == 0) bytes += n;
            if (pass == 1 && n > 0) memcpy(data + at, c->as.tensor->storage->bytes, (size_t)n);
            at += pass ? n : 0;
        }
        if (pass == 0) {
            TW_CHECK(bytes <= r->a->size, TW_EDATA, "chunks are used more than once");
            r->a->arena.left += bytes; /* a copy of the file's bytes, each once */
            TW_TRY(tw_arena_take(&r->a->arena, &data, bytes, 1));
        }
    }
    TW_TRY(tw_arena_take(&r->a->arena, &s, 1, sizeof *s));
    *s = (tw_storage){.dtype = dtype, .count = bytes / dtype->size, .bytes = data};
    TW_TRY(tw_archive_view(r->a, &view, s, dtype, (int)dims->as.list.count, shape, NULL, 0));
    TW_CHECK(view->as.tensor->count == s->count, TW_EDATA,
             "a chunked array's shape and its chunks differ");
    *map = *view;
done:
    return st;
}

/* ---- values ---- */

static tw_status collection(reader *r, tw_item **out, tw_item_type type, uint64_t n)
{
    tw_status st = TW_OK;
    tw_item *list = NULL, *key = NULL, *entry;
    TW_CHECK(n <= (uint64_t)(r->size - r->at), TW_EDATA,
             "%llu entries are announced, and %lld bytes are left", (unsigned long long)n,
             (long long)(r->size - r->at));
    TW_CHECK(++r->depth <= DEPTH_MAX, TW_EDATA, "it is nested deeper than %d", DEPTH_MAX);
    TW_TRY(tw_item_new(&r->a->arena, &list, type));
    for (uint64_t i = 0; i < n; i++) {
        if (type == TW_ITEM_DICT) TW_TRY(value(r, &key));
        TW_TRY(value(r, &entry));
        TW_TRY(tw_item_append(&r->a->arena, list, key, entry));
    }
    r->depth--;
    const tw_item *chunked =
        type == TW_ITEM_DICT ? tw_item_find(list, "__msgpack_chunked_array__") : NULL;
    if (chunked && chunked->type == TW_ITEM_BOOL && chunked->as.yes) TW_TRY(join(r, list));
    *out = list;
done:
    return st;
}

static tw_status number(reader *r, tw_item **out, uint8_t code)
{
    tw_status st = TW_OK;
    uint64_t bits;
    float single;
    tw_item *item = NULL;
    const bool real = code == 0xca || code == 0xcb;
    const int bytes = code == 0xca ? 4 : code == 0xcb ? 8 : 1 << (code & 3);
    TW_TRY(big_endian(r, &bits, bytes));
    TW_TRY(tw_item_new(&r->a->arena, &item, real ? TW_ITEM_NUMBER : TW_ITEM_INTEGER));
    const uint32_t low = (uint32_t)bits;
    memcpy(&single, &low, sizeof single);
    if (code == 0xca) {
        item->as.number = (double)single;
    } else if (code == 0xcb) {
        memcpy(&item->as.number, &bits, sizeof bits);
    } else {
        const int shift = code >= 0xd0 ? 64 - 8 * bytes : 0; /* sign */
        item->as.integer = (int64_t)(bits << shift) >> shift;
    }
    *out = item;
done:
    return st;
}

static tw_status plain(reader *r, tw_item **out, tw_item_type type, int64_t number_or_yes)
{
    const tw_status st = tw_item_new(&r->a->arena, out, type);
    if (st != TW_OK) return st;
    if (type == TW_ITEM_BOOL) (*out)->as.yes = number_or_yes != 0;
    if (type == TW_ITEM_INTEGER) (*out)->as.integer = number_or_yes;
    return TW_OK;
}

/* The codes whose length follows, in 1, 2, 4 (or, of collections, 2 and 4) bytes. */
static tw_status long_value(reader *r, tw_item **out, uint8_t code)
{
    tw_status st = TW_OK;
    uint64_t n;
    const uint8_t first = code >= 0xdc   ? 0xdb + (code > 0xdd ? 2 : 0)
                          : code >= 0xd9 ? 0xd9
                          : code >= 0xc7 ? 0xc7
                                         : 0xc4;
    TW_TRY(big_endian(r, &n, 1 << (code - first)));
    switch (first) {
    case 0xc4:
        TW_TRY(span(r, out, TW_ITEM_BYTES, n));
        break;
    case 0xc7:
        TW_TRY(extension(r, out, n));
        break;
    case 0xd9:
        TW_TRY(span(r, out, TW_ITEM_TEXT, n));
        break;
    default:
        TW_TRY(collection(r, out, code >= 0xde ? TW_ITEM_DICT : TW_ITEM_LIST, n));
    }
done:
    return st;
}

static tw_status value(reader *r, tw_item **out)
{
    const uint8_t *b = NULL;
    const tw_status st = take(r, &b, 1);
    const uint8_t c = st == TW_OK ? *b : 0;
    if (st != TW_OK) return st;
    if (c < 0x80 || c >= 0xe0) return plain(r, out, TW_ITEM_INTEGER, (int8_t)c);
    if (c < 0x90) return collection(r, out, TW_ITEM_DICT, c & 15);
    if (c < 0xa0) return collection(r, out, TW_ITEM_LIST, c & 15);
    if (c < 0xc0) return span(r, out, TW_ITEM_TEXT, c & 31);
    if (c == 0xc0) return plain(r, out, TW_ITEM_NONE, 0);
    if (c == 0xc2 || c == 0xc3) return plain(r, out, TW_ITEM_BOOL, c & 1);
    if (c >= 0xca && c <= 0xd3) return number(r, out, c);
    if (c >= 0xd4 && c <= 0xd8) return extension(r, out, UINT64_C(1) << (c - 0xd4));
    if (c == 0xc1) return tw_error_set(TW_EDATA, "the byte 0xc1 is no value");
    return long_value(r, out, c);
}

static tw_status read_msgpack(tw_archive *a)
{
    tw_status st = TW_OK;
    reader r = {a, a->bytes, a->size, 0, 0};
    TW_TRY(value(&r, &a->root));
    TW_CHECK(r.at == a->size, TW_EDATA, "%lld bytes follow its value", (long long)(a->size - r.at));
done:
    if (st == TW_EDATA) tw_error_prefix("byte %lld: ", (long long)r.at);
    return st;
}

const tw_container tw_container_msgpack = {
    .name = "flax msgpack",
    .summary = "flax.serialization",
    .claims = claims,
    .read = read_msgpack,
};
