/* Dimension scales.
 *
 * netCDF-4 and xarray take a dataset for a dimension where it has the attribute CLASS =
 * DIMENSION_SCALE; one without values of its own has in NAME a sentence of netCDF's, and ten
 * columns of length. The library of scales attaches it to the axes of arrays. */
#include "data/dimensions.h"

#include <hdf5_hl.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/text.h"

enum { AXES = 5, ARRAYS = 64, NAME = 96 };

static const char *const names[] = {"sample", "y", "x", "channel"};

typedef struct root {
    hid_t file;
    const char *path;
    const tw_dataset_spec *spec;
    int count;
    char array[ARRAYS][NAME];
} root;

bool tw_dimensions_is_name(const char *name)
{
    static const char *const others[] = {"condition_y", "condition_x", "condition_channel",
                                         "class"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) == 0) return true;
    return false;
}

/* Makes the scale where it is missing; its values are never written, and take no room. */
static tw_status open_scale(hid_t *out, const root *r, const char *name, hsize_t size)
{
    tw_status st = TW_OK;
    char title[128];
    hid_t space = H5I_INVALID_HID, list = H5I_INVALID_HID, scale = H5I_INVALID_HID;
    if (H5Lexists(r->file, name, H5P_DEFAULT) > 0) {
        TRY_H5(*out = H5Dopen2(r->file, name, H5P_DEFAULT), TW_EIO, "%s: /%s cannot be opened",
               r->path, name);
        goto done;
    }
    TRY_H5(list = H5Pcreate(H5P_DATASET_CREATE), TW_ENOMEM, "%s: out of memory", r->path);
    TRY_H5(H5Pset_obj_track_times(list, false), TW_EIO, "%s: /%s cannot be made", r->path, name);
    TRY_H5(H5Pset_fill_time(list, H5D_FILL_TIME_NEVER), TW_EIO, "%s: /%s cannot be made", r->path,
           name);
    TRY_H5(space = H5Screate_simple(1, &size, NULL), TW_EIO, "%s: /%s cannot be made", r->path,
           name);
    TRY_H5(scale = H5Dcreate2(r->file, name, H5T_IEEE_F32BE, space, H5P_DEFAULT, list, H5P_DEFAULT),
           TW_EIO, "%s: /%s cannot be made", r->path, name);
    TW_TRY(tw_format(title, sizeof title,
                     "This is a netCDF dimension but not a netCDF variable.%10llu",
                     (unsigned long long)size));
    TRY_H5(H5DSset_scale(scale, title), TW_EIO, "%s: /%s cannot be made", r->path, name);
    *out = scale;
    scale = H5I_INVALID_HID;
done:
    tw_h5_close(&scale);
    tw_h5_close(&list);
    tw_h5_close(&space);
    return st;
}

static tw_status attach(const root *r, hid_t array, const char *object, unsigned axis,
                        const char *name, hsize_t size)
{
    tw_status st = TW_OK;
    hid_t scale = H5I_INVALID_HID;
    TW_TRY(open_scale(&scale, r, name, size));
    TRY_H5(H5DSattach_scale(array, scale, axis), TW_EIO, "%s: the axes of /%s cannot be named",
           r->path, object);
done:
    tw_h5_close(&scale);
    return st;
}

/* The k-th of four axes: sample, y, x, channel. */
static int64_t side(const tw_dataset_spec *s, int k)
{
    return k == 0 ? s->count : k == 1 ? s->height : k == 2 ? s->width : s->channels;
}

/* What an axis is called. */
static tw_status name_axis(char out[NAME], const root *r, const char *object, int rank, int axis,
                           hsize_t size)
{
    const bool image = rank == 4, condition = strcmp(object, "condition") == 0;
    const int k = axis == 0 ? 0 : image ? axis : 3; /* of names */
    const bool ours = rank == 4 || rank == 2 || axis == 0;
    if (strcmp(object, "class_names") == 0) return tw_format(out, NAME, "class");
    if (ours && (hsize_t)side(r->spec, k) == size && !(condition && k == 3))
        return tw_format(out, NAME, "%s", names[k]);
    if (condition) return tw_format(out, NAME, "condition_%s", names[k]);
    return tw_format(out, NAME, "%s_%d", object, axis);
}

static tw_status name_axes(const root *r, const char *object)
{
    tw_status st = TW_OK;
    char name[NAME];
    hsize_t dims[AXES];
    hid_t array = H5I_INVALID_HID, space = H5I_INVALID_HID;
    TRY_H5(array = H5Dopen2(r->file, object, H5P_DEFAULT), TW_EIO, "%s: /%s cannot be opened",
           r->path, object);
    TRY_H5(space = H5Dget_space(array), TW_EIO, "%s: /%s cannot be looked at", r->path, object);
    const int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 1 || rank > AXES) goto done;
    H5Sget_simple_extent_dims(space, dims, NULL);
    for (int k = 0; k < rank; k++) {
        TW_TRY(name_axis(name, r, object, rank, k, dims[k]));
        TW_TRY(attach(r, array, object, (unsigned)k, name, dims[k]));
    }
done:
    tw_h5_close(&space);
    tw_h5_close(&array);
    return st;
}

static herr_t collect(hid_t group, const char *name, const H5L_info_t *info, void *self)
{
    root *r = self;
    (void)group, (void)info;
    if (r->count < ARRAYS && strlen(name) < NAME - 8)
        snprintf(r->array[r->count++], NAME, "%s", name);
    return 0;
}

tw_status tw_dimensions_write(hid_t file, const tw_dataset_spec *spec, const char *path)
{
    tw_status st = TW_OK;
    root *r = NULL;
    TW_TRY(tw_alloc(&r, 1, sizeof *r, "names of dimensions"));
    *r = (root){.file = file, .path = path, .spec = spec};
    TRY_H5(H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, NULL, collect, r), TW_EIO,
           "%s: cannot be looked at", path);
    for (int i = 0; i < r->count; i++) TW_TRY(name_axes(r, r->array[i]));
done:
    tw_free(&r);
    return st;
}
