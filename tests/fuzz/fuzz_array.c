/* Arrays of any HDF5 file, imported. */
#include <hdf5.h>
#include <string.h>

#include "harness.h"

static void run(const char *path, const uint8_t *bytes, size_t size)
{
    char argument[512];
    (void)bytes;
    snprintf(argument, sizeof argument, "%s:/x", path);
    fuzz_import("hdf5", argument, NULL, (unsigned)size);
}

typedef struct recipe {
    const char *name;
    bool oldest;
    int rank;
    int gzip; /* -1: contiguous */
    hid_t type;
} recipe;

static void write_one(const recipe *r)
{
    static const hsize_t dims[4] = {3, 4, 5, 3}, chunk[4] = {2, 4, 3, 3};
    static double values[3 * 4 * 5 * 3];
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_DATASET_CREATE);
    if (!r->oldest) FUZZ_CLAIM(H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0);
    if (r->gzip >= 0) FUZZ_CLAIM(H5Pset_chunk(create, r->rank, chunk) >= 0);
    if (r->gzip > 0) FUZZ_CLAIM(H5Pset_shuffle(create) >= 0 && H5Pset_deflate(create, 6) >= 0);
    if (r->gzip > 0) FUZZ_CLAIM(H5Pset_fletcher32(create) >= 0);
    hid_t file = H5Fcreate(fuzz_seed_path(r->name), H5F_ACC_TRUNC, H5P_DEFAULT, access);
    hid_t space = H5Screate_simple(r->rank, dims, NULL);
    hid_t set = H5Dcreate2(file, "x", r->type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) values[i] = (double)(i % 100);
    FUZZ_CLAIM(set >= 0 &&
               H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(create);
    H5Pclose(access);
    FUZZ_CLAIM(H5Fclose(file) >= 0);
}

static void seeds(void)
{
    const recipe recipes[] = {
        {"old-uint8", true, 4, -1, H5T_STD_U8LE},     {"old-float", true, 3, -1, H5T_IEEE_F32LE},
        {"old-chunks", true, 4, 0, H5T_STD_I16BE},    {"old-gzip", true, 4, 6, H5T_IEEE_F64LE},
        {"new-points", false, 2, -1, H5T_IEEE_F64BE}, {"new-chunks", false, 3, 0, H5T_STD_U8LE},
        {"new-gzip", false, 4, 6, H5T_IEEE_F32LE},
    };
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) write_one(&recipes[i]);
}

const fuzz_target fuzz_here = {.file = "in.h5", .hdf5 = true, .seeds = seeds, .run = run};
