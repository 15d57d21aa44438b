/* A lock file: who holds it is in its text, that it is held is known by the kernel. */
#ifndef TWEEDIE_CHECKPOINT_LOCK_H
#define TWEEDIE_CHECKPOINT_LOCK_H

#include <stddef.h>

#include "tweedie/status.h"

enum { LOCK_TEXT = 512 };

typedef struct lock_file {
    int file; /* -1: not held */
    char path[4096], text[LOCK_TEXT];
} lock_file;

/* Takes the lock at `path`, making the file; a file that nobody holds any more is taken over with a
 * note.
 * @param what  is locked, for the message ("the run /scratch/a")
 * @return TW_ELOCKED naming the holder; TW_EIO */
tw_status lock_take(lock_file *lock, const char *path, const char *what);

/* Whether the file under that name is still the one that is held. @return TW_ELOCKED naming the new
 * holder; TW_EIO where it cannot be read
 */
tw_status lock_check(const lock_file *lock, const char *what);

/* Who holds the lock at `path`; "" where nobody does. Where the file system has no locks the file
 * alone says so. @return TW_EIO */
tw_status lock_holder(char *out, size_t size, const char *path);

/* Removes the file and gives the lock back. Accepts one that is not held. */
void lock_release(lock_file *lock);

#endif
