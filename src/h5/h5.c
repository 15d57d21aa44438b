/* Opening, describing and reading HDF5 objects with suspicion. */
#include "h5/h5.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tweedie/memory.h"

/* Deflate makes at most 1032 bytes of one (zlib's technical notes): what a file's size bounds. */
enum { DEFLATE_MOST = 1032 };

enum { WORDS_MAX = 256 };

typedef struct cause {
    char words[WORDS_MAX];
    bool of_system; /* a system call failed, not what the file holds */
} cause;

/* The deepest line of the error stack; of a failed system call only the system's words. */
static herr_t innermost(unsigned n, const H5E_error2_t *error, void *out)
{
    static const char system[] = "error message = '";
    cause *c = out;
    if (n > 0 || !error->desc) return 0;
    const char *words = strstr(error->desc, system);
    c->of_system = words != NULL;
    words = words ? words + sizeof system - 1 : error->desc;
    snprintf(c->words, sizeof c->words, "%.*s", (int)strcspn(words, c->of_system ? "'\n" : "\n"),
             words);
    return 0;
}

tw_status tw_h5_fail(tw_status code, const char *format, ...)
{
    cause c = {.words = ""};
    char text[1536];
    va_list args;
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &c);
    const char *words = c.words;
    if (c.of_system && code == TW_EDATA)
        code = TW_EIO; /* the disk is at fault, and the file may be good */
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!words[0]) return tw_error_set(code, "%s", text);
    const char *hint = strstr(words, "lock")
                           ? " (a file system without locks? then set HDF5_USE_FILE_LOCKING=FALSE)"
                           : "";
    return tw_error_set(code, "%s: HDF5: %s%s", text, words, hint);
}

/* HDF5 1.10 keeps an object whose last write failed (a full disk), and crashes on it when it closes
 * what is left: in an exit handler, and in MPI_Finalize where MPI was initialised before HDF5. So
 * it starts before MPI and without the handler. Whatever matters was closed, and its status told,
 * long before. */
__attribute__((constructor)) static void start_before_mpi(void)
{
    (void)H5dont_atexit();
    (void)H5open();
}

tw_status tw_h5_start(void)
{
    tw_status st = TW_OK;
    TRY_H5(H5open(), TW_EINTERNAL, "the HDF5 library cannot be started");
    TRY_H5(H5Eset_auto2(H5E_DEFAULT, NULL, NULL), TW_EINTERNAL,
           "the HDF5 library cannot be silenced");
    TRY_H5(H5PLset_loading_state(0), TW_EINTERNAL,
           "plug-ins of the HDF5 library cannot be disabled");
done:
    return st;
}

void tw_h5_close(hid_t *id)
{
    if (*id < 0) return;
    switch (H5Iget_type(*id)) {
    case H5I_FILE:
        H5Fclose(*id);
        break;
    case H5I_GROUP:
    case H5I_DATASET:
        H5Oclose(*id);
        break;
    case H5I_DATASPACE:
        H5Sclose(*id);
        break;
    case H5I_DATATYPE:
        H5Tclose(*id);
        break;
    case H5I_ATTR:
        H5Aclose(*id);
        break;
    default:
        H5Pclose(*id);
        break;
    }
    *id = H5I_INVALID_HID;
}

void tw_h5_divert(hid_t file)
{
    int *descriptor = NULL;
    if (file < 0 || H5Fget_vfd_handle(file, H5P_DEFAULT, (void **)&descriptor) < 0 || !descriptor)
        return;
    const int memory = memfd_create("tweedie", MFD_CLOEXEC);
    if (memory < 0) return;
    (void)dup2(memory, *descriptor);
    close(memory);
}

/* Whether `name` (a path of one or more steps, whose parents exist) is a hard link. */
static tw_status find_link(bool *found, hid_t file, const char *path, const char *name)
{
    tw_status st = TW_OK;
    H5L_info_t info;
    htri_t exists = H5Lexists(file, name, H5P_DEFAULT);
    TRY_H5(exists, TW_EDATA, "%s: %s cannot be looked up", path, name);
    *found = exists > 0;
    if (!*found) goto done;
    TRY_H5(H5Lget_info(file, name, &info, H5P_DEFAULT), TW_EDATA, "%s: %s cannot be looked up",
           path, name);
    TW_CHECK(info.type == H5L_TYPE_HARD, TW_EDATA,
             "%s: %s is a soft or external link; only objects of the file itself are read", path,
             name);
done:
    return st;
}

tw_status tw_h5_has(bool *out, hid_t file, const char *path, const char *name)
{
    return find_link(out, file, path, name);
}

tw_status tw_h5_open_dataset(hid_t *out, hid_t file, const char *path, const char *object)
{
    tw_status st = TW_OK;
    char step[1024];
    hid_t id = H5I_INVALID_HID;
    bool found = false;
    TW_TRY(tw_format(step, sizeof step, "%s", object));
    for (char *slash = step + 1;;
         slash++) { /* "/a", then "/a/b": a missing parent is an error of the library, not "no" */
        char end = *slash;
        if (end && end != '/') continue;
        *slash = '\0';
        TW_TRY(find_link(&found, file, path, step));
        TW_CHECK(found, TW_EDATA, "%s: there is no object %s", path, step);
        *slash = end;
        if (!end) break;
    }
    TRY_H5(id = H5Oopen(file, object, H5P_DEFAULT), TW_EDATA, "%s: %s cannot be opened", path,
           object);
    TW_CHECK(H5Iget_type(id) == H5I_DATASET, TW_EDATA, "%s: %s is not a dataset", path, object);
    *out = id;
    id = H5I_INVALID_HID;
done:
    tw_h5_close(&id);
    return st;
}

static tw_status describe_type(tw_h5_array *a, hid_t dataset, const char *path, const char *object)
{
    tw_status st = TW_OK;
    hid_t type = H5I_INVALID_HID;
    TRY_H5(type = H5Dget_type(dataset), TW_EDATA, "%s: the type of %s cannot be read", path,
           object);
    a->class = H5Tget_class(type);
    a->size = H5Tget_size(type);
    TW_CHECK((a->class == H5T_INTEGER || a->class == H5T_FLOAT) && a->size >= 1 && a->size <= 16,
             TW_EDATA, "%s: %s holds no plain numbers; integers or floats were expected", path,
             object);
    a->is_signed = a->class == H5T_FLOAT || H5Tget_sign(type) == H5T_SGN_2;
    bool little = a->size == 1 || H5Tget_order(type) == H5T_ORDER_LE;
    a->exact = little && (a->class == H5T_INTEGER ? H5Tget_precision(type) == 8 * a->size
                                                  : H5Tequal(type, H5T_IEEE_F32LE) > 0);
done:
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
    TW_CHECK(H5Sget_simple_extent_type(space) == H5S_SIMPLE, TW_EDATA, "%s: %s is not an array",
             path, object);
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

static tw_status check_filters(bool *deflated, hid_t list, const char *path, const char *object)
{
    tw_status st = TW_OK;
    int filters = H5Pget_nfilters(list);
    TRY_H5(filters, TW_EDATA, "%s: the filters of %s cannot be read", path, object);
    for (int i = 0; i < filters; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t id =
            H5Pget_filter2(list, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        TW_CHECK(id == H5Z_FILTER_DEFLATE || id == H5Z_FILTER_SHUFFLE ||
                     id == H5Z_FILTER_FLETCHER32,
                 TW_EDATA,
                 "%s: %s is packed by HDF5 filter %d; deflate, shuffle and fletcher32 are "
                 "understood (h5repack changes it)",
                 path, object, (int)id);
        if (id == H5Z_FILTER_DEFLATE) *deflated = true;
    }
done:
    return st;
}

static tw_status describe_storage(tw_h5_array *a, hid_t dataset, const char *path,
                                  const char *object)
{
    tw_status st = TW_OK;
    hsize_t chunk[H5S_MAX_RANK];
    bool deflated = false;
    int64_t bytes;
    hid_t list = H5I_INVALID_HID;
    TRY_H5(list = H5Dget_create_plist(dataset), TW_EDATA, "%s: the storage of %s cannot be read",
           path, object);
    H5D_layout_t layout = H5Pget_layout(list);
    TW_CHECK(layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED || layout == H5D_COMPACT, TW_EDATA,
             "%s: %s is a virtual dataset, whose data are in other files; copy it into one file "
             "(h5repack)",
             path, object);
    TW_CHECK(H5Pget_external_count(list) == 0, TW_EDATA,
             "%s: the data of %s are outside the file; copy them into it (h5repack)", path, object);
    TW_TRY(check_filters(&deflated, list, path, object));
    if (layout == H5D_CHUNKED) {
        TW_CHECK(H5Pget_chunk(list, a->rank, chunk) == a->rank, TW_EDATA,
                 "%s: the chunks of %s cannot be read", path, object);
        a->chunk_rows = (int64_t)chunk[0];
        a->chunk_bytes = (int64_t)a->size;
        for (int i = 0; i < a->rank; i++)
            TW_CHECK(!__builtin_mul_overflow(a->chunk_bytes, (int64_t)chunk[i], &a->chunk_bytes) &&
                         a->chunk_bytes <= INT32_MAX,
                     TW_EDATA, "%s: the chunks of %s are larger than 2 GiB", path, object);
    }
    /* a header may claim any shape: what is stored bounds it */
    TW_CHECK(!__builtin_mul_overflow(a->elements, (int64_t)a->size, &bytes), TW_EDATA,
             "%s: %s claims more bytes than can be counted", path, object);
    hsize_t stored = H5Dget_storage_size(dataset);
    TW_CHECK((hsize_t)bytes / (deflated ? DEFLATE_MOST : 1) <= stored, TW_EDATA,
             "%s: %s claims %lld bytes, but only %llu are stored: not all of it was written", path,
             object, (long long)bytes, (unsigned long long)stored);
done:
    tw_h5_close(&list);
    return st;
}

tw_status tw_h5_describe(tw_h5_array *out, hid_t dataset, const char *path, const char *object)
{
    tw_status st = TW_OK;
    tw_h5_array a = {0};
    TW_TRY(describe_type(&a, dataset, path, object));
    TW_TRY(describe_space(&a, dataset, path, object));
    TW_TRY(describe_storage(&a, dataset, path, object));
    *out = a;
done:
    return st;
}

tw_status tw_h5_read_rows(hid_t dataset, hid_t transfer, hid_t type, int64_t first, int64_t count,
                          void *out, const char *path, const char *object)
{
    tw_status st = TW_OK;
    hsize_t start[H5S_MAX_RANK] = {0}, extent[H5S_MAX_RANK];
    hid_t space = H5I_INVALID_HID, memory = H5I_INVALID_HID;
    TRY_H5(space = H5Dget_space(dataset), TW_EIO, "%s: %s cannot be read", path, object);
    int rank = H5Sget_simple_extent_dims(space, extent, NULL);
    TRY_H5(rank, TW_EIO, "%s: %s cannot be read", path, object);
    start[0] = (hsize_t)first;
    extent[0] = (hsize_t)count;
    TRY_H5(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, extent, NULL), TW_EIO,
           "%s: %s cannot be read", path, object);
    TRY_H5(memory = H5Screate_simple(rank, extent, NULL), TW_EIO, "%s: %s cannot be read", path,
           object);
    TRY_H5(H5Dread(dataset, type, memory, space, transfer, out), TW_EIO,
           "%s: rows %lld to %lld of %s cannot be read", path, (long long)first,
           (long long)(first + count - 1), object);
done:
    tw_h5_close(&memory);
    tw_h5_close(&space);
    return st;
}
