/* Errors of HDF5, and how the library starts. */
#include "checkpoint/hdf5_try.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 512 };

/* HDF5 1.10.8 keeps a file that could not be flushed (a full disk) and crashes on it when it closes
 * what is left (H5F__close_cb): in its handler of exit(), and in MPI_Finalize where MPI was
 * initialised first. That would turn the exit code of such a run into that of a crash. So it starts
 * before MPI and without the handler; every file is closed, and its status told, long before. Doing
 * this twice in a process is harmless. */
__attribute__((constructor)) static void start_before_mpi(void)
{
    (void)H5dont_atexit();
    (void)H5open();
}

void h5_prepare(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
}

typedef struct cause {
    char words[WORDS_MAX];
    bool of_system; /* a system call failed, not what the file holds */
} cause;

/* The deepest line of the error stack; of a failed system call only the system's words. */
static herr_t innermost(unsigned n, const H5E_error2_t *record, void *out)
{
    static const char system[] = "error message = '";
    cause *c = out;
    if (n > 0 || !record->desc) return 0;
    const char *words = strstr(record->desc, system);
    c->of_system = words != NULL;
    if (words)
        snprintf(c->words, sizeof c->words, "%.*s", (int)strcspn(words + sizeof system - 1, "'\n"),
                 words + sizeof system - 1);
    else
        snprintf(c->words, sizeof c->words, "%.*s", (int)strcspn(record->desc, "\n"), record->desc);
    return 0;
}

tw_status h5_error(tw_status code, const char *path, const char *call)
{
    cause c = {.words = "no details"};
    /* "id = H5Dopen2(…)": the name alone */
    const char *name = strstr(call, "H5");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &c);
    const char *hint = strstr(c.words, "lock")
                           ? " (a file system without locks? then set HDF5_USE_FILE_LOCKING=FALSE)"
                           : "";
    if (c.of_system && code == TW_EDATA)
        code = TW_EIO; /* the disk is at fault, and the file may be good */
    if (!name) return tw_error_set(code, "%s: HDF5: %s%s", path, c.words, hint);
    return tw_error_set(code, "%s: HDF5: %s (%.*s)%s", path, c.words, (int)strcspn(name, "("), name,
                        hint);
}
