/* Makes one call of a save fail: a library for LD_PRELOAD that stands between a program and the C library, and between it and HDF5.
 *
 *     FAULT_PATH    only calls on files whose path contains this (HDF5 calls always count)
 *     FAULT_CALL    which counted call, from 1
 *     FAULT_ACTION  kill          SIGKILL before the call
 *                   errno:N       the call fails with errno N, once
 *                   errnoall:N    this and all later calls fail
 *                   short         a write takes half
 *                   corrupt       a write writes a wrong byte in its middle and says nothing
 *                   hdf5          an HDF5 call fails without having been made (a close: after)
 *     FAULT_LOG     append the name of every counted call, a line each
 *
 * Calls of files and calls of HDF5 are counted apart: with FAULT_ACTION=hdf5 only the latter, else only the former. Without FAULT_ACTION
 * everything is logged and nothing fails. After libfiu's idea, but by path, and for the calls that a checkpoint makes. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <hdf5.h>

enum { PASS, FAIL, SHORT, CORRUPT };

static const char *path_part, *action, *log_path;
static long wanted;
static atomic_long file_calls, hdf5_calls;

__attribute__((constructor)) static void start(void)
{
    path_part = getenv("FAULT_PATH");
    action = getenv("FAULT_ACTION");
    log_path = getenv("FAULT_LOG");
    wanted = getenv("FAULT_CALL") ? atol(getenv("FAULT_CALL")) : 0;
}

/* The real function behind ours. */
#define REAL(name)                                                                                                                         \
    static __typeof__(&name) real;                                                                                                         \
    if (!real) *(void **)(&real) = dlsym(RTLD_NEXT, #name)

/* The log must not lie where FAULT_PATH matches: its own calls go through ours. */
static void note(const char *kind, const char *name)
{
    char line[96];
    if (!log_path) return;
    int file = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int n = snprintf(line, sizeof line, "%s %s\n", kind, name);
    if (file < 0) return;
    if (write(file, line, (size_t)n) < 0) abort();
    close(file);
}

static bool matches_path(const char *path)
{
    return path_part && path && strstr(path, path_part);
}

static bool matches(int file)
{
    char link[64], path[PATH_MAX];
    if (!path_part) return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return false;
    path[n] = '\0';
    return matches_path(path);
}

static int judge_file(const char *name)
{
    long call = atomic_fetch_add(&file_calls, 1) + 1;
    note("file", name);
    if (!action || strcmp(action, "hdf5") == 0) return PASS;
    bool now = call == wanted;
    if (strcmp(action, "kill") == 0 && now) kill(getpid(), SIGKILL);
    if (strcmp(action, "short") == 0 && now) return SHORT;
    if (strcmp(action, "corrupt") == 0 && now) return CORRUPT;
    if ((strncmp(action, "errno:", 6) == 0 && now) || (strncmp(action, "errnoall:", 9) == 0 && call >= wanted)) {
        errno = atoi(strchr(action, ':') + 1);
        return FAIL;
    }
    return PASS;
}

static bool fails_hdf5(const char *name)
{
    long call = atomic_fetch_add(&hdf5_calls, 1) + 1;
    note("hdf5", name);
    return action && strcmp(action, "hdf5") == 0 && call == wanted;
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------ */

/* A copy of `data` with a wrong byte; the caller frees it. */
static void *corrupted(const void *data, size_t bytes)
{
    unsigned char *copy = malloc(bytes + 1);
    if (!copy) abort();
    memcpy(copy, data, bytes);
    copy[bytes / 2] ^= 0x20;
    return copy;
}

#define WRITE(name, call_name, parameters, arguments)                                                                                      \
    ssize_t name parameters                                                                                                                \
    {                                                                                                                                      \
        REAL(name);                                                                                                                        \
        int verdict = matches(file) ? judge_file(call_name) : PASS;                                                                        \
        if (verdict == FAIL) return -1;                                                                                                    \
        if (verdict == SHORT) bytes = (bytes + 1) / 2;                                                                                     \
        void *wrong = verdict == CORRUPT ? corrupted(data, bytes) : NULL;                                                                  \
        if (wrong) data = wrong;                                                                                                           \
        ssize_t n = real arguments;                                                                                                        \
        free(wrong);                                                                                                                       \
        return n;                                                                                                                          \
    }

WRITE(write, "write", (int file, const void *data, size_t bytes), (file, data, bytes))
WRITE(pwrite, "pwrite", (int file, const void *data, size_t bytes, off_t at), (file, data, bytes, at))
WRITE(pwrite64, "pwrite", (int file, const void *data, size_t bytes, off64_t at), (file, data, bytes, at))

ssize_t pread(int file, void *data, size_t bytes, off_t at)
{
    REAL(pread);
    int verdict = matches(file) ? judge_file("pread") : PASS;
    if (verdict == FAIL) return -1;
    return real(file, data, verdict == SHORT ? (bytes + 1) / 2 : bytes, at);
}

ssize_t pread64(int file, void *data, size_t bytes, off64_t at)
{
    REAL(pread64);
    int verdict = matches(file) ? judge_file("pread") : PASS;
    if (verdict == FAIL) return -1;
    return real(file, data, verdict == SHORT ? (bytes + 1) / 2 : bytes, at);
}

int ftruncate(int file, off_t length)
{
    REAL(ftruncate);
    if (matches(file) && judge_file("ftruncate") == FAIL) return -1;
    return real(file, length);
}

int ftruncate64(int file, off64_t length)
{
    REAL(ftruncate64);
    if (matches(file) && judge_file("ftruncate") == FAIL) return -1;
    return real(file, length);
}

int fsync(int file)
{
    REAL(fsync);
    if (matches(file) && judge_file("fsync") == FAIL) return -1;
    return real(file);
}

int close(int file)
{
    REAL(close);
    if (matches(file) && judge_file("close") == FAIL) { /* a failed close has closed */
        int code = errno;
        real(file);
        errno = code;
        return -1;
    }
    return real(file);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    if (matches_path(from) && judge_file("rename") == FAIL) return -1;
    return real(from, to);
}

#define OPEN(name)                                                                                                                         \
    int name(const char *path, int flags, ...)                                                                                             \
    {                                                                                                                                      \
        REAL(name);                                                                                                                        \
        __builtin_va_list list;                                                                                                            \
        __builtin_va_start(list, flags);                                                                                                   \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? __builtin_va_arg(list, mode_t) : 0;                                                \
        __builtin_va_end(list);                                                                                                            \
        if (matches_path(path) && judge_file("open") == FAIL) return -1;                                                                   \
        return real(path, flags, mode);                                                                                                    \
    }

OPEN(open)
OPEN(open64)

/* ---- HDF5: what a save calls ------------------------------------------------------------------------------------------------------ */

#define CALL(type, name, parameters, arguments)                                                                                            \
    type name parameters                                                                                                                   \
    {                                                                                                                                      \
        REAL(name);                                                                                                                        \
        if (fails_hdf5(#name)) return -1;                                                                                                  \
        return real arguments;                                                                                                             \
    }

#define CLOSE(name)                                                                                                                        \
    herr_t name(hid_t id)                                                                                                                  \
    {                                                                                                                                      \
        REAL(name);                                                                                                                        \
        bool fails = fails_hdf5(#name);                                                                                                    \
        herr_t code = real(id);                                                                                                            \
        return fails ? -1 : code;                                                                                                          \
    }

CALL(hid_t, H5Fcreate, (const char *path, unsigned flags, hid_t creation, hid_t access), (path, flags, creation, access))
CALL(hid_t, H5Fopen, (const char *path, unsigned flags, hid_t access), (path, flags, access))
CALL(hid_t, H5Gcreate2, (hid_t at, const char *name, hid_t a, hid_t b, hid_t c), (at, name, a, b, c))
CALL(hid_t, H5Dcreate2, (hid_t at, const char *name, hid_t type, hid_t space, hid_t a, hid_t b, hid_t c), (at, name, type, space, a, b, c))
CALL(hid_t, H5Dopen2, (hid_t at, const char *name, hid_t access), (at, name, access))
CALL(herr_t, H5Dwrite, (hid_t set, hid_t type, hid_t a, hid_t b, hid_t c, const void *data), (set, type, a, b, c, data))
CALL(herr_t, H5Dread, (hid_t set, hid_t type, hid_t a, hid_t b, hid_t c, void *data), (set, type, a, b, c, data))
CALL(hid_t, H5Acreate2, (hid_t at, const char *name, hid_t type, hid_t space, hid_t a, hid_t b), (at, name, type, space, a, b))
CALL(herr_t, H5Awrite, (hid_t attribute, hid_t type, const void *data), (attribute, type, data))
CALL(hid_t, H5Screate, (H5S_class_t kind), (kind))
CALL(hid_t, H5Screate_simple, (int rank, const hsize_t dims[], const hsize_t most[]), (rank, dims, most))
CALL(hid_t, H5Pcreate, (hid_t kind), (kind))
CALL(herr_t, H5Pset_userblock, (hid_t list, hsize_t size), (list, size))
CALL(herr_t, H5Pset_chunk, (hid_t list, int rank, const hsize_t dims[]), (list, rank, dims))
CALL(herr_t, H5Pset_fletcher32, (hid_t list), (list))
CALL(hid_t, H5Tcopy, (hid_t type), (type))
CALL(herr_t, H5Tset_size, (hid_t type, size_t size), (type, size))
CALL(htri_t, H5Lexists, (hid_t at, const char *name, hid_t access), (at, name, access))
CLOSE(H5Fclose)
CLOSE(H5Gclose)
CLOSE(H5Dclose)
CLOSE(H5Aclose)
CLOSE(H5Sclose)
CLOSE(H5Pclose)
CLOSE(H5Tclose)
