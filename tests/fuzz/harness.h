/* Fuzzing with libFuzzer: what a target says about itself.
 *
 * A target is one file fuzz_NAME.c, which defines `const fuzz_target fuzz_here`; the build finds it
 * and makes a program of it. `fuzz_NAME --seeds DIRECTORY` writes the target's seeds, small valid
 * inputs that the library itself makes; every other command line is libFuzzer's. */
#ifndef TWEEDIE_TESTS_FUZZ_HARNESS_H
#define TWEEDIE_TESTS_FUZZ_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tweedie/status.h"

typedef struct fuzz_target {
    const char *file; /* the name of the input as a file in fuzz_directory() */
    bool hdf5;        /* mutated by structure, and read in a child process (worker.h) */

    /* Writes the seeds, by fuzz_seed or to fuzz_seed_path. */
    void (*seeds)(void);

    /* Makes the check that guards the input right again, so that what it guards is reached. NULL:
     * there is none. */
    void (*repair)(uint8_t *bytes, size_t size);

    /* Once in a process, before the first run. NULL: nothing to do. */
    void (*start)(void);

    /* Reads the input as the program would. @param path  of the file that holds it */
    void (*run)(const char *path, const uint8_t *bytes, size_t size);
} fuzz_target;

extern const fuzz_target fuzz_here;

/* A folder in memory, of this process alone. */
const char *fuzz_directory(void);

/* A path in it. Up to 16 live at a time. */
const char *fuzz_path(const char *name);

void fuzz_write(const char *path, const void *bytes, size_t size);

/* One seed. */
void fuzz_seed(const char *name, const void *bytes, size_t size);
void fuzz_seed_text(const char *name, const char *text);
const char *fuzz_seed_path(const char *name);
void fuzz_seed_copy(const char *name, const char *path);

/* Where the harness speaks: standard error as it was at the start. libFuzzer sends the stream
 * itself to /dev/null (-close_fd_mask), since readers warn of most mutants. */
FILE *fuzz_stream(void);

/* For what must succeed (the seeds, the start) and what must hold (the claims of a run). */
#define FUZZ_OK(call) fuzz_require((call) == TW_OK, #call, __FILE__, __LINE__)
#define FUZZ_CLAIM(claim) fuzz_require((claim), #claim, __FILE__, __LINE__)
void fuzz_require(bool holds, const char *what, const char *file, int line);

/* What may come of reading an input: it is good, or bad data, or not what the options say. Not more
 * memory than there is (beyond 1 GiB: scripts/fuzz), no error of the disk, nothing internal. */
void fuzz_judge(tw_status st);

/* Inputs of several parts: the parts stand between separators. Finds part `i`, which is empty where
 * there are fewer. */
#define FUZZ_SEPARATOR "\nFUZZ:\n"
void fuzz_part(const uint8_t *bytes, size_t size, int i, const uint8_t **part, size_t *part_size);

/* Runs an importer of the table over `path` (and `second`, or NULL), into a scratch file that
 * vanishes. `variant` chooses among the options that matter to it. */
void fuzz_import(const char *format, const char *path, const char *second, unsigned variant);

#endif
