/* Scores as a file. */
#include "cli/score_file.h"

#include "h5/h5.h"

enum { VERSION = 1 };

static int extent_of(hsize_t *extent, const tw_dataset_spec *spec, int64_t count)
{
    extent[0] = (hsize_t)count;
    if (spec->kind == TW_DATASET_POINTS) {
        extent[1] = (hsize_t)spec->channels;
        return 2;
    }
    extent[1] = (hsize_t)spec->height;
    extent[2] = (hsize_t)spec->width;
    extent[3] = (hsize_t)spec->channels;
    return 4;
}

static tw_status create_array(hid_t *out, const score_file *f, const char *name,
                              const tw_dataset_spec *spec, int64_t count)
{
    tw_status st = TW_OK;
    hid_t space = H5I_INVALID_HID, list = H5I_INVALID_HID;
    hsize_t extent[4];
    const int rank = extent_of(extent, spec, count);
    TRY_H5(space = H5Screate_simple(rank, extent, NULL), TW_EIO, "%s: cannot be written", f->path);
    TRY_H5(list = H5Pcreate(H5P_DATASET_CREATE), TW_EIO, "%s: cannot be written", f->path);
    TRY_H5(H5Pset_obj_track_times(list, false), TW_EIO, "%s: cannot be written", f->path);
    TRY_H5(*out = H5Dcreate2(f->file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT),
           TW_EIO, "%s: %s cannot be made", f->path, name);
done:
    tw_h5_close(&list);
    tw_h5_close(&space);
    return st;
}

static tw_status write_time(const score_file *f, double time)
{
    tw_status st = TW_OK;
    hid_t space = H5I_INVALID_HID, attribute = H5I_INVALID_HID;
    TRY_H5(space = H5Screate(H5S_SCALAR), TW_EIO, "%s: cannot be written", f->path);
    TRY_H5(attribute = H5Acreate2(f->file, "time", H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT),
           TW_EIO, "%s: cannot be written", f->path);
    TRY_H5(H5Awrite(attribute, H5T_NATIVE_DOUBLE, &time), TW_EIO, "%s: cannot be written", f->path);
done:
    tw_h5_close(&attribute);
    tw_h5_close(&space);
    return st;
}

tw_status score_file_create(score_file *f, const char *path, tw_output_mode mode,
                            const tw_dataset_spec *spec, int64_t count, double time,
                            const char *weights, bool with_vjp)
{
    tw_status st = TW_OK;
    hid_t create = H5I_INVALID_HID;
    *f = (score_file){
        .path = path, .file = H5I_INVALID_HID, .score = H5I_INVALID_HID, .vjp = H5I_INVALID_HID};
    TW_TRY(tw_h5_start());
    TW_TRY(tw_output_begin(&f->output, path, mode));
    TRY_H5(create = H5Pcreate(H5P_FILE_CREATE), TW_ENOMEM, "out of memory");
    TRY_H5(H5Pset_obj_track_times(create, false), TW_EIO, "%s: cannot be created", path);
    TRY_H5(f->file = H5Fcreate(f->output.part, H5F_ACC_EXCL, create, H5P_DEFAULT), TW_EIO,
           "%s: cannot be created", path);
    TW_TRY(tw_h5_write_text(f->file, path, "format", "tweedie-scores"));
    TW_TRY(tw_h5_write_int(f->file, path, "format_version", VERSION));
    TW_TRY(tw_h5_write_text(f->file, path, "weights_digest", weights));
    TW_TRY(write_time(f, time));
    TW_TRY(create_array(&f->score, f, "score", spec, count));
    if (with_vjp) TW_TRY(create_array(&f->vjp, f, "vjp", spec, count));
done:
    tw_h5_close(&create);
    return st;
}

static tw_status write_rows(const score_file *f, hid_t array, const tw_dataset_spec *spec,
                            int64_t first, int64_t count, const float *rows)
{
    tw_status st = TW_OK;
    hid_t space = H5I_INVALID_HID, memory = H5I_INVALID_HID;
    hsize_t start[4] = {(hsize_t)first}, extent[4];
    const int rank = extent_of(extent, spec, count);
    TRY_H5(space = H5Dget_space(array), TW_EIO, "%s: cannot be written", f->path);
    TRY_H5(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, extent, NULL), TW_EIO,
           "%s: cannot be written", f->path);
    TRY_H5(memory = H5Screate_simple(rank, extent, NULL), TW_EIO, "%s: cannot be written", f->path);
    TRY_H5(H5Dwrite(array, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, rows), TW_EIO,
           "%s: cannot be written", f->path);
done:
    tw_h5_close(&memory);
    tw_h5_close(&space);
    return st;
}

tw_status score_file_write(score_file *f, const tw_dataset_spec *spec, int64_t first, int64_t count,
                           const float *score, const float *vjp)
{
    tw_status st = TW_OK;
    TW_TRY(write_rows(f, f->score, spec, first, count, score));
    if (f->vjp >= 0) TW_TRY(write_rows(f, f->vjp, spec, first, count, vjp));
done:
    return st;
}

tw_status score_file_finish(score_file *f)
{
    tw_status st = TW_OK;
    TRY_H5(H5Fflush(f->file, H5F_SCOPE_LOCAL), TW_EIO, "%s: cannot be written",
           f->path); /* where closing fails nothing can be done */
    tw_h5_close(&f->score);
    tw_h5_close(&f->vjp);
    tw_h5_close(&f->file);
    TW_TRY(tw_output_publish(&f->output));
done:
    return st;
}

void score_file_close(score_file *f)
{
    if (f->file >= 0) tw_h5_divert(f->file);
    tw_h5_close(&f->score);
    tw_h5_close(&f->vjp);
    tw_h5_close(&f->file);
    tw_output_discard(&f->output);
}
