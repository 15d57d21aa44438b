/* What a dataset is: type, shape and storage, and what of them is refused. */
#include <stdio.h>
#include <string.h>

#include "h5/h5_chunk.h"

/* Why elements of a class are no numbers, and what would be. */
static tw_status refuse_class(hid_t type, const char *path, const char *object)
{
    char members[256] = "";
    switch (H5Tget_class(type)) {
    case H5T_STRING:
        return tw_error_set(TW_EDATA, "%s: %s holds text; integers or floats were expected", path,
                            object);
    case H5T_COMPOUND: {
        const int count = H5Tget_nmembers(type);
        for (int i = 0; i < count && strlen(members) < sizeof members - 64; i++) {
            char *name = H5Tget_member_name(type, (unsigned)i);
            const size_t used = strlen(members);
            snprintf(members + used, sizeof members - used, "%s%.40s", i ? ", " : "",
                     name ? name : "?");
            (void)H5free_memory(name);
        }
        return tw_error_set(TW_EDATA,
                            "%s: %s holds compound values of %d members (%s), as of complex "
                            "numbers or tables; write each member as an array of its own, and "
                            "import these with --stack",
                            path, object, count, members);
    }
    case H5T_VLEN:
        return tw_error_set(TW_EDATA,
                            "%s: the elements of %s are lists of varying length; an array of "
                            "numbers of one shape was expected",
                            path, object);
    case H5T_REFERENCE:
        return tw_error_set(TW_EDATA,
                            "%s: %s holds references to other objects (a MATLAB cell array?); "
                            "name one of them",
                            path, object);
    default:
        return tw_error_set(TW_EDATA,
                            "%s: %s holds no plain numbers; integers or floats were expected", path,
                            object);
    }
}

tw_status tw_h5_number_type(hid_t *out, hid_t dataset, const char *path, const char *object)
{
    tw_status st = TW_OK;
    hid_t type = H5I_INVALID_HID, number = H5I_INVALID_HID;
    TRY_H5(type = H5Dget_type(dataset), TW_EDATA, "%s: the type of %s cannot be read", path,
           object);
    const size_t size = H5Tget_size(type);
    if (H5Tget_class(type) == H5T_ENUM) {
        TRY_H5(number = H5Tget_super(type), TW_EDATA, "%s: the type of %s cannot be read", path,
               object);
    } else if (H5Tget_class(type) == H5T_BITFIELD) {
        const bool big = H5Tget_order(type) == H5T_ORDER_BE;
        TW_CHECK(size == 1 || size == 2 || size == 4 || size == 8, TW_EDATA,
                 "%s: %s holds bits in %zu bytes", path, object, size);
        TRY_H5(number = H5Tcopy(big ? H5T_STD_U8BE : H5T_STD_U8LE), TW_ENOMEM, "out of memory");
        TRY_H5(H5Tset_size(number, size), TW_EDATA, "%s: the type of %s cannot be read", path,
               object);
        TRY_H5(H5Tset_precision(number, 8 * size), TW_EDATA, "%s: the type of %s cannot be read",
               path, object);
    } else {
        number = type;
        type = H5I_INVALID_HID;
    }
    *out = number;
    number = H5I_INVALID_HID;
done:
    tw_h5_close(&number);
    tw_h5_close(&type);
    return st;
}

static tw_status describe_type(tw_h5_array *a, hid_t dataset, const char *path, const char *object)
{
    tw_status st = TW_OK;
    hid_t type = H5I_INVALID_HID, number = H5I_INVALID_HID;
    TRY_H5(type = H5Dget_type(dataset), TW_EDATA, "%s: the type of %s cannot be read", path,
           object);
    const H5T_class_t class = H5Tget_class(type);
    if (class != H5T_INTEGER && class != H5T_FLOAT && class != H5T_ENUM && class != H5T_BITFIELD)
        TW_TRY(refuse_class(type, path, object));
    TW_TRY(tw_h5_number_type(&number, dataset, path, object));
    a->is_enum = class == H5T_ENUM || class == H5T_BITFIELD;
    a->class = H5Tget_class(number);
    a->size = H5Tget_size(number);
    TW_CHECK((a->class == H5T_INTEGER || a->class == H5T_FLOAT) && a->size >= 1 && a->size <= 16,
             TW_EDATA, "%s: %s holds no plain numbers; integers or floats were expected", path,
             object);
    a->is_signed = a->class == H5T_FLOAT || H5Tget_sign(number) == H5T_SGN_2;
    bool little = a->size == 1 || H5Tget_order(number) == H5T_ORDER_LE;
    a->exact = little && !a->is_enum &&
               (a->class == H5T_INTEGER ? H5Tget_precision(number) == 8 * a->size
                                        : H5Tequal(number, H5T_IEEE_F32LE) > 0);
done:
    tw_h5_close(&number);
    tw_h5_close(&type);
    return st;
}

static tw_status describe_space(tw_h5_array *a, hid_t dataset, const char *path, const char *object)
{
    tw_status st = TW_OK;
    hsize_t dims[H5S_MAX_RANK];
    hid_t space = H5I_INVALID_HID;
    TRY_H5(space = H5Dget_space(dataset), TW_EDATA, "%s: the shape of %s cannot be read", path,
           object);
    const H5S_class_t extent = H5Sget_simple_extent_type(space);
    TW_CHECK(extent != H5S_SCALAR, TW_EDATA, "%s: %s is a single value; an array was expected",
             path, object);
    TW_CHECK(extent != H5S_NULL, TW_EDATA, "%s: %s is empty: it has no shape and no values", path,
             object);
    TW_CHECK(extent == H5S_SIMPLE, TW_EDATA, "%s: %s is not an array", path, object);
    a->rank = H5Sget_simple_extent_ndims(space);
    TW_CHECK(a->rank >= 1 && a->rank <= 8, TW_EDATA, "%s: %s has %d axes; 1 to 8 were expected",
             path, object, a->rank);
    TRY_H5(H5Sget_simple_extent_dims(space, dims, NULL), TW_EDATA,
           "%s: the shape of %s cannot be read", path, object);
    a->elements = 1;
    for (int i = 0; i < a->rank; i++) {
        TW_CHECK(dims[i] > 0, TW_EDATA, "%s: %s is empty: axis %d has length 0", path, object, i);
        TW_CHECK(dims[i] <= (hsize_t)INT64_MAX &&
                     !__builtin_mul_overflow(a->elements, (int64_t)dims[i], &a->elements),
                 TW_EDATA, "%s: %s claims more elements than can be counted", path, object);
        a->dims[i] = (int64_t)dims[i];
    }
done:
    tw_h5_close(&space);
    return st;
}

static tw_status describe_chunks(tw_h5_array *a, hid_t list, const char *path, const char *object)
{
    tw_status st = TW_OK;
    hsize_t chunk[H5S_MAX_RANK];
    TW_CHECK(H5Pget_chunk(list, a->rank, chunk) == a->rank, TW_EDATA,
             "%s: the chunks of %s cannot be read", path, object);
    a->chunk_rows = (int64_t)chunk[0];
    a->chunk_bytes = (int64_t)a->size;
    for (int i = 0; i < a->rank; i++) {
        a->chunk[i] = (int64_t)chunk[i];
        TW_CHECK(a->chunk[i] >= 1 &&
                     !__builtin_mul_overflow(a->chunk_bytes, a->chunk[i], &a->chunk_bytes) &&
                     a->chunk_bytes <= TW_H5_CHUNK_MAX,
                 TW_EDATA,
                 "%s: the chunks of %s are larger than 1 GiB; cut them smaller (h5repack -l "
                 "%s:CHUNK=…)",
                 path, object, object);
    }
done:
    return st;
}

static tw_status describe_storage(tw_h5_array *a, bool *deflated, hid_t dataset, const char *path,
                                  const char *object)
{
    tw_status st = TW_OK;
    hid_t list = H5I_INVALID_HID;
    TRY_H5(list = H5Dget_create_plist(dataset), TW_EDATA, "%s: the storage of %s cannot be read",
           path, object);
    H5D_layout_t layout = H5Pget_layout(list);
    TW_CHECK(layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED || layout == H5D_COMPACT, TW_EDATA,
             "%s: %s is a virtual dataset, whose data are in other files; copy it into one file "
             "(h5repack -l %s:CONTI)",
             path, object, object);
    TW_CHECK(H5Pget_external_count(list) == 0, TW_EDATA,
             "%s: the data of %s are outside the file; copy them into it (h5repack -l %s:CONTI)",
             path, object, object);
    TW_TRY(tw_h5_check_filters(deflated, list, path, object));
    if (layout == H5D_CHUNKED) TW_TRY(describe_chunks(a, list, path, object));
done:
    tw_h5_close(&list);
    return st;
}

static tw_status describe(tw_h5_array *a, bool *deflated, hid_t dataset, const char *path,
                          const char *object)
{
    tw_status st = TW_OK;
    int64_t bytes;
    TW_TRY(describe_type(a, dataset, path, object));
    TW_TRY(describe_space(a, dataset, path, object));
    TW_TRY(describe_storage(a, deflated, dataset, path, object));
    TW_CHECK(!__builtin_mul_overflow(a->elements, (int64_t)a->size, &bytes), TW_EDATA,
             "%s: %s claims more bytes than can be counted", path, object);
done:
    return st;
}

tw_status tw_h5_look(tw_h5_array *out, hid_t dataset, const char *path, const char *object)
{
    tw_status st = TW_OK;
    tw_h5_array a = {0};
    bool deflated = false;
    TW_TRY(describe(&a, &deflated, dataset, path, object));
    *out = a;
done:
    return st;
}

tw_status tw_h5_check_claim(const tw_h5_array *a, bool deflated, uint64_t stored, const char *path,
                            const char *object)
{
    tw_status st = TW_OK;
    const uint64_t bytes = (uint64_t)a->elements * a->size;
    TW_CHECK(bytes / (deflated ? TW_H5_DEFLATE_MOST : 1) <= stored, TW_EDATA,
             "%s: %s claims %llu bytes, but only %llu are stored: not all of it was written", path,
             object, (unsigned long long)bytes, (unsigned long long)stored);
done:
    return st;
}

tw_status tw_h5_describe(tw_h5_array *out, hid_t dataset, const char *path, const char *object)
{
    tw_status st = TW_OK;
    tw_h5_array a = {0};
    bool deflated = false;
    TW_TRY(describe(&a, &deflated, dataset, path, object));
    /* a header may claim any shape: what is stored bounds it */
    TW_TRY(tw_h5_check_claim(&a, deflated, H5Dget_storage_size(dataset), path, object));
    *out = a;
done:
    return st;
}

tw_status tw_h5_check_written(const tw_h5_array *a, hid_t dataset, const char *path,
                              const char *object)
{
    tw_status st = TW_OK;
    hid_t space = H5I_INVALID_HID;
    hsize_t met = 0;
    int64_t chunks = 1;
    if (a->chunk_rows == 0) {
        TW_CHECK(H5Dget_storage_size(dataset) > 0, TW_EDATA,
                 "%s: nothing of %s was ever written: no storage is allocated for it", path,
                 object);
        goto done;
    }
    for (int i = 0; i < a->rank; i++) chunks *= (a->dims[i] - 1) / a->chunk[i] + 1;
    TRY_H5(space = H5Dget_space(dataset), TW_EDATA, "%s: the shape of %s cannot be read", path,
           object);
    TRY_H5(H5Dget_num_chunks(dataset, space, &met), TW_EDATA,
           "%s: the chunks of %s cannot be counted", path, object);
    TW_CHECK(met == (hsize_t)chunks, TW_EDATA,
             "%s: %llu of the %lld chunks of %s are stored: not all of it was written", path,
             (unsigned long long)met, (long long)chunks, object);
done:
    tw_h5_close(&space);
    return st;
}
