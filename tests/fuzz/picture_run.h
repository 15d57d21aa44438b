/* Reading one picture of a folder, as an import does. */
#ifndef TWEEDIE_TESTS_FUZZ_PICTURE_RUN_H
#define TWEEDIE_TESTS_FUZZ_PICTURE_RUN_H

#include <sys/stat.h>

#include "harness.h"

static inline void picture_start(void)
{
    FUZZ_CLAIM(mkdir(fuzz_path("pictures"), 0777) == 0);
}

static inline void picture_run(const char *path, const uint8_t *bytes, size_t size)
{
    (void)path;
    (void)bytes;
    fuzz_import("images", fuzz_path("pictures"), NULL, (unsigned)size);
}

#endif
