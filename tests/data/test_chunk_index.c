/* The index of chunks as it is read without the library: the same as the library's, of every file
 * that has one of its kind, and nothing that a damaged one can do. */
#include <fcntl.h>
#include <unistd.h>

#include "data/foreign.h"
#include "h5/h5_index.h"

enum { ROWS = 300, SIDE = 12 };

typedef struct recipe {
    const char *name;
    storage s;
    hsize_t block;   /* user block */
    unsigned nodes;  /* half of the entries of a node; 0: the default */
    bool v18, large; /* a newer header; one that is continued elsewhere */
    bool known;      /* that its index is one of those that are read */
} recipe;

static const recipe recipes[] = {
    {"oldest", {.chunk = {1, 4, 5}}, 0, 0, false, false, true},
    {"user block", {.chunk = {2, 12, 3}}, 1024, 0, false, false, true},
    {"small nodes", {.chunk = {1, 4, 4}}, 0, 2, false, false, true},
    {"large nodes", {.chunk = {1, 4, 4}}, 0, 300, false, false, true},
    {"deflated", {.chunk = {7, 5, 12}, .gzip = 1, .shuffle = true}, 0, 0, false, false, true},
    {"newer header", {.chunk = {1, 4, 4}}, 0, 0, true, false, true},
    {"many attributes", {.chunk = {1, 4, 4}}, 0, 0, false, true, true},
    {"newer, many attributes", {.chunk = {1, 4, 4}}, 512, 0, true, true, true},
    {"newest", {.chunk = {1, 4, 4}, .latest = true}, 0, 0, false, false, false},
};

static void make(const recipe *r, const char *path)
{
    static unsigned char raw[ROWS * SIDE * SIDE];
    const hsize_t dims[3] = {ROWS, SIDE, SIDE};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE);
    if (r->v18) H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    if (r->s.latest) H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    if (r->block) assert_true(H5Pset_userblock(create, r->block) >= 0);
    if (r->nodes) assert_true(H5Pset_istore_k(create, r->nodes) >= 0);
    for (size_t i = 0; i < sizeof raw; i++) raw[i] = (unsigned char)(i * 2654435761u >> 11);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, create, access);
    assert_true(file >= 0);
    hid_t d = add_array(file, "x", H5T_STD_U8LE, 3, dims, H5T_NATIVE_UCHAR, raw, &r->s);
    for (int i = 0; r->large && i < 7; i++) {
        char name[16];
        snprintf(name, sizeof name, "note %d", i);
        text_attribute(d, name, "a text that is long enough to make the header grow", false);
    }
    H5Dclose(d);
    H5Fclose(file);
    H5Pclose(create);
    H5Pclose(access);
}

/* The same chunks, one at a time, as the library finds them. */
static void compare(const tw_h5_index *x, hid_t d)
{
    hid_t space = H5Dget_space(d);
    for (hsize_t n = 0; n < (hsize_t)x->chunks; n += 1 + (hsize_t)x->chunks / 97) {
        hsize_t at[3], bytes;
        unsigned mask;
        haddr_t address;
        assert_true(H5Dget_chunk_info(d, space, n, at, &mask, &address, &bytes) >= 0);
        int64_t chunk = 0;
        for (int i = 0; i < 3; i++) chunk = chunk * x->grid[i] + (int64_t)at[i] / x->chunk[i];
        const tw_h5_place *p = tw_h5_index_get(x, chunk);
        assert_int_equal(p->offset, (int64_t)address + x->base);
        assert_int_equal(p->bytes, bytes);
        assert_int_equal(p->mask, mask);
    }
    H5Sclose(space);
}

static void it_says_what_the_library_says(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof recipes / sizeof *recipes; k++) {
        const recipe *r = &recipes[k];
        tw_h5_array a;
        tw_h5_index x;
        bool known;
        make(r, in("i.h5"));
        hid_t file = H5Fopen(in("i.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
        hid_t d = H5Dopen2(file, "x", H5P_DEFAULT);
        assert_ok(tw_h5_look(&a, d, "i.h5", "/x"));
        assert_ok(tw_h5_index_open(&x, d, tw_h5_descriptor(d), &a));
        assert_ok(tw_h5_index_load(&known, &x, 0, 0));
        print_message("%s: %lld chunks, %s\n", r->name, (long long)x.chunks,
                      known ? "known" : "left to the library");
        assert_true(known == r->known);
        if (known) {
            assert_int_equal(x.written, x.chunks);
            assert_int_equal(x.stored, (int64_t)H5Dget_storage_size(d));
            compare(&x, d);
        }
        tw_h5_index_free(&x);
        H5Dclose(d);
        H5Fclose(file);
    }
}

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Every place of it lies in the file, whatever was written over the file. */
static void check_places(const tw_h5_index *x)
{
    for (int64_t i = 0; i < x->count; i++) {
        const tw_h5_place *p = tw_h5_index_get(x, x->first + i);
        assert_true(p->offset >= 0 && p->offset + p->bytes <= x->size);
    }
}

static void a_damaged_index_is_refused_or_stays_in_the_file(void **state)
{
    (void)state;
    size_t size;
    int refused = 0;
    uint64_t seed = 5;
    make(&recipes[0], in("good.h5"));
    unsigned char *good = take(in("good.h5"), &size), *bad = malloc(size);
    assert_non_null(bad);
    hid_t file = H5Fopen(in("good.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t d = H5Dopen2(file, "x", H5P_DEFAULT);
    tw_h5_array a;
    assert_ok(tw_h5_look(&a, d, "good.h5", "/x"));
    for (int k = 0; k < 600; k++) {
        tw_h5_index x;
        bool known;
        memcpy(bad, good, size);
        for (int n = 0; n < 8; n++) { /* near a node or in the header */
            size_t at = next(&seed) % size;
            while (k % 4 && at + 4 < size && memcmp(bad + at, "TREE", 4) != 0) at++;
            at += next(&seed) % 400;
            if (k % 4 == 0) at %= 2048;
            if (at < size) bad[at] = (unsigned char)(next(&seed) % 3 ? next(&seed) : 255);
        }
        put(in("bad.h5"), bad, k % 7 ? size : next(&seed) % size);
        const int descriptor = open(in("bad.h5"), O_RDONLY);
        assert_ok(tw_h5_index_open(&x, d, descriptor, &a));
        assert_ok(tw_h5_index_load(&known, &x, 0, x.chunks - 1));
        refused += !known || x.written < x.chunks;
        if (known) check_places(&x);
        tw_h5_index_free(&x);
        close(descriptor);
    }
    print_message("%d of 600 damaged indices were left to the library, or lack chunks\n", refused);
    assert_true(refused > 200);
    free(good);
    free(bad);
    H5Dclose(d);
    H5Fclose(file);
}

/* A node that names itself as its child, or one child again and again, ends. */
static void a_tree_without_an_end_is_refused(void **state)
{
    (void)state;
    size_t size;
    make(&recipes[2], in("good.h5"));
    unsigned char *bytes = take(in("good.h5"), &size);
    hid_t file = H5Fopen(in("good.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t d = H5Dopen2(file, "x", H5P_DEFAULT);
    tw_h5_array a;
    tw_h5_index x;
    bool known;
    assert_ok(tw_h5_look(&a, d, "good.h5", "/x"));
    for (int again = 0; again < 2; again++) {
        assert_ok(tw_h5_index_open(&x, d, tw_h5_descriptor(d), &a));
        const size_t root = (size_t)x.root, key = 8 + 8 * 4;
        assert_true(x.root > 0 && bytes[root + 5] > 0); /* above the leaves */
        for (unsigned i = 0; i < bytes[root + 6]; i++) {
            const uint64_t child = again ? 0 : (uint64_t)root;
            unsigned char *to = bytes + root + 24 + i * (key + 8) + key;
            memcpy(to, again ? bytes + root + 24 + key : (const void *)&child, 8);
        }
        put(in("loop.h5"), bytes, size);
        const int descriptor = open(in("loop.h5"), O_RDONLY);
        x.file = descriptor;
        assert_ok(tw_h5_index_load(&known, &x, 0, x.chunks - 1));
        assert_false(known);
        tw_h5_index_free(&x);
        close(descriptor);
        free(bytes);
        bytes = take(in("good.h5"), &size);
    }
    free(bytes);
    H5Dclose(d);
    H5Fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_the_library_says),
        cmocka_unit_test(a_damaged_index_is_refused_or_stays_in_the_file),
        cmocka_unit_test(a_tree_without_an_end_is_refused),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
