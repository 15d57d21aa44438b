/* The axes of a dataset's arrays have names, and its texts the type that h5py gives as str. */
#include <hdf5_hl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "h5/h5.h"
#include "tweedie/data.h"

static void make(char *path, bool points)
{
    static const uint8_t bytes[3 * 4 * 5 * 2];
    static const float numbers[3 * 2];
    const int32_t labels[3] = {0, 1, 1};
    const double numbers_beside[3] = {1, 2, 3};
    const char *names[] = {"cat", "dog"};
    tw_dataset_writer *w = NULL;
    tw_dataset_spec spec = {.kind = points ? TW_DATASET_POINTS : TW_DATASET_UINT8,
                            .count = 3,
                            .height = points ? 1 : 4,
                            .width = points ? 1 : 5,
                            .channels = 2,
                            .num_classes = 2,
                            .class_names = names,
                            .channel_text = "a\tK\ttemperature\t\nb\tK\tdew point\t\n",
                            .name = "d"};
    const int64_t dims[1] = {7};
    static const float rows[3 * 7];
    const tw_dataset_writer_options options = {.path = path, .mode = TW_OUTPUT_REPLACE};
    assert_int_equal(tw_dataset_writer_create(&w, &spec, &options), TW_OK);
    assert_int_equal(tw_dataset_writer_append(w, 3, points ? (const void *)numbers : bytes, labels),
                     TW_OK);
    assert_int_equal(tw_dataset_writer_add_numbers(w, "weight", numbers_beside), TW_OK);
    assert_int_equal(tw_dataset_writer_add_rows(w, "other", 1, dims, 0, 3, rows), TW_OK);
    assert_int_equal(tw_dataset_writer_add_numbers(w, "sample", numbers_beside), TW_EINTERNAL);
    assert_int_equal(tw_dataset_writer_finish(&w, NULL), TW_OK);
}

static herr_t note_scale(hid_t array, unsigned axis, hid_t scale, void *out)
{
    char name[64] = "";
    (void)array, (void)axis;
    assert_true(H5DSis_scale(scale) > 0);
    H5Iget_name(scale, name, sizeof name);
    strncat(out, name, 200);
    return 0;
}

static void names_are(hid_t file, const char *object, int rank, const char *wanted)
{
    char all[512] = "";
    hid_t array = H5Dopen2(file, object, H5P_DEFAULT);
    assert_true(array >= 0);
    for (int k = 0; k < rank; k++) {
        int first = 0;
        assert_int_equal(H5DSget_num_scales(array, (unsigned)k), 1);
        assert_true(H5DSiterate_scales(array, (unsigned)k, &first, note_scale, all) >= 0);
    }
    assert_string_equal(all, wanted);
    H5Dclose(array);
}

static bool is_variable_utf8(hid_t object, const char *name)
{
    hid_t a = H5Aopen(object, name, H5P_DEFAULT), t = H5Aget_type(a);
    const bool good = H5Tis_variable_str(t) > 0 && H5Tget_cset(t) == H5T_CSET_UTF8;
    H5Tclose(t);
    H5Aclose(a);
    return good;
}

/* An empty file of a new name. */
static void new_file(char *path, size_t size)
{
    const char *base = getenv("TMPDIR");
    snprintf(path, size, "%s/tweedie-dimensions.XXXXXX", base ? base : "/tmp");
    const int made = mkstemp(path);
    assert_true(made >= 0);
    close(made);
}

static void axes_have_the_names_of_what_they_count(void **state)
{
    char path[1024];
    (void)state;
    new_file(path, sizeof path);
    for (int points = 0; points < 2; points++) {
        make(path, points);
        hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
        assert_true(file >= 0);
        if (points)
            names_are(file, "points", 2, "/sample/channel");
        else
            names_are(file, "images", 4, "/sample/y/x/channel");
        names_are(file, "labels", 1, "/sample");
        names_are(file, "weight", 1, "/sample");
        names_are(file, "class_names", 1, "/class");
        names_are(file, "other", 2, "/sample/other_1");
        hid_t names = H5Dopen2(file, "class_names", H5P_DEFAULT), type = H5Dget_type(names);
        assert_true(H5Tis_variable_str(type) > 0); /* netCDF's library reads no others */
        H5Tclose(type);
        H5Dclose(names);
        assert_true(is_variable_utf8(file, "format") && is_variable_utf8(file, "digest"));
        hid_t array = H5Dopen2(file, points ? "points" : "images", H5P_DEFAULT);
        assert_true(is_variable_utf8(array, "channel_units") && is_variable_utf8(array, "units"));
        assert_true(H5Aexists(array, "long_name") == 0); /* the channels have two */
        H5Dclose(array);
        H5Fclose(file);
    }
    unlink(path);
}

static void a_dimension_is_one_of_netcdf(void **state)
{
    char path[1024], name[128] = "";
    (void)state;
    new_file(path, sizeof path);
    make(path, false);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t scale = H5Dopen2(file, "x", H5P_DEFAULT), type = H5Dget_type(scale);
    assert_true(H5DSget_scale_name(scale, name, sizeof name) > 0);
    assert_string_equal(name, "This is a netCDF dimension but not a netCDF variable.         5");
    assert_true(H5Tequal(type, H5T_IEEE_F32BE) > 0);
    assert_int_equal(H5Dget_storage_size(scale), 0);
    H5Tclose(type);
    H5Dclose(scale);
    H5Fclose(file);
    unlink(path);
}

static void the_file_reads_back(void **state)
{
    char path[1024];
    tw_dataset *d = NULL;
    (void)state;
    new_file(path, sizeof path);
    make(path, false);
    const tw_dataset_options options = {.path = path, .split = "all"};
    assert_int_equal(tw_dataset_open(&d, NULL, &options), TW_OK);
    const tw_dataset_spec *s = tw_dataset_get_spec(d);
    assert_string_equal(s->name, "d");
    assert_string_equal(s->class_names[0], "cat");
    assert_string_equal(s->class_names[1], "dog");
    assert_string_equal(s->channel_text, "a\tK\ttemperature\t\nb\tK\tdew point\t\n");
    tw_dataset_destroy(&d);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_have_the_names_of_what_they_count),
        cmocka_unit_test(a_dimension_is_one_of_netcdf),
        cmocka_unit_test(the_file_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
