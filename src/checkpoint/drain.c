/* Copying checkpoints to durable storage: each under a temporary name, flushed, compared with the
 * hash that it carries, renamed; then a line in the manifest. Whatever kills this leaves complete
 * files and one hidden temporary one, which the next drain removes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/lock.h"
#include "checkpoint/manifest.h"
#include "tweedie/checkpoint.h"
#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

enum { BUFFER = 1 << 20 };

static tw_status write_all(int file, const char *data, size_t bytes, const char *path)
{
    tw_status st = TW_OK;
    while (bytes > 0) {
        ssize_t n = write(file, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        TW_CHECK(n > 0, TW_EIO, "%s: writing failed: %s", path,
                 n < 0 ? strerror(errno) : "nothing was taken");
        data += n;
        bytes -= (size_t)n;
    }
done:
    return st;
}

/* Copies the bytes of `source` and flushes them; the pages are given up, so that what is compared
 * comes from the disk. */
static tw_status copy_bytes(const char *part, const char *source, const char *path)
{
    tw_status st = TW_OK;
    char *buffer = NULL;
    int in = -1, out = -1;
    ssize_t n;
    TW_TRY(tw_alloc(&buffer, BUFFER, 1, "a copy buffer"));
    in = open(source, O_RDONLY | O_CLOEXEC);
    TW_CHECK(in >= 0, TW_ENOINPUT, "%s: cannot be read: %s", source, strerror(errno));
    out = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    TW_CHECK(out >= 0, TW_EIO, "%s: cannot be made: %s", path, strerror(errno));
    while ((n = read(in, buffer, BUFFER)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        TW_CHECK(n > 0, TW_EIO, "%s: reading failed: %s", source, strerror(errno));
        TW_TRY(write_all(out, buffer, (size_t)n, path));
    }
    TW_CHECK(fsync(out) == 0, TW_EIO, "%s: cannot be flushed to the disk: %s", path,
             strerror(errno));
    (void)posix_fadvise(out, 0, 0, POSIX_FADV_DONTNEED);
    int closed = close(out);
    out = -1;
    TW_CHECK(closed == 0, TW_EIO, "%s: closing failed: %s", path, strerror(errno));
done:
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    tw_free(&buffer);
    return st;
}

typedef struct drain {
    const char *to;
    int64_t copied, skipped;
    int64_t unread; /* there, and could not be read: told and left out, so that the others come to
                       safety */
} drain;

/* Pruned meanwhile: nothing is amiss. Damaged: the trainer and `verify` are those to complain. */
static void leave_out(drain *d, const char *source, tw_status why)
{
    if (!tw_file_exists(source)) return;
    tw_log_warn("%s; not drained", tw_error_message());
    d->unread += why != TW_EDATA;
}

/* A copy under its final name, or the reason why not. @param wanted  the source's hash */
static tw_status copy_file(const char *path, const char *source, const char *wanted)
{
    tw_status st = TW_OK;
    char part[TW_CHECKPOINT_PATH] = "", met[TW_CHECKPOINT_DIGEST];
    TW_TRY(tw_file_temporary(part, sizeof part, path));
    TW_TRY(copy_bytes(part, source, path));
    st = tw_checkpoint_check(part, met);
    TW_CHECK(st == TW_OK && strcmp(met, wanted) == 0, TW_EIO,
             "%s: the copy reads back differently than %s", path, source);
    TW_TRY(tw_file_publish(part, path));
    part[0] = '\0';
done:
    tw_file_discard(part);
    return st;
}

/* The hash of a file whose structure was judged too: a seal says nothing of who made the file, and
 * the store is where others take files from. */
static tw_status judge(char digest[TW_CHECKPOINT_DIGEST], const char *source)
{
    tw_status st = TW_OK;
    tw_checkpoint *file = NULL;
    TW_TRY(tw_checkpoint_open(&file, source));
    memcpy(digest, tw_checkpoint_digest(file), TW_CHECKPOINT_DIGEST);
done:
    tw_checkpoint_close(&file);
    return st;
}

static tw_status drain_file(drain *d, const char *source, const char *name)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH], wanted[TW_CHECKPOINT_DIGEST], met[TW_CHECKPOINT_DIGEST];
    manifest_entry entry;
    const tw_status readable = judge(wanted, source);
    if (readable != TW_OK) {
        leave_out(d, source, readable);
        return TW_OK;
    }
    TW_TRY(tw_format(path, sizeof path, "%s/%s", d->to, name));
    TW_TRY(manifest_find(&entry, d->to, name, source, wanted));
    const bool valid = tw_file_exists(path) && tw_checkpoint_check(path, met) == TW_OK;
    if (valid && strcmp(met, wanted) == 0) {
        d->skipped++;
    } else {
        /* a step that was trained again after a loss replaces its copy; another run's step must not
         */
        TW_CHECK(!valid || !entry.foreign, TW_ECONFIG,
                 "%s: is a copy from another run (its manifest.jsonl says which), and would be "
                 "replaced by %s: one directory for each run",
                 path, source);
        st = copy_file(path, source, wanted);
        if (st == TW_ENOINPUT) {
            leave_out(d, source, st);
            return TW_OK;
        }
        TW_TRY(st);
        tw_log_info("%s: copied to %s", source, d->to);
        d->copied++;
    }
    if (!entry.noted) TW_TRY(manifest_add(d->to, name, source, wanted));
done:
    return st;
}

static tw_status drain_checkpoints(drain *d, const char *run)
{
    tw_status st = TW_OK;
    char source[TW_CHECKPOINT_PATH];
    int64_t *steps = NULL, count = 0;
    TW_TRY(tw_checkpoint_list(run, &steps, &count));
    for (int64_t i = 0; i < count; i++) { /* the newest first: it is worth most */
        TW_TRY(tw_checkpoint_name(source, sizeof source, run, steps[i]));
        TW_TRY(drain_file(d, source, strrchr(source, '/') + 1));
    }
done:
    tw_free(&steps);
    return st;
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

static tw_status drain_weights(drain *d, const char *run)
{
    tw_status st = TW_OK;
    char directory[TW_CHECKPOINT_PATH], source[TW_CHECKPOINT_PATH];
    struct dirent *entry;
    DIR *folder = NULL;
    TW_TRY(tw_format(directory, sizeof directory, "%s/weights", run));
    folder = opendir(directory);
    if (!folder && errno == ENOENT) goto done; /* nothing was exported */
    TW_CHECK(folder, TW_EIO, "%s: cannot be read: %s", directory, strerror(errno));
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.' || !ends_in(entry->d_name, ".h5")) continue;
        TW_TRY(tw_format(source, sizeof source, "%s/%s", directory, entry->d_name));
        TW_TRY(drain_file(d, source, entry->d_name));
    }
done:
    if (folder) closedir(folder);
    return st;
}

/* What a killed drain left (.NAME.WHO.tmp): the lock is ours, so nobody writes these. */
static void remove_debris(const char *to)
{
    struct dirent *entry;
    DIR *folder = opendir(to);
    if (!folder) return;
    while ((entry = readdir(folder)))
        if (entry->d_name[0] == '.' &&
            (strstr(entry->d_name, ".h5.") || strstr(entry->d_name, ".jsonl.")) &&
            ends_in(entry->d_name, ".tmp"))
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
}

tw_status tw_checkpoint_drain(const char *run, const char *to, int64_t *copied, int64_t *skipped)
{
    tw_status st = TW_OK;
    char path[TW_CHECKPOINT_PATH], what[TW_CHECKPOINT_PATH], absolute[PATH_MAX];
    lock_file lock = {.file = -1};
    drain d = {.to = to};

    /* the manifest tells where copies come from: as a path that means the same everywhere */
    TW_CHECK(realpath(run, absolute), TW_ENOINPUT, "%s: there is no such run: %s", run,
             strerror(errno));
    TW_CHECK(mkdir(to, 0777) == 0 || errno == EEXIST, TW_EIO,
             "%s: the directory cannot be made: %s", to, strerror(errno));
    TW_TRY(tw_format(path, sizeof path, "%s/.drain.lock", to));
    TW_TRY(tw_format(what, sizeof what, "draining to %s", to));
    TW_TRY(lock_take(&lock, path, what));
    remove_debris(to);
    TW_TRY(drain_checkpoints(&d, absolute));
    TW_TRY(drain_weights(&d, absolute));
    TW_CHECK(d.unread == 0, TW_EIO,
             "%s: %lld of its files could not be read and were not drained, as said above", run,
             (long long)d.unread);
    *copied = d.copied;
    *skipped = d.skipped;
done:
    lock_release(&lock);
    return st;
}
