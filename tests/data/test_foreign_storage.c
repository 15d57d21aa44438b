/* Foreign arrays in any order of axes and any storage, whole, in part or damaged. */
#include <sys/resource.h>
#include <time.h>
#include <zlib.h>

#include "../../src/data/foreign.h" /* not the one below */
#include "data/foreign.h"

enum { N = 7, H = 3, W = 5, C = 2, ALL = N * H * W * C };

static const char letters[] = "NHWC";
static const hsize_t extent[4] = {N, H, W, C};

static int value(int n, int h, int w, int c)
{
    return ((n * H + h) * W + w) * C + c;
}

/* The truth in the order of axes that `layout` says, row-major. */
static void arrange(const char *layout, hsize_t *dims, unsigned short *out)
{
    int at[4] = {0}, axis[4];
    for (int i = 0; i < 4; i++) {
        axis[i] = (int)(strchr(letters, layout[i]) - letters);
        dims[i] = extent[axis[i]];
    }
    for (int k = 0; k < ALL; k++) {
        int rest = k;
        for (int i = 3; i >= 0; i--) {
            at[axis[i]] = rest % (int)dims[i];
            rest /= (int)dims[i];
        }
        out[k] = (unsigned short)value(at[0], at[1], at[2], at[3]);
    }
}

static void next_permutation(char *text)
{
    int i = 2, k = 3;
    while (i >= 0 && text[i] >= text[i + 1]) i--;
    if (i < 0) return;
    while (text[k] <= text[i]) k--;
    char t = text[i];
    text[i] = text[k];
    text[k] = t;
    for (int a = i + 1, b = 3; a < b; a++, b--) {
        t = text[a];
        text[a] = text[b];
        text[b] = t;
    }
}

static void every_order_of_axes_and_storage_gives_the_same_samples(void **state)
{
    (void)state;
    const storage kinds[] = {
        {.gzip = 0},
        {.chunk = {2, 2, 2, 2}},
        {.chunk = {2, 1, 2, 1}, .gzip = 3, .shuffle = true, .fletcher = true},
    };
    unsigned short raw[ALL];
    float x[ALL];
    char layout[] = "CHNW";
    for (int p = 0; p < 24; p++, next_permutation(layout))
        for (int k = 0; k < 3; k++) {
            hsize_t dims[4];
            char reversed[5] = "";
            arrange(layout, dims, raw);
            put_x(in("o.h5"), H5T_STD_U16BE, 4, dims, H5T_NATIVE_USHORT, raw, &kinds[k]);
            tw_import_options o = importing(in("o.h5:/x"));
            for (int i = 0; i < 4; i++) reversed[i] = layout[3 - i];
            o.layout = p % 2 ? layout : reversed;
            o.order = p % 2 ? TW_ORDER_ROWS : TW_ORDER_COLUMNS;
            assert_ok(tw_dataset_import(&o, NULL));
            take_out(N, x);
            for (int i = 0; i < ALL; i++) assert_true(x[i] == i);
        }
}

static void fewer_axes_are_points_signals_or_one_sample(void **state)
{
    (void)state;
    const struct {
        const char *layout;
        int rank;
        hsize_t dims[4];
        int64_t shape[4];
        tw_dataset_kind kind;
    } cases[] = {
        {NULL, 1, {6}, {6, 1, 1, 1}, TW_DATASET_POINTS},
        {NULL, 2, {3, 2}, {3, 1, 1, 2}, TW_DATASET_POINTS},
        {"DN", 2, {2, 3}, {3, 1, 1, 2}, TW_DATASET_POINTS},
        {"NW", 2, {3, 2}, {3, 1, 2, 1}, TW_DATASET_FLOAT32},
        {"NWC", 3, {1, 3, 2}, {1, 1, 3, 2}, TW_DATASET_FLOAT32},
        {"HW", 2, {3, 2}, {1, 3, 2, 1}, TW_DATASET_FLOAT32},
        {"n1hw", 4, {2, 1, 3, 1}, {2, 3, 1, 1}, TW_DATASET_FLOAT32},
    };
    const float raw[6] = {0, 1, 2, 3, 4, 5};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        put_x(in("f.h5"), H5T_IEEE_F32LE, cases[k].rank, cases[k].dims, H5T_NATIVE_FLOAT, raw,
              NULL);
        tw_import_options o = importing(in("f.h5:/x"));
        o.layout = cases[k].layout;
        assert_ok(tw_dataset_import(&o, NULL));
        tw_dataset *d = open_out();
        const tw_dataset_spec *s = tw_dataset_get_spec(d);
        assert_int_equal(s->kind, cases[k].kind);
        assert_true(s->count == cases[k].shape[0] && s->height == cases[k].shape[1] &&
                    s->width == cases[k].shape[2] && s->channels == cases[k].shape[3]);
        tw_dataset_destroy(&d);
    }
    tw_import_options o = importing(in("f.h5:/x"));
    o.layout = "NHW";
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "--layout NHW", "4 axes");
    o.layout = "NXHW";
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "'X' is no axis");
    o.layout = "NHHW";
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "axis H is there twice");
    o.layout = "1NHW";
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "length 2, not 1");
}

static void what_matlab_wrote_is_read_by_columns(void **state)
{
    (void)state;
    unsigned short raw[ALL];
    float x[ALL];
    hsize_t dims[4];
    arrange("NCWH", dims, raw); /* an array [H, W, C, N] of MATLAB */
    put_x(in("m.mat"), H5T_STD_U16LE, 4, dims, H5T_NATIVE_USHORT, raw, NULL);
    tw_import_options o = importing(in("m.mat:/x"));
    assert_ok(tw_dataset_import(&o, NULL));
    take_out(N, x);
    for (int i = 0; i < ALL; i++) assert_true(x[i] == i);
    hid_t file = make_file(in("m.h5"), false);
    hid_t d = add_array(file, "x", H5T_STD_U16LE, 4, dims, H5T_NATIVE_USHORT, raw, NULL);
    text_attribute(d, "MATLAB_class", "uint16", false);
    H5Dclose(d);
    H5Fclose(file);
    o = importing(in("m.h5:/x"));
    assert_ok(tw_dataset_import(&o, NULL));
    take_out(N, x);
    for (int i = 0; i < ALL; i++) assert_true(x[i] == i);
    o.order = TW_ORDER_ROWS;
    assert_fails(tw_dataset_import(&o, NULL), TW_EUSAGE, "--layout NHWC or --layout NCHW");
}

static void arrays_that_were_written_in_part_are_refused(void **state)
{
    (void)state;
    const hsize_t dims[3] = {20, 8, 8};
    static unsigned char raw[20 * 64];
    const storage kinds[] = {
        {.chunk = {1, 8, 8}, .gzip = 4, .written = 10},
        {.chunk = {3, 8, 8}, .written = 18}, /* the edge chunk */
        {.chunk = {3, 5, 5}, .gzip = 1, .written = 18},
        {.chunk = {20, 8, 1}, .written = 20},
        {.chunk = {1, 8, 8}, .written = 19, .latest = true},
        {.chunk = {20, 8, 8}, .gzip = 1, .latest = true},
        {.chunk = {0}},
    };
    memset(raw, 7, sizeof raw);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const bool all = kinds[k].written == 20, nothing = kinds[k].written == 0;
        put_x(in("w.h5"), H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, nothing ? NULL : raw, &kinds[k]);
        tw_import_options o = importing(in("w.h5:/x"));
        if (all)
            assert_ok(tw_dataset_import(&o, NULL));
        else
            assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "w.h5", "/x", "written");
    }
}

/* One chunk [4, 4, 4] of bytes as given, with the filters of `s`. */
static void put_chunk(const storage *s, const void *bytes, size_t size, unsigned mask)
{
    const hsize_t dims[3] = {4, 4, 4}, at[3] = {0};
    hid_t file = make_file(in("c.h5"), false);
    hid_t d = add_array(file, "x", H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, NULL, s);
    assert_true(H5Dwrite_chunk(d, H5P_DEFAULT, mask, at, size, bytes) >= 0);
    H5Dclose(d);
    H5Fclose(file);
}

static void a_chunk_that_unpacks_to_less_or_more_than_its_shape_is_refused(void **state)
{
    (void)state;
    const storage gzip = {.chunk = {4, 4, 4}, .gzip = 6}, plain = {.chunk = {4, 4, 4}};
    const storage sum = {.chunk = {4, 4, 4}, .fletcher = true};
    static unsigned char zeros[1 << 20], packed[1 << 12];
    uLongf size = sizeof packed;
    float x[64];
    tw_import_options o = importing(in("c.h5:/x"));
    const struct {
        size_t bytes;
        const char *word;
    } cases[] = {{10, "to 10 bytes; 64 were expected"},
                 {63, "to 63 bytes"},
                 {65, "more than the 64 bytes"},
                 {sizeof zeros, "more than the 64 bytes"}};
    for (int k = 0; k < 4; k++) {
        size = sizeof packed;
        assert_int_equal(compress2(packed, &size, zeros, cases[k].bytes, 9), Z_OK);
        put_chunk(&gzip, packed, size, 0);
        assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "c.h5", "/x", cases[k].word);
    }
    size = sizeof packed;
    assert_int_equal(compress2(packed, &size, zeros, 64, 9), Z_OK);
    put_chunk(&gzip, packed, size - 5, 0); /* cut off */
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "cannot be unpacked");
    packed[5] ^= 0x55;
    put_chunk(&gzip, packed, size, 0);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "cannot be unpacked");
    put_chunk(&sum, zeros, 68, 0); /* the sum of zeros is 0 */
    assert_ok(tw_dataset_import(&o, NULL));
    zeros[3] = 1;
    put_chunk(&sum, zeros, 68, 0);
    assert_fails(tw_dataset_import(&o, NULL), TW_EDATA, "checksum");
    put_chunk(&gzip, zeros, 64, 1); /* a filter that was left out for this chunk */
    assert_ok(tw_dataset_import(&o, NULL));
    take_out(4, x);
    assert_true(x[3] == 1 && x[4] == 0);
    put_chunk(&plain, zeros, 64, 0);
    assert_ok(tw_dataset_import(&o, NULL));
}

/* Reads /x of a file sample by sample and adds the bytes up. */
static tw_foreign_cost read_through(const char *path, const char *layout, uint64_t *sum)
{
    tw_foreign a;
    tw_foreign_axes axes;
    tw_foreign_reader *r = NULL;
    char argument[512];
    int64_t n;
    const char *samples;
    snprintf(argument, sizeof argument, "%s:/x", path);
    assert_ok(tw_foreign_open(&a, argument, ""));
    assert_ok(tw_foreign_choose_axes(&axes, &a, layout, TW_ORDER_ROWS));
    assert_ok(tw_foreign_reader_create(&r, &a, &axes, in("scratch")));
    const int64_t bytes = axes.extent[TW_AXIS_H] * axes.extent[TW_AXIS_W];
    for (int64_t i = 0; i < axes.extent[TW_AXIS_N]; i += n) {
        assert_ok(tw_foreign_reader_get(r, i, &n, &samples));
        for (int64_t k = 0; k < n * bytes; k++)
            *sum += (uint64_t)(unsigned char)samples[k] * (uint64_t)(i * bytes + k + 1);
    }
    const tw_foreign_cost cost = tw_foreign_reader_cost(r);
    tw_foreign_reader_destroy(&r);
    tw_foreign_close(&a);
    return cost;
}

enum { ROWS = 9000, SIDE = 64, BYTES = ROWS * SIDE * SIDE };

static unsigned char *many_bytes(void)
{
    unsigned char *raw = malloc(BYTES);
    assert_non_null(raw);
    for (size_t i = 0; i < BYTES; i++) raw[i] = (unsigned char)((i * 2654435761u) >> 13);
    return raw;
}

/* 37 MB, more than a band, in chunks along any axis and of a few bytes: every chunk is unpacked
 * once, what is sorted goes through the scratch file once, and memory is two bands of 32 MB. */
static void every_chunk_is_read_once_in_bounded_memory(void **state)
{
    (void)state;
    const storage kinds[] = {{.gzip = 0},
                             {.chunk = {1, SIDE, SIDE}},
                             {.chunk = {ROWS, 4, 8}},
                             {.chunk = {ROWS, 1, SIDE}, .gzip = 1},
                             {.chunk = {4500, 8, 8}, .shuffle = true},
                             {.chunk = {100, 7, 9}},
                             {.chunk = {16, SIDE, 4}},
                             {.chunk = {45, 1, 32}}};
    unsigned char *raw = many_bytes();
    for (int along = 0; along < 2; along++) { /* the samples are the first axis, or the last */
        const hsize_t first[3] = {ROWS, SIDE, SIDE}, last[3] = {SIDE, SIDE, ROWS};
        const hsize_t *dims = along ? last : first;
        uint64_t wanted = 0;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            storage s = kinds[k];
            int64_t chunks = s.chunk[0] ? 1 : 0;
            uint64_t sum = 0;
            if (along) s.chunk[0] = kinds[k].chunk[2], s.chunk[2] = kinds[k].chunk[0];
            for (int i = 0; i < 3 && chunks; i++)
                chunks *= (int64_t)((dims[i] - 1) / s.chunk[i] + 1);
            put_x(in("r.h5"), H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, raw, &s);
            const tw_foreign_cost cost = read_through(in("r.h5"), along ? "HWN" : "NHW", &sum);
            if (k == 0) wanted = sum;
            assert_true(sum == wanted);
            assert_int_equal(cost.chunks, chunks);
            assert_true(cost.scratch == 0 || cost.scratch == 2 * (int64_t)BYTES);
            assert_true(cost.memory <= 2 * (32 << 20));
        }
    }
    free(raw);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#ifdef TWEEDIE_SANITIZE /* each once: what is read is held, not what it costs */
enum { least_runs = 2, most_runs = 2 };
#else
enum { least_runs = 4, most_runs = 40 };
#endif

/* An array in chunks against the same in one piece. */
typedef struct race {
    storage chunks;
    hsize_t rows;
    const char *layout; /* NULL: samples first */
    bool held;          /* else reported only */
} race;

/* Seconds on the clock, and of the processor in the child that imports. */
typedef struct cost {
    double clock, processor;
} cost;

static double processor_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static cost import_cost(const char *argument, const char *layout)
{
    tw_import_options o = importing(argument);
    o.layout = layout;
    const double start = seconds(), before = processor_seconds();
    assert_ok(tw_dataset_import(&o, NULL));
    return (cost){seconds() - start, processor_seconds() - before};
}

static bool slower(const cost *best)
{
    return best[1].clock > 3 * best[0].clock || best[1].processor > 4 * best[0].processor;
}

/* The shortest of interleaved imports, as many as it takes on a busy machine. */
static void run_race(const race *r, const unsigned char *raw, unsigned char *x)
{
    const hsize_t first[3] = {r->rows, SIDE, SIDE}, last[3] = {SIDE, SIDE, r->rows};
    const hsize_t *dims = r->layout ? last : first, *c = r->chunks.chunk;
    const size_t bytes = r->rows * SIDE * SIDE;
    const storage plain = {.gzip = 0};
    cost best[2] = {{1e9, 1e9}, {1e9, 1e9}};
    char argument[2][512];
    unsigned char *truth = malloc(bytes);
    assert_non_null(truth);
    snprintf(argument[0], sizeof argument[0], "%s", in("t0.h5:/x"));
    snprintf(argument[1], sizeof argument[1], "%s", in("t1.h5:/x"));
    put_x(in("t0.h5"), H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, raw, &plain);
    put_x(in("t1.h5"), H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, raw, &r->chunks);
    for (int k = 0; k < least_runs || (k < most_runs && (k % 2 || (r->held && slower(best))));
         k++) {
        const cost took = import_cost(argument[k % 2], r->layout);
        best[k % 2].clock = fmin(best[k % 2].clock, took.clock);
        best[k % 2].processor = fmin(best[k % 2].processor, took.processor);
        if (k > 1) continue;
        tw_dataset *d = open_out();
        assert_ok(tw_dataset_read_stored(d, 0, (int64_t)r->rows, k == 0 ? truth : x, NULL));
        tw_dataset_destroy(&d);
    }
    assert_memory_equal(x, truth, bytes);
    print_message("chunks {%d, %d, %d}%s%s of %d samples: %.1f times the %.3f s of contiguous "
                  "data, %.1f times their %.3f s of the processor\n",
                  (int)c[0], (int)c[1], (int)c[2], r->chunks.gzip ? ", deflated" : "",
                  r->layout ? ", samples last" : "", (int)r->rows, best[1].clock / best[0].clock,
                  best[0].clock, best[1].processor / best[0].processor, best[0].processor);
#ifndef TWEEDIE_SANITIZE /* there every copied number costs: only the counts above are held */
    if (r->held) assert_false(slower(best));
#endif
    free(truth);
}

/* Chunks along the samples, which go through the scratch file, columns of one pixel, and small ones
 * of 64 to 400 bytes: at most three times on the clock, which has the writing of the result in it,
 * and four times of the processor. What deflated ones cost is zlib's work for each. */
static void chunks_cost_at_most_three_times_contiguous_data(void **state)
{
    (void)state;
    const race races[] = {
        {{.chunk = {ROWS, 4, 8}}, ROWS, NULL, true},
        {{.chunk = {ROWS, 1, 1}}, ROWS, NULL, true},
        {{.chunk = {4096, 1, 1}}, ROWS, NULL, true},
        {{.chunk = {256, 1, 1}}, ROWS / 3, NULL, true},
        {{.chunk = {1, 1, 3000}}, ROWS / 3, "HWN", true},
        {{.chunk = {1, 16, 16}}, ROWS / 3, NULL, true},
        {{.chunk = {100, 2, 2}}, ROWS / 3, NULL, true},
        {{.chunk = {1, 8, 8}}, ROWS / 9, NULL, true},
        {{.chunk = {4, 4, 4}}, ROWS / 9, NULL, true},
        {{.chunk = {8, 8, 1}}, ROWS / 9, "HWN", true},
        {{.chunk = {ROWS, 1, 1}, .gzip = 1}, ROWS, NULL, false},
        {{.chunk = {1, 32, 32}, .gzip = 1}, ROWS / 9, NULL, false},
        {{.chunk = {1, 8, 8}, .gzip = 1}, ROWS / 9, NULL, false},
    };
    unsigned char *raw = many_bytes(), *x = malloc(BYTES);
    assert_non_null(x);
    for (size_t k = 0; k < sizeof races / sizeof *races; k++) run_race(&races[k], raw, x);
    free(raw);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_of_axes_and_storage_gives_the_same_samples),
        cmocka_unit_test(fewer_axes_are_points_signals_or_one_sample),
        cmocka_unit_test(what_matlab_wrote_is_read_by_columns),
        cmocka_unit_test(arrays_that_were_written_in_part_are_refused),
        cmocka_unit_test(a_chunk_that_unpacks_to_less_or_more_than_its_shape_is_refused),
        cmocka_unit_test(every_chunk_is_read_once_in_bounded_memory),
        cmocka_unit_test(chunks_cost_at_most_three_times_contiguous_data),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
