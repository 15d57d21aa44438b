/* Locking by fcntl's open-file-description locks (Linux ≥ 3.15): the kernel drops them when the
 * holder's last descriptor is gone, however it died, and unlike classic fcntl locks not when
 * another part of the program opens and closes the same file.
 *
 * Where the file system has no locks (ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL) the file's existence
 * alone is the lock, made with O_EXCL; then a holder that was killed leaves it, and the message
 * says what to do. */
#include "checkpoint/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tweedie/log.h"
#include "tweedie/memory.h"

static void describe_self(char *out, size_t size)
{
    char host[128] = "?", start[64] = "?";
    const char *job = getenv("SLURM_JOB_ID");
    if (!job) job = getenv("PBS_JOBID");
    time_t now = time(NULL);
    struct tm local;
    if (gethostname(host, sizeof host - 1) != 0) strcpy(host, "?");
    if (localtime_r(&now, &local)) strftime(start, sizeof start, "%Y-%m-%d %H:%M:%S %z", &local);
    snprintf(out, size, "host %s, process %ld, job %s, since %s\n", host, (long)getpid(),
             job ? job : "none", start);
}

/* The text of a lock file in one line. Returns false, with "an unknown process", where it is empty:
 * its maker has not come to writing it.
 */
static bool read_holder(char *out, size_t size, int file)
{
    ssize_t n = pread(file, out, size - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    if (out[0]) return true;
    snprintf(out, size, "an unknown process");
    return false;
}

static int try_lock(int file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(file, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

/* Whether `path` still names the open file: its holder may have removed it between our open and our
 * lock. */
static bool is_current(int file, const char *path)
{
    struct stat mine, named;
    return fstat(file, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino &&
           mine.st_dev == named.st_dev;
}

/* A link, a pipe or a device in the lock's place was put there by somebody else. */
static tw_status check_regular(int file, const char *path)
{
    tw_status st = TW_OK;
    struct stat info;
    TW_CHECK(fstat(file, &info) == 0 && S_ISREG(info.st_mode), TW_EIO,
             "%s: is not a regular file; remove it", path);
done:
    return st;
}

static tw_status open_file(int *file, bool *existed, const char *path)
{
    tw_status st = TW_OK;
    for (int attempt = 0; attempt < 100; attempt++) {
        *existed = false;
        *file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*file >= 0) return TW_OK;
        TW_CHECK(errno == EEXIST, TW_EIO, "%s: cannot be made: %s", path, strerror(errno));
        *existed = true;
        *file = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (*file >= 0) return check_regular(*file, path);
        TW_CHECK(errno != ELOOP, TW_EIO, "%s: is a symbolic link; remove it", path);
        TW_CHECK(errno == ENOENT, TW_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    TW_FAIL(TW_EIO, "%s: comes and goes", path);
done:
    return st;
}

static tw_status write_self(lock_file *lock)
{
    tw_status st = TW_OK;
    describe_self(lock->text, sizeof lock->text);
    size_t n = strlen(lock->text);
    TW_CHECK(ftruncate(lock->file, 0) == 0 && pwrite(lock->file, lock->text, n, 0) == (ssize_t)n &&
                 fsync(lock->file) == 0,
             TW_EIO, "%s: cannot be written: %s", lock->path, strerror(errno));
done:
    return st;
}

tw_status lock_take(lock_file *lock, const char *path, const char *what)
{
    tw_status st = TW_OK;
    char holder[LOCK_TEXT];
    bool existed, known = false;
    lock->file = -1;
    TW_TRY(tw_format(lock->path, sizeof lock->path, "%s", path));
    for (;;) {
        TW_TRY(open_file(&lock->file, &existed, path));
        int code = try_lock(lock->file);
        known = read_holder(holder, sizeof holder, lock->file);
        TW_CHECK(code != EAGAIN && code != EACCES, TW_ELOCKED,
                 "%s is in use by another process: %s", what, holder);
        TW_CHECK(code == 0 || !existed, TW_ELOCKED,
                 "%s is in use by another process: %s (this file system has no locks: if that "
                 "process is gone, remove %s)",
                 what, holder, path);
        if (is_current(lock->file, path)) break;
        close(lock->file);
        lock->file = -1;
    }
    if (existed && known)
        tw_log_warn("%s was left locked by a process that is gone: %s; taking over", what, holder);
    TW_TRY(write_self(lock));
    return TW_OK;
done:
    if (lock->file >= 0) close(lock->file);
    lock->file = -1;
    return st;
}

tw_status lock_check(const lock_file *lock, const char *what)
{
    tw_status st = TW_OK;
    char holder[LOCK_TEXT];
    int file = open(lock->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    TW_CHECK(file >= 0 || errno == ENOENT, TW_EIO, "%s: its lock cannot be read (%s: %s)", what,
             lock->path, strerror(errno));
    TW_CHECK(file >= 0, TW_ELOCKED, "%s: its lock was removed (%s)", what, lock->path);
    (void)read_holder(holder, sizeof holder, file);
    TW_CHECK(strncmp(lock->text, holder, strlen(holder)) == 0, TW_ELOCKED,
             "%s was taken over by another process: %s", what, holder);
done:
    if (file >= 0) close(file);
    return st;
}

tw_status lock_holder(char *out, size_t size, const char *path)
{
    tw_status st = TW_OK;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    out[0] = '\0';
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0 && errno == ENOENT) return TW_OK;
    TW_CHECK(file >= 0, TW_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    TW_TRY(check_regular(file, path));
    if (fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK) goto done;
    (void)read_holder(out, size, file);
done:
    if (file >= 0) close(file);
    return st;
}

void lock_release(lock_file *lock)
{
    if (lock->file < 0) return;
    if (is_current(lock->file, lock->path)) (void)unlink(lock->path);
    close(lock->file);
    lock->file = -1;
}
