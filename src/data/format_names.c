/* Names of classes: text of fixed length, as older versions wrote it, or netCDF's strings. */
#include <string.h>

#include "data/format.h"
#include "h5/h5.h"
#include "tweedie/memory.h"

/* The type of /class_names: text, one for each class. @param[out] width  its length, 0: variable */
static tw_status describe_names(size_t *width, hid_t dataset, int64_t classes, const char *path)
{
    tw_status st = TW_OK;
    hid_t type = H5I_INVALID_HID, space = H5I_INVALID_HID;
    TRY_H5(type = H5Dget_type(dataset), TW_EDATA, "%s: /class_names cannot be read", path);
    TRY_H5(space = H5Dget_space(dataset), TW_EDATA, "%s: /class_names cannot be read", path);
    TW_CHECK(H5Tget_class(type) == H5T_STRING && H5Tget_size(type) < TW_DATASET_CLASS_MAX, TW_EDATA,
             "%s: /class_names holds no text of at most %d bytes", path, TW_DATASET_CLASS_MAX - 1);
    TW_CHECK(H5Sget_simple_extent_ndims(space) == 1 &&
                 H5Sget_simple_extent_npoints(space) == classes,
             TW_EDATA, "%s: /class_names has %lld names for %lld classes", path,
             (long long)H5Sget_simple_extent_npoints(space), (long long)classes);
    TW_TRY(tw_h5_check_stored(dataset, path, "/class_names", classes * (int64_t)H5Tget_size(type)));
    *width = H5Tis_variable_str(type) > 0 ? 0 : H5Tget_size(type);
done:
    tw_h5_close(&space);
    tw_h5_close(&type);
    return st;
}

/* Text of fixed length, as older versions wrote. */
static tw_status read_fixed_names(tw_dataset_file *f, hid_t dataset, hid_t type, size_t width,
                                  const char *path)
{
    tw_status st = TW_OK;
    const int64_t classes = f->spec.num_classes;
    TW_TRY(tw_alloc(&f->class_text, classes, width + 1, "class names"));
    TRY_H5(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, f->class_text), TW_EDATA,
           "%s: /class_names cannot be read", path);
    /* they were read one next to the other; each gets a NUL of its own, the last first */
    for (int64_t i = classes - 1; i >= 0; i--) {
        f->class_names[i] = f->class_text + (size_t)i * (width + 1);
        memmove(f->class_names[i], f->class_text + (size_t)i * width, width);
        f->class_names[i][width] = '\0';
    }
done:
    return st;
}

/* One after the other, each with its NUL; @param all  as the library gave them. */
static tw_status pack_names(tw_dataset_file *f, char *const *all, const char *path)
{
    tw_status st = TW_OK;
    const int64_t classes = f->spec.num_classes;
    int64_t bytes = 0, at = 0;
    for (int64_t i = 0; i < classes; i++) {
        TW_CHECK(all[i] && strlen(all[i]) < TW_DATASET_CLASS_MAX, TW_EDATA,
                 "%s: /class_names[%lld] is no text of at most %d bytes", path, (long long)i,
                 TW_DATASET_CLASS_MAX - 1);
        bytes += (int64_t)strlen(all[i]) + 1;
    }
    TW_TRY(tw_alloc(&f->class_text, bytes, 1, "class names"));
    for (int64_t i = 0; i < classes; i++) {
        f->class_names[i] = f->class_text + at;
        at += (int64_t)strlen(all[i]) + 1;
        memcpy(f->class_names[i], all[i], strlen(all[i]) + 1);
    }
done:
    return st;
}

static tw_status read_variable_names(tw_dataset_file *f, hid_t dataset, hid_t type,
                                     const char *path)
{
    tw_status st = TW_OK;
    const int64_t classes = f->spec.num_classes;
    char **all = NULL;
    TW_TRY(tw_alloc(&all, classes, sizeof *all, "class names"));
    TRY_H5(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, all), TW_EDATA,
           "%s: /class_names cannot be read", path);
    TW_TRY(pack_names(f, all, path));
done:
    for (int64_t i = 0; all && i < classes; i++)
        if (all[i]) H5free_memory(all[i]);
    tw_free(&all);
    return st;
}

tw_status tw_format_read_names(tw_dataset_file *f, const char *path)
{
    tw_status st = TW_OK;
    int64_t classes = f->spec.num_classes;
    size_t width = 0;
    bool named;
    hid_t dataset = H5I_INVALID_HID, type = H5I_INVALID_HID;
    TW_TRY(tw_h5_has(&named, f->file, path, "/class_names"));
    if (!named) goto done;
    TW_TRY(tw_h5_open_dataset(&dataset, f->file, path, "/class_names"));
    TW_TRY(tw_h5_check_storage(dataset, path, "/class_names", false));
    TW_TRY(describe_names(&width, dataset, classes, path));
    TW_TRY(tw_alloc(&f->class_names, classes, sizeof *f->class_names, "class names"));
    TRY_H5(type = H5Dget_type(dataset), TW_EDATA, "%s: /class_names cannot be read", path);
    if (width)
        TW_TRY(read_fixed_names(f, dataset, type, width, path));
    else
        TW_TRY(read_variable_names(f, dataset, type, path));
    f->spec.class_names = (const char *const *)f->class_names;
done:
    tw_h5_close(&type);
    tw_h5_close(&dataset);
    return st;
}

tw_status tw_format_write_names(hid_t file, const char *path, int64_t classes,
                                const char *const *names)
{
    tw_status st = TW_OK;
    const hsize_t extent = (hsize_t)classes;
    hid_t dataset = H5I_INVALID_HID, type = H5I_INVALID_HID, space = H5I_INVALID_HID,
          list = H5I_INVALID_HID;
    for (int64_t i = 0; i < classes; i++)
        TW_CHECK(strlen(names[i]) < TW_DATASET_CLASS_MAX, TW_EDATA,
                 "%s: a class name has %zu bytes; at most %d are stored", path, strlen(names[i]),
                 TW_DATASET_CLASS_MAX - 1);
    TRY_H5(type = H5Tcopy(H5T_C_S1), TW_ENOMEM, "out of memory");
    TRY_H5(H5Tset_size(type, H5T_VARIABLE), TW_ENOMEM, "out of memory"); /* as netCDF's strings */
    TRY_H5(H5Tset_cset(type, H5T_CSET_UTF8), TW_ENOMEM, "out of memory");
    TRY_H5(list = H5Pcreate(H5P_DATASET_CREATE), TW_ENOMEM, "out of memory");
    TRY_H5(H5Pset_obj_track_times(list, false), TW_EIO, "/class_names cannot be made");
    /* pointers into a heap, which HDF5 fills */
    TRY_H5(H5Pset_fill_time(list, H5D_FILL_TIME_IFSET), TW_EIO, "/class_names cannot be made");
    TRY_H5(space = H5Screate_simple(1, &extent, NULL), TW_EIO, "/class_names cannot be made");
    TRY_H5(dataset = H5Dcreate2(file, "/class_names", type, space, H5P_DEFAULT, list, H5P_DEFAULT),
           TW_EIO, "/class_names cannot be made");
    TRY_H5(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, names), TW_EIO,
           "%s: /class_names cannot be written", path);
done:
    tw_h5_close(&list);
    tw_h5_close(&space);
    tw_h5_close(&type);
    tw_h5_close(&dataset);
    return st;
}
