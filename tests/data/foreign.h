/* What the tests of foreign arrays share: files made with HDF5's C interface, and imports of them.
 */
#ifndef TWEEDIE_TESTS_DATA_FOREIGN_H
#define TWEEDIE_TESTS_DATA_FOREIGN_H

#include <hdf5.h>
#include <math.h>

#include "data/fixture.h"
#include "tweedie/data.h"

/* How an array is stored; zero is contiguous. */
typedef struct storage {
    hsize_t chunk[4];
    bool shuffle, fletcher;
    int gzip;
    H5D_alloc_time_t when; /* 0: the default */
    hsize_t written;       /* rows that are written; 0: all */
    bool latest;           /* the newest format: other indices of chunks */
} storage;

static inline hid_t creation(const storage *s, int rank)
{
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (s->chunk[0]) H5Pset_chunk(list, rank, s->chunk);
    if (s->shuffle) H5Pset_shuffle(list);
    if (s->gzip) H5Pset_deflate(list, (unsigned)s->gzip);
    if (s->fletcher) H5Pset_fletcher32(list);
    if (s->when) H5Pset_alloc_time(list, s->when);
    return list;
}

static inline hid_t make_file(const char *path, bool latest)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (latest) H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    assert_true(file >= 0);
    return file;
}

/* An array of `type` in an open file, from values of `memory`. The caller closes it. */
static inline hid_t add_array(hid_t file, const char *name, hid_t type, int rank,
                              const hsize_t *dims, hid_t memory, const void *values,
                              const storage *s)
{
    static const storage plain;
    hid_t space = H5Screate_simple(rank, dims, NULL), list = creation(s ? s : &plain, rank);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(dataset >= 0);
    hid_t part = H5Scopy(space);
    if (s && s->written) {
        hsize_t start[4] = {0}, count[4];
        memcpy(count, dims, (size_t)rank * sizeof *count);
        count[0] = s->written;
        H5Sselect_hyperslab(part, H5S_SELECT_SET, start, NULL, count, NULL);
    }
    if (values) assert_true(H5Dwrite(dataset, memory, part, part, H5P_DEFAULT, values) >= 0);
    H5Sclose(part);
    H5Pclose(list);
    H5Sclose(space);
    return dataset;
}

/* A file of one array "/x". */
static inline void put_x(const char *path, hid_t type, int rank, const hsize_t *dims, hid_t memory,
                         const void *values, const storage *s)
{
    hid_t file = make_file(path, s && s->latest);
    H5Dclose(add_array(file, "x", type, rank, dims, memory, values, s));
    H5Fclose(file);
}

static inline void attribute(hid_t object, const char *name, hid_t type, hid_t memory, hsize_t n,
                             const void *values)
{
    hid_t space = n ? H5Screate_simple(1, &n, NULL) : H5Screate(H5S_SCALAR);
    hid_t id = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(id, memory, values) >= 0);
    H5Aclose(id);
    H5Sclose(space);
}

static inline void number_attribute(hid_t object, const char *name, hid_t type, double v)
{
    attribute(object, name, type, H5T_NATIVE_DOUBLE, 1, &v);
}

/* Of fixed length, or variable as h5py writes a str. */
static inline void text_attribute(hid_t object, const char *name, const char *text, bool variable)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, variable ? H5T_VARIABLE : strlen(text));
    attribute(object, name, type, type, 0, variable ? (const void *)&text : (const void *)text);
    H5Tclose(type);
}

/* Import of inputs (a NULL-ended list of up to four) into out.h5, order and values kept. */
static inline tw_import_options importing_all(const char *const *inputs)
{
    int count = 0;
    while (inputs[count]) count++;
    return (tw_import_options){.format = "hdf5",
                               .inputs = inputs,
                               .input_count = count,
                               .path = in("out.h5"),
                               .replace = true,
                               .normalise = TW_NORMALISE_NONE,
                               .keep_order = true};
}

static inline tw_import_options importing(const char *input)
{
    static const char *inputs[2];
    inputs[0] = input;
    return importing_all(inputs);
}

static inline tw_dataset *open_out(void)
{
    tw_dataset *d = NULL;
    const tw_dataset_options options = {.path = in("out.h5"), .split = "all", .verify = true};
    assert_ok(tw_dataset_open(&d, NULL, &options));
    return d;
}

/* The first `count` samples of out.h5 as stored, whatever their kind, as floats. */
static inline void take_out(int64_t count, float *out)
{
    tw_dataset *d = open_out();
    const tw_dataset_spec *spec = tw_dataset_get_spec(d);
    const int64_t n = count * tw_dataset_elements(spec);
    assert_true(spec->count >= count);
    assert_ok(tw_dataset_read_stored(d, 0, count, out, NULL));
    if (spec->kind == TW_DATASET_UINT8)
        for (int64_t i = n - 1; i >= 0; i--) out[i] = ((unsigned char *)out)[i];
    tw_dataset_destroy(&d);
}

#endif
