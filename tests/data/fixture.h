/* What the tests of this module share: a directory of their own, small files, and the question
 * whether a call failed as it should. */
#ifndef TWEEDIE_TESTS_DATA_FIXTURE_H
#define TWEEDIE_TESTS_DATA_FIXTURE_H

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tweedie/status.h"

static char directory[256];

static inline int make_directory(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/tweedie-test-XXXXXX", base ? base : "/tmp");
    return mkdtemp(directory) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static inline int remove_directory(void **state)
{
    (void)state;
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path in the test's directory. Many of them live at a time. */
static inline const char *in(const char *name)
{
    static char paths[64][512];
    static int next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static inline void put(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A whole file; the caller frees it. */
static inline unsigned char *take(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

/* Files in the test's directory whose names begin with `prefix`. */
static inline int count_files(const char *prefix)
{
    int count = 0;
    DIR *d = opendir(directory);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        count += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(d);
    return count;
}

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        tw_status met_ = (call);                                                                   \
        if (met_ != TW_OK)                                                                         \
            fail_msg("%s: %s: %s", #call, tw_status_name(met_), tw_error_message());               \
    } while (0)

/* The call fails with the code, and its message holds each of the words (a NULL-ended list). */
#define assert_fails(call, code, ...)                                                              \
    check_failure((call), (code), #call, (const char *const[]){__VA_ARGS__, NULL})

static inline void check_failure(tw_status met, tw_status code, const char *call,
                                 const char *const *words)
{
    if (met != code)
        fail_msg("%s: %s instead of %s: %s", call, tw_status_name(met), tw_status_name(code),
                 tw_error_message());
    for (; *words; words++)
        if (!strstr(tw_error_message(), *words))
            fail_msg("%s: \"%s\" does not name \"%s\"", call, tw_error_message(), *words);
}

#endif
