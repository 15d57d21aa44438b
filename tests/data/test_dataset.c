/* Dataset files: what is written is read, and what is not understood is refused. */
#include <errno.h>
#include <hdf5.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <xxhash.h>

#include "data/fixture.h"
#include "tweedie/data.h"
#include "tweedie/io.h"

enum { N = 1000, H = 5, W = 3, C = 2, DIMS = H * W * C };

static uint8_t pixels[N * DIMS];
static float values[N * DIMS];
static int32_t labels[N];

static void fill(void)
{
    for (int i = 0; i < N * DIMS; i++) {
        pixels[i] = (uint8_t)(i * 7 + i / 256);
        values[i] = (float)(i % 97) * 0.25f - 3;
    }
    for (int i = 0; i < N; i++) labels[i] = i * 3 % 4;
}

static const tw_dataset_spec base = {
    .kind = TW_DATASET_UINT8,
    .count = N,
    .height = H,
    .width = W,
    .channels = C,
    .num_classes = 4,
    .name = "squares",
    .source = "a test",
    .license = "none",
    .split_count = 2,
    .splits = {{"train", 0, 900}, {"test", 900, N}},
};

/* Writes the fixture's samples, `step` at a time. */
static tw_status write_some(const char *path, const tw_dataset_spec *spec, int gzip, int64_t step)
{
    tw_status st = TW_OK;
    tw_dataset_writer *w = NULL;
    const tw_dataset_writer_options how = {.path = path, .mode = TW_OUTPUT_REPLACE, .gzip = gzip};
    const size_t bytes = tw_dataset_sample_bytes(spec);
    const char *stored =
        spec->kind == TW_DATASET_UINT8 ? (const char *)pixels : (const char *)values;
    TW_TRY(tw_dataset_writer_create(&w, spec, &how));
    for (int64_t i = 0; i < spec->count; i += step) {
        int64_t n = step < spec->count - i ? step : spec->count - i;
        TW_TRY(tw_dataset_writer_append(w, n, stored + (size_t)i * bytes,
                                        spec->num_classes ? labels + i : NULL));
    }
    TW_TRY(tw_dataset_writer_set_text(w, "weights_digest", "abc"));
    TW_TRY(tw_dataset_writer_finish(&w, NULL));
done:
    tw_dataset_writer_abort(&w);
    return st;
}

static tw_status open_verified(tw_dataset **d, const char *path)
{
    const tw_dataset_options options = {.path = path, .split = "all", .verify = true};
    return tw_dataset_open(d, NULL, &options);
}

static void images_come_back_with_labels_names_splits_and_texts(void **state)
{
    (void)state;
    static const char *const names[] = {"zero", "one", "two", "three is longer"};
    static uint8_t read[N * DIMS];
    static int32_t read_labels[N];
    tw_dataset_spec spec = base;
    spec.class_names = names;
    for (int gzip = 0; gzip <= 6; gzip += 6) {
        tw_dataset *d = NULL;
        char text[64];
        assert_ok(write_some(in("images.h5"), &spec, gzip, 7));
        assert_ok(open_verified(&d, in("images.h5")));
        const tw_dataset_spec *met = tw_dataset_get_spec(d);
        assert_int_equal(met->kind, TW_DATASET_UINT8);
        assert_int_equal(met->count * met->height * met->width * met->channels, N * DIMS);
        assert_int_equal(met->height, H);
        assert_int_equal(met->width, W);
        assert_int_equal(met->num_classes, 4);
        assert_string_equal(met->name, "squares");
        assert_string_equal(met->source, "a test");
        assert_string_equal(met->license, "none");
        assert_int_equal(met->split_count, 2);
        assert_string_equal(met->splits[1].name, "test");
        assert_int_equal(met->splits[1].first, 900);
        for (int i = 0; i < 4; i++) assert_string_equal(met->class_names[i], names[i]);
        assert_ok(tw_dataset_get_text(d, "weights_digest", text, sizeof text));
        assert_string_equal(text, "abc");
        assert_ok(tw_dataset_get_text(d, "nothing", text, sizeof text));
        assert_string_equal(text, "");
        assert_ok(tw_dataset_read_stored(d, 0, N, read, read_labels));
        assert_memory_equal(read, pixels, sizeof pixels);
        assert_memory_equal(read_labels, labels, sizeof labels);
        assert_int_equal(tw_dataset_read_stored(d, N - 1, 2, read, NULL), TW_EINTERNAL);
        tw_dataset_destroy(&d);
        assert_null(d);
    }
}

static void the_digest_is_xxh3_of_samples_then_labels(void **state)
{
    (void)state;
    char expected[TW_DATASET_DIGEST_MAX];
    static unsigned char both[sizeof pixels + sizeof labels];
    tw_dataset *d = NULL;
    memcpy(both, pixels, sizeof pixels);
    memcpy(both + sizeof pixels, labels, sizeof labels);
    const XXH128_hash_t hash = XXH3_128bits(both, sizeof both);
    snprintf(expected, sizeof expected, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
    assert_ok(write_some(in("digest.h5"), &base, 0, 100));
    assert_ok(open_verified(&d, in("digest.h5")));
    assert_string_equal(tw_dataset_get_spec(d)->digest, expected);
    tw_dataset_destroy(&d);
}

static void the_bytes_of_a_file_do_not_depend_on_how_samples_were_appended(void **state)
{
    (void)state;
    for (int gzip = 0; gzip <= 1; gzip++) {
        size_t a_size, b_size;
        assert_ok(write_some(in("a.h5"), &base, gzip, 1));
        assert_ok(write_some(in("b.h5"), &base, gzip, 333));
        unsigned char *a = take(in("a.h5"), &a_size), *b = take(in("b.h5"), &b_size);
        assert_int_equal(a_size, b_size);
        assert_memory_equal(a, b, a_size);
        free(a);
        free(b);
    }
}

static void a_split_is_read_from_its_own_beginning(void **state)
{
    (void)state;
    static uint8_t one[DIMS];
    int32_t label;
    tw_dataset *d = NULL;
    assert_ok(write_some(in("split.h5"), &base, 0, N));
    tw_dataset_options options = {.path = in("split.h5"), .split = "test"};
    assert_ok(tw_dataset_open(&d, NULL, &options));
    assert_int_equal(tw_dataset_count(d), 100);
    assert_string_equal(tw_dataset_get_split(d)->name, "test");
    assert_ok(tw_dataset_read_stored(d, 5, 1, one, &label));
    assert_memory_equal(one, pixels + 905 * DIMS, DIMS);
    assert_int_equal(label, labels[905]);
    tw_dataset_destroy(&d);
    options.split = NULL; /* the default is to train */
    assert_ok(tw_dataset_open(&d, NULL, &options));
    assert_int_equal(tw_dataset_count(d), 900);
    tw_dataset_destroy(&d);
    options.split = "validation";
    assert_fails(tw_dataset_open(&d, NULL, &options), TW_ECONFIG, "split.h5", "\"validation\"",
                 "train=0:900,test=900:1000");
    assert_null(d);
}

static void model_units_are_those_of_the_formula_and_lead_back(void **state)
{
    (void)state;
    uint8_t all[256], back[256];
    float x[256];
    tw_dataset_spec spec = {
        .kind = TW_DATASET_UINT8, .count = 1, .height = 16, .width = 16, .channels = 1};
    for (int i = 0; i < 256; i++) all[i] = (uint8_t)i;
    tw_dataset_normalise(&spec, 1, all, x);
    assert_true(x[0] == -1 && x[255] == 1);
    for (int i = 0; i < 256; i++) assert_true(fabs(x[i] - (i / 127.5 - 1)) <= 6e-8);
    tw_dataset_denormalise(&spec, 1, x, back);
    assert_memory_equal(all, back, 256);
    x[0] = -7;
    x[1] = 7;
    x[2] = NAN;
    x[3] = 0.001f; /* 127.6275: to the nearest */
    tw_dataset_pixels(&spec, 1, x, back);
    assert_int_equal(back[0], 0);
    assert_int_equal(back[1], 255);
    assert_int_equal(back[2], 0);
    assert_int_equal(back[3], 128);

    const float offset[] = {10, -2}, scale[] = {4, 0.5f}, stored[] = {10, -2, 18, -1};
    float read[4], again[4];
    spec = (tw_dataset_spec){.kind = TW_DATASET_FLOAT32,
                             .count = 1,
                             .height = 2,
                             .width = 1,
                             .channels = 2,
                             .offset = offset,
                             .scale = scale};
    tw_dataset_normalise(&spec, 1, stored, read);
    assert_true(read[0] == 0 && read[1] == 0 && read[2] == 2 && read[3] == 2);
    tw_dataset_denormalise(&spec, 1, read, again);
    assert_memory_equal(again, stored, sizeof stored);
}

static void floats_and_points_keep_their_units_in_the_file(void **state)
{
    (void)state;
    static const float offset[] = {1.5f, -1}, scale[] = {2, 8};
    static float x[N * DIMS];
    for (int points = 0; points <= 1; points++) {
        tw_dataset *d = NULL;
        tw_dataset_spec spec = base;
        spec.kind = points ? TW_DATASET_POINTS : TW_DATASET_FLOAT32;
        spec.height = points ? 1 : H;
        spec.width = points ? 1 : W;
        spec.num_classes = 0;
        spec.offset = offset;
        spec.scale = scale;
        assert_ok(write_some(in("float.h5"), &spec, points ? 0 : 4, 64));
        assert_ok(open_verified(&d, in("float.h5")));
        int32_t label;
        assert_int_equal(tw_dataset_get_spec(d)->kind, spec.kind);
        assert_true(tw_dataset_get_spec(d)->scale[1] == 8);
        const int64_t dims = tw_dataset_elements(&spec);
        assert_ok(tw_dataset_read(d, 3, N - 3, x, NULL));
        for (int64_t i = 0; i < (N - 3) * dims; i++)
            assert_true(x[i] == (values[3 * dims + i] - offset[i % 2]) / scale[i % 2]);
        assert_ok(tw_dataset_read(d, 0, 1, x, &label));
        assert_int_equal(label, -1);
        tw_dataset_destroy(&d);
    }
}

static void a_dataset_read_on_the_input_thread_is_the_same(void **state)
{
    (void)state;
    static uint8_t read[N * DIMS];
    tw_io *io = NULL;
    tw_dataset *d = NULL;
    assert_ok(write_some(in("thread.h5"), &base, 0, N));
    assert_ok(tw_io_create(&io));
    const tw_dataset_options options = {
        .path = in("thread.h5"), .split = "all", .verify = true, .io = io};
    assert_ok(tw_dataset_open(&d, NULL, &options));
    assert_ok(tw_dataset_read_stored(d, 0, N, read, NULL));
    assert_memory_equal(read, pixels, sizeof pixels);
    tw_dataset_destroy(&d);
    tw_io_destroy(&io);
}

static void what_does_not_fit_the_spec_is_not_written(void **state)
{
    (void)state;
    tw_dataset_writer *w = NULL;
    tw_dataset_writer_options how = {.path = in("never.h5")};
    tw_dataset_spec spec = base;
    const int32_t bad[] = {0, 4};
    const float nan = NAN;
    assert_ok(tw_dataset_writer_create(&w, &spec, &how));
    assert_fails(tw_dataset_writer_append(w, 2, pixels, bad), TW_EDATA, "never.h5",
                 "/labels[1] is 4", "0 to 3");
    assert_fails(tw_dataset_writer_append(w, 1, pixels, NULL), TW_EDATA, "no labels");
    assert_fails(tw_dataset_writer_append(w, N + 1, pixels, labels), TW_EDATA,
                 "sample 1001 of 1000");
    assert_fails(tw_dataset_writer_set_text(w, "digest", "x"), TW_EINTERNAL, "digest");
    assert_fails(tw_dataset_writer_finish(&w, NULL), TW_EDATA, "0 of 1000 samples");
    assert_null(w);

    spec = (tw_dataset_spec){
        .kind = TW_DATASET_POINTS, .count = 1, .height = 1, .width = 1, .channels = 1};
    assert_ok(tw_dataset_writer_create(&w, &spec, &how));
    assert_fails(tw_dataset_writer_append(w, 1, &nan, NULL), TW_EDATA, "/points[0]", "finite");
    tw_dataset_writer_abort(&w);

    spec.count = INT64_MAX / 2;
    assert_fails(tw_dataset_writer_create(&w, &spec, &how), TW_EDATA, "never.h5", "more bytes");
    spec.count = 0;
    assert_fails(tw_dataset_writer_create(&w, &spec, &how), TW_EDATA, "never.h5", "[0, 1, 1, 1]");
    spec = base;
    spec.splits[1].last = N + 1;
    assert_fails(tw_dataset_writer_create(&w, &spec, &how), TW_EDATA,
                 "split \"test\" is 900:1001 of 1000");
    assert_int_equal(count_files("never"), 0);
    assert_int_equal(count_files(".never"), 0);

    put(in("there.h5"), "precious", 8);
    how.path = in("there.h5");
    assert_fails(tw_dataset_writer_create(&w, &base, &how), TW_EUSAGE, "there.h5", "exists");
    how.path = in("no/folder.h5");
    assert_fails(tw_dataset_writer_create(&w, &base, &how), TW_EIO, "no/folder.h5");
}

static void the_embedded_mnist_is_whole(void **state)
{
    (void)state;
    const char *source = getenv("TWEEDIE_SOURCE_DIR");
    char path[512];
    static int32_t label[70000];
    int count[10] = {0};
    tw_dataset *d = NULL;
    if (!source) skip();
    snprintf(path, sizeof path, "%s/datasets/mnist.h5", source);
    assert_ok(open_verified(&d, path));
    const tw_dataset_spec *spec = tw_dataset_get_spec(d);
    assert_int_equal(spec->count, 70000);
    assert_int_equal(spec->num_classes, 10);
    assert_int_equal(spec->splits[0].last, 60000);
    assert_string_equal(spec->splits[1].name, "test");
    assert_ok(tw_dataset_read_stored(d, 0, 70000, NULL, label));
    for (int i = 60000; i < 70000; i++) count[label[i]]++;
    static const int expected[10] = {980, 1135, 1032, 1010, 982, 892,
                                     958, 1028, 974,  1009}; /* of the test set, as published */
    assert_memory_equal(count, expected, sizeof count);
    tw_dataset_destroy(&d);
}

/* A limit on the size of files stands for a full disk. It is lifted before giving up, as the disk
 * is not full for the memory to which the writer then turns. */
static void a_full_disk_is_told_and_leaves_no_file(void **state)
{
    (void)state;
    struct rlimit old, small = {.rlim_cur = 20000};
    tw_dataset_writer *w = NULL;
    tw_dataset_spec spec = base;
    const tw_dataset_writer_options how = {.path = in("full.h5")};
    static uint8_t sample[300 * 300];
    tw_status st = TW_OK;
    spec.height = spec.width = 300;
    spec.channels = 1;
    assert_ok(tw_dataset_writer_create(&w, &spec, &how));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 100 && st == TW_OK; i++)
        st = tw_dataset_writer_append(w, 1, sample, labels);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_fails(st, TW_EIO, "full.h5", "cannot be written", "File too large");
    tw_dataset_writer_abort(&w);
    assert_int_equal(count_files("full"), 0);
    assert_int_equal(count_files(".full"), 0);
}

/* ---- files that must be refused ---- */

static void expect_refusal(const char *path, tw_status code, const char *word, const char *another)
{
    tw_dataset *d = NULL;
    assert_fails(open_verified(&d, path), code, path, word, another);
    assert_null(d);
}

static void files_that_are_no_datasets_are_refused(void **state)
{
    (void)state;
    expect_refusal(in("missing.h5"), TW_ENOINPUT, "No such file", "");
    expect_refusal(directory, TW_ENOINPUT, "is a directory", "");
    put(in("text.h5"), "not at all", 10);
    expect_refusal(in("text.h5"), TW_EDATA, "not an HDF5 file", "10 bytes");
    put(in("empty.h5"), "", 0);
    expect_refusal(in("empty.h5"), TW_EDATA, "not an HDF5 file", "0 bytes");
    hid_t file = H5Fcreate(in("foreign.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    expect_refusal(in("foreign.h5"), TW_EDATA, "no attribute \"format\"", "tweedie import");
    if (geteuid() == 0) return; /* root reads everything */
    assert_ok(write_some(in("secret.h5"), &base, 0, N));
    assert_int_equal(chmod(in("secret.h5"), 0), 0);
    expect_refusal(in("secret.h5"), TW_ENOINPUT, "Permission denied", "");
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    size_t size;
    assert_ok(write_some(in("cut.h5"), &base, 0, N));
    unsigned char *bytes = take(in("cut.h5"), &size);
    for (size_t keep = 0; keep < size; keep += size / 40) {
        put(in("cut.h5"), bytes, keep);
        expect_refusal(in("cut.h5"), TW_EDATA, "cut.h5", "");
    }
    free(bytes);
}

static void a_flipped_bit_of_the_data_is_found_by_the_digest(void **state)
{
    (void)state;
    size_t size;
    assert_ok(write_some(in("flip.h5"), &base, 0, N));
    unsigned char *bytes = take(in("flip.h5"), &size), *at = memmem(bytes, size, pixels, 64);
    assert_non_null(at);
    at[20000] ^= 4;
    put(in("flip.h5"), bytes, size);
    expect_refusal(in("flip.h5"), TW_EDATA, "damaged", "digest");
    free(bytes);
}

static void write_int_attribute(const char *path, const char *object, const char *name, int value)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), id = H5Oopen(file, object, H5P_DEFAULT);
    H5Adelete(id, name);
    hid_t space = H5Screate(H5S_SCALAR),
          attribute = H5Acreate2(id, name, H5T_NATIVE_INT, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_INT, &value) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Oclose(id);
    H5Fclose(file);
}

/* variable: as h5py writes strings, else of fixed length */
static void write_text_attribute(const char *path, const char *object, const char *name,
                                 const char *value, bool variable)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), id = H5Oopen(file, object, H5P_DEFAULT),
          type = H5Tcopy(H5T_C_S1);
    H5Adelete(id, name);
    H5Tset_size(type, variable ? H5T_VARIABLE : strlen(value) + 1);
    hid_t space = H5Screate(H5S_SCALAR),
          attribute = H5Acreate2(id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, variable ? (const void *)&value : value) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    H5Oclose(id);
    H5Fclose(file);
}

static void attributes_that_are_not_understood_are_named(void **state)
{
    (void)state;
    const char *path = "attribute.h5";
    static const struct {
        const char *name, *text, *message, *also;
    } texts[] = {
        {"format", "tweedie-weights", "format \"tweedie-weights\"",
         "\"tweedie-dataset\" was expected"},
        {"splits", "train=0:2000", "split \"train\" is 0:2000", "1000"},
        {"splits", "train=5:5", "split \"train\" is 5:5", ""},
        {"splits", "train=0:5,train=5:9", "two splits \"train\"", ""},
        {"splits", "train=0-5", "splits is \"train=0-5\"", "was expected"},
        {"splits", "train=0:99999999999999999999", "splits is", ""},
        {"splits", "", "splits is \"\"", ""},
        {"splits", "a b=0:5", "splits is \"a b=0:5\"", ""},
        {"digest", "0123456789abcdef0123456789abcdef", "damaged",
         "0123456789abcdef0123456789abcdef"},
        {"digest", "0123456789abcdef0123456789abcdef0", "digest", "longer than 32"},
        {"num_classes", "4", "num_classes", "not an integer"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_ok(write_some(in(path), &base, 0, N));
        write_text_attribute(in(path), "/", texts[i].name, texts[i].text, false);
        expect_refusal(in(path), TW_EDATA, texts[i].message, texts[i].also);
    }
    assert_ok(write_some(in(path), &base, 0, N));
    write_text_attribute(in(path), "/", "name", "variable", true);
    tw_dataset *d = NULL; /* as h5py writes it: read like any other */
    assert_ok(open_verified(&d, in(path)));
    assert_string_equal(tw_dataset_get_spec(d)->name, "variable");
    tw_dataset_destroy(&d);
    assert_ok(write_some(in(path), &base, 0, N));
    write_int_attribute(in(path), "/", "format_version", 2);
    expect_refusal(in(path), TW_EDATA, "format_version 2", "version 1");
    assert_ok(write_some(in(path), &base, 0, N));
    write_int_attribute(in(path), "/", "num_classes", 3); /* labels go to 3 */
    expect_refusal(in(path), TW_EDATA, "is 3; 0 to 2", "/labels[");
    assert_ok(write_some(in(path), &base, 0, N));
    write_int_attribute(in(path), "/", "num_classes", 0);
    expect_refusal(in(path), TW_EDATA, "num_classes is 0", "/labels is there");
    assert_ok(write_some(in(path), &base, 0, N));
    write_text_attribute(in(path), "/images", "layout", "NCHW", false);
    expect_refusal(in(path), TW_EDATA, "layout \"NCHW\"", "\"NHWC\" was expected");
}

/* Replaces /images by a dataset of another kind; `list` may be H5P_DEFAULT. */
static void replace_images(const char *path, hid_t type, int rank, const hsize_t *dims, hid_t list)
{
    static double zeros[N * DIMS];
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT),
          space = H5Screate_simple(rank, dims, NULL);
    H5Ldelete(file, "/images", H5P_DEFAULT);
    hid_t dataset = H5Dcreate2(file, "/images", type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(dataset >= 0);
    if (list == H5P_DEFAULT || H5Pget_layout(list) != H5D_VIRTUAL)
        (void)H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Fclose(file);
    write_text_attribute(path, "/images", "layout", "NHWC", false);
}

static void arrays_of_another_type_shape_or_storage_are_refused(void **state)
{
    (void)state;
    const char *path = "array.h5";
    const hsize_t dims[4] = {N, H, W, C}, flat[2] = {N, DIMS}, none[4] = {0, H, W, C},
                  large[4] = {1u << 20, 1u << 10, 1u << 10, 1};
    hid_t list;
    assert_ok(write_some(in(path), &base, 0, N));
    replace_images(in(path), H5T_IEEE_F64LE, 4, dims, H5P_DEFAULT);
    expect_refusal(in(path), TW_EDATA, "/images has elements of another type",
                   "uint8 or little-endian float32");
    replace_images(in(path), H5T_STD_I8LE, 4, dims, H5P_DEFAULT);
    expect_refusal(in(path), TW_EDATA, "/images has elements of another type", "");
    replace_images(in(path), H5T_IEEE_F32BE, 4, dims, H5P_DEFAULT);
    expect_refusal(in(path), TW_EDATA, "/images has elements of another type", "");
    replace_images(in(path), H5T_STD_U8LE, 2, flat, H5P_DEFAULT);
    expect_refusal(in(path), TW_EDATA, "/images has 2 axes", "[N, H, W, C]");
    replace_images(in(path), H5T_STD_U8LE, 4, none, H5P_DEFAULT);
    expect_refusal(in(path), TW_EDATA, "/images is empty", "axis 0");

    list = H5Pcreate(H5P_DATASET_CREATE); /* claims a terabyte that was never written */
    H5Pset_chunk(list, 4, (const hsize_t[]){1, 1024, 1024, 1});
    hid_t file = H5Fopen(in(path), H5F_ACC_RDWR, H5P_DEFAULT),
          space = H5Screate_simple(4, large, NULL);
    H5Ldelete(file, "/images", H5P_DEFAULT);
    H5Dclose(H5Dcreate2(file, "/images", H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT));
    H5Sclose(space);
    H5Fclose(file);
    H5Pclose(list);
    expect_refusal(in(path), TW_EDATA, "claims 1099511627776 bytes", "0 are stored");

    const hsize_t many[4] = {40000, H, W, C}; /* one chunk of 1.2 MB */
    list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, 4, many);
    H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
    file = H5Fopen(in(path), H5F_ACC_RDWR, H5P_DEFAULT);
    space = H5Screate_simple(4, many, NULL);
    H5Ldelete(file, "/images", H5P_DEFAULT);
    H5Dclose(H5Dcreate2(file, "/images", H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT));
    H5Sclose(space);
    H5Fclose(file);
    H5Pclose(list);
    expect_refusal(in(path), TW_EDATA, "chunks of 1200000 bytes", "at most 1048576");

    list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, 4, dims);
    H5Pset_nbit(list);
    replace_images(in(path), H5T_STD_U8LE, 4, dims, list);
    expect_refusal(in(path), TW_EDATA, "/images is packed by HDF5 filter 5", "h5repack");
    H5Pclose(list);

    list = H5Pcreate(H5P_DATASET_CREATE);
    put(in("outside.bin"), pixels, sizeof pixels);
    H5Pset_external(list, in("outside.bin"), 0, H5F_UNLIMITED);
    replace_images(in(path), H5T_STD_U8LE, 4, dims, list);
    expect_refusal(in(path), TW_EDATA, "outside the file", "h5repack");
    H5Pclose(list);

    list = H5Pcreate(H5P_DATASET_CREATE);
    space = H5Screate_simple(4, dims, NULL);
    H5Pset_virtual(list, space, "elsewhere.h5", "/images", space);
    H5Sclose(space);
    replace_images(in(path), H5T_STD_U8LE, 4, dims, list);
    expect_refusal(in(path), TW_EDATA, "virtual dataset", "other files");
    H5Pclose(list);
}

static void links_out_of_the_file_are_not_followed(void **state)
{
    (void)state;
    for (int external = 0; external <= 1; external++) {
        assert_ok(write_some(in("link.h5"), &base, 0, N));
        assert_ok(write_some(in("target.h5"), &base, 0, N));
        hid_t file = H5Fopen(in("link.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
        assert_true(H5Lmove(file, "/images", file, "/moved", H5P_DEFAULT, H5P_DEFAULT) >= 0);
        if (external)
            H5Lcreate_external(in("target.h5"), "/images", file, "/images", H5P_DEFAULT,
                               H5P_DEFAULT);
        else
            H5Lcreate_soft("/moved", file, "/images", H5P_DEFAULT, H5P_DEFAULT);
        H5Fclose(file);
        expect_refusal(in("link.h5"), TW_EDATA, "/images", "link");
    }
}

static void an_array_of_two_names_is_refused(void **state)
{
    (void)state;
    static const char *const arrays[] = {"/images", "/labels"};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        assert_ok(write_some(in("names.h5"), &base, 0, N));
        hid_t file = H5Fopen(in("names.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
        assert_true(H5Lcreate_hard(file, arrays[i], file, "/again", H5P_DEFAULT, H5P_DEFAULT) >= 0);
        H5Fclose(file);
        expect_refusal(in("names.h5"), TW_EDATA, arrays[i], "2 hard links");
    }
}

int main(void)
{
    fill();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_come_back_with_labels_names_splits_and_texts),
        cmocka_unit_test(the_digest_is_xxh3_of_samples_then_labels),
        cmocka_unit_test(the_bytes_of_a_file_do_not_depend_on_how_samples_were_appended),
        cmocka_unit_test(a_split_is_read_from_its_own_beginning),
        cmocka_unit_test(model_units_are_those_of_the_formula_and_lead_back),
        cmocka_unit_test(floats_and_points_keep_their_units_in_the_file),
        cmocka_unit_test(a_dataset_read_on_the_input_thread_is_the_same),
        cmocka_unit_test(the_embedded_mnist_is_whole),
        cmocka_unit_test(what_does_not_fit_the_spec_is_not_written),
        cmocka_unit_test(a_full_disk_is_told_and_leaves_no_file),
        cmocka_unit_test(files_that_are_no_datasets_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(a_flipped_bit_of_the_data_is_found_by_the_digest),
        cmocka_unit_test(attributes_that_are_not_understood_are_named),
        cmocka_unit_test(arrays_of_another_type_shape_or_storage_are_refused),
        cmocka_unit_test(links_out_of_the_file_are_not_followed),
        cmocka_unit_test(an_array_of_two_names_is_refused),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
