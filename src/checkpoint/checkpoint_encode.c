/* A checkpoint as an HDF5 file: attributes, texts, arrays. The bytes are the same whenever the
 * contents are. */
#include "checkpoint/checkpoint_encode.h"

#include <string.h>

#include "checkpoint/container.h"
#include "h5/h5.h"
#include "tweedie/memory.h"

/* Closing the file closes what a failure left open in it. */
static tw_status access_list(hid_t *out, const char *path)
{
    tw_status st = TW_OK;
    hid_t list = -1;
    TRY_H5(list = H5Pcreate(H5P_FILE_ACCESS), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Pset_fclose_degree(list, H5F_CLOSE_STRONG), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_V110), TW_EIO,
           "%s: cannot be written", path); /* readable from 1.10 on, whatever writes it */
    *out = list;
    list = -1;
done:
    if (list >= 0) H5Pclose(list);
    return st;
}

static tw_status write_attribute(hid_t file, const char *path, const char *name, hid_t type,
                                 hid_t memory_type, const void *value)
{
    tw_status st = TW_OK;
    hid_t space = -1, attribute = -1;
    TRY_H5(space = H5Screate(H5S_SCALAR), TW_EIO, "%s: cannot be written", path);
    TRY_H5(attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT), TW_EIO,
           "%s: cannot be written", path);
    TRY_H5(H5Awrite(attribute, memory_type, value), TW_EIO, "%s: cannot be written", path);
done:
    if (attribute >= 0) H5Aclose(attribute);
    if (space >= 0) H5Sclose(space);
    return st;
}

/* Fixed length, UTF-8, padded with NUL: what h5py and h5dump read without ceremony. */
static tw_status text_type(hid_t *out, const char *path, size_t length)
{
    tw_status st = TW_OK;
    hid_t type = -1;
    TRY_H5(type = H5Tcopy(H5T_C_S1), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Tset_size(type, length > 0 ? length : 1), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Tset_cset(type, H5T_CSET_UTF8), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Tset_strpad(type, H5T_STR_NULLPAD), TW_EIO, "%s: cannot be written", path);
    *out = type;
    type = -1;
done:
    if (type >= 0) H5Tclose(type);
    return st;
}

static tw_status write_text_attribute(hid_t file, const char *path, const char *name,
                                      const char *text)
{
    tw_status st = TW_OK;
    hid_t type = -1;
    TW_TRY(text_type(&type, path, strlen(text)));
    TW_TRY(write_attribute(file, path, name, type, type, text));
done:
    if (type >= 0) H5Tclose(type);
    return st;
}

static tw_status write_meta(hid_t file, const char *path, const tw_checkpoint_meta *meta,
                            bool weights)
{
    tw_status st = TW_OK;
    int version = TW_CHECKPOINT_VERSION;
    TW_TRY(
        write_text_attribute(file, path, "format", weights ? FORMAT_WEIGHTS : FORMAT_CHECKPOINT));
    TW_TRY(write_attribute(file, path, "format_version", H5T_STD_I32LE, H5T_NATIVE_INT, &version));
    for (int i = 0; i < meta_field_count; i++) {
        const meta_field *f = &meta_fields[i];
        const char *member = (const char *)meta + f->offset;
        switch (f->type) {
        case META_INT:
            TW_TRY(write_attribute(file, path, f->name, H5T_STD_I32LE, H5T_NATIVE_INT, member));
            break;
        case META_INT64:
            if (is_optional(f) && *(const int64_t *)(const void *)member == 0) break;
            TW_TRY(write_attribute(file, path, f->name, H5T_STD_I64LE, H5T_NATIVE_INT64, member));
            break;
        case META_UINT64:
            TW_TRY(write_attribute(file, path, f->name, H5T_STD_U64LE, H5T_NATIVE_UINT64, member));
            break;
        case META_TEXT:
            if (is_optional(f) && !member[0]) break;
            TW_TRY(write_text_attribute(file, path, f->name, member));
            break;
        }
    }
done:
    return st;
}

/* A dataset without time stamps, so that the same state gives the same bytes. */
static tw_status creation_list(hid_t *out, const char *path)
{
    tw_status st = TW_OK;
    hid_t list = -1;
    TRY_H5(list = H5Pcreate(H5P_DATASET_CREATE), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Pset_obj_track_times(list, false), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Pset_fill_time(list, H5D_FILL_TIME_NEVER), TW_EIO, "%s: cannot be written", path);
    *out = list;
    list = -1;
done:
    if (list >= 0) H5Pclose(list);
    return st;
}

static tw_status write_dataset(hid_t file, const char *path, const char *name, hid_t type,
                               hid_t memory_type, hid_t space, hid_t list, const void *data)
{
    tw_status st = TW_OK;
    hid_t set = -1;
    TRY_H5(set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT), TW_EIO,
           "%s: cannot be written", path);
    TRY_H5(H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), TW_EIO,
           "%s: cannot be written", path);
    herr_t closed = H5Dclose(set);
    set = -1;
    TRY_H5(closed, TW_EIO, "%s: cannot be written", path);
done:
    if (set >= 0) H5Dclose(set);
    return st;
}

/* What may be larger than the 64 KiB of an attribute. */
static tw_status write_texts(hid_t file, const char *path, const tw_checkpoint_meta *meta)
{
    tw_status st = TW_OK;
    hid_t type = -1, space = -1, list = -1;
    hsize_t dims[2] = {(hsize_t)meta->loss_count, 2};
    TW_TRY(creation_list(&list, path));
    TW_TRY(text_type(&type, path, strlen(meta->config)));
    TRY_H5(space = H5Screate(H5S_SCALAR), TW_EIO, "%s: cannot be written", path);
    TW_TRY(write_dataset(file, path, "config", type, type, space, list, meta->config));
    H5Sclose(space);
    space = -1;
    if (meta->loss_count > 0) {
        TRY_H5(space = H5Screate_simple(2, dims, NULL), TW_EIO, "%s: cannot be written", path);
        TW_TRY(write_dataset(file, path, "loss_history", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, space,
                             list, meta->losses));
    }
done:
    if (list >= 0) H5Pclose(list);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return st;
}

static tw_status write_units(hid_t file, const char *path, const tw_checkpoint_meta *meta,
                             int which)
{
    tw_status st = TW_OK;
    hid_t space = -1, list = -1;
    const hsize_t channels = (hsize_t)unit_channels(meta, which);
    if (!unit_offsets(meta, which)) return TW_OK;
    TW_TRY(creation_list(&list, path));
    TRY_H5(space = H5Screate_simple(1, &channels, NULL), TW_EIO, "%s: cannot be written", path);
    TW_TRY(write_dataset(file, path, unit_offset_names[which], H5T_IEEE_F32LE, H5T_NATIVE_FLOAT,
                         space, list, unit_offsets(meta, which)));
    TW_TRY(write_dataset(file, path, unit_scale_names[which], H5T_IEEE_F32LE, H5T_NATIVE_FLOAT,
                         space, list, unit_scales(meta, which)));
done:
    if (list >= 0) H5Pclose(list);
    if (space >= 0) H5Sclose(space);
    return st;
}

tw_status encode_create(hid_t *out, const char *part, const char *path,
                        const tw_checkpoint_meta *meta, bool weights)
{
    tw_status st = TW_OK;
    hid_t access = -1, creation = -1, file = -1;
    TW_TRY(tw_h5_start());
    TW_TRY(access_list(&access, path));
    TRY_H5(creation = H5Pcreate(H5P_FILE_CREATE), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Pset_userblock(creation, CONTAINER_BLOCK), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Pset_obj_track_times(creation, false), TW_EIO, "%s: cannot be written",
           path); /* of the root group */
    TRY_H5(file = H5Fcreate(part, H5F_ACC_EXCL, creation, access), TW_EIO, "%s: cannot be written",
           path);
    TW_TRY(write_meta(file, path, meta, weights));
    TW_TRY(write_texts(file, path, meta));
    for (int k = 0; k < UNITS_COUNT; k++) TW_TRY(write_units(file, path, meta, k));
    *out = file;
    file = -1;
done:
    if (file >= 0) H5Fclose(file);
    if (creation >= 0) H5Pclose(creation);
    if (access >= 0) H5Pclose(access);
    return st;
}

/* Makes "ema" and "ema/0.9999" where they are not there yet. */
static tw_status make_groups(hid_t file, const char *path, const char *group)
{
    tw_status st = TW_OK;
    char prefix[NAME_BYTES];
    hid_t list = -1, made = -1;
    htri_t there = 1;
    TRY_H5(list = H5Pcreate(H5P_GROUP_CREATE), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Pset_obj_track_times(list, false), TW_EIO, "%s: cannot be written", path);
    for (size_t n = 0; group[n]; n++) {
        if (group[n + 1] && group[n + 1] != '/') continue;
        memcpy(prefix, group, n + 1);
        prefix[n + 1] = '\0';
        TRY_H5(there = H5Lexists(file, prefix, H5P_DEFAULT), TW_EIO, "%s: cannot be written", path);
        if (there > 0) continue;
        TRY_H5(made = H5Gcreate2(file, prefix, H5P_DEFAULT, list, H5P_DEFAULT), TW_EIO,
               "%s: cannot be written", path);
        H5Gclose(made);
    }
done:
    if (list >= 0) H5Pclose(list);
    return st;
}

tw_status encode_array(hid_t file, const char *path, const tw_checkpoint_array *a)
{
    tw_status st = TW_OK;
    char name[2 * NAME_BYTES];
    int64_t sizes[TW_CHECKPOINT_DIMS];
    hsize_t dims[TW_CHECKPOINT_DIMS], chunk[TW_CHECKPOINT_DIMS];
    hid_t list = -1, space = -1;

    TW_TRY(make_groups(file, path, a->group));
    TW_TRY(tw_format(name, sizeof name, "%s/%s", a->group, a->name));
    choose_chunk(sizes, a->rank, a->dims);
    for (int i = 0; i < a->rank; i++) {
        dims[i] = (hsize_t)a->dims[i];
        chunk[i] = (hsize_t)sizes[i];
    }
    TRY_H5(space = H5Screate_simple(a->rank, dims, NULL), TW_EIO, "%s: cannot be written", path);
    TW_TRY(creation_list(&list, path));
    TRY_H5(H5Pset_chunk(list, a->rank, chunk), TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Pset_fletcher32(list), TW_EIO, "%s: cannot be written", path);
    TW_TRY(write_dataset(file, path, name, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, space, list, a->data));
done:
    if (list >= 0) H5Pclose(list);
    if (space >= 0) H5Sclose(space);
    return st;
}

tw_status encode_close(hid_t *file, const char *path)
{
    tw_status st = TW_OK;
    if (*file < 0) return TW_OK;
    herr_t closed = H5Fclose(*file);
    *file = -1;
    TRY_H5(closed, TW_EIO, "%s: cannot be written", path);
done:
    return st;
}
