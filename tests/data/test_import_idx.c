/* Idx files of every element type and both byte orders, labels of any width, gzip and its limits;
 * and the versions of CIFAR that are not read. */
#include <math.h>
#include <time.h>
#include <zlib.h>

#include "data/fixture.h"
#include "tweedie/data.h"

enum { N = 3, H = 2, W = 2, PIXELS = H * W };

typedef struct type {
    int code, bytes;
    bool integer;
} type;

static const type types[] = {{0x08, 1, true}, {0x09, 1, true},  {0x0B, 2, true},
                             {0x0C, 4, true}, {0x0D, 4, false}, {0x0E, 8, false}};

/* A file being made. */
static unsigned char bytes[4096];
static size_t size;

static void add_number(uint64_t bits, int count, bool little)
{
    for (int i = 0; i < count; i++)
        bytes[size++] = (unsigned char)(bits >> 8 * (little ? i : count - 1 - i));
}

static void begin(int code, int axes, const int64_t *dims, bool little)
{
    size = 0;
    add_number((uint64_t)code << 8 | (uint64_t)axes, 4, false);
    for (int i = 0; i < axes; i++) add_number((uint64_t)dims[i], 4, little);
}

static void add(const type *t, double value, bool little)
{
    const float f = (float)value;
    uint64_t bits = (uint64_t)(int64_t)value;
    uint32_t low;
    if (t->code == 0x0D) {
        memcpy(&low, &f, sizeof low);
        bits = low;
    }
    if (t->code == 0x0E) memcpy(&bits, &value, sizeof bits);
    add_number(bits, t->bytes, little);
}

static void put_images(const type *t, double (*value)(int))
{
    begin(t->code, 3, (const int64_t[]){N, H, W}, false);
    for (int i = 0; i < N * PIXELS; i++) add(t, value(i), false);
    put(in("images"), bytes, size);
}

static void put_labels(const type *t, int columns, bool little)
{
    begin(t->code, columns ? 2 : 1, (const int64_t[]){N, columns}, false);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < (columns ? columns : 1); k++)
            add(t, k ? 100 + k : (double)(i + 2), little);
    put(in("labels"), bytes, size);
}

static tw_status import(const char *format, int count, const char *const *inputs)
{
    const tw_import_options o = {.format = format,
                                 .inputs = inputs,
                                 .input_count = count,
                                 .path = in("out.h5"),
                                 .replace = true,
                                 .keep_order = true};
    return tw_dataset_import(&o, NULL);
}

static tw_status import_both(void)
{
    return import("idx", 2, (const char *const[]){in("images"), in("labels")});
}

static double small_number(int i)
{
    return i;
}

static double signed_fraction(int i)
{
    return (i - 5) / 4.0;
}

static double signed_number(int i)
{
    return i - 5;
}

static void assert_samples(bool uint8, double (*value)(int), bool labels)
{
    tw_dataset *d = NULL;
    const tw_dataset_options o = {.path = in("out.h5"), .split = "all"};
    float f[N * PIXELS];
    unsigned char u[N * PIXELS];
    int32_t label[N];
    assert_ok(tw_dataset_open(&d, NULL, &o));
    assert_int_equal(tw_dataset_get_spec(d)->kind, uint8 ? TW_DATASET_UINT8 : TW_DATASET_FLOAT32);
    assert_ok(tw_dataset_read_stored(d, 0, N, uint8 ? (void *)u : (void *)f, label));
    for (int i = 0; i < N * PIXELS; i++)
        assert_true((uint8 ? (double)u[i] : (double)f[i]) == value(i));
    for (int i = 0; i < N; i++) assert_int_equal(label[i], labels ? i + 2 : -1);
    tw_dataset_destroy(&d);
}

static void images_of_every_type_keep_their_values(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        const type *t = &types[k];
        double (*value)(int) = t->code == 0x08 ? small_number
                               : t->integer    ? signed_number
                                               : signed_fraction;
        put_images(t, value);
        assert_ok(import("idx", 1, (const char *const[]){in("images")}));
        assert_samples(t->code == 0x08, value, false);
    }
}

static double too_precise(int i)
{
    return i == 7 ? 16777217 : i;
}

static double not_finite(int i)
{
    return i == 7 ? (double)NAN : i;
}

static void values_that_would_become_others_are_refused(void **state)
{
    (void)state;
    put_images(&types[3], too_precise);
    assert_fails(import("idx", 1, (const char *const[]){in("images")}), TW_EDATA, "images: image 1",
                 "element 3 is 16777217, which float32 cannot hold");
    put_images(&types[4], not_finite);
    assert_fails(import("idx", 1, (const char *const[]){in("images")}), TW_EDATA, "images: image 1",
                 "finite numbers were expected");
}

static void labels_of_any_width_and_any_number_of_columns_are_read(void **state)
{
    (void)state;
    put_images(&types[0], small_number);
    for (int columns = 0; columns <= 8; columns += columns ? 7 : 1)
        for (size_t k = 0; k < 4; k++) {
            put_labels(&types[k], columns, false);
            assert_ok(import_both());
            assert_samples(true, small_number, true);
        }
    put_labels(&types[4], 0, false);
    assert_fails(import_both(), TW_EDATA, "labels", "labels are integers");
    put_labels(&types[3], 0, true);
    assert_fails(import_both(), TW_EDATA, "labels: label 0 is 33554432", "little-endian");
    begin(0x09, 1, (const int64_t[]){N}, false);
    for (int i = 0; i < N; i++) add(&types[1], i - 1, false);
    put(in("labels"), bytes, size);
    assert_fails(import_both(), TW_EDATA, "labels: label 0 is -1; 0 to ");
}

static void headers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    put_labels(&types[0], 0, false);
    begin(0x08, 3, (const int64_t[]){N, H, W}, true);
    for (int i = 0; i < N * PIXELS; i++) add(&types[0], i, false);
    put(in("images"), bytes, size);
    assert_fails(import_both(), TW_EDATA, "images", "little-endian; idx files are big-endian");
    put(in("images"), "\3\10\0\0", 4);
    assert_fails(import_both(), TW_EDATA, "images", "03 08 00 00", "little-endian");
    static const struct {
        int code, axes;
        int64_t dims[5];
        const char *message;
    } cases[] = {
        {0x0A, 3, {N, H, W}, "elements of idx type 0x0a"},
        {0x0F, 3, {N, H, W}, "elements of idx type 0x0f"},
        {0x08, 0, {0}, "an idx array of 0 axes"},
        {0x08, 5, {1, 1, 1, 1, 12}, "an idx array of 5 axes"},
        {0x08, 3, {N, 0, W}, "axis 1 of its array is empty"},
        {0x08, 3, {N + 1, H, W}, "truncated: it claims 16 bytes of data, at most 12"},
        {0x0B, 3, {N, H, W}, "truncated: it claims 24 bytes"},
        {0x08, 3, {N - 1, H, W}, "4 bytes too long"},
        {0x08, 3, {0xffffffff, 0xffffffff, 0xffffffff}, "more elements than can be counted"},
        {0x08, 4, {N, H, W, 1}, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(cases[i].code, cases[i].axes, cases[i].dims, false);
        for (int k = 0; k < N * PIXELS; k++) add(&types[0], k, false);
        put(in("images"), bytes, size);
        if (cases[i].message)
            assert_fails(import_both(), TW_EDATA, "images", cases[i].message);
        else
            assert_ok(import_both());
    }
    begin(0x08, 1, (const int64_t[]){N + 1}, false);
    for (int i = 0; i <= N; i++) add(&types[0], 1, false);
    put(in("labels"), bytes, size);
    assert_fails(import_both(), TW_EDATA, "holds 4 labels for the 3 images");
}

/* A gzip file of a header and `zeros` zero bytes. */
static void put_packed(const char *path, int64_t zeros)
{
    static const char none[1 << 20];
    gzFile file = gzopen(path, "wb1");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), size);
    for (int64_t done = 0; done < zeros; done += (int64_t)sizeof none)
        assert_true(gzwrite(file, none,
                            (unsigned)(zeros - done < (int64_t)sizeof none ? (size_t)(zeros - done)
                                                                           : sizeof none)) > 0);
    assert_int_equal(gzclose(file), Z_OK);
}

static void a_packed_file_costs_no_more_than_it_may(void **state)
{
    (void)state;
    enum { SIDE = 1 << 12 };
    /* truncated, and too long */
    begin(0x08, 3, (const int64_t[]){2, 100, 100}, false);
    put_packed(in("images.gz"), 19999);
    assert_fails(import("idx", 1, (const char *const[]){in("images.gz")}), TW_EDATA, "images.gz",
                 "truncated: it ends at byte 20015");
    put_packed(in("images.gz"), 20001);
    assert_fails(import("idx", 1, (const char *const[]){in("images.gz")}), TW_EDATA, "images.gz",
                 "data follow");
    put_packed(in("images.gz"), 20000);
    assert_ok(import("idx", 1, (const char *const[]){in("images.gz")}));
    /* a bomb: 400 MB of zeros that claim to be more, in less than 4 MB */
    begin(0x08, 3, (const int64_t[]){60, SIDE, SIDE}, false);
    put_packed(in("bomb.gz"), (int64_t)400 << 20);
    const clock_t start = clock();
    assert_fails(import("idx", 1, (const char *const[]){in("bomb.gz")}), TW_EDATA, "bomb.gz",
                 "more than 100 times its size");
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 20);
    assert_int_equal(count_files(".out"), 0);
}

static void the_other_versions_of_cifar_are_named(void **state)
{
    (void)state;
    static const char *const pickles[] = {"\x80\x02}q\x01(U", "\x80\x03}q\x00(X",
                                          "\x80\x04\x95\xbb\x78", "\x80\x05\x95\xbb\x78",
                                          "(dp1\nS'data'"};
    static char data[2 * 3073];
    for (const char *const *name =
             (const char *const[]){"data_batch_1", "test_batch", "train", "anything.bin", NULL};
         *name; name++)
        for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++) {
            memcpy(data, pickles[i], strlen(pickles[i]));
            put(in(*name), data, sizeof data);
            assert_fails(import("cifar", 1, (const char *const[]){in(*name)}), TW_EDATA, *name,
                         "is CIFAR's Python version", "binary version");
        }
    put(in("data_batch_1.mat"), "MATLAB 5.0 MAT-file", 19);
    assert_fails(import("cifar", 1, (const char *const[]){in("data_batch_1.mat")}), TW_EDATA,
                 "is CIFAR's Matlab version");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_of_every_type_keep_their_values),
        cmocka_unit_test(values_that_would_become_others_are_refused),
        cmocka_unit_test(labels_of_any_width_and_any_number_of_columns_are_read),
        cmocka_unit_test(headers_that_do_not_fit_are_refused),
        cmocka_unit_test(a_packed_file_costs_no_more_than_it_may),
        cmocka_unit_test(the_other_versions_of_cifar_are_named),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
