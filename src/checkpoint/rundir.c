/* The run directory. */
#include "tweedie/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/lock.h"
#include "tweedie/checkpoint.h"
#include "tweedie/clock.h"
#include "tweedie/file.h"
#include "tweedie/memory.h"

struct tw_rundir {
    char path[TW_CHECKPOINT_PATH], what[TW_CHECKPOINT_PATH + 16];
    lock_file lock;
    double asked; /* when somebody last looked for a request */
};

static tw_status make_directory(const char *path)
{
    tw_status st = TW_OK;
    struct stat info;
    TW_CHECK(mkdir(path, 0777) == 0 || errno == EEXIST, TW_EIO,
             "%s: the directory cannot be made: %s", path, strerror(errno));
    TW_CHECK(stat(path, &info) == 0 && S_ISDIR(info.st_mode), TW_EIO, "%s: is not a directory",
             path);
done:
    return st;
}

/* As mkdir -p. */
static tw_status make_path(const char *path)
{
    tw_status st = TW_OK;
    char part[TW_CHECKPOINT_PATH];
    TW_TRY(tw_format(part, sizeof part, "%s", path));
    for (char *p = part + 1; *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        if (access(part, F_OK) != 0) TW_TRY(make_directory(part));
        *p = '/';
    }
    TW_TRY(make_directory(part));
done:
    return st;
}

tw_status tw_rundir_create(tw_rundir **out, const char *path)
{
    tw_status st = TW_OK;
    static const char *const parts[] = {"checkpoints", "weights", "samples"};
    char part[TW_CHECKPOINT_PATH];
    tw_rundir *run = NULL;

    TW_CHECK(path[0], TW_EUSAGE, "the run directory has no name");
    TW_TRY(tw_alloc(&run, 1, sizeof *run, "a run directory"));
    run->lock.file = -1;
    TW_TRY(tw_format(run->path, sizeof run->path, "%s", path));
    TW_TRY(tw_format(run->what, sizeof run->what, "the run %s", path));
    TW_TRY(make_path(path));
    TW_CHECK(access(path, W_OK | X_OK) == 0, TW_EIO, "%s: the run directory cannot be written: %s",
             path, strerror(errno));
    TW_TRY(tw_format(part, sizeof part, "%s/lock", path));
    TW_TRY(lock_take(&run->lock, part, run->what));
    tw_file_sweep(path, NULL);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        TW_TRY(tw_format(part, sizeof part, "%s/%s", path, parts[i]));
        TW_TRY(make_directory(part));
        tw_file_sweep(part, NULL);
        TW_CHECK(access(part, W_OK | X_OK) == 0, TW_EIO, "%s: cannot be written: %s", part,
                 strerror(errno));
    }
    *out = run;
    run = NULL;
done:
    tw_rundir_destroy(&run);
    return st;
}

void tw_rundir_destroy(tw_rundir **run)
{
    if (*run) lock_release(&(*run)->lock);
    tw_free(run);
}

tw_status tw_rundir_file(char *out, size_t size, const tw_rundir *run, const char *name)
{
    return tw_format(out, size, "%s/%s", run->path, name);
}

tw_status tw_rundir_holder(char *out, size_t size, const char *run)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH];
    TW_TRY(tw_format(path, sizeof path, "%s/lock", run));
    TW_TRY(lock_holder(out, size, path));
done:
    return st;
}

tw_status tw_rundir_check(const tw_rundir *run)
{
    return lock_check(&run->lock, run->what);
}

bool tw_rundir_poll_request(tw_rundir *run, const char *name)
{
    const double now = tw_clock_seconds();
    if (now - run->asked < TW_RUNDIR_REQUEST_SECONDS) return false;
    run->asked = now;
    return tw_rundir_take_request(run, name);
}

bool tw_rundir_take_request(const tw_rundir *run, const char *name)
{
    char path[TW_CHECKPOINT_PATH];
    return snprintf(path, sizeof path, "%s/%s", run->path, name) < (int)sizeof path &&
           unlink(path) == 0;
}

tw_status tw_rundir_read_text(char **text, const char *path)
{
    tw_status st = TW_OK;
    char *t = NULL;
    struct stat info;
    size_t n = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    TW_CHECK(file >= 0, errno == EIO ? TW_EIO : TW_ENOINPUT, "%s: cannot be read: %s", path,
             strerror(errno));
    TW_CHECK(fstat(file, &info) == 0 && S_ISREG(info.st_mode), TW_ENOINPUT, "%s: is not a file",
             path);
    TW_CHECK(info.st_size < 1 << 26, TW_EDATA, "%s: has %lld bytes: too long for a text", path,
             (long long)info.st_size);
    TW_TRY(tw_alloc(&t, (int64_t)info.st_size + 1, 1, "a text file"));
    while (n < (size_t)info.st_size) {
        ssize_t got = read(file, t + n, (size_t)info.st_size - n);
        if (got < 0 && errno == EINTR) continue;
        TW_CHECK(got >= 0, TW_EIO, "%s: reading failed: %s", path, strerror(errno));
        if (got == 0) break;
        n += (size_t)got;
    }
    t[n] = '\0';
    TW_CHECK(strlen(t) == n, TW_EDATA, "%s: is no text: byte %zu is NUL", path, strlen(t));
    *text = t;
    t = NULL;
done:
    tw_free(&t);
    if (file >= 0) close(file);
    return st;
}
