/* safetensors: the length of a JSON header, the header, the data, without gaps and overlaps. */
#include <stdlib.h>
#include <string.h>

#include "tweedie/memory.h"
#include "weights/container.h"

extern const tw_container tw_container_safetensors;

enum { HEADER_MAX = 100000000 }; /* the library's own */

static tw_claim claims(const uint8_t *bytes, int64_t size)
{
    if (size < 10 || bytes[8] != '{') return TW_CLAIM_NO;
    return memchr("\" \t\r\n}", bytes[9], 6) ? TW_CLAIM_SURE : TW_CLAIM_MAYBE;
}

typedef struct extent {
    int64_t begin, end;
} extent;

static tw_status read_dims(const tw_item *entry, int64_t *shape, int *rank)
{
    tw_status st = TW_OK;
    const tw_item *dims = tw_item_find(entry, "shape");
    int n = 0;
    TW_CHECK(dims && dims->type == TW_ITEM_LIST && dims->as.list.count <= TW_TENSOR_RANK_MAX,
             TW_EDATA, "its shape is not a list of at most %d numbers", TW_TENSOR_RANK_MAX);
    for (const tw_link *l = dims->as.list.first; l; l = l->next) {
        TW_CHECK(l->value->type == TW_ITEM_INTEGER && l->value->as.integer >= 0, TW_EDATA,
                 "its shape holds %s that is no size", tw_item_type_name(l->value));
        shape[n++] = l->value->as.integer;
    }
    *rank = n;
done:
    return st;
}

static tw_status read_extent(const tw_item *entry, extent *e, int64_t data_bytes)
{
    tw_status st = TW_OK;
    const tw_item *offsets = tw_item_find(entry, "data_offsets"), *from = tw_item_at(offsets, 0),
                  *to = tw_item_at(offsets, 1);
    TW_CHECK(offsets && offsets->type == TW_ITEM_LIST && offsets->as.list.count == 2 &&
                 from->type == TW_ITEM_INTEGER && to->type == TW_ITEM_INTEGER,
             TW_EDATA, "its data_offsets are not two integers");
    *e = (extent){from->as.integer, to->as.integer};
    TW_CHECK(e->begin >= 0 && e->begin <= e->end && e->end <= data_bytes, TW_EDATA,
             "its data_offsets %lld and %lld do not lie in the %lld bytes of data",
             (long long)e->begin, (long long)e->end, (long long)data_bytes);
done:
    return st;
}

/* The entry of the header becomes the tensor that it describes. */
static tw_status read_tensor(tw_archive *a, tw_link *l, const uint8_t *data, int64_t data_bytes,
                             extent *e)
{
    tw_status st = TW_OK;
    int64_t shape[TW_TENSOR_RANK_MAX], count = 1;
    int rank = 0;
    tw_storage *s = NULL;
    const tw_item *type = tw_item_find(l->value, "dtype");
    TW_CHECK(type && type->type == TW_ITEM_TEXT, TW_EDATA, "it has no dtype");
    const tw_dtype *dtype =
        tw_dtype_find(TW_DTYPE_SAFETENSORS, type->as.text.data, type->as.text.length);
    char shown[100];
    TW_CHECK(dtype, TW_EDATA, "its dtype %s is unknown",
             tw_bytes_shown(shown, type->as.text.data, type->as.text.length));
    TW_TRY(read_dims(l->value, shape, &rank));
    TW_TRY(read_extent(l->value, e, data_bytes));
    bool fits = true;
    for (int k = 0; k < rank; k++) fits &= !__builtin_mul_overflow(count, shape[k], &count);
    fits &= !__builtin_mul_overflow(count, (int64_t)dtype->size, &count);
    TW_CHECK(fits && count == e->end - e->begin, TW_EDATA,
             "its shape and dtype take other than the %lld bytes of its data_offsets",
             (long long)(e->end - e->begin));
    TW_TRY(tw_arena_take(&a->arena, &s, 1, sizeof *s));
    *s = (tw_storage){.dtype = dtype, .count = count / dtype->size, .bytes = data + e->begin};
    TW_TRY(tw_archive_view(a, &l->value, s, dtype, rank, shape, NULL, 0));
done:
    return st;
}

static int compare(const void *x, const void *y)
{
    const extent *a = x, *b = y;
    const int begins = (a->begin > b->begin) - (a->begin < b->begin);
    return begins ? begins : (a->end > b->end) - (a->end < b->end);
}

static tw_status check_cover(extent *extents, int64_t count, int64_t data_bytes)
{
    tw_status st = TW_OK;
    int64_t at = 0;
    if (count > 0) qsort(extents, (size_t)count, sizeof *extents, compare);
    for (int64_t i = 0; i < count; at = extents[i++].end)
        TW_CHECK(extents[i].begin == at, TW_EDATA, "its tensors %s at byte %lld of the data",
                 extents[i].begin < at ? "overlap" : "leave a gap", (long long)at);
    TW_CHECK(at == data_bytes, TW_EDATA, "%lld bytes of data belong to no tensor",
             (long long)(data_bytes - at));
done:
    return st;
}

static tw_status read_safetensors(tw_archive *a)
{
    tw_status st = TW_OK;
    const uint64_t header = tw_bytes_u64(a->bytes);
    extent *extents = NULL;
    char shown[100];
    TW_CHECK(header <= HEADER_MAX && (int64_t)header <= a->size - 8, TW_EDATA,
             "a header of %llu bytes in a file of %lld", (unsigned long long)header,
             (long long)a->size);
    const int64_t data_bytes = a->size - 8 - (int64_t)header;
    const uint8_t *data = a->bytes + 8 + header;
    int64_t count = 0;
    TW_TRY(tw_json_read(&a->arena, &a->root, (const char *)a->bytes + 8, (int64_t)header));
    TW_TRY(tw_alloc(&extents, a->root->as.list.count + 1, sizeof *extents, "extents of tensors"));
    for (tw_link *l = a->root->as.list.first; l; l = l->next) {
        if (tw_item_is(l->key, "__metadata__")) continue;
        st = read_tensor(a, l, data, data_bytes, &extents[count++]);
        if (st != TW_OK)
            tw_error_prefix("the tensor %s: ",
                            tw_bytes_shown(shown, l->key->as.text.data, l->key->as.text.length));
        if (st != TW_OK) goto done;
    }
    TW_TRY(check_cover(extents, count, data_bytes));
done:
    tw_free(&extents);
    return st;
}

const tw_container tw_container_safetensors = {
    .name = "safetensors",
    .summary = "safetensors, as diffusers writes",
    .claims = claims,
    .read = read_safetensors,
};
