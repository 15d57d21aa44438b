/* Files that appear whole or not at all. */
#include <errno.h>

#include "data/fixture.h"
#include "tweedie/file.h"

static void a_written_file_has_its_bytes_and_leaves_nothing_else(void **state)
{
    (void)state;
    size_t size;
    assert_ok(tw_file_write(in("whole"), "first", 5));
    assert_ok(tw_file_write(in("whole"), "second", 6)); /* replaces */
    unsigned char *bytes = take(in("whole"), &size);
    assert_int_equal(size, 6);
    assert_memory_equal(bytes, "second", 6);
    free(bytes);
    assert_int_equal(count_files(""), 3); /* itself, "." and ".." */
}

static void a_file_that_cannot_be_published_keeps_the_old_one(void **state)
{
    (void)state;
    assert_ok(tw_file_write(in("kept"), "old", 3));
    assert_fails(tw_file_publish(in("missing.tmp"), in("kept")), TW_EIO, "kept", "No such file");
    size_t size;
    unsigned char *bytes = take(in("kept"), &size);
    assert_memory_equal(bytes, "old", 3);
    free(bytes);
    assert_fails(tw_file_write(in("no/such/folder"), "x", 1), TW_EIO, "no/such/folder");
}

static void a_size_is_that_of_a_regular_file_that_can_be_read(void **state)
{
    (void)state;
    int64_t bytes = -1;
    put(in("five"), "12345", 5);
    assert_ok(tw_file_size(&bytes, in("five")));
    assert_int_equal(bytes, 5);
    assert_fails(tw_file_size(&bytes, in("nothing")), TW_ENOINPUT, "nothing", "No such file");
    assert_fails(tw_file_size(&bytes, directory), TW_ENOINPUT, directory, "is a directory");
    assert_fails(tw_file_size(&bytes, "/dev/null"), TW_ENOINPUT, "not a regular file");
}

static void temporary_names_are_hidden_beside_the_file_and_differ(void **state)
{
    (void)state;
    char a[TW_PATH_MAX], b[TW_PATH_MAX], tiny[8];
    assert_ok(tw_file_temporary(a, sizeof a, "/some/where/name.h5"));
    assert_ok(tw_file_temporary(b, sizeof b, "/some/where/name.h5"));
    assert_memory_equal(a, "/some/where/.name.h5.", 21);
    assert_string_not_equal(a, b);
    assert_ok(tw_file_temporary(a, sizeof a, "name.h5"));
    assert_memory_equal(a, ".name.h5.", 9);
    assert_int_equal(tw_file_temporary(tiny, sizeof tiny, "name.h5"), TW_EUSAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_file_has_its_bytes_and_leaves_nothing_else),
        cmocka_unit_test(a_file_that_cannot_be_published_keeps_the_old_one),
        cmocka_unit_test(a_size_is_that_of_a_regular_file_that_can_be_read),
        cmocka_unit_test(temporary_names_are_hidden_beside_the_file_and_differ),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
