/* Columns as HDF5 arrays. */
#include "job/columns.h"

#include <string.h>
#include <xxhash.h>

#include "h5/h5.h"
#include "tweedie/memory.h"

struct column_writer {
    const column_set *set;
    char path[TW_PATH_MAX];
    tw_output output;
    hid_t file, array[COLUMNS_MAX];
    XXH3_state_t *hash[COLUMNS_MAX];
    int64_t rows, written;
};

static size_t size_of(column_type type)
{
    return type == COLUMN_F32 ? sizeof(float) : 8;
}

static hid_t memory_type(column_type type)
{
    return type == COLUMN_F64   ? H5T_NATIVE_DOUBLE
           : type == COLUMN_I64 ? H5T_NATIVE_INT64
                                : H5T_NATIVE_FLOAT;
}

static hid_t file_type(column_type type)
{
    return type == COLUMN_F64   ? H5T_IEEE_F64LE
           : type == COLUMN_I64 ? H5T_STD_I64LE
                                : H5T_IEEE_F32LE;
}

size_t column_row_bytes(const column *c)
{
    return size_of(c->type) * (size_t)(c->width > 0 ? c->width : 1);
}

void column_print_digest(char *out, XXH128_hash_t hash)
{
    (void)tw_format(out, COLUMN_DIGEST_MAX, "%016llx%016llx", (unsigned long long)hash.high64,
                    (unsigned long long)hash.low64);
}

/* ---- writing ---- */

static tw_status create_array(column_writer *w, int i)
{
    tw_status st = TW_OK;
    const column *c = &w->set->column[i];
    const hsize_t extent[2] = {(hsize_t)w->rows, (hsize_t)c->width};
    hid_t space = H5I_INVALID_HID, list = H5I_INVALID_HID;
    w->hash[i] = XXH3_createState();
    TW_CHECK(w->hash[i] && XXH3_128bits_reset(w->hash[i]) == XXH_OK, TW_ENOMEM,
             "out of memory: a digest");
    TRY_H5(space = H5Screate_simple(c->width > 0 ? 2 : 1, extent, NULL), TW_EIO,
           "%s: cannot be written", w->path);
    TRY_H5(list = H5Pcreate(H5P_DATASET_CREATE), TW_EIO, "%s: cannot be written", w->path);
    TRY_H5(H5Pset_obj_track_times(list, false), TW_EIO, "%s: cannot be written", w->path);
    TRY_H5(w->array[i] = H5Dcreate2(w->file, c->name, file_type(c->type), space, H5P_DEFAULT, list,
                                    H5P_DEFAULT),
           TW_EIO, "%s: %s cannot be made", w->path, c->name);
done:
    tw_h5_close(&list);
    tw_h5_close(&space);
    return st;
}

tw_status column_writer_create(column_writer **out, const char *path, tw_output_mode mode,
                               const column_set *set, int64_t rows)
{
    tw_status st = TW_OK;
    column_writer *w = NULL;
    hid_t create = H5I_INVALID_HID;
    TW_TRY(tw_h5_start());
    TW_TRY(tw_alloc(&w, 1, sizeof *w, "a table"));
    w->set = set;
    w->rows = rows;
    w->file = H5I_INVALID_HID;
    for (int i = 0; i < COLUMNS_MAX; i++) w->array[i] = H5I_INVALID_HID;
    TW_TRY(tw_format(w->path, sizeof w->path, "%s", path));
    TW_TRY(tw_output_begin(&w->output, path, mode));
    TRY_H5(create = H5Pcreate(H5P_FILE_CREATE), TW_ENOMEM, "out of memory");
    TRY_H5(H5Pset_obj_track_times(create, false), TW_EIO, "%s: cannot be created", path);
    TRY_H5(w->file = H5Fcreate(w->output.part, H5F_ACC_EXCL, create, H5P_DEFAULT), TW_EIO,
           "%s: cannot be created", path);
    for (int i = 0; i < set->count; i++) TW_TRY(create_array(w, i));
    *out = w;
    w = NULL;
done:
    tw_h5_close(&create);
    column_writer_abort(&w);
    return st;
}

hid_t column_writer_file(const column_writer *w)
{
    return w->file;
}

static tw_status write_rows(const column_writer *w, int i, int64_t n, const void *values)
{
    tw_status st = TW_OK;
    const column *c = &w->set->column[i];
    const hsize_t start[2] = {(hsize_t)w->written, 0}, extent[2] = {(hsize_t)n, (hsize_t)c->width};
    hid_t space = H5I_INVALID_HID, memory = H5I_INVALID_HID;
    TRY_H5(space = H5Dget_space(w->array[i]), TW_EIO, "%s: cannot be written", w->path);
    TRY_H5(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, extent, NULL), TW_EIO,
           "%s: cannot be written", w->path);
    TRY_H5(memory = H5Screate_simple(c->width > 0 ? 2 : 1, extent, NULL), TW_EIO,
           "%s: cannot be written", w->path);
    TRY_H5(H5Dwrite(w->array[i], memory_type(c->type), memory, space, H5P_DEFAULT, values), TW_EIO,
           "%s: %s cannot be written", w->path, c->name);
    XXH3_128bits_update(w->hash[i], values, (size_t)n * column_row_bytes(c));
done:
    tw_h5_close(&memory);
    tw_h5_close(&space);
    return st;
}

tw_status column_writer_append(column_writer *w, int64_t n, void *const *values)
{
    tw_status st = TW_OK;
    TW_CHECK(n <= w->rows - w->written, TW_EINTERNAL, "%s: row %lld of %lld", w->path,
             (long long)(w->written + n), (long long)w->rows);
    for (int i = 0; i < w->set->count; i++) TW_TRY(write_rows(w, i, n, values[i]));
    w->written += n;
done:
    return st;
}

tw_status column_writer_finish(column_writer **writer)
{
    tw_status st = TW_OK;
    column_writer *w = *writer;
    char digest[COLUMN_DIGEST_MAX];
    hid_t file;
    TW_CHECK(w->written == w->rows, TW_EINTERNAL, "%s: %lld of %lld rows", w->path,
             (long long)w->written, (long long)w->rows);
    for (int i = 0; i < w->set->count; i++) {
        column_print_digest(digest, XXH3_128bits_digest(w->hash[i]));
        TW_TRY(tw_h5_write_text(w->array[i], w->path, "digest", digest));
    }
    TRY_H5(H5Fflush(w->file, H5F_SCOPE_LOCAL), TW_EIO, "%s: cannot be written",
           w->path); /* now, while it can still be diverted */
    for (int i = 0; i < w->set->count; i++) tw_h5_close(&w->array[i]);
    file = w->file;
    w->file = H5I_INVALID_HID;
    TRY_H5(H5Fclose(file), TW_EIO, "%s: cannot be written", w->path);
    TW_TRY(tw_output_publish(&w->output));
done:
    column_writer_abort(writer);
    return st;
}

void column_writer_abort(column_writer **writer)
{
    column_writer *w = *writer;
    if (!w) return;
    tw_h5_divert(w->file);
    for (int i = 0; i < COLUMNS_MAX; i++) {
        tw_h5_close(&w->array[i]);
        XXH3_freeState(w->hash[i]);
    }
    tw_h5_close(&w->file);
    tw_output_discard(&w->output);
    tw_free(writer);
}

tw_status column_write_double(hid_t id, const char *path, const char *name, double value)
{
    tw_status st = TW_OK;
    hid_t space = H5I_INVALID_HID, attribute = H5I_INVALID_HID;
    TRY_H5(space = H5Screate(H5S_SCALAR), TW_EIO, "%s: cannot be written", path);
    TRY_H5(attribute = H5Acreate2(id, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT),
           TW_EIO, "%s: cannot be written", path);
    TRY_H5(H5Awrite(attribute, H5T_NATIVE_DOUBLE, &value), TW_EIO, "%s: cannot be written", path);
done:
    tw_h5_close(&attribute);
    tw_h5_close(&space);
    return st;
}
