/* Files that appear whole or not at all: written under a temporary name beside the final one,
 * flushed to the disk, then renamed.
 *
 *     TW_TRY(tw_file_temporary(part, sizeof part, path));
 *     … write and close `part` …
 *     TW_TRY(tw_file_publish(part, path));
 *     done: if (st != TW_OK) tw_file_discard(part);
 *
 * Nothing here is collective. */
#ifndef TWEEDIE_FILE_H
#define TWEEDIE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tweedie/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TW_PATH_MAX = 4096 };

/* Whether something has this name. */
bool tw_file_exists(const char *path);

/* The size of a regular file that this process may read.
 * @param[out] bytes  may be NULL
 * @return TW_ENOINPUT naming the file and the reason: missing, a directory, not readable; TW_EIO
 * where the disk errs */
tw_status tw_file_size(int64_t *bytes, const char *path);

/* Which file a name or a descriptor means, and as of when: what differs wherever a file was
 * replaced, written to or cut meanwhile. */
typedef struct tw_file_version {
    uint64_t device, inode;
    int64_t size, modified[2], changed[2]; /* seconds and nanoseconds */
} tw_file_version;

/* Of an open file. @param path  for messages @return TW_EIO */
tw_status tw_file_read_version(tw_file_version *out, int file, const char *path);

/* That the open file, or the one that has the name, is still this version.
 * @return TW_EIO naming the file and what happened to it */
tw_status tw_file_check_version(const tw_file_version *version, int file, const char *path);
tw_status tw_file_check_named_version(const tw_file_version *version, const char *path);

/* Reads exactly so many bytes from this offset on. @return TW_EDATA where the file ends before;
 * TW_EIO */
tw_status tw_file_read_at(int file, void *buffer, int64_t bytes, int64_t at, const char *path);

/* Opens a file that belongs to the program by its name (a lock, a log), with open(2)'s flags: no
 * symbolic link is followed, no pipe waited for, and nothing but a regular file taken, so that what
 * somebody else put there leads nowhere.
 * @param[out] out  a descriptor, the caller's
 * @return TW_EIO naming the file; errno is open(2)'s where that failed */
tw_status tw_file_open_own(int *out, const char *path, int flags);

/* The name under which `path` is written first: hidden, in the same directory, unlike that of any
 * other process.
 * @return TW_EINTERNAL if it does not fit in `size` bytes */
tw_status tw_file_temporary(char *out, size_t size, const char *path);

/* Removes from a directory the temporary files whose process is gone: of this host, those of
 * processes that are no more; others where they were not touched for a day. What cannot be removed
 * stays.
 * @param of  only those of this file; NULL: all */
void tw_file_sweep(const char *directory, const char *of);

/* The two halves of publishing, for who gives the name himself: flushes a closed temporary file of
 * `path`; flushes the directory of `path`. @return TW_EIO naming `path` */
tw_status tw_file_flush(const char *temporary, const char *path);
tw_status tw_file_flush_directory(const char *path);

/* Flushes the closed file `temporary` to the disk, gives it its name (replacing what has it) and
 * flushes the directory.
 * @return TW_EIO naming the file; the temporary file is then still there */
tw_status tw_file_publish(const char *temporary, const char *path);

/* Removes a temporary file, if it is there; an empty name is no file. */
void tw_file_discard(const char *temporary);

/* Writes `size` bytes as the file `path`, by way of a temporary file. @return TW_EIO naming the
 * file */
tw_status tw_file_write(const char *path, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif

#endif
