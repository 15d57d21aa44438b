/* The checkpoints of a run: names, the newest good one, room for more, and which may go. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/checkpoint_format.h"
#include "tweedie/checkpoint.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"
#include "tweedie/rundir.h"

enum { DAY = 24 * 3600 };

tw_status tw_checkpoint_name(char *out, size_t size, const char *run, int64_t step)
{
    if (step < 0 || step > TW_CHECKPOINT_STEP_MAX)
        return tw_error_set(TW_EINTERNAL, "step %lld cannot be in a name", (long long)step);
    return tw_format(out, size, "%s/checkpoints/step-%09lld.h5", run, (long long)step);
}

/* Exactly what tw_checkpoint_name spells: a temporary file never matches. */
bool step_of_name(const char *name, int64_t *step)
{
    char again[64];
    char *end;
    if (strncmp(name, "step-", 5) != 0 || name[5] < '0' || name[5] > '9') return false;
    errno = 0;
    long long n = strtoll(name + 5, &end, 10);
    if (errno || strcmp(end, ".h5") != 0 || n > TW_CHECKPOINT_STEP_MAX) return false;
    snprintf(again, sizeof again, "step-%09lld.h5", n);
    if (strcmp(again, name) != 0) return false;
    *step = n;
    return true;
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

tw_status tw_checkpoint_list(const char *run, int64_t **steps, int64_t *count)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH];
    int64_t *found = NULL, *more = NULL, n = 0, room = 0, step;
    struct dirent *entry;
    DIR *directory = NULL;

    TW_TRY(tw_format(path, sizeof path, "%s/checkpoints", run));
    directory = opendir(path);
    TW_CHECK(directory, errno == EIO ? TW_EIO : TW_ENOINPUT, "%s: cannot be read: %s%s", path,
             strerror(errno), errno == ENOENT ? " (is this a run?)" : "");
    for (errno = 0; (entry = readdir(directory)); errno = 0) {
        if (!step_of_name(entry->d_name, &step)) continue;
        if (n == room) {
            room = room ? 2 * room : 64;
            TW_TRY(tw_alloc(&more, room, sizeof *more, "a list of checkpoints"));
            if (n > 0) memcpy(more, found, (size_t)n * sizeof *more);
            tw_free(&found);
            found = more;
            more = NULL;
        }
        found[n++] = step;
    }
    TW_CHECK(errno == 0, TW_EIO, "%s: reading failed: %s", path, strerror(errno));
    if (n > 0) qsort(found, (size_t)n, sizeof *found, newest_first);
    *steps = found;
    *count = n;
    found = NULL;
done:
    tw_free(&found);
    if (directory) closedir(directory);
    return st;
}

tw_status tw_checkpoint_find_newest(const char *run, char *path, size_t size, int64_t *step)
{
    tw_status st = TW_OK;
    int64_t *steps = NULL, count = 0;
    char candidate[TW_CHECKPOINT_PATH];

    TW_TRY(tw_checkpoint_list(run, &steps, &count));
    if (count == 0) {
        TW_TRY(tw_format(path, size, "%s", ""));
        *step = -1;
        goto done;
    }
    for (int64_t i = 0; i < count; i++) {
        TW_TRY(tw_checkpoint_name(candidate, sizeof candidate, run, steps[i]));
        if (tw_checkpoint_check(candidate, NULL) != TW_OK) {
            tw_log_warn("%s; %s", tw_error_message(),
                        i + 1 < count ? "trying the one before it" : "there is no older one");
            continue;
        }
        TW_TRY(tw_format(path, size, "%s", candidate));
        *step = steps[i];
        goto done;
    }
    TW_FAIL(TW_EDATA, "%s/checkpoints: none of its %lld checkpoints verifies", run,
            (long long)count);
done:
    tw_free(&steps);
    return st;
}

tw_status tw_checkpoint_find_newest_all(const tw_comm *comm, const char *run, char *path,
                                        size_t size, int64_t *step)
{
    tw_status st = TW_OK;
    struct {
        int64_t step;
        char path[TW_CHECKPOINT_PATH];
    } found;
    memset(&found, 0, sizeof found);
    if (tw_comm_rank(comm) == 0)
        st = tw_checkpoint_find_newest(run, found.path, sizeof found.path, &found.step);
    TW_TRY(tw_comm_agree(comm, st));
    TW_TRY(tw_comm_broadcast(comm, &found, sizeof found, 0));
    TW_TRY(tw_format(path, size, "%s", found.path));
    *step = found.step;
done:
    return st;
}

/* Cuts a path down to what there is of it already. */
static void to_existing(char *path)
{
    while (access(path, F_OK) != 0 && errno == ENOENT) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path) {
            strcpy(path, slash ? "/" : ".");
            return;
        }
        *slash = '\0';
    }
}

tw_status tw_checkpoint_preflight(const char *run, int64_t bytes, int keep)
{
    tw_status st = TW_OK;
    struct statvfs fs;
    char path[TW_CHECKPOINT_PATH];
    TW_TRY(tw_format(path, sizeof path, "%s/checkpoints", run));
    to_existing(path);
    TW_CHECK(access(path, W_OK | X_OK) == 0, TW_EIO, "%s: cannot be written: %s", path,
             strerror(errno));
    TW_CHECK(statvfs(path, &fs) == 0, TW_EIO, "%s: its file system cannot be asked: %s", path,
             strerror(errno));
    double wanted = (double)bytes * (keep + 2),
           available = (double)fs.f_bavail * (double)fs.f_frsize;
    const double unit = wanted < 1e10 ? 1e6 : 1e9;
    const char *name = unit < 1e9 ? "MB" : "GB";
    TW_CHECK(available >= wanted, TW_EIO,
             "%s: %.1f %s free, %.1f %s wanted for %d checkpoints of %.1f %s and one being written",
             path, available / unit, name, wanted / unit, name, keep + 1, (double)bytes / unit,
             name);
done:
    return st;
}

/* Removes files of `directory` that begin with `prefix`, end in ".tmp", and, where an age is given,
 * were last written so many seconds ago.
 */
static tw_status remove_debris(const char *directory, const char *prefix, double age)
{
    tw_status st = TW_OK;
    struct dirent *entry;
    struct stat info;
    DIR *d = opendir(directory);
    if (!d && errno == ENOENT) return TW_OK;
    TW_CHECK(d, TW_EIO, "%s: cannot be read: %s", directory, strerror(errno));
    while ((entry = readdir(d))) {
        size_t n = strlen(entry->d_name);
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || n < 4 ||
            strcmp(entry->d_name + n - 4, ".tmp") != 0)
            continue;
        if (age > 0 && (fstatat(dirfd(d), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
                        difftime(time(NULL), info.st_mtime) < age))
            continue;
        if (unlinkat(dirfd(d), entry->d_name, 0) == 0)
            tw_log_info("%s/%s: removed, left behind by a run that was killed", directory,
                        entry->d_name);
        else
            tw_log_warn("%s/%s: cannot be removed: %s", directory, entry->d_name, strerror(errno));
    }
done:
    if (d) closedir(d);
    return st;
}

tw_status tw_checkpoint_clean(const char *run)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH];
    TW_TRY(tw_format(path, sizeof path, "%s/checkpoints", run));
    TW_TRY(remove_debris(path, ".step-", 0));
    TW_TRY(tw_format(path, sizeof path, "%s/samples", run));
    TW_TRY(remove_debris(path, ".step-",
                         0)); /* pictures; what sampling jobs write there has other names */
    TW_TRY(remove_debris(run, ".latest.", 0));
    TW_TRY(remove_debris(run, ".config.ini.", 0));
    TW_TRY(tw_format(path, sizeof path, "%s/weights", run));
    TW_TRY(remove_debris(path, ".step-", DAY)); /* an export may be at work there */
done:
    return st;
}
