/* What the attributes and types of foreign arrays make of their values. */
#include "data/foreign.h"

enum { N = 4, H = 2, W = 3, ALL = N * H * W };
static const hsize_t dims[3] = {N, H, W};

/* An int16 array "t2m" of `raw` with the attributes that `add` gives it. */
static void put_packed(hid_t type, const int *raw, void (*add)(hid_t dataset))
{
    hid_t file = make_file(in("p.nc"), false);
    hid_t dataset = add_array(file, "t2m", type, 3, dims, H5T_NATIVE_INT, raw, NULL);
    if (add) add(dataset);
    H5Dclose(dataset);
    H5Fclose(file);
}

static void packing(hid_t d)
{
    number_attribute(d, "scale_factor", H5T_IEEE_F64LE, 0.01);
    number_attribute(d, "add_offset", H5T_IEEE_F64LE, 280);
    number_attribute(d, "_FillValue", H5T_STD_I16BE, -32767);
    text_attribute(d, "units", "K", false);
    text_attribute(d, "long_name", "2 metre temperature", true);
    text_attribute(d, "coordinates", "lat lon", true);
}

static void packed_values_are_unpacked_and_their_names_and_units_kept(void **state)
{
    (void)state;
    int raw[ALL];
    float x[ALL];
    tw_import_result result;
    for (int i = 0; i < ALL; i++) raw[i] = 100 * i - 1000;
    put_packed(H5T_STD_I16BE, raw, packing);
    tw_import_options o = importing(in("p.nc:/t2m"));
    assert_ok(tw_dataset_import(&o, &result));
    take_out(N, x);
    for (int i = 0; i < ALL; i++) assert_true(fabs(x[i] - (280 + 0.01 * raw[i])) < 2e-5);
    assert_true(fabs(result.channels[0].least - 270) < 2e-5);
    assert_true(fabs(result.channels[0].most - 293) < 2e-5);
    assert_string_equal(result.channels[0].name, "t2m");
    assert_string_equal(result.channels[0].units, "K");
    tw_dataset *d = open_out();
    assert_string_equal(tw_dataset_get_spec(d)->channel_text,
                        "t2m\tK\t2 metre temperature\tlat lon\n");
    tw_dataset_destroy(&d);
    o = importing(in("out.h5:/images")); /* and again from our own file */
    o.layout = "NHWC";
    o.path = in("again.h5");
    assert_ok(tw_dataset_import(&o, &result));
    assert_string_equal(result.channels[0].name, "t2m");
    assert_string_equal(result.channels[0].units, "K");
}

static void missing_values_are_refused_or_filled(void **state)
{
    (void)state;
    int raw[ALL];
    float x[ALL];
    tw_import_result result;
    for (int i = 0; i < ALL; i++) raw[i] = i % 2 ? 300 : 100;
    raw[7] = raw[9] = -32767;
    put_packed(H5T_STD_I16LE, raw, packing);
    tw_import_options o = importing(in("p.nc:/t2m"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "/t2m[1]", "value 1", "-32767",
                 "_FillValue", "--fill VALUE or --fill mean");
    o.fill = "-5.5";
    assert_ok(tw_dataset_import(&o, &result));
    take_out(N, x);
    assert_true(x[7] == -5.5f && x[9] == -5.5f && fabsf(x[8] - 281) < 1e-4f);
    assert_int_equal(result.channels[0].missing, 2);
    o.fill = "mean";
    assert_ok(tw_dataset_import(&o, &result));
    take_out(N, x);
    const float mean = (float)((12 * 281. + 10 * 283.) / 22);
    assert_true(fabsf(x[7] - mean) < 1e-3f && x[7] == x[9] && fabsf(x[8] - 281) < 1e-4f);
    assert_int_equal(result.channels[0].missing, 2);
    o.fill = "median";
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "--fill \"median\"", "mean");

    float values[ALL] = {1, 2, NAN, 3};
    put_x(in("nan.h5"), H5T_IEEE_F32LE, 3, dims, H5T_NATIVE_FLOAT, values, NULL);
    o = importing(in("nan.h5:/x"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "/x[0]", "value 2", "nan", "--fill");
    o.fill = "0";
    assert_ok(tw_dataset_import(&o, NULL));
    take_out(N, x);
    assert_true(x[2] == 0 && x[3] == 3);
}

static void ranges(hid_t d)
{
    const double list[2] = {-1, -2}, valid[2] = {0, 200};
    attribute(d, "missing_value", H5T_STD_I16LE, H5T_NATIVE_DOUBLE, 2, list);
    attribute(d, "valid_range", H5T_STD_I16LE, H5T_NATIVE_DOUBLE, 2, valid);
}

static void unpacked_bounds(hid_t d)
{
    number_attribute(d, "scale_factor", H5T_IEEE_F32LE, 0.5);
    number_attribute(d, "valid_min", H5T_IEEE_F32LE, 10);
    number_attribute(d, "valid_max", H5T_IEEE_F32LE, 20);
}

static void what_is_listed_or_out_of_range_is_missing(void **state)
{
    (void)state;
    const int raw[ALL] = {-1, 0, 200, 201, 5, -2, -3};
    const float wanted[] = {-9, 0, 200, -9, 5, -9, -9};
    float x[ALL];
    put_packed(H5T_STD_I16LE, raw, ranges);
    tw_import_options o = importing(in("p.nc:/t2m"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "missing_value");
    o.fill = "-9";
    assert_ok(tw_dataset_import(&o, NULL));
    take_out(N, x);
    for (int i = 0; i < 7; i++) assert_true(x[i] == wanted[i]);

    /* a float bound of a packed integer bounds the unpacked value */
    const int packed[ALL] = {19, 20, 40, 41};
    put_packed(H5T_STD_I16LE, packed, unpacked_bounds);
    assert_ok(tw_dataset_import(&o, NULL));
    take_out(N, x);
    assert_true(x[0] == -9 && x[1] == 10 && x[2] == 20 && x[3] == -9);
}

static void wrapped(hid_t d)
{
    text_attribute(d, "_Unsigned", "true", false);
    number_attribute(d, "_FillValue", H5T_STD_I8LE, -1);
}

static void signed_bytes_that_say_unsigned_are(void **state)
{
    (void)state;
    const int raw[ALL] = {0, 127, -128, -2};
    float x[ALL];
    put_packed(H5T_STD_I8LE, raw, wrapped);
    tw_import_options o = importing(in("p.nc:/t2m"));
    assert_ok(tw_dataset_import(&o, NULL));
    tw_dataset *d = open_out();
    assert_int_equal(tw_dataset_get_spec(d)->kind, TW_DATASET_UINT8);
    tw_dataset_destroy(&d);
    take_out(N, x);
    assert_true(x[0] == 0 && x[1] == 127 && x[2] == 128 && x[3] == 254);
    const int missing[ALL] = {0, -1};
    put_packed(H5T_STD_I8LE, missing, wrapped);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "value 1", "_FillValue");
}

static void what_netcdf_leaves_unwritten_is_missing(void **state)
{
    (void)state;
    float values[ALL] = {1, 9.9692099683868690e+36f};
    hid_t file = make_file(in("d.nc"), false);
    text_attribute(file, "_NCProperties", "version=2", false);
    H5Dclose(add_array(file, "x", H5T_IEEE_F32LE, 3, dims, H5T_NATIVE_FLOAT, values, NULL));
    H5Fclose(file);
    tw_import_options o = importing(in("d.nc:/x"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "default fill value");
}

static void several_arrays_are_channels_of_the_same_samples(void **state)
{
    (void)state;
    float t[ALL], u[2 * ALL], x[3 * ALL];
    tw_import_result result;
    const hsize_t two[4] = {N, H, W, 2}, other[3] = {N, H, W + 1};
    float wide[N * H * (W + 1)] = {0};
    for (int i = 0; i < ALL; i++) t[i] = (float)i;
    for (int i = 0; i < 2 * ALL; i++) u[i] = (float)(1000 + i);
    hid_t file = make_file(in("s.h5"), false);
    H5Dclose(add_array(file, "t2m", H5T_IEEE_F64LE, 3, dims, H5T_NATIVE_FLOAT, t, NULL));
    hid_t d = add_array(file, "wind", H5T_IEEE_F32BE, 4, two, H5T_NATIVE_FLOAT, u, NULL);
    text_attribute(d, "layout", "NHWC", true);
    text_attribute(d, "units", "m s-1", true);
    H5Dclose(d);
    H5Dclose(add_array(file, "wide", H5T_IEEE_F32LE, 3, other, H5T_NATIVE_FLOAT, wide, NULL));
    H5Fclose(file);
    const char *inputs[] = {in("s.h5:/t2m"), in("s.h5:/wind"), NULL};
    tw_import_options o = importing_all(inputs);
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "--stack");
    o.stack = true;
    assert_ok(tw_dataset_import(&o, &result));
    assert_int_equal(result.spec.channels, 3);
    take_out(N, x);
    for (int i = 0; i < ALL; i++)
        assert_true(x[3 * i] == t[i] && x[3 * i + 1] == u[2 * i] && x[3 * i + 2] == u[2 * i + 1]);
    assert_string_equal(result.channels[0].name, "t2m");
    assert_string_equal(result.channels[2].name, "wind.1");
    assert_string_equal(result.channels[2].units, "m s-1");
    assert_true(result.channels[1].least == 1000 && result.channels[2].most == 1000 + 2 * ALL - 1);
    inputs[1] = in("s.h5:/wide");
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "2 x 3", "2 x 4", "cannot be stacked");
}

static void booleans_are_0_and_1_and_enumerations_their_integers(void **state)
{
    (void)state;
    const signed char no = 0, yes = 1;
    unsigned char raw[ALL];
    float x[ALL];
    for (int i = 0; i < ALL; i++) raw[i] = i % 3 == 0;
    hid_t type = H5Tenum_create(H5T_STD_I8LE);
    H5Tenum_insert(type, "FALSE", &no);
    H5Tenum_insert(type, "TRUE", &yes);
    put_x(in("b.h5"), type, 3, dims, type, raw, NULL); /* h5py */
    H5Tclose(type);
    tw_import_options o = importing(in("b.h5:/x"));
    for (int k = 0; k < 2; k++) {
        assert_ok(tw_dataset_import(&o, NULL));
        take_out(N, x);
        for (int i = 0; i < ALL; i++) assert_true(x[i] == raw[i]);
        put_x(in("b.h5"), H5T_STD_B8LE, 3, dims, H5T_NATIVE_B8, raw, NULL); /* PyTables */
    }
}

/* IEEE half precision, as numpy writes it. */
static hid_t half(void)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

static void every_width_is_read_and_what_float32_rounds_is_no_error(void **state)
{
    (void)state;
    const double values[ALL] = {1, 2.5, 1024, 16777217};
    float x[ALL];
    hid_t f16 = half();
    const hid_t types[] = {f16, H5T_STD_I16BE, H5T_STD_U32LE, H5T_STD_I64BE, H5T_STD_U64LE};
    for (int k = 0; k < 5; k++) {
        put_x(in("w.h5"), types[k], 3, dims, H5T_NATIVE_DOUBLE, values, NULL);
        tw_import_options o = importing(in("w.h5:/x"));
        if (k == 0) {
            assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "value 3", "inf");
            o.fill = "0"; /* an infinity is not missing */
            assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "inf");
            continue;
        }
        assert_ok(tw_dataset_import(&o, NULL));
        take_out(N, x);
        assert_true(x[0] == 1 && x[2] == 1024 && x[1] == 2);
        assert_true(k == 1 || x[3] == 16777216);
    }
    H5Tclose(f16);
}

static void labels_may_be_a_column_or_a_row(void **state)
{
    (void)state;
    const unsigned char raw[ALL] = {0};
    const int label[N] = {2, 0, 1, 2};
    int32_t met[N];
    const hsize_t column[2] = {N, 1}, row[2] = {1, N}, table[2] = {N, 2};
    const int pairs[2 * N] = {0};
    put_x(in("x.h5"), H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, raw, NULL);
    tw_import_options o = importing(in("x.h5:/x"));
    o.labels = in("y.h5:/x");
    for (int k = 0; k < 2; k++) {
        const storage s = {.chunk = {1, 1}, .gzip = k};
        put_x(in("y.h5"), H5T_STD_I64BE, 2, k ? row : column, H5T_NATIVE_INT, label, &s);
        assert_ok(tw_dataset_import(&o, NULL));
        tw_dataset *d = open_out();
        assert_ok(tw_dataset_read_stored(d, 0, N, NULL, met));
        for (int i = 0; i < N; i++) assert_int_equal(met[i], label[i]);
        tw_dataset_destroy(&d);
    }
    put_x(in("y.h5"), H5T_STD_I32LE, 2, table, H5T_NATIVE_INT, pairs, NULL);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "not a list of integers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_values_are_unpacked_and_their_names_and_units_kept),
        cmocka_unit_test(missing_values_are_refused_or_filled),
        cmocka_unit_test(what_is_listed_or_out_of_range_is_missing),
        cmocka_unit_test(signed_bytes_that_say_unsigned_are),
        cmocka_unit_test(what_netcdf_leaves_unwritten_is_missing),
        cmocka_unit_test(several_arrays_are_channels_of_the_same_samples),
        cmocka_unit_test(booleans_are_0_and_1_and_enumerations_their_integers),
        cmocka_unit_test(every_width_is_read_and_what_float32_rounds_is_no_error),
        cmocka_unit_test(labels_may_be_a_column_or_a_row),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
