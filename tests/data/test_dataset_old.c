/* Datasets in HDF5's older format, whose headers carry no checksums, damaged at random: each is
 * refused or read, and none ends the process. */
#include <time.h>

#include "data/foreign.h"

enum { N = 8, BYTES = 16384 };

static void put_root(hid_t file, const char *splits)
{
    const int64_t one = 1, none = 0;
    text_attribute(file, "format", "tweedie-dataset", false);
    attribute(file, "format_version", H5T_STD_I64LE, H5T_NATIVE_INT64, 0, &one);
    attribute(file, "num_classes", H5T_STD_I64LE, H5T_NATIVE_INT64, 0, &none);
    text_attribute(file, "name", "old", false);
    text_attribute(file, "source", "test", false);
    text_attribute(file, "license", "none", false);
    text_attribute(file, "digest", "00000000000000000000000000000000", false);
    text_attribute(file, "splits", splits, false);
}

/* A dataset as h5py with its defaults would write it, chunked. */
static size_t make_old(unsigned char *out)
{
    const hsize_t dims[4] = {N, 4, 4, 1};
    const storage s = {.chunk = {2, 4, 2, 1}, .gzip = 1};
    unsigned char raw[N * 16];
    for (int i = 0; i < N * 16; i++) raw[i] = (unsigned char)i;
    hid_t file = make_file(in("old.h5"), false);
    hid_t d = add_array(file, "images", H5T_STD_U8LE, 4, dims, H5T_NATIVE_UCHAR, raw, &s);
    text_attribute(d, "layout", "NHWC", false);
    H5Dclose(d);
    put_root(file, "train=0:8");
    H5Fclose(file);
    size_t size;
    unsigned char *bytes = take(in("old.h5"), &size);
    assert_true(size < BYTES);
    memcpy(out, bytes, size);
    free(bytes);
    return size;
}

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void no_damaged_header_ends_the_process(void **state)
{
    (void)state;
    static unsigned char good[BYTES], bad[BYTES];
    const size_t size = make_old(good);
    const char *first = getenv("OLD_FIRST"), *count = getenv("OLD_COUNT");
    const int from = first ? atoi(first) : 0, many = count ? atoi(count) : 200;
    int refused = 0;
    tw_dataset *d = NULL;
    const tw_dataset_options options = {.path = in("bad.h5"), .split = "all"};
    put(in("bad.h5"), good, size);
    assert_ok(tw_dataset_open(&d, NULL, &options));
    tw_dataset_destroy(&d);
    for (int k = from; k < from + many; k++) {
        uint64_t seed = (uint64_t)k;
        memcpy(bad, good, size);
        for (uint64_t n = 1 + next(&seed) % 4; n > 0; n--)
            bad[8 + next(&seed) % (size - 8)] = (unsigned char)next(&seed);
        put(in("bad.h5"), bad, size);
        unsigned char x[N * 16];
        const tw_status st = tw_dataset_open(&d, NULL, &options);
        if (st == TW_OK && tw_dataset_get_spec(d)->count == N &&
            tw_dataset_elements(tw_dataset_get_spec(d)) == 16)
            (void)tw_dataset_read_stored(d, 0, N, x, NULL);
        refused += st != TW_OK;
        if (st != TW_OK && first && strstr(tw_error_message(), "crashes"))
            fprintf(stderr, "seed %d crashes the child\n", k);
        tw_dataset_destroy(&d);
    }
    print_message("%d of %d damaged files were refused\n", refused, many);
    assert_true(first || refused > many / 20);
}

enum { MANY = 1200, SIDE = 64 };

/* A dataset of MANY images, contiguous or in chunks. */
static void make_many(const char *path, const storage *s, const unsigned char *raw)
{
    const hsize_t dims[4] = {MANY, SIDE, SIDE, 1};
    hid_t file = make_file(path, s->latest);
    hid_t d = add_array(file, "images", H5T_STD_U8LE, 4, dims, H5T_NATIVE_UCHAR, raw, s);
    text_attribute(d, "layout", "NHWC", false);
    H5Dclose(d);
    put_root(file, "train=0:1200");
    H5Fclose(file);
}

static double read_many(const char *path, int64_t step, unsigned char *out)
{
    tw_dataset *d = NULL;
    struct timespec a, b;
    const tw_dataset_options options = {.path = path, .split = "all"};
    assert_ok(tw_dataset_open(&d, NULL, &options));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (int64_t i = 0; i < MANY; i += step)
        assert_ok(tw_dataset_read_stored(d, i, MANY - i < step ? MANY - i : step,
                                         out + i * SIDE * SIDE, NULL));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    tw_dataset_destroy(&d);
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

static void samples_do_not_depend_on_how_they_are_stored(void **state)
{
    (void)state;
    const storage kinds[] = {{.gzip = 0},
                             {.chunk = {1, 8, 8, 1}},
                             {.chunk = {1, 16, 16, 1}},
                             {.chunk = {7, SIDE, SIDE, 1}},
                             {.chunk = {1, 64, 64, 1}, .gzip = 1},
                             {.chunk = {1, 15, 16, 1}, .latest = true},
                             {.chunk = {MANY, 8, 8, 1}, .latest = true, .fletcher = true}};
    const size_t size = (size_t)MANY * SIDE * SIDE;
    unsigned char *raw = malloc(size), *x = malloc(size);
    double contiguous = 0;
    assert_true(raw && x);
    for (size_t i = 0; i < size; i++) raw[i] = (unsigned char)((i * 2654435761u) >> 13);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        memset(x, 0, size);
        make_many(in("many.h5"), &kinds[k], raw);
        const double took = read_many(in("many.h5"), 63, x);
        assert_memory_equal(x, raw, size);
        if (k == 0) contiguous = took;
        print_message("chunks {%d, %d, %d}%s: %.3f s, contiguous data %.3f s\n",
                      (int)kinds[k].chunk[0], (int)kinds[k].chunk[1], (int)kinds[k].chunk[2],
                      kinds[k].gzip ? ", deflated" : "", took, contiguous);
    }
    free(raw);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_damaged_header_ends_the_process),
        cmocka_unit_test(samples_do_not_depend_on_how_they_are_stored),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
