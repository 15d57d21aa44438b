/* Files of this program's own formats: every object is held against what their writers make, before
 * a byte of it is believed. So a file that somebody made cannot have the library read other files,
 * run a filter, unpack more than is there, or read one array a thousand times. */
#include <string.h>

#include "h5/h5.h"
#include "tweedie/memory.h"

tw_status tw_h5_open(hid_t *out, const char *path)
{
    tw_status st = TW_OK;
    hid_t access = H5I_INVALID_HID;
    TW_TRY(tw_h5_start());
    TRY_H5(access = H5Pcreate(H5P_FILE_ACCESS), TW_EIO, "%s: cannot be opened", path);
    TRY_H5(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG), TW_EIO, "%s: cannot be opened", path);
    TRY_H5(*out = H5Fopen(path, H5F_ACC_RDONLY, access), TW_EDATA,
           "%s: cannot be opened as an HDF5 file", path);
done:
    tw_h5_close(&access);
    return st;
}

tw_status tw_h5_check_single(hid_t object, const char *path, const char *name)
{
    tw_status st = TW_OK;
    H5O_info_t info;
    TRY_H5(H5Oget_info2(object, &info, H5O_INFO_BASIC), TW_EDATA, "%s: %s cannot be read", path,
           name);
    TW_CHECK(info.rc == 1, TW_EDATA, "%s: %s has %u hard links; one was expected", path, name,
             info.rc);
done:
    return st;
}

static tw_status check_type(hid_t dataset, const char *path, const char *name, hid_t type)
{
    tw_status st = TW_OK;
    hid_t found = H5I_INVALID_HID;
    TRY_H5(found = H5Dget_type(dataset), TW_EDATA, "%s: the type of %s cannot be read", path, name);
    TW_CHECK(H5Tcommitted(found) == 0 && H5Tequal(found, type) > 0, TW_EDATA,
             "%s: %s is not of the type %s", path, name,
             H5Tequal(type, H5T_IEEE_F32LE) > 0 ? "float32" : "float64");
done:
    tw_h5_close(&found);
    return st;
}

static tw_status check_filters(hid_t list, const char *path, const char *name, bool chunked)
{
    tw_status st = TW_OK;
    const int filters = H5Pget_nfilters(list);
    unsigned flags, config;
    size_t values = 0;
    TW_CHECK(filters >= 0 && filters <= chunked, TW_EDATA,
             "%s: %s is stored with %d filters, expected %s", path, name, filters,
             chunked ? "fletcher32 alone" : "none");
    if (filters == 0) goto done;
    const H5Z_filter_t filter = H5Pget_filter2(list, 0, &flags, &values, NULL, 0, NULL, &config);
    TW_CHECK(filter == H5Z_FILTER_FLETCHER32, TW_EDATA,
             "%s: %s is stored with filter %d, expected fletcher32 alone", path, name, (int)filter);
done:
    return st;
}

tw_status tw_h5_check_storage(hid_t dataset, const char *path, const char *name, bool chunked)
{
    tw_status st = TW_OK;
    hid_t list = H5I_INVALID_HID;
    TW_TRY(tw_h5_check_single(dataset, path, name));
    TRY_H5(list = H5Dget_create_plist(dataset), TW_EDATA, "%s: the storage of %s cannot be read",
           path, name);
    const H5D_layout_t layout = H5Pget_layout(list);
    TW_CHECK(layout != H5D_VIRTUAL && H5Pget_external_count(list) == 0, TW_EDATA,
             "%s: the data of %s are in other files, which are not followed", path, name);
    TW_CHECK(chunked ? layout == H5D_CHUNKED : layout == H5D_CONTIGUOUS || layout == H5D_COMPACT,
             TW_EDATA, "%s: %s is not stored %s", path, name,
             chunked ? "in chunks" : "in one piece");
    TW_TRY(check_filters(list, path, name, chunked));
done:
    tw_h5_close(&list);
    return st;
}

tw_status tw_h5_read_dims(int *rank, int64_t *dims, hid_t dataset, const char *path,
                          const char *name, int most)
{
    tw_status st = TW_OK;
    hsize_t extent[H5S_MAX_RANK], limit[H5S_MAX_RANK];
    hid_t space = H5I_INVALID_HID;
    TRY_H5(space = H5Dget_space(dataset), TW_EDATA, "%s: the shape of %s cannot be read", path,
           name);
    const H5S_class_t class = H5Sget_simple_extent_type(space);
    TW_CHECK(class == H5S_SCALAR || class == H5S_SIMPLE, TW_EDATA, "%s: %s holds nothing", path,
             name);
    const int n = class == H5S_SCALAR ? 0 : H5Sget_simple_extent_ndims(space);
    TW_CHECK(n >= 0 && n <= most, TW_EDATA, "%s: %s has %d dimensions, expected at most %d", path,
             name, n, most);
    if (n > 0)
        TRY_H5(H5Sget_simple_extent_dims(space, extent, limit), TW_EDATA,
               "%s: the shape of %s cannot be read", path, name);
    for (int i = 0; i < n; i++) {
        TW_CHECK(extent[i] >= 1 && extent[i] <= INT64_MAX && limit[i] == extent[i], TW_EDATA,
                 "%s: dimension %d of %s is %llu, or can grow", path, i, name,
                 (unsigned long long)extent[i]);
        dims[i] = (int64_t)extent[i];
    }
    *rank = n;
done:
    tw_h5_close(&space);
    return st;
}

tw_status tw_h5_check_stored(hid_t dataset, const char *path, const char *name, int64_t bytes)
{
    tw_status st = TW_OK;
    const hsize_t stored = H5Dget_storage_size(dataset);
    TW_CHECK(stored >= (hsize_t)bytes, TW_EDATA,
             "%s: %s claims %lld bytes, but only %llu are stored", path, name, (long long)bytes,
             (unsigned long long)stored);
done:
    return st;
}

tw_status tw_h5_check_numbers(int *rank, int64_t *dims, hid_t dataset, const char *path,
                              const char *name, hid_t type, int most, bool chunked)
{
    tw_status st = TW_OK;
    int64_t bytes = (int64_t)H5Tget_size(type);
    TW_TRY(check_type(dataset, path, name, type));
    TW_TRY(tw_h5_check_storage(dataset, path, name, chunked));
    TW_TRY(tw_h5_read_dims(rank, dims, dataset, path, name, most));
    for (int i = 0; i < *rank; i++)
        TW_CHECK(!__builtin_mul_overflow(bytes, dims[i], &bytes), TW_EDATA, "%s: %s is too large",
                 path, name);
    TW_TRY(tw_h5_check_stored(dataset, path, name, bytes));
done:
    return st;
}

/* ---- groups ---- */

typedef struct walker {
    const char *path, *prefix;
    tw_h5_visitor visit;
    void *self;
    tw_status st;
} walker;

static tw_status visit_link(const walker *w, hid_t group, const char *link)
{
    tw_status st = TW_OK;
    char name[1024];
    H5L_info_t info;
    hid_t object = H5I_INVALID_HID;
    TW_CHECK(strlen(w->prefix) + strlen(link) + 2 <= sizeof name, TW_EDATA,
             "%s: the name %s/%.60s… is too long", w->path, w->prefix, link);
    TW_TRY(tw_format(name, sizeof name, "%s/%s", w->prefix, link));
    TRY_H5(H5Lget_info(group, link, &info, H5P_DEFAULT), TW_EDATA, "%s: %s cannot be looked up",
           w->path, name);
    TW_CHECK(info.type == H5L_TYPE_HARD, TW_EDATA, "%s: %s is a link, which is not followed",
             w->path, name);
    TRY_H5(object = H5Oopen(group, link, H5P_DEFAULT), TW_EDATA, "%s: %s cannot be opened", w->path,
           name);
    TW_TRY(tw_h5_check_single(object, w->path, name));
    TW_TRY(w->visit(w->self, object, name));
done:
    tw_h5_close(&object);
    return st;
}

static herr_t each_link(hid_t group, const char *link, const H5L_info_t *info, void *self)
{
    walker *w = self;
    (void)info;
    w->st = visit_link(w, group, link);
    return w->st == TW_OK ? 0 : 1; /* 1 ends the walk without a complaint of the library */
}

tw_status tw_h5_walk(hid_t group, const char *path, const char *prefix, tw_h5_visitor visit,
                     void *self)
{
    tw_status st = TW_OK;
    walker w = {path, prefix, visit, self, TW_OK};
    TRY_H5(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, each_link, &w), TW_EDATA,
           "%s: the group %s/ cannot be listed", path, prefix);
    st = w.st;
done:
    return st;
}

tw_status tw_h5_check_version(hid_t file, const tw_file_version *version, const char *path)
{
    tw_status st = TW_OK;
    int *descriptor = NULL;
    TRY_H5(H5Fget_vfd_handle(file, H5P_DEFAULT, (void **)&descriptor), TW_EINTERNAL,
           "%s: has no descriptor", path);
    TW_TRY(tw_file_check_version(version, *descriptor, path));
done:
    return st;
}
