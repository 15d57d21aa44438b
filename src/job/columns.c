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

enum { DIGEST_MAX = 33 };

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

static void print_digest(char *out, const XXH3_state_t *hash)
{
    const XXH128_hash_t h = XXH3_128bits_digest(hash);
    (void)tw_format(out, DIGEST_MAX, "%016llx%016llx", (unsigned long long)h.high64,
                    (unsigned long long)h.low64);
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
    char digest[DIGEST_MAX];
    hid_t file;
    TW_CHECK(w->written == w->rows, TW_EINTERNAL, "%s: %lld of %lld rows", w->path,
             (long long)w->written, (long long)w->rows);
    for (int i = 0; i < w->set->count; i++) {
        print_digest(digest, w->hash[i]);
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

/* ---- reading ---- */

static tw_status open_array(column_reader *r, int i)
{
    tw_status st = TW_OK;
    const column *c = &r->set->column[i];
    char object[TW_DATASET_NAME_MAX];
    tw_h5_array a;
    TW_TRY(tw_format(object, sizeof object, "/%s", c->name));
    TW_TRY(tw_h5_open_dataset(&r->array[i], r->file, r->path, object));
    TW_TRY(tw_h5_describe(&a, r->array[i], r->path, object));
    const bool integers = c->type == COLUMN_I64;
    TW_CHECK(a.class == (integers ? H5T_INTEGER : H5T_FLOAT) && a.size == size_of(c->type) &&
                 a.rank == (c->width > 0 ? 2 : 1) && (c->width == 0 || a.dims[1] == c->width) &&
                 (i == 0 || a.dims[0] == r->rows),
             TW_EDATA, "%s: %s has another type or shape than was expected", r->path, object);
    r->rows = a.dims[0];
done:
    return st;
}

tw_status column_reader_open(column_reader *out, const char *path, const column_set *set)
{
    tw_status st = TW_OK;
    column_reader r = {.path = path, .set = set, .file = H5I_INVALID_HID};
    for (int i = 0; i < COLUMNS_MAX; i++) r.array[i] = H5I_INVALID_HID;
    TW_TRY(tw_h5_start());
    TRY_H5(r.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), TW_EDATA,
           "%s: cannot be read as HDF5", path);
    for (int i = 0; i < set->count; i++) TW_TRY(open_array(&r, i));
    *out = r;
    r.file = H5I_INVALID_HID;
    for (int i = 0; i < COLUMNS_MAX; i++) r.array[i] = H5I_INVALID_HID;
done:
    column_reader_close(&r);
    return st;
}

tw_status column_reader_read(column_reader *r, int64_t first, int64_t n, void *const *values)
{
    tw_status st = TW_OK;
    for (int i = 0; i < r->set->count; i++)
        if (values[i])
            TW_TRY(tw_h5_read_rows(r->array[i], H5P_DEFAULT, memory_type(r->set->column[i].type),
                                   first, n, values[i], r->path, r->set->column[i].name));
done:
    return st;
}

tw_status column_reader_verify(column_reader *r, void *const *values)
{
    tw_status st = TW_OK;
    char met[DIGEST_MAX], wanted[DIGEST_MAX];
    XXH3_state_t *hash = XXH3_createState();
    TW_CHECK(hash, TW_ENOMEM, "out of memory: a digest");
    TW_TRY(column_reader_read(r, 0, r->rows, values));
    for (int i = 0; i < r->set->count; i++) {
        const column *c = &r->set->column[i];
        TW_TRY(tw_h5_read_text(r->array[i], r->path, c->name, "digest", wanted, sizeof wanted));
        (void)XXH3_128bits_reset(hash);
        XXH3_128bits_update(hash, values[i], (size_t)r->rows * column_row_bytes(c));
        print_digest(met, hash);
        TW_CHECK(strcmp(met, wanted) == 0, TW_EDATA, "%s: damaged: %s does not have its digest",
                 r->path, c->name);
    }
done:
    XXH3_freeState(hash);
    return st;
}

void column_reader_close(column_reader *r)
{
    for (int i = 0; i < COLUMNS_MAX; i++) tw_h5_close(&r->array[i]);
    tw_h5_close(&r->file);
}
