/* Importing arrays of foreign HDF5 files. */
#include <hdf5.h>
#include <math.h>
#include <signal.h>

#include "data/fixture.h"
#include "h5/isolate.h"
#include "tweedie/data.h"

enum { N = 30, C = 3, H = 4, W = 5, ELEMENTS = N * C * H * W };

/* A file with one array of doubles converted to `type`, in groups "/a/b". */
static void put_array(const char *path, const char *object, hid_t type, int rank,
                      const hsize_t *dims, const double *values)
{
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
          links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t space = H5Screate_simple(rank, dims, NULL),
          dataset = H5Dcreate2(file, object, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(links);
    H5Fclose(file);
}

static double ramp[ELEMENTS];

static tw_import_options importing(const char *input)
{
    static const char *inputs[1];
    inputs[0] = input;
    return (tw_import_options){.format = "hdf5",
                               .inputs = inputs,
                               .input_count = 1,
                               .path = in("out.h5"),
                               .replace = true,
                               .keep_order = true};
}

static tw_dataset *open_out(void)
{
    tw_dataset *d = NULL;
    const tw_dataset_options options = {.path = in("out.h5"), .split = "all", .verify = true};
    assert_ok(tw_dataset_open(&d, NULL, &options));
    return d;
}

static void every_width_and_order_of_axes_gives_the_same_values(void **state)
{
    (void)state;
    const hid_t types[] = {H5T_STD_U8LE,  H5T_STD_I8BE,   H5T_STD_U16BE, H5T_STD_I32LE,
                           H5T_STD_I64BE, H5T_IEEE_F32BE, H5T_IEEE_F64LE};
    const hsize_t nchw[4] = {N, C, H, W}, nhwc[4] = {N, H, W, C};
    static float x[ELEMENTS];
    for (int last = 0; last <= 1; last++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            put_array(in("a.h5"), "/fields/data", types[t], 4, last ? nhwc : nchw, ramp);
            tw_import_options o = importing(in("a.h5:/fields/data"));
            o.layout = last ? TW_LAYOUT_NHWC : TW_LAYOUT_NCHW;
            o.normalise = TW_NORMALISE_NONE;
            assert_ok(tw_dataset_import(&o, NULL));
            tw_dataset *d = open_out();
            const tw_dataset_spec *spec = tw_dataset_get_spec(d);
            assert_int_equal(spec->kind, t == 0 ? TW_DATASET_UINT8 : TW_DATASET_FLOAT32);
            assert_int_equal(spec->height, H);
            assert_int_equal(spec->width, W);
            assert_int_equal(spec->channels, C);
            assert_ok(tw_dataset_read(d, 0, N, x, NULL));
            for (int n = 0; n < N; n++)
                for (int c = 0; c < C; c++)
                    for (int p = 0; p < H * W; p++) {
                        const double v =
                            ramp[last ? (n * H * W + p) * C + c : (n * C + c) * H * W + p];
                        assert_true(
                            fabs(x[(n * H * W + p) * C + c] - (t == 0 ? v / 127.5 - 1 : v)) < 1e-7);
                    }
            tw_dataset_destroy(&d);
        }
}

static void each_channel_is_normalised_and_the_way_back_is_exact(void **state)
{
    (void)state;
    const hsize_t dims[4] = {N, H, W, 2};
    static double values[N * H * W * 2];
    static float x[N * H * W * 2], back[N * H * W * 2], stored[N * H * W * 2];
    for (int i = 0; i < N * H * W; i++) {
        values[2 * i] = 270 + i % 41;            /* kelvin, 270 … 310 */
        values[2 * i + 1] = 1e-6 * (i % 11 - 5); /* small */
    }
    put_array(in("climate.h5"), "/t", H5T_IEEE_F64LE, 4, dims, values);
    tw_import_options o = importing(in("climate.h5:/t"));
    o.layout = TW_LAYOUT_NHWC;
    assert_ok(tw_dataset_import(&o, NULL));
    tw_dataset *d = open_out();
    const tw_dataset_spec *spec = tw_dataset_get_spec(d);
    assert_true(spec->offset[0] == 290 && spec->scale[0] == 20);
    assert_true(fabs(spec->offset[1]) < 1e-12 && fabs(spec->scale[1] - 5e-6) < 1e-12);
    assert_ok(tw_dataset_read(d, 0, N, x, NULL));
    assert_ok(tw_dataset_read_stored(d, 0, N, stored, NULL));
    for (int i = 0; i < N * H * W; i++) {
        assert_true(stored[2 * i] == (float)values[2 * i]); /* the file keeps the user's units */
        assert_true(fabs(x[2 * i] - (i % 41 - 20) / 20.0) < 1e-6);
        assert_true(x[2 * i + 1] >= -1 && x[2 * i + 1] <= 1);
    }
    tw_dataset_denormalise(spec, N, x, back);
    for (int i = 0; i < N * H * W * 2; i++)
        assert_true(fabs(back[i] - stored[i]) <= 2e-7 * fabs(stored[i]) + 1e-12);
    tw_dataset_destroy(&d);

    o.normalise = TW_NORMALISE_STANDARD;
    assert_ok(tw_dataset_import(&o, NULL));
    d = open_out();
    assert_ok(tw_dataset_read(d, 0, N, x, NULL));
    double sum = 0, squares = 0;
    for (int i = 0; i < N * H * W; i++) {
        sum += x[2 * i];
        squares += x[2 * i] * x[2 * i];
    }
    assert_true(fabs(sum / (N * H * W)) < 1e-5);
    assert_true(fabs(squares / (N * H * W) - 1) < 1e-4);
    tw_dataset_destroy(&d);

    for (int i = 0; i < N * H * W; i++) values[2 * i] = 5; /* a constant channel */
    put_array(in("climate.h5"), "/t", H5T_IEEE_F64LE, 4, dims, values);
    assert_ok(tw_dataset_import(&o, NULL));
    d = open_out();
    assert_true(tw_dataset_get_spec(d)->scale[0] == 1 && tw_dataset_get_spec(d)->offset[0] == 5);
    tw_dataset_destroy(&d);
}

static void labels_come_from_another_array_and_follow_their_samples(void **state)
{
    (void)state;
    const hsize_t dims[3] = {N, 2, 2}, n = N;
    static uint8_t v[N * 4];
    int32_t label[N];
    put_array(in("x.h5"), "/x", H5T_STD_U8LE, 3, dims, ramp);
    put_array(in("y.h5"), "/y", H5T_STD_I64LE, 1, &n, ramp);
    tw_import_options o = importing(in("x.h5:/x"));
    o.labels = in("y.h5:/y");
    o.keep_order = false;
    assert_ok(tw_dataset_import(&o, NULL));
    tw_dataset *d = open_out();
    assert_int_equal(tw_dataset_get_spec(d)->num_classes, N);
    assert_int_equal(tw_dataset_get_spec(d)->channels, 1);
    assert_ok(tw_dataset_read_stored(d, 0, N, v, label));
    for (int i = 0; i < N; i++) assert_int_equal(v[4 * i], (uint8_t)ramp[4 * label[i]]);
    tw_dataset_destroy(&d);
}

static void arrays_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    const hsize_t dims[4] = {N, C, H, W}, five[5] = {1, 1, N, C, H * W}, n = N - 1;
    double bad[N];
    tw_import_options o = importing("no path");
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "FILE:/path");
    o = importing(in("missing.h5:/x"));
    assert_fails(tw_dataset_import(&o, NULL), TW_ENOINPUT, "missing.h5", "No such file");
    put(in("text.h5"), "text", 4);
    o = importing(in("text.h5:/x"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "text.h5", "not an HDF5 file");
    put_array(in("a.h5"), "/g/x", H5T_IEEE_F64LE, 4, dims, ramp);
    o = importing(in("a.h5:/g/x"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "/g/x is [30, 3, 4, 5]",
                 "--layout NHWC or --layout NCHW");
    o = importing(in("a.h5:/g/y"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "a.h5", "no object /g/y");
    o = importing(in("a.h5:/h/x/y"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "a.h5", "no object /h");
    o = importing(in("a.h5:/g"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "/g is not a dataset");
    o = importing(in("a.h5:/g/x/y"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "a.h5");
    put_array(in("five.h5"), "/x", H5T_IEEE_F64LE, 5, five, ramp);
    o = importing(in("five.h5:/x"));
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "five.h5:/x has 5 axes");
    put_array(in("y.h5"), "/y", H5T_STD_I64LE, 1, &n, ramp);
    o = importing(in("a.h5:/g/x"));
    o.layout = TW_LAYOUT_NCHW;
    o.labels = in("y.h5:/y");
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "/y holds 29 labels for the 30 samples");
    for (int i = 0; i < N; i++) bad[i] = i == 20 ? -1 : i;
    put_array(in("y.h5"), "/y", H5T_STD_I64LE, 1, dims, bad);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "/y[20] is -1");
    put_array(in("y.h5"), "/y", H5T_IEEE_F64LE, 1, dims, bad);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "/y is not a list of integers");

    static double nan[ELEMENTS];
    memcpy(nan, ramp, sizeof nan);
    nan[17 * C * H * W + 3] = NAN;
    put_array(in("a.h5"), "/x", H5T_IEEE_F64LE, 4, dims, nan);
    o = importing(in("a.h5:/x"));
    o.layout = TW_LAYOUT_NHWC;
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "a.h5: /x[17]", "value 3", "nan");
    nan[17 * C * H * W + 3] = 1e300; /* no float32 */
    put_array(in("a.h5"), "/x", H5T_IEEE_F64LE, 4, dims, nan);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "a.h5: /x[17]",
                 "is 1e+300, which is beyond float32");
    assert_int_equal(count_files("out"), 0);
}

static tw_status crashes(void *self)
{
    *(int *)self = 1;
    signal(SIGSEGV, SIG_DFL); /* cmocka's handler would report it */
    raise(SIGSEGV);
    return TW_OK;
}

static tw_status complains(void *self)
{
    return tw_error_set(TW_ENOINPUT, "of %d", *(int *)self);
}

static tw_status succeeds(void *self)
{
    *(int *)self += 5;
    return TW_OK;
}

static void a_crash_in_a_child_is_bad_data_and_all_else_comes_back(void **state)
{
    (void)state;
    int i = 2;
    assert_fails(tw_isolate(crashes, &i, &i, sizeof i, "odd.h5"), TW_EDATA, "odd.h5", "crashes",
                 "Segmentation fault");
    assert_int_equal(i, 2);
    assert_fails(tw_isolate(complains, &i, &i, sizeof i, "odd.h5"), TW_ENOINPUT, "of 2");
    assert_ok(tw_isolate(succeeds, &i, &i, sizeof i, "odd.h5"));
    assert_int_equal(i, 7);
}

int main(void)
{
    for (int i = 0; i < ELEMENTS; i++) ramp[i] = i % 127;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_in_a_child_is_bad_data_and_all_else_comes_back),
        cmocka_unit_test(arrays_that_do_not_fit_are_refused),
        cmocka_unit_test(every_width_and_order_of_axes_gives_the_same_values),
        cmocka_unit_test(each_channel_is_normalised_and_the_way_back_is_exact),
        cmocka_unit_test(labels_come_from_another_array_and_follow_their_samples),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
