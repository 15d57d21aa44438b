/* metrics.jsonl holds whole lines, whatever ended the run before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/checkpoint_fixture.h"
#include "train/trainer.h"

static char run[256], path[512];

/* What the file holds once it was opened for more lines and "new" was added. */
static void expect(const char *before, size_t bytes, const char *after)
{
    int file = -1;
    size_t n;
    fixture_spill(path, before, bytes);
    assert_int_equal(tw_progress_open_lines(&file, path), TW_OK);
    assert_int_equal(write(file, "new\n", 4), 4);
    close(file);
    char *text = fixture_slurp(path, &n);
    assert_int_equal(n, strlen(after));
    assert_string_equal(text, after);
    free(text);
}

static void a_torn_line_is_cut_off(void **state)
{
    (void)state;
    static char large[20000];
    expect("", 0, "new\n");
    expect("one\n", 4, "one\nnew\n");
    expect("one\ntw", 6, "one\nnew\n");
    expect("on", 2, "new\n");
    memset(large, 'x', sizeof large);
    memcpy(large, "one\n", 4);
    expect(large, sizeof large, "one\nnew\n");
}

static void only_a_regular_file_is_opened(void **state)
{
    (void)state;
    int file = -1;
    char target[512];
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(tw_progress_open_lines(&file, path), TW_EIO);
    unlink(path);
    snprintf(target, sizeof target, "%s/other", run);
    fixture_spill(target, "kept", 4);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(tw_progress_open_lines(&file, path), TW_EIO);
    assert_int_equal(file, -1);
}

static int setup(void **state)
{
    (void)state;
    fixture_run(run, sizeof run);
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(run);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_torn_line_is_cut_off),
        cmocka_unit_test(only_a_regular_file_is_opened),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
