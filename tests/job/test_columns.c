/* Tables of results: what was written reads back, and a file that somebody else made leads nowhere:
 * not to a crash, not to other files, not to more than is there. */
#include <dlfcn.h>
#include <fcntl.h>
#include <hdf5.h>
#include <signal.h>

#include "data/fixture.h"
#include "job/columns.h"

enum { ROWS = 50, WIDTH = 3 };

static const column_set set = {
    .count = 3,
    .column = {{"index", COLUMN_I64, 0}, {"logp", COLUMN_F64, 0}, {"terms", COLUMN_F64, WIDTH}}};
static int64_t index_[ROWS], met_index[ROWS];
static double logp[ROWS], terms[ROWS * WIDTH], met_logp[ROWS], met_terms[ROWS * WIDTH];
static void *const values[] = {index_, logp, terms}, *const met[] = {met_index, met_logp,
                                                                     met_terms};

/* Stands before the library's: one that crashes over a file of this name, as HDF5 1.10 does over
 * some of its older format. */
hid_t H5Fopen(const char *path, unsigned flags, hid_t access)
{
    hid_t (*real)(const char *, unsigned, hid_t);
    *(void **)&real = dlsym(RTLD_NEXT, "H5Fopen");
    if (strstr(path, "crash")) raise(SIGKILL);
    return real(path, flags, access);
}

static void write_text(hid_t id, const char *name, const char *text)
{
    hid_t space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    hid_t a = H5Acreate2(id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(a, type, text) >= 0);
    H5Aclose(a);
    H5Tclose(type);
    H5Sclose(space);
}

static void make(const char *path)
{
    column_writer *w = NULL;
    for (int i = 0; i < ROWS; i++) {
        index_[i] = i;
        logp[i] = -i / 3.0;
        for (int k = 0; k < WIDTH; k++) terms[i * WIDTH + k] = i + k / 8.0;
    }
    assert_ok(column_writer_create(&w, path, TW_OUTPUT_REPLACE, &set, ROWS));
    write_text(column_writer_file(w), "settings", "weights=1 data=2");
    write_text(column_writer_file(w), "range", "100 50");
    assert_ok(column_writer_append(w, ROWS, values));
    assert_ok(column_writer_finish(&w));
}

static void what_was_written_reads_back(void **state)
{
    (void)state;
    column_reader r;
    const column_set none = {.count = 0};
    make(in("good.h5"));
    assert_ok(column_reader_open(&r, in("good.h5"), &set));
    assert_string_equal(r.head.settings, "weights=1 data=2");
    assert_true(r.head.first == 100 && r.head.count == 50 && r.head.rows == ROWS);
    assert_ok(column_reader_verify(&r, met));
    assert_memory_equal(met_index, index_, sizeof index_);
    assert_memory_equal(met_terms, terms, sizeof terms);
    assert_ok(column_reader_read(&r, ROWS - 2, 2, met));
    assert_memory_equal(met_logp, logp + ROWS - 2, 2 * sizeof *logp);
    assert_fails(column_reader_read(&r, ROWS - 2, 3, met), TW_EDATA, "good.h5", "rows 48 to 50");
    column_reader_close(&r);
    assert_ok(column_reader_open(&r, in("good.h5"), &none));
    assert_true(r.head.first == 100);
    column_reader_close(&r);
}

static void a_file_that_crashes_the_library_is_refused(void **state)
{
    (void)state;
    column_reader r;
    make(in("fine.h5"));
    assert_int_equal(rename(in("fine.h5"), in("crash.h5")), 0);
    assert_fails(column_reader_open(&r, in("crash.h5"), &set), TW_EDATA, "crash.h5", "crashes");
}

/* A file like those of `make`, but for /logp, which is as `spoil` says. */
typedef enum spoil { EXTERNAL, LINK, TWICE, DEFLATED, OTHER_TYPE, LONGER, MISSING } spoil;

static void make_spoiled(const char *path, spoil how)
{
    const hsize_t extent = how == LONGER ? ROWS + 1 : ROWS, chunk = 10;
    make(path);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), list = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Ldelete(file, "logp", H5P_DEFAULT) >= 0);
    if (how == EXTERNAL) H5Pset_external(list, "/etc/passwd", 0, sizeof logp);
    if (how == DEFLATED) H5Pset_chunk(list, 1, &chunk), H5Pset_deflate(list, 1);
    if (how == LINK) {
        assert_true(
            H5Lcreate_external("good.h5", "/logp", file, "logp", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    } else if (how != MISSING) {
        hid_t space = H5Screate_simple(1, &extent, NULL);
        hid_t d = H5Dcreate2(file, "logp", how == OTHER_TYPE ? H5T_STD_I64LE : H5T_IEEE_F64LE,
                             space, H5P_DEFAULT, list, H5P_DEFAULT);
        assert_true(d >= 0);
        if (how != EXTERNAL) {
            const hsize_t none = 0, count = ROWS;
            hid_t part = H5Scopy(space), memory = H5Screate_simple(1, &count, NULL);
            H5Sselect_hyperslab(part, H5S_SELECT_SET, &none, NULL, &count, NULL);
            assert_true(H5Dwrite(d, H5T_NATIVE_DOUBLE, memory, part, H5P_DEFAULT, logp) >= 0);
            H5Sclose(memory);
            H5Sclose(part);
        }
        write_text(d, "digest", "00000000000000000000000000000000");
        if (how == TWICE) H5Lcreate_hard(file, "logp", file, "again", H5P_DEFAULT, H5P_DEFAULT);
        H5Dclose(d);
        H5Sclose(space);
    }
    H5Pclose(list);
    H5Fclose(file);
}

static void columns_that_are_elsewhere_or_otherwise_are_refused(void **state)
{
    (void)state;
    static const struct {
        spoil how;
        const char *word;
    } cases[] = {{EXTERNAL, "in other files"},
                 {LINK, "link"},
                 {TWICE, "2 hard links"},
                 {DEFLATED, "is not stored in one piece"},
                 {OTHER_TYPE, "float64"},
                 {LONGER, "another shape"},
                 {MISSING, "/logp"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        column_reader r;
        make_spoiled(in("bad.h5"), cases[k].how);
        assert_ok(column_reader_open(&r, in("bad.h5"), &set));
        assert_fails(column_reader_check(&r), TW_EDATA, "bad.h5", cases[k].word);
        assert_fails(column_reader_read(&r, 0, 1, met), TW_EDATA, "bad.h5");
        column_reader_close(&r);
    }
}

static void damage_and_change_are_seen(void **state)
{
    (void)state;
    column_reader r;
    make(in("d.h5"));
    assert_ok(column_reader_open(&r, in("d.h5"), &set));
    const double other = 7;
    int file = open(in("d.h5"), O_RDWR);
    assert_int_equal(pwrite(file, &other, sizeof other, r.head.column[1].offset), sizeof other);
    close(file);
    assert_fails(column_reader_read(&r, 0, 1, met), TW_EIO, "d.h5");
    column_reader_close(&r);
    assert_ok(column_reader_open(&r, in("d.h5"), &set));
    assert_fails(column_reader_verify(&r, met), TW_EDATA, "d.h5", "digest");
    column_reader_close(&r);
    put(in("no.h5"), "no HDF5", 7);
    assert_fails(column_reader_open(&r, in("no.h5"), &set), TW_EDATA, "no.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_reads_back),
        cmocka_unit_test(a_file_that_crashes_the_library_is_refused),
        cmocka_unit_test(columns_that_are_elsewhere_or_otherwise_are_refused),
        cmocka_unit_test(damage_and_change_are_seen),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
