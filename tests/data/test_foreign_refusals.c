/* What is no array of numbers, or cannot be read, is refused with what it is and a way out. */
#include <errno.h>
#include <sys/file.h>

#include "data/foreign.h"

static const hsize_t dims[3] = {4, 2, 2};
static const unsigned char raw[16];

/* In the place of the C library's: HDF5 locks files with it. */
static int lock_error;

int flock(int file, int operation)
{
    (void)file;
    (void)operation;
    errno = lock_error;
    return lock_error ? -1 : 0;
}

static void refused(const char *input, tw_status code, const char *a, const char *b, const char *c)
{
    tw_import_options o = importing(input);
    assert_fails(tw_dataset_import(&o, NULL), code, a, b ? b : a, c ? c : a);
}

static void locks_are_explained_by_what_failed(void **state)
{
    (void)state;
    const struct {
        int error;
        const char *word, *advice;
    } cases[] = {
        {EAGAIN, "another process has the file open for writing", "wait"},
        {ENOLCK, "lock service", "HDF5_USE_FILE_LOCKING=FALSE"},
        {EOPNOTSUPP, "this file system knows no locks", "HDF5_USE_FILE_LOCKING=FALSE"},
        {524, "error 524", "HDF5_USE_FILE_LOCKING=FALSE"},
    };
    put_x(in("lock.h5"), H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, raw, NULL);
    tw_import_options o = importing(in("lock.h5:/x"));
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        lock_error = cases[k].error;
        const tw_status st = tw_dataset_import(&o, NULL);
        lock_error = 0;
        assert_fails(st, TW_EIO, "lock.h5", cases[k].word, cases[k].advice);
        assert_true(cases[k].error != EAGAIN || !strstr(tw_error_message(), "LOCKING"));
    }
    assert_ok(tw_dataset_import(&o, NULL));
    size_t size;
    unsigned char *bytes = take(in("lock.h5"), &size);
    put(in("cut.h5"), bytes, size - 4);
    free(bytes);
    refused(in("cut.h5:/x"), TW_EDATA, "truncated", "were written", NULL);
    assert_null(strstr(tw_error_message(), "lock"));
}

static void a_path_that_is_not_there_lists_those_that_are(void **state)
{
    (void)state;
    const hsize_t n = 4;
    hid_t file = make_file(in("l.h5"), false);
    hid_t group = H5Gcreate2(file, "fields", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dclose(add_array(group, "t2m", H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, raw, NULL));
    H5Dclose(add_array(file, "time", H5T_IEEE_F64LE, 1, &n, H5T_NATIVE_UCHAR, raw, NULL));
    H5Gclose(group);
    H5Lcreate_soft("/fields/t2m", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("other.h5", "/y", file, "far", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    refused(in("l.h5:/nope"), TW_EDATA, "no object /nope", "/fields/t2m [4, 2, 2]", "/time [4]");
    refused(in("l.h5"), TW_EUSAGE, "FILE:/path", "/fields/t2m [4, 2, 2]", "/time [4]");
    refused(in("l.h5:/fields"), TW_EDATA, "a group", "/fields/t2m [4, 2, 2]", NULL);
    refused(in("l.h5:/soft"), TW_EDATA, "/soft is a link to /fields/t2m", NULL, NULL);
    refused(in("l.h5:/far"), TW_EDATA, "/far is a link to other.h5:/y", NULL, NULL);
}

static hid_t make_type(int kind)
{
    hid_t type = H5I_INVALID_HID;
    switch (kind) {
    case 0:
        type = H5Tcreate(H5T_COMPOUND, 16);
        H5Tinsert(type, "r", 0, H5T_IEEE_F64LE);
        H5Tinsert(type, "i", 8, H5T_IEEE_F64LE);
        return type;
    case 1:
        type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, 5);
        return type;
    case 2:
        return H5Tvlen_create(H5T_STD_I32LE);
    case 3:
        return H5Tcopy(H5T_STD_REF_OBJ);
    default:
        type = H5Tcreate(H5T_OPAQUE, 3);
        return type;
    }
}

static void elements_that_are_no_numbers_are_named(void **state)
{
    (void)state;
    const char *const words[] = {"2 members (r, i)", "holds text", "lists of varying length",
                                 "references", "no plain numbers"};
    for (int k = 0; k < 5; k++) {
        hid_t type = make_type(k);
        put_x(in("t.h5"), type, 3, dims, type, NULL, NULL);
        H5Tclose(type);
        refused(in("t.h5:/x"), TW_EDATA, "t.h5", "/x", words[k]);
    }
}

static void single_values_and_empty_arrays_are_named(void **state)
{
    (void)state;
    const hsize_t none[3] = {0, 2, 2};
    const storage chunks = {.chunk = {1, 2, 2}};
    hid_t file = make_file(in("e.h5"), false);
    hid_t spaces[3] = {H5Screate(H5S_SCALAR), H5Screate(H5S_NULL), H5I_INVALID_HID};
    const char *const names[] = {"scalar", "null"};
    for (int k = 0; k < 2; k++) {
        H5Dclose(H5Dcreate2(file, names[k], H5T_IEEE_F32LE, spaces[k], H5P_DEFAULT, H5P_DEFAULT,
                            H5P_DEFAULT));
        H5Sclose(spaces[k]);
    }
    hid_t list = creation(&chunks, 3);
    const hsize_t most[3] = {H5S_UNLIMITED, 2, 2};
    spaces[2] = H5Screate_simple(3, none, most);
    H5Dclose(H5Dcreate2(file, "grows", H5T_IEEE_F32LE, spaces[2], H5P_DEFAULT, list, H5P_DEFAULT));
    H5Sclose(spaces[2]);
    H5Pclose(list);
    H5Fclose(file);
    refused(in("e.h5:/scalar"), TW_EDATA, "/scalar is a single value", NULL, NULL);
    refused(in("e.h5:/null"), TW_EDATA, "/null is empty", NULL, NULL);
    refused(in("e.h5:/grows"), TW_EDATA, "/grows is empty", "axis 0", NULL);
}

static size_t do_nothing(unsigned flags, size_t count, const unsigned *values, size_t size,
                         size_t *room, void **buffer)
{
    (void)flags;
    (void)count;
    (void)values;
    (void)room;
    (void)buffer;
    return size;
}

static void filters_of_others_are_named_with_what_can_undo_them(void **state)
{
    (void)state;
    const struct {
        H5Z_filter_t id;
        const char *name, *way;
    } cases[] = {
        {32000, "LZF", "pip install h5py)"},
        {32001, "Blosc", "hdf5plugin"},
        {32008, "bitshuffle", "hdf5plugin"},
        {32015, "Zstandard", "hdf5plugin"},
        {32003, "Snappy", "HDF5_PLUGIN_PATH"},
        {31999, "unregistered", "HDF5_PLUGIN_PATH"},
        {H5Z_FILTER_SCALEOFFSET, "scale-offset", "h5repack -f /x:NONE"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const H5Z_class2_t filter = {.version = H5Z_CLASS_T_VERS,
                                     .id = cases[k].id,
                                     .encoder_present = 1,
                                     .decoder_present = 1,
                                     .name = "none",
                                     .filter = do_nothing};
        if (cases[k].id > 255) assert_true(H5Zregister(&filter) >= 0);
        hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(3, dims, NULL);
        H5Pset_chunk(list, 3, dims);
        if (cases[k].id > 255)
            H5Pset_filter(list, cases[k].id, 0, 0, NULL);
        else
            H5Pset_scaleoffset(list, H5Z_SO_INT, 0);
        hid_t file = make_file(in("z.h5"), false);
        hid_t d = H5Dcreate2(file, "x", H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
        assert_true(H5Dwrite(d, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) >= 0);
        H5Dclose(d);
        H5Fclose(file);
        H5Pclose(list);
        H5Sclose(space);
        refused(in("z.h5:/x"), TW_EDATA, "z.h5", cases[k].name, cases[k].way);
    }
}

static void attributes_that_are_no_numbers_are_refused(void **state)
{
    (void)state;
    hid_t file = make_file(in("n.h5"), false);
    hid_t d = add_array(file, "x", H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, raw, NULL);
    text_attribute(d, "scale_factor", "0.01", false);
    H5Dclose(d);
    d = add_array(file, "y", H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, raw, NULL);
    number_attribute(d, "scale_factor", H5T_IEEE_F64LE, 0);
    H5Dclose(d);
    H5Fclose(file);
    refused(in("n.h5:/x"), TW_EDATA, "\"scale_factor\" of /x is not a number", NULL, NULL);
    refused(in("n.h5:/y"), TW_EDATA, "scale_factor and add_offset of /y are 0 and 0", NULL, NULL);
}

static void a_scale_that_has_no_inverse_is_refused(void **state)
{
    (void)state;
    float values[16], scale = 1e-45f, offset = 0;
    for (int i = 0; i < 16; i++) values[i] = i % 2 ? 1e-40f : 0;
    put_x(in("d.h5"), H5T_IEEE_F32LE, 3, dims, H5T_NATIVE_FLOAT, values, NULL);
    tw_import_options o = importing(in("d.h5:/x"));
    tw_dataset *d = NULL;
    const tw_dataset_options options = {.path = in("out.h5")};
    o.normalise = TW_NORMALISE_RANGE; /* chooses none itself */
    assert_ok(tw_dataset_import(&o, NULL));
    assert_ok(tw_dataset_open(&d, NULL, &options));
    assert_true(tw_dataset_get_spec(d)->scale[0] == 1);
    tw_dataset_destroy(&d);
    /* what writers refuse, readers do: one function checks both */
    tw_dataset_writer *w = NULL;
    const tw_dataset_writer_options how = {.path = in("w.h5")};
    tw_dataset_spec spec = {.kind = TW_DATASET_FLOAT32,
                            .count = 1,
                            .height = 1,
                            .width = 1,
                            .channels = 1,
                            .offset = &offset,
                            .scale = &scale};
    assert_fails(tw_dataset_writer_create(&w, &spec, &how), TW_EDATA, "channel 0", "1.2e-38");
}

/* HDF5 1.10 overwrites its stack as it converts such numbers. */
static void numbers_with_impossible_fields_are_refused(void **state)
{
    (void)state;
    const hsize_t two[2] = {2, 2};
    const unsigned char bytes[4 * 16] = {1};
    hid_t wide = H5Tcopy(H5T_IEEE_F64LE);
    assert_true(H5Tset_size(wide, 16) >= 0 && H5Tset_precision(wide, 128) >= 0 &&
                H5Tset_fields(wide, 127, 20, 100, 0, 20) >= 0);
    put_x(in("wide.h5"), wide, 2, two, wide, bytes, NULL);
    refused(in("wide.h5:/x"), TW_EDATA, "wide.h5", "/x", "100 bits of exponent");
    H5Tclose(wide);
    wide = H5Tcopy(H5T_STD_I64LE);
    assert_true(H5Tset_size(wide, 16) >= 0 && H5Tset_precision(wide, 128) >= 0);
    put_x(in("int.h5"), wide, 2, two, wide, bytes, NULL);
    refused(in("int.h5:/x"), TW_EDATA, "int.h5", "/x", "integers of 128 bits");
    H5Tclose(wide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_are_explained_by_what_failed),
        cmocka_unit_test(a_path_that_is_not_there_lists_those_that_are),
        cmocka_unit_test(elements_that_are_no_numbers_are_named),
        cmocka_unit_test(single_values_and_empty_arrays_are_named),
        cmocka_unit_test(filters_of_others_are_named_with_what_can_undo_them),
        cmocka_unit_test(attributes_that_are_no_numbers_are_refused),
        cmocka_unit_test(a_scale_that_has_no_inverse_is_refused),
        cmocka_unit_test(numbers_with_impossible_fields_are_refused),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
