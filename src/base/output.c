/* Outputs: see the header. The order of publishing is that of tw_file_publish; what differs is how
 * the name is taken. renameat2 without replacing is the kernel's own answer to a race; where a file
 * system lacks it, a hard link takes the name only if nobody has it; where it lacks both, the
 * question is asked once more just before the rename. */
#include "tweedie/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tweedie/memory.h"

enum { LINKS_MAX = 40, COMPARE_BYTES = 1 << 16 };

static int directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

/* ---- judging ---- */

/* Where a name leads: the links of its last part followed, also to what is not there yet. */
static tw_status resolve(char *out, const char *path)
{
    tw_status st = TW_OK;
    char target[TW_PATH_MAX], next[TW_PATH_MAX];
    TW_CHECK(path[0], TW_EUSAGE, "an output has an empty name");
    TW_TRY(tw_format(out, TW_PATH_MAX, "%s", path));
    for (int i = 0;; i++) {
        const ssize_t n = readlink(out, target, sizeof target - 1);
        if (n < 0) break; /* no link, or nothing */
        TW_CHECK(i < LINKS_MAX, TW_EUSAGE, "%s: a link that leads to itself", path);
        target[n] = '\0';
        TW_TRY(tw_format(next, sizeof next, "%.*s%s", target[0] == '/' ? 0 : directory_length(out),
                         out, target));
        TW_TRY(tw_format(out, TW_PATH_MAX, "%s", next));
    }
done:
    return st;
}

/* Whether something may be put under the name. @param shown  how the user calls it */
static tw_status judge_existing(const char *path, const char *shown, tw_output_mode mode)
{
    tw_status st = TW_OK;
    struct stat info;
    const bool there = (mode == TW_OUTPUT_OWN ? lstat(path, &info) : stat(path, &info)) == 0;
    if (!there) {
        TW_CHECK(errno == ENOENT, TW_EIO, "%s: cannot be created: %s", shown, strerror(errno));
        goto done;
    }
    TW_CHECK(!S_ISDIR(info.st_mode), mode == TW_OUTPUT_OWN ? TW_EIO : TW_EUSAGE,
             "%s: is a directory; the name of a file was expected", shown);
    if (mode == TW_OUTPUT_OWN) goto done;
    TW_CHECK(S_ISREG(info.st_mode), TW_EUSAGE,
             "%s: is not a regular file, and is never replaced; the name of a file was expected",
             shown);
    TW_CHECK(mode != TW_OUTPUT_NEW, TW_EUSAGE, "%s: exists already; --force replaces it", shown);
done:
    return st;
}

static tw_status judge_directory(const char *path, const char *shown)
{
    tw_status st = TW_OK;
    char directory[TW_PATH_MAX];
    struct stat info;
    const int n = directory_length(path);
    TW_CHECK(!n || path[n], TW_EUSAGE, "%s: ends in '/'; the name of a file was expected", shown);
    TW_TRY(tw_format(directory, sizeof directory, "%.*s.", n, path));
    TW_CHECK(stat(directory, &info) == 0 && access(directory, W_OK | X_OK) == 0, TW_EIO,
             "%s: cannot be created: %s", shown, strerror(errno));
done:
    return st;
}

/* The directory of a file in one spelling. */
static bool real_directory(char *out, const char *path)
{
    char directory[TW_PATH_MAX];
    return tw_format(directory, sizeof directory, "%.*s.", directory_length(path), path) == TW_OK &&
           realpath(directory, out) != NULL;
}

/* Whether `path` is one of a run's own files or checkpoints; of another folder, anything in it. */
static bool lies_in(const char *path, const char *folder)
{
    char own[PATH_MAX], of[PATH_MAX], part[TW_PATH_MAX];
    struct stat info;
    if (!realpath(folder, of) || !real_directory(own, path)) return false;
    const size_t n = strlen(of);
    if (strncmp(own, of, n) != 0 || (own[n] && own[n] != '/' && n > 1)) return false;
    const bool run = tw_format(part, sizeof part, "%s/checkpoints", of) == TW_OK &&
                     stat(part, &info) == 0 && S_ISDIR(info.st_mode);
    return !run || !own[n] || strcmp(own + n, "/checkpoints") == 0;
}

static tw_status compare_inputs(const char *path, const char *shown, const char *const *inputs,
                                int count)
{
    tw_status st = TW_OK;
    char real[TW_PATH_MAX];
    struct stat mine, other;
    const bool there = stat(path, &mine) == 0;
    for (int i = 0; i < count; i++) {
        if (!inputs[i] || !inputs[i][0]) continue;
        if (!there) { /* two outputs of one command, neither of which is there yet */
            TW_TRY(resolve(real, inputs[i]));
            TW_CHECK(strcmp(path, real) != 0, TW_EUSAGE,
                     "%s: is named twice; another name was expected", shown);
            continue;
        }
        if (stat(inputs[i], &other) != 0) continue;
        TW_CHECK(mine.st_dev != other.st_dev || mine.st_ino != other.st_ino, TW_EUSAGE,
                 "%s: is an input of this command (%s); another name was expected", shown,
                 inputs[i]);
        TW_CHECK(!S_ISDIR(other.st_mode) || !lies_in(path, inputs[i]), TW_EUSAGE,
                 "%s: belongs to an input of this command (%s); another name was expected", shown,
                 inputs[i]);
    }
done:
    return st;
}

tw_status tw_output_check(const char *path, tw_output_mode mode, const char *const *inputs,
                          int count)
{
    tw_status st = TW_OK;
    char real[TW_PATH_MAX], directory[TW_PATH_MAX];
    TW_TRY(mode == TW_OUTPUT_OWN ? tw_format(real, sizeof real, "%s", path) : resolve(real, path));
    TW_TRY(compare_inputs(real, path, inputs, count));
    TW_TRY(judge_existing(real, path, mode));
    TW_TRY(judge_directory(real, path));
    const int n = directory_length(real);
    TW_TRY(tw_format(directory, sizeof directory, "%.*s.", n, real));
    tw_file_sweep(directory, real + n);
done:
    return st;
}

tw_status tw_output_check_folder(const char *path)
{
    tw_status st = TW_OK;
    struct stat info;
    TW_CHECK(path[0], TW_EUSAGE, "an output folder has an empty name");
    TW_CHECK(mkdir(path, 0777) == 0 || errno == EEXIST, TW_EIO, "%s: cannot be made: %s", path,
             strerror(errno));
    TW_CHECK(stat(path, &info) == 0 && S_ISDIR(info.st_mode), TW_EUSAGE,
             "%s: is not a directory; the name of a folder was expected", path);
    TW_CHECK(access(path, W_OK | X_OK) == 0, TW_EIO, "%s: cannot be written: %s", path,
             strerror(errno));
    tw_file_sweep(path, NULL);
done:
    return st;
}

/* ---- making ---- */

tw_status tw_output_begin(tw_output *out, const char *path, tw_output_mode mode)
{
    tw_status st = TW_OK;
    tw_output o = {.mode = mode};
    TW_TRY(mode == TW_OUTPUT_OWN ? tw_format(o.path, sizeof o.path, "%s", path)
                                 : resolve(o.path, path));
    TW_TRY(judge_existing(o.path, path, mode));
    TW_TRY(tw_file_temporary(o.part, sizeof o.part, o.path));
    *out = o;
done:
    return st;
}

static bool read_exactly(int file, char *out, size_t size)
{
    for (size_t n = 0; n < size;) {
        const ssize_t got = read(file, out + n, size - n);
        if (got <= 0) return false;
        n += (size_t)got;
    }
    return true;
}

static bool same_bytes(const char *a, const char *b)
{
    char left[COMPARE_BYTES], right[COMPARE_BYTES];
    struct stat x, y;
    const int f = open(a, O_RDONLY | O_CLOEXEC | O_NONBLOCK),
              g = open(b, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool same = f >= 0 && g >= 0 && fstat(f, &x) == 0 && fstat(g, &y) == 0 && S_ISREG(x.st_mode) &&
                S_ISREG(y.st_mode) && x.st_size == y.st_size;
    for (off_t done = 0; same && done < x.st_size; done += COMPARE_BYTES) {
        const off_t rest = x.st_size - done;
        const size_t n = rest < COMPARE_BYTES ? (size_t)rest : COMPARE_BYTES;
        same = read_exactly(f, left, n) && read_exactly(g, right, n) && memcmp(left, right, n) == 0;
    }
    if (f >= 0) close(f);
    if (g >= 0) close(g);
    return same;
}

/* Gives the name only if nothing has it. @return 0 or errno */
static int take_name(const char *part, const char *path)
{
    struct stat info;
    if (renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return errno;
    if (link(part, path) == 0) {
        (void)unlink(part);
        return 0;
    }
    if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP && errno != EMLINK) return errno;
    if (lstat(path, &info) == 0) return EEXIST;
    return rename(part, path) == 0 ? 0 : errno;
}

tw_status tw_output_publish(tw_output *out)
{
    tw_status st = TW_OK;
    if (out->mode == TW_OUTPUT_REPLACE || out->mode == TW_OUTPUT_OWN) {
        TW_TRY(judge_existing(out->path, out->path, out->mode)); /* it may have changed meanwhile */
        TW_TRY(tw_file_publish(out->part, out->path));
    } else {
        TW_TRY(tw_file_flush(out->part, out->path));
        const int code = take_name(out->part, out->path);
        TW_CHECK(code == 0 || code == EEXIST, TW_EIO, "%s: cannot be given its name: %s", out->path,
                 strerror(code));
        if (code == EEXIST) {
            TW_CHECK(same_bytes(out->part, out->path), TW_EUSAGE,
                     "%s: exists already; --force replaces it", out->path);
            tw_file_discard(out->part);
        }
        TW_TRY(tw_file_flush_directory(out->path));
    }
    out->part[0] = '\0';
done:
    return st;
}

static tw_status write_part(const char *part, const char *path, const void *bytes, int64_t size)
{
    tw_status st = TW_OK;
    FILE *file = fopen(part, "wbxe");
    TW_CHECK(file, TW_EIO, "%s: cannot be created: %s", path, strerror(errno));
    const bool written = fwrite(bytes, 1, (size_t)size, file) == (size_t)size;
    const int code = errno;
    const bool closed = fclose(file) == 0;
    TW_CHECK(written && closed, TW_EIO, "%s: cannot be written: %s", path,
             strerror(written ? errno : code));
done:
    return st;
}

tw_status tw_output_write(const char *path, tw_output_mode mode, const void *bytes, int64_t size)
{
    tw_status st = TW_OK;
    tw_output out = {.part = ""};
    TW_TRY(tw_output_begin(&out, path, mode));
    TW_TRY(write_part(out.part, out.path, bytes, size));
    TW_TRY(tw_output_publish(&out));
done:
    tw_output_discard(&out);
    return st;
}

void tw_output_discard(tw_output *out)
{
    tw_file_discard(out->part);
    out->part[0] = '\0';
}
