/* The names that a pickle may use, and the inert value that each makes. */
#include <string.h>

#include "weights/container.h"
#include "weights/pickle.h"

/* ---- Python ---- */

static tw_status make_dict(tw_archive *a, tw_item **out, const tw_item *args)
{
    (void)args; /* entries follow as SETITEMS; of a defaultdict, the factory goes */
    return tw_item_new(&a->arena, out, TW_ITEM_DICT);
}

/* set([..]), torch.Size((..)), torch.device("cpu"): the argument itself. */
static tw_status first_argument(tw_archive *a, tw_item **out, const tw_item *args)
{
    const tw_link *l = args->as.list.first;
    if (!l) return tw_item_new(&a->arena, out, TW_ITEM_LIST);
    *out = l->value;
    return TW_OK;
}

/* bytes in protocol 2: their values as the code points of a text. */
static tw_status encode(tw_archive *a, tw_item **out, const tw_item *args)
{
    tw_status st = TW_OK;
    char *bytes = NULL;
    int64_t n = 0;
    tw_item *item = NULL;
    const tw_item *text = tw_item_at(args, 0);
    TW_CHECK(text && text->type == TW_ITEM_TEXT && tw_item_is(tw_item_at(args, 1), "latin1"),
             TW_EDATA, "_codecs.encode is read for texts in latin1 alone");
    TW_TRY(tw_item_new(&a->arena, &item, TW_ITEM_BYTES));
    TW_TRY(tw_arena_take(&a->arena, &bytes, text->as.text.length + 1, 1));
    for (int64_t i = 0; i < text->as.text.length; n++) {
        const unsigned c = (unsigned char)text->as.text.data[i++];
        unsigned value = c;
        if (c >= 0x80) /* valid UTF-8, so there is a second byte */
            value = (c & 0x1f) << 6 | ((unsigned char)text->as.text.data[i++] & 0x3f);
        TW_CHECK(c < 0xc4 && value < 256, TW_EDATA, "_codecs.encode: a letter is not in latin1");
        bytes[n] = (char)value;
    }
    item->as.text.data = bytes;
    item->as.text.length = n;
    *out = item;
done:
    return st;
}

/* ---- numpy ---- */

static tw_status new_object(tw_archive *a, tw_item **out, const char *name, tw_item *state)
{
    tw_item *item = NULL;
    const tw_status st = tw_item_new(&a->arena, &item, TW_ITEM_OBJECT);
    if (st != TW_OK) return st;
    item->as.object.data = name;
    item->as.object.length = (int64_t)strlen(name);
    item->as.object.state = state;
    *out = item;
    return TW_OK;
}

static bool is_object(const tw_item *item, const char *name)
{
    return item && item->type == TW_ITEM_OBJECT &&
           item->as.object.length == (int64_t)strlen(name) &&
           memcmp(item->as.object.data, name, strlen(name)) == 0;
}

/* numpy.dtype("f8", False, True) */
static tw_status numpy_dtype(tw_archive *a, tw_item **out, const tw_item *args)
{
    tw_item *code = args->as.list.first ? args->as.list.first->value : NULL;
    if (!code || code->type != TW_ITEM_TEXT)
        return tw_error_set(TW_EDATA, "numpy.dtype: its code is %s", tw_item_type_name(code));
    return new_object(a, out, "numpy.dtype", code);
}

static tw_status find_dtype(const tw_dtype **out, const tw_item *dtype)
{
    tw_status st = TW_OK;
    TW_CHECK(is_object(dtype, "numpy.dtype"), TW_EDATA, "a numpy type is %s",
             tw_item_type_name(dtype));
    const tw_item *code = dtype->as.object.state;
    *out = tw_dtype_find(TW_DTYPE_CODE, code->as.text.data, code->as.text.length);
    char shown[100];
    TW_CHECK(*out, TW_EDATA, "the numpy type %s is unknown",
             tw_bytes_shown(shown, code->as.text.data, code->as.text.length));
done:
    return st;
}

static tw_status view_bytes(tw_archive *a, tw_item **out, const tw_item *dtype,
                            const tw_item *bytes, int rank, const int64_t *shape)
{
    tw_status st = TW_OK;
    const tw_dtype *type;
    tw_storage *storage = NULL;
    TW_TRY(find_dtype(&type, dtype));
    TW_CHECK(bytes && bytes->type == TW_ITEM_BYTES && bytes->as.text.length % type->size == 0,
             TW_EDATA, "a numpy array's data are %s of the wrong size", tw_item_type_name(bytes));
    TW_TRY(tw_arena_take(&a->arena, &storage, 1, sizeof *storage));
    storage->dtype = type;
    storage->count = bytes->as.text.length / type->size;
    storage->bytes = (const uint8_t *)bytes->as.text.data;
    TW_TRY(tw_archive_view(a, out, storage, type, rank, shape, NULL, 0));
done:
    return st;
}

/* numpy.core.multiarray.scalar(dtype, bytes): a number, which no network takes as a tensor. */
static tw_status numpy_scalar(tw_archive *a, tw_item **out, const tw_item *args)
{
    tw_status st = TW_OK;
    double number;
    tw_item *view = NULL;
    TW_TRY(view_bytes(a, &view, tw_item_at(args, 0), tw_item_at(args, 1), 0, NULL));
    a->tensors--;
    TW_TRY(tw_item_new(&a->arena, out, TW_ITEM_NUMBER));
    const tw_tensor *t = view->as.tensor;
    TW_CHECK(t->dtype->value, TW_EDATA, "a numpy number is of the type %s", t->dtype->name);
    uint64_t bits = 0;
    for (int k = t->dtype->size - 1; k >= 0; k--) bits = bits << 8 | t->storage->bytes[k];
    number = t->dtype->value(bits);
    (*out)->as.number = number;
done:
    return st;
}

static tw_status numpy_array(tw_archive *a, tw_item **out, const tw_item *args)
{
    (void)args; /* (ndarray, (0,), b"b"): what BUILD brings counts */
    return new_object(a, out, "numpy.ndarray", NULL);
}

/* (version, shape, dtype, is Fortran order, bytes) */
static tw_status build_array(tw_archive *a, tw_item **value, const tw_item *state)
{
    tw_status st = TW_OK;
    int64_t shape[TW_TENSOR_RANK_MAX] = {0};
    tw_item *view = NULL;
    const tw_item *dims = tw_item_at(state, 1), *fortran = tw_item_at(state, 3);
    TW_CHECK(dims && dims->type == TW_ITEM_LIST && dims->as.list.count <= TW_TENSOR_RANK_MAX &&
                 fortran && fortran->type == TW_ITEM_BOOL && !fortran->as.yes,
             TW_EDATA, "a numpy array is not one in C order");
    for (int k = 0; k < dims->as.list.count; k++)
        TW_CHECK(tw_item_integer(tw_item_at(dims, k), &shape[k]), TW_EDATA,
                 "a numpy array's shape is not made of integers");
    TW_TRY(view_bytes(a, &view, tw_item_at(state, 2), tw_item_at(state, 4),
                      (int)dims->as.list.count, shape));
    **value = *view; /* whoever remembers the empty array has the full one */
done:
    return st;
}

/* ---- torch ---- */

static tw_status integers(const tw_item *list, int64_t *out, int *count)
{
    tw_status st = TW_OK;
    int n = 0;
    TW_CHECK(list && list->type == TW_ITEM_LIST && list->as.list.count <= TW_TENSOR_RANK_MAX,
             TW_EDATA, "a tensor's shape or strides are %s, not at most %d integers",
             tw_item_type_name(list), TW_TENSOR_RANK_MAX);
    for (const tw_link *l = list->as.list.first; l; l = l->next) {
        TW_CHECK(l->value->type == TW_ITEM_INTEGER, TW_EDATA, "a tensor's shape or strides hold %s",
                 tw_item_type_name(l->value));
        out[n++] = l->value->as.integer;
    }
    *count = n;
done:
    return st;
}

/* (storage, offset, size, stride, …) */
static tw_status rebuild(tw_archive *a, tw_item **out, const tw_item *args, const tw_dtype *dtype)
{
    tw_status st = TW_OK;
    int64_t shape[TW_TENSOR_RANK_MAX], stride[TW_TENSOR_RANK_MAX], offset;
    int rank, strides;
    const tw_item *s = tw_item_at(args, 0), *at = tw_item_at(args, 1);
    TW_CHECK(s && s->type == TW_ITEM_STORAGE, TW_EDATA, "a tensor is made of %s, not of a storage",
             tw_item_type_name(s));
    TW_CHECK(at && at->type == TW_ITEM_INTEGER, TW_EDATA, "a tensor's offset is %s",
             tw_item_type_name(at));
    offset = at->as.integer;
    TW_TRY(integers(tw_item_at(args, 2), shape, &rank));
    TW_TRY(integers(tw_item_at(args, 3), stride, &strides));
    TW_CHECK(rank == strides, TW_EDATA, "a tensor has %d sizes and %d strides", rank, strides);
    if (!dtype) dtype = s->as.storage->dtype;
    TW_CHECK(dtype && (!s->as.storage->dtype || s->as.storage->dtype == dtype), TW_EDATA,
             "a tensor and its storage have different types");
    TW_TRY(tw_archive_view(a, out, s->as.storage, dtype, rank, shape, stride, offset));
done:
    return st;
}

static tw_status rebuild_tensor(tw_archive *a, tw_item **out, const tw_item *args)
{
    return rebuild(a, out, args, NULL);
}

/* With the type as the seventh argument, for types that have no storage class. */
static tw_status rebuild_tensor_v3(tw_archive *a, tw_item **out, const tw_item *args)
{
    const tw_item *type = tw_item_at(args, 6);
    if (!type || type->type != TW_ITEM_NAME || !type->as.name.dtype)
        return tw_error_set(TW_EDATA, "a tensor's type is %s", tw_item_type_name(type));
    return rebuild(a, out, args, type->as.name.dtype);
}

static tw_status rebuild_parameter(tw_archive *a, tw_item **out, const tw_item *args)
{
    const tw_item *t = tw_item_at(args, 0);
    if (!t || t->type != TW_ITEM_TENSOR)
        return tw_error_set(TW_EDATA, "a parameter is %s, not a tensor", tw_item_type_name(t));
    return first_argument(a, out, args);
}

static tw_status load_from_bytes(tw_archive *a, tw_item **out, const tw_item *args)
{
    const tw_item *b = tw_item_at(args, 0);
    if (!b || b->type != TW_ITEM_BYTES)
        return tw_error_set(TW_EDATA, "_load_from_bytes is given %s", tw_item_type_name(b));
    return tw_torch_legacy_storage(a, out, (const uint8_t *)b->as.text.data, b->as.text.length);
}

static tw_status make_module(tw_archive *a, tw_item **out, const tw_item *args)
{
    (void)args;
    return new_object(a, out, "torch.nn.Module", NULL);
}

/* {type: "class", version, module_src, class_name, state}: the source text is not looked at. */
static tw_status persistent_object(tw_archive *a, tw_item **out, const tw_item *args)
{
    tw_status st = TW_OK;
    const tw_item *meta = tw_item_at(args, 0), *name = tw_item_find(meta, "class_name");
    tw_item *item = NULL;
    TW_CHECK(tw_item_is(tw_item_find(meta, "type"), "class") && name && name->type == TW_ITEM_TEXT,
             TW_EDATA, "a persistent object says no class_name");
    TW_TRY(tw_item_new(&a->arena, &item, TW_ITEM_OBJECT));
    item->as.object.data = name->as.text.data;
    item->as.object.length = name->as.text.length;
    for (const tw_link *l = meta->as.list.first; l; l = l->next)
        if (tw_item_is(l->key, "state")) item->as.object.state = l->value;
    *out = item;
done:
    return st;
}

/* ---- the list ---- */

static const tw_pickle_name names[] = {
    {"collections", "OrderedDict", make_dict},
    {"collections", "defaultdict", make_dict},
    {"dnnlib.util", "EasyDict", make_dict},
    {"__builtin__", "dict", make_dict},
    {"builtins", "dict", make_dict},
    {"__builtin__", "set", first_argument},
    {"builtins", "set", first_argument},
    {"__builtin__", "list", first_argument},
    {"builtins", "list", first_argument},
    {"_codecs", "encode", encode},
    {"numpy", "dtype", numpy_dtype},
    {"numpy", "ndarray", NULL},
    {"numpy.core.multiarray", "scalar", numpy_scalar},
    {"numpy._core.multiarray", "scalar", numpy_scalar},
    {"numpy.core.multiarray", "_reconstruct", numpy_array},
    {"numpy._core.multiarray", "_reconstruct", numpy_array},
    {"torch", "Size", first_argument},
    {"torch", "device", first_argument},
    {"torch._utils", "_rebuild_tensor", rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v2", rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v3", rebuild_tensor_v3},
    {"torch._utils", "_rebuild_parameter", rebuild_parameter},
    {"torch.storage", "_load_from_bytes", load_from_bytes},
    {"torch.storage", "UntypedStorage", NULL},
    {"torch.nn.modules.container", "ModuleDict", make_module},
    {"torch.nn.modules.container", "ModuleList", make_module},
    {"torch.nn.modules.container", "Sequential", make_module},
    {"torch_utils.persistence", "_reconstruct_persistent_obj", persistent_object},
};

static bool equals(const char *word, const char *data, int64_t length)
{
    return (int64_t)strlen(word) == length && memcmp(word, data, (size_t)length) == 0;
}

/* torch.float32, torch.FloatStorage */
static const tw_dtype *torch_type(const char *module, int64_t module_length, const char *name,
                                  int64_t length)
{
    const int64_t suffix = (int64_t)strlen("Storage");
    if (!equals("torch", module, module_length) && !equals("torch.cuda", module, module_length))
        return NULL;
    const tw_dtype *d = tw_dtype_find(TW_DTYPE_NAME, name, length);
    if (!d && length > suffix && memcmp(name + length - suffix, "Storage", (size_t)suffix) == 0)
        d = tw_dtype_find(TW_DTYPE_STORAGE, name, length - suffix);
    return d;
}

tw_status tw_pickle_name_find(tw_archive *a, tw_item **out, const char *module,
                              int64_t module_length, const char *name, int64_t name_length)
{
    tw_status st = TW_OK;
    tw_item *item = NULL;
    char shown[2][100];
    const tw_pickle_name *row = NULL;
    const tw_dtype *dtype = torch_type(module, module_length, name, name_length);
    for (size_t i = 0; i < sizeof names / sizeof *names && !row; i++)
        if (equals(names[i].module, module, module_length) &&
            equals(names[i].name, name, name_length))
            row = &names[i];
    TW_CHECK(row || dtype, TW_EDATA, "a pickle names %s.%s, which no weights need: refused",
             tw_bytes_shown(shown[0], module, module_length),
             tw_bytes_shown(shown[1], name, name_length));
    TW_TRY(tw_item_new(&a->arena, &item, TW_ITEM_NAME));
    item->as.name.row = row;
    item->as.name.dtype = row ? NULL : dtype;
    *out = item;
done:
    return st;
}

tw_status tw_pickle_build(tw_archive *a, tw_item **value, tw_item *state)
{
    tw_status st = TW_OK;
    tw_item *v = *value;
    if (v->type == TW_ITEM_DICT) return TW_OK; /* attributes of a dictionary: {"_metadata": …} */
    if (is_object(v, "numpy.dtype")) {
        TW_CHECK(!tw_item_is(tw_item_at(state, 1), ">"), TW_EDATA,
                 "a numpy value is big-endian, which is not read");
    } else if (is_object(v, "numpy.ndarray")) {
        TW_TRY(build_array(a, value, state));
    } else {
        TW_CHECK(v->type == TW_ITEM_OBJECT && !v->as.object.state && state->type == TW_ITEM_DICT,
                 TW_EDATA, "a pickle gives attributes to %s", tw_item_type_name(v));
        v->as.object.state = state;
    }
done:
    return st;
}

tw_status tw_torch_storage_id(const tw_item *id, const tw_dtype **dtype, const tw_item **key,
                              int64_t *count, const tw_item **view)
{
    tw_status st = TW_OK;
    const tw_item *class = tw_item_at(id, 1);
    const int64_t fields = id && id->type == TW_ITEM_LIST ? id->as.list.count : 0;
    *key = tw_item_at(id, 2);
    *view = tw_item_at(id, 5);
    TW_CHECK((fields == 5 || fields == 6) && tw_item_is(tw_item_at(id, 0), "storage") && *key &&
                 (*key)->type == TW_ITEM_TEXT && tw_item_integer(tw_item_at(id, 4), count),
             TW_EDATA, "a persistent id is not torch's (\"storage\", class, key, location, count)");
    const bool untyped = class->type == TW_ITEM_NAME && class->as.name.row &&
                         strcmp(class->as.name.row->name, "UntypedStorage") == 0;
    TW_CHECK(class->type == TW_ITEM_NAME && (untyped || class->as.name.dtype), TW_EDATA,
             "a storage is of a class that holds no numbers");
    *dtype = class->as.name.dtype;
    TW_CHECK(*count >= 0 && *count < INT64_MAX / 16, TW_EDATA, "a storage has %lld elements",
             (long long)*count);
done:
    return st;
}
