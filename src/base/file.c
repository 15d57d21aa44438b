/* Files that appear whole or not at all. The order is that of every crash-safe writer: data to the
 * disk, name, directory to the disk; so a power cut leaves the old file or the new one. */
#include "tweedie/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tweedie/memory.h"

bool tw_file_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

tw_status tw_file_size(int64_t *bytes, const char *path)
{
    tw_status st = TW_OK;
    struct stat info;
    /* O_NONBLOCK: opening a pipe that nobody writes to must not wait */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    TW_CHECK(file >= 0, errno == EIO ? TW_EIO : TW_ENOINPUT, "%s: cannot be read: %s", path,
             strerror(errno));
    TW_CHECK(fstat(file, &info) == 0, TW_EIO, "%s: cannot be read: %s", path, strerror(errno));
    TW_CHECK(!S_ISDIR(info.st_mode), TW_ENOINPUT, "%s: is a directory, a file was expected", path);
    TW_CHECK(S_ISREG(info.st_mode), TW_ENOINPUT, "%s: is not a regular file", path);
    if (bytes) *bytes = (int64_t)info.st_size;
done:
    if (file >= 0) close(file);
    return st;
}

tw_status tw_file_open_own(int *out, const char *path, int flags)
{
    tw_status st = TW_OK;
    struct stat info;
    int file = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    TW_CHECK(file >= 0 || errno != ELOOP, TW_EIO,
             "%s: is a symbolic link; a file of the run itself was expected", path);
    TW_CHECK(file >= 0, TW_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    TW_CHECK(fstat(file, &info) == 0 && S_ISREG(info.st_mode), TW_EIO, "%s: is not a regular file",
             path);
    *out = file;
    file = -1;
done:
    if (file >= 0) close(file);
    return st;
}

/* Where the file name begins in a path. */
static size_t directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static tw_status flush(const char *name, int flags, const char *path)
{
    tw_status st = TW_OK;
    int file = open(name, flags | O_CLOEXEC);
    TW_CHECK(file >= 0, TW_EIO, "%s: cannot be flushed to the disk: %s", path, strerror(errno));
    /* EINVAL: a file system whose directories cannot be flushed, and need not be */
    TW_CHECK(fsync(file) == 0 || errno == EINVAL, TW_EIO, "%s: cannot be flushed to the disk: %s",
             path, strerror(errno));
done:
    if (file >= 0) close(file);
    return st;
}

tw_status tw_file_flush(const char *temporary, const char *path)
{
    return flush(temporary, O_RDONLY, path);
}

tw_status tw_file_flush_directory(const char *path)
{
    tw_status st = TW_OK;
    char directory[TW_PATH_MAX];
    size_t n = directory_length(path);
    TW_TRY(tw_format(directory, sizeof directory, "%.*s.", (int)n, path)); /* "dir/." or "." */
    TW_TRY(flush(directory, O_RDONLY | O_DIRECTORY, path));
done:
    return st;
}

tw_status tw_file_publish(const char *temporary, const char *path)
{
    tw_status st = TW_OK;
    TW_TRY(tw_file_flush(temporary, path));
    TW_CHECK(rename(temporary, path) == 0, TW_EIO, "%s: cannot be given its name: %s", path,
             strerror(errno));
    TW_TRY(tw_file_flush_directory(path));
done:
    return st;
}

void tw_file_discard(const char *temporary)
{
    if (temporary[0]) (void)unlink(temporary);
}

tw_status tw_file_write(const char *path, const void *bytes, size_t size)
{
    tw_status st = TW_OK;
    char part[TW_PATH_MAX] = "";
    int file = -1;
    TW_TRY(tw_file_temporary(part, sizeof part, path));
    file = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    TW_CHECK(file >= 0, TW_EIO, "%s: cannot be created: %s", path, strerror(errno));
    for (size_t written = 0; written < size;) {
        ssize_t n = write(file, (const char *)bytes + written, size - written);
        TW_CHECK(n > 0 || errno == EINTR, TW_EIO, "%s: cannot be written: %s", path,
                 strerror(errno));
        if (n > 0) written += (size_t)n;
    }
    int closed = close(file);
    file = -1;
    TW_CHECK(closed == 0, TW_EIO, "%s: cannot be written: %s", path, strerror(errno));
    TW_TRY(tw_file_publish(part, path));
done:
    if (file >= 0) close(file);
    if (st != TW_OK) tw_file_discard(part);
    return st;
}
