/* What is read of a dataset is the file that was judged: one that was replaced or written to in
 * between is refused, and arrays in one piece are read from where the judgement found them. */
#include <fcntl.h>
#include <hdf5.h>

#include "data/dataset_judge.h"
#include "data/fixture.h"
#include "tweedie/data.h"

enum { N = 64, DIMS = 5 };

static float values[N * DIMS];

static void make(const char *path)
{
    const tw_dataset_spec spec = {.kind = TW_DATASET_POINTS,
                                  .count = N,
                                  .height = 1,
                                  .width = 1,
                                  .channels = DIMS,
                                  .offset = (float[DIMS]){0},
                                  .scale = (float[DIMS]){1, 1, 1, 1, 1},
                                  .name = "line",
                                  .source = "a test",
                                  .license = "none",
                                  .split_count = 1,
                                  .splits = {{"train", 0, N}}};
    const tw_dataset_writer_options how = {.path = path, .mode = TW_OUTPUT_REPLACE};
    tw_dataset_writer *w = NULL;
    for (int i = 0; i < N * DIMS; i++) values[i] = (float)i / 4;
    assert_ok(tw_dataset_writer_create(&w, &spec, &how));
    assert_ok(tw_dataset_writer_append(w, N, values, NULL));
    assert_ok(tw_dataset_writer_finish(&w, NULL));
}

/* One byte, written over itself. */
static void touch_byte(const char *path)
{
    char byte;
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    assert_int_equal(pread(file, &byte, 1, 0), 1);
    usleep(20000); /* times of files are as coarse as the kernel's tick */
    assert_int_equal(pwrite(file, &byte, 1, 0), 1);
    close(file);
}

static void a_file_that_was_written_to_is_refused_whatever_its_time_says(void **state)
{
    (void)state;
    const char *path = in("written.h5");
    tw_judged judged;
    struct stat info;
    make(path);
    assert_ok(tw_dataset_judge(&judged, path));
    assert_ok(tw_judged_check(&judged, true, path));
    assert_int_equal(stat(path, &info), 0);
    touch_byte(path);
    assert_fails(tw_judged_check(&judged, true, path), TW_EIO, path, "written to while");
    assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){info.st_atim, info.st_mtim}, 0),
                     0);
    assert_fails(tw_judged_check(&judged, false, path), TW_EIO, path, "written to while");
    tw_judged_close(&judged);

    assert_ok(tw_dataset_judge(&judged, path));
    assert_int_equal(truncate(path, 100), 0);
    assert_fails(tw_judged_check(&judged, true, path), TW_EIO, path, "and has 100 now");
    tw_judged_close(&judged);
}

static void a_file_that_was_replaced_is_refused_and_the_judged_one_is_still_read(void **state)
{
    (void)state;
    const char *path = in("replaced.h5"), *other = in("other.h5");
    tw_judged judged;
    char name[32];
    float row[DIMS];
    hid_t file;
    make(path);
    assert_ok(tw_dataset_judge(&judged, path));
    file = H5Fopen(tw_judged_name(&judged, name, path), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    H5Fclose(file);
    const int64_t offset = judged.pieces[TW_JUDGED_SAMPLES].offset;
    assert_int_equal(judged.pieces[TW_JUDGED_SAMPLES].bytes, (int64_t)sizeof values);
    assert_int_equal(judged.pieces[TW_JUDGED_LABELS].bytes, 0);
    make(other);
    assert_int_equal(rename(other, path), 0);
    assert_fails(tw_judged_check(&judged, true, path), TW_EIO, path, "replaced");
    /* its name is gone, its bytes are not */
    assert_ok(tw_judged_read(&judged, TW_JUDGED_SAMPLES, N - 1, 1, sizeof row, row, path));
    assert_memory_equal(row, values + (N - 1) * DIMS, sizeof row);
    file = H5Fopen(tw_judged_name(&judged, name, path), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file < 0); /* HDF5 wants a name for it, and does not take the other file for it */
    assert_true(offset > 0);
    assert_fails(tw_judged_read(&judged, TW_JUDGED_SAMPLES, N, 1, sizeof row, row, path), TW_EDATA,
                 path, "rows 64 to 64");
    tw_judged_close(&judged);
    assert_int_equal(remove(path), 0);
    assert_fails(tw_file_check_named_version(&judged.version, path), TW_EIO, path, "removed");
}

static void a_piece_behind_a_user_block_is_read_from_where_it_is(void **state)
{
    (void)state;
    const char *path = in("block.h5");
    static float read[N * DIMS];
    size_t size;
    tw_dataset *d = NULL;
    make(in("plain.h5"));
    unsigned char *bytes = take(in("plain.h5"), &size), *moved = calloc(size + 512, 1);
    assert_non_null(moved);
    memcpy(moved + 512, bytes, size);
    put(path, moved, size + 512);
    free(bytes);
    free(moved);
    const tw_dataset_options options = {.path = path, .split = "all", .verify = true};
    assert_ok(tw_dataset_open(&d, NULL, &options));
    assert_ok(tw_dataset_read_stored(d, 0, N, read, NULL));
    assert_memory_equal(read, values, sizeof values);
    tw_dataset_destroy(&d);
}

/* The library would go round for ever. */
static void a_heap_whose_free_space_has_no_size_is_refused(void **state)
{
    (void)state;
    const char *path = in("heap.h5");
    tw_dataset *d = NULL;
    size_t size, at = 0;
    make(path);
    unsigned char *bytes = take(path, &size);
    while (at + 4 < size && memcmp(bytes + at, "GCOL", 4) != 0) at += 8;
    assert_true(at + 32 < size);
    for (at += 16; bytes[at] || bytes[at + 1];)
        at += 16 + (bytes[at + 8] + 256 * (size_t)bytes[at + 9] + 7) / 8 * 8;
    memset(bytes + at + 8, 0, 8);
    put(path, bytes, size);
    free(bytes);
    const tw_dataset_options options = {.path = path, .split = "all"};
    assert_fails(tw_dataset_open(&d, NULL, &options), TW_EDATA, path, "global heap is damaged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_was_written_to_is_refused_whatever_its_time_says),
        cmocka_unit_test(a_file_that_was_replaced_is_refused_and_the_judged_one_is_still_read),
        cmocka_unit_test(a_heap_whose_free_space_has_no_size_is_refused),
        cmocka_unit_test(a_piece_behind_a_user_block_is_read_from_where_it_is),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
