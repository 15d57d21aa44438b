/* Whether a file is still the one that was looked at, and reading from it where that look said. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tweedie/file.h"

static tw_file_version version_of(const struct stat *info)
{
    return (tw_file_version){
        .device = (uint64_t)info->st_dev,
        .inode = (uint64_t)info->st_ino,
        .size = (int64_t)info->st_size,
        .modified = {(int64_t)info->st_mtim.tv_sec, (int64_t)info->st_mtim.tv_nsec},
        .changed = {(int64_t)info->st_ctim.tv_sec, (int64_t)info->st_ctim.tv_nsec},
    };
}

tw_status tw_file_read_version(tw_file_version *out, int file, const char *path)
{
    tw_status st = TW_OK;
    struct stat info;
    TW_CHECK(fstat(file, &info) == 0, TW_EIO, "%s: cannot be read: %s", path, strerror(errno));
    *out = version_of(&info);
done:
    return st;
}

static tw_status compare(const tw_file_version *v, const struct stat *info, const char *path)
{
    tw_status st = TW_OK;
    const tw_file_version now = version_of(info);
    TW_CHECK(now.device == v->device && now.inode == v->inode, TW_EIO,
             "%s: was replaced by another file while it was opened; start again when nobody writes "
             "it",
             path);
    TW_CHECK(now.size == v->size, TW_EIO,
             "%s: had %lld bytes and has %lld now: it was written to while it was opened; start "
             "again when nobody writes it",
             path, (long long)v->size, (long long)now.size);
    TW_CHECK(memcmp(now.modified, v->modified, sizeof now.modified) == 0 &&
                 memcmp(now.changed, v->changed, sizeof now.changed) == 0,
             TW_EIO, "%s: was written to while it was opened; start again when nobody writes it",
             path);
done:
    return st;
}

tw_status tw_file_check_version(const tw_file_version *version, int file, const char *path)
{
    tw_status st = TW_OK;
    struct stat info;
    TW_CHECK(fstat(file, &info) == 0, TW_EIO, "%s: cannot be read: %s", path, strerror(errno));
    TW_TRY(compare(version, &info, path));
done:
    return st;
}

tw_status tw_file_check_named_version(const tw_file_version *version, const char *path)
{
    tw_status st = TW_OK;
    struct stat info;
    TW_CHECK(stat(path, &info) == 0, TW_EIO, "%s: was removed while it was opened: %s", path,
             strerror(errno));
    TW_TRY(compare(version, &info, path));
done:
    return st;
}

tw_status tw_file_read_at(int file, void *buffer, int64_t bytes, int64_t at, const char *path)
{
    tw_status st = TW_OK;
    char *p = buffer;
    while (bytes > 0) {
        ssize_t n = pread(file, p, (size_t)bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        TW_CHECK(n >= 0, TW_EIO, "%s: reading failed at byte %lld: %s", path, (long long)at,
                 strerror(errno));
        TW_CHECK(n > 0, TW_EDATA, "%s: became shorter while it was read", path);
        p += n;
        at += n;
        bytes -= n;
    }
done:
    return st;
}
