/* Files of weights beside the tests, and JSON that says what is in them. */
#ifndef TESTS_ARCHIVE_FIXTURE_H
#define TESTS_ARCHIVE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "tweedie/memory.h"
#include "weights/container.h"
#include "weights/item.h"

static inline const char *fixture_path(char out[1024], const char *folder, const char *name)
{
    const char *root = getenv("TWEEDIE_SOURCE_DIR");
    snprintf(out, 1024, "%s/tests/weights/%s/%s", root ? root : ".", folder, name);
    return out;
}

typedef struct fixture_json {
    char *text;
    tw_arena arena;
    tw_item *root;
} fixture_json;

static inline fixture_json fixture_read_json(const char *path)
{
    fixture_json j = {.arena = {.left = 1 << 24}};
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing", path);
    fseek(f, 0, SEEK_END);
    const long n = ftell(f);
    rewind(f);
    assert_int_equal(tw_alloc(&j.text, n + 1, 1, "a test's JSON"), TW_OK);
    assert_int_equal(fread(j.text, 1, (size_t)n, f), n);
    fclose(f);
    if (tw_json_read(&j.arena, &j.root, j.text, n) != TW_OK)
        fail_msg("%s: %s", path, tw_error_message());
    return j;
}

static inline void fixture_free_json(fixture_json *j)
{
    tw_arena_free(&j->arena);
    tw_free(&j->text);
}

#endif
