/* Makes one call of a save fail: a library for LD_PRELOAD that stands between a program and the C
 * library, and between it and HDF5.
 *
 *     FAULT_PATH    only calls on files whose path contains this, or one of several with ':'
 * between (HDF5 calls always count) FAULT_AFTER   only from when a file was renamed to a path that
 * contains this FAULT_RANK    only in this rank of an MPI launch FAULT_CALL    which counted call,
 * from 1 FAULT_ACTION  kill          SIGKILL before the call stop          SIGSTOP before the call
 *                   errno:N       the call fails with errno N, once
 *                   errnoall:N    this and all later calls fail, but unlink, which needs no room
 *                   short         a read or write takes half
 *                   full          the same, and all later writes fail with ENOSPC
 *                   corrupt       a write writes a wrong byte in its middle and says nothing
 *                   hdf5          an HDF5 call fails without having been made (a close: after)
 *     FAULT_CRASH   H5Fopen of a file whose path contains this ends the process that calls it
 *     FAULT_LOG     append the name of every counted call, a line each
 *
 * Calls of files and calls of HDF5 are counted apart: with FAULT_ACTION=hdf5 only the latter, else
 * only the former. Without FAULT_ACTION everything is logged and nothing fails. After libfiu's
 * idea, but by path, and for the calls that a checkpoint makes. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
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

static const char *path_parts, *after, *action, *log_path, *crash;
static long wanted;
static bool here = true; /* in this rank */
static atomic_bool begun;
static atomic_long file_calls, hdf5_calls;

/* A child that reads what may crash a library counts for itself, and is left alone: the calls of a
 * run are those of its rank. */
static void leave_alone(void)
{
    here = false;
}

__attribute__((constructor)) static void start(void)
{
    const char *rank = getenv("FAULT_RANK"), *mine = getenv("OMPI_COMM_WORLD_RANK");
    path_parts = getenv("FAULT_PATH");
    after = getenv("FAULT_AFTER");
    action = getenv("FAULT_ACTION");
    crash = getenv("FAULT_CRASH");
    log_path = getenv("FAULT_LOG");
    wanted = getenv("FAULT_CALL") ? atol(getenv("FAULT_CALL")) : 0;
    here = !rank || strcmp(rank, mine ? mine : "0") == 0;
    atomic_store(&begun, !after);
    pthread_atfork(NULL, NULL, leave_alone);
}

/* The real function behind ours. */
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
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
    if (!path_parts || !path || !here || !atomic_load(&begun)) return false;
    for (const char *part = path_parts; *part; part += *part == ':') {
        const size_t n = strcspn(part, ":");
        if (memmem(path, strlen(path), part, n)) return true;
        part += n;
    }
    return false;
}

static bool matches(int file)
{
    char link[64], path[PATH_MAX];
    if (!path_parts || !here || !atomic_load(&begun)) return false;
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
    if (strcmp(action, "stop") == 0 && now) kill(getpid(), SIGSTOP);
    if ((strcmp(action, "short") == 0 || strcmp(action, "full") == 0) && now) return SHORT;
    if (strcmp(action, "full") == 0 && call > wanted && strstr(name, "write")) {
        errno = ENOSPC;
        return FAIL;
    }
    if (strcmp(action, "corrupt") == 0 && now) return CORRUPT;
    if ((strncmp(action, "errno:", 6) == 0 && now) ||
        (strncmp(action, "errnoall:", 9) == 0 && call >= wanted && strcmp(name, "unlink") != 0)) {
        errno = atoi(strchr(action, ':') + 1);
        return FAIL;
    }
    return PASS;
}

static bool fails_hdf5(const char *name)
{
    if (!here || !atomic_load(&begun)) return false;
    long call = atomic_fetch_add(&hdf5_calls, 1) + 1;
    note("hdf5", name);
    return action && strcmp(action, "hdf5") == 0 && call == wanted;
}

/* ---- files
 * ------------------------------------------------------------------------------------------------------------------------
 */

/* A copy of `data` with a wrong byte; the caller frees it. */
static void *corrupted(const void *data, size_t bytes)
{
    unsigned char *copy = malloc(bytes + 1);
    if (!copy) abort();
    memcpy(copy, data, bytes);
    copy[bytes / 2] ^= 0x20;
    return copy;
}

#define WRITE(name, call_name, parameters, arguments)                                              \
    ssize_t name parameters                                                                        \
    {                                                                                              \
        REAL(name);                                                                                \
        int verdict = matches(file) ? judge_file(call_name) : PASS;                                \
        if (verdict == FAIL) return -1;                                                            \
        if (verdict == SHORT) bytes = (bytes + 1) / 2;                                             \
        void *wrong = verdict == CORRUPT ? corrupted(data, bytes) : NULL;                          \
        if (wrong) data = wrong;                                                                   \
        ssize_t n = real arguments;                                                                \
        free(wrong);                                                                               \
        return n;                                                                                  \
    }

WRITE(write, "write", (int file, const void *data, size_t bytes), (file, data, bytes))
WRITE(pwrite, "pwrite", (int file, const void *data, size_t bytes, off_t at),
      (file, data, bytes, at))
WRITE(pwrite64, "pwrite", (int file, const void *data, size_t bytes, off64_t at),
      (file, data, bytes, at))

#define READ(name, call_name, parameters, arguments)                                               \
    ssize_t name parameters                                                                        \
    {                                                                                              \
        REAL(name);                                                                                \
        int verdict = matches(file) ? judge_file(call_name) : PASS;                                \
        if (verdict == FAIL) return -1;                                                            \
        if (verdict == SHORT) bytes = (bytes + 1) / 2;                                             \
        return real arguments;                                                                     \
    }

READ(read, "read", (int file, void *data, size_t bytes), (file, data, bytes))
READ(pread, "pread", (int file, void *data, size_t bytes, off_t at), (file, data, bytes, at))
READ(pread64, "pread", (int file, void *data, size_t bytes, off64_t at), (file, data, bytes, at))

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
    int code = real(from, to);
    if (code == 0 && after && strstr(to, after)) atomic_store(&begun, true);
    return code;
}

int unlink(const char *path)
{
    REAL(unlink);
    if (matches_path(path) && judge_file("unlink") == FAIL) return -1;
    return real(path);
}

DIR *opendir(const char *path)
{
    REAL(opendir);
    if (matches_path(path) && judge_file("opendir") == FAIL) return NULL;
    return real(path);
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        REAL(name);                                                                                \
        __builtin_va_list list;                                                                    \
        __builtin_va_start(list, flags);                                                           \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? __builtin_va_arg(list, mode_t) : 0;        \
        __builtin_va_end(list);                                                                    \
        if (matches_path(path) && judge_file("open") == FAIL) return -1;                           \
        return real(path, flags, mode);                                                            \
    }

OPEN(open)
OPEN(open64)

/* ---- HDF5: what a save calls
 * ------------------------------------------------------------------------------------------------------
 */

#define CALL(type, name, parameters, arguments)                                                    \
    type name parameters                                                                           \
    {                                                                                              \
        REAL(name);                                                                                \
        if (fails_hdf5(#name)) return -1;                                                          \
        return real arguments;                                                                     \
    }

#define CLOSE(name)                                                                                \
    herr_t name(hid_t id)                                                                          \
    {                                                                                              \
        REAL(name);                                                                                \
        bool fails = fails_hdf5(#name);                                                            \
        herr_t code = real(id);                                                                    \
        return fails ? -1 : code;                                                                  \
    }

CALL(hid_t, H5Fcreate, (const char *path, unsigned flags, hid_t creation, hid_t access),
     (path, flags, creation, access))

hid_t H5Fopen(const char *path, unsigned flags, hid_t access)
{
    REAL(H5Fopen);
    if (crash && strstr(path, crash)) raise(SIGKILL); /* in children, too */
    if (fails_hdf5("H5Fopen")) return -1;
    return real(path, flags, access);
}

CALL(herr_t, H5Fget_filesize, (hid_t file, hsize_t *size), (file, size))
CALL(hid_t, H5Gcreate2, (hid_t at, const char *name, hid_t a, hid_t b, hid_t c),
     (at, name, a, b, c))
CALL(hid_t, H5Dcreate2,
     (hid_t at, const char *name, hid_t type, hid_t space, hid_t a, hid_t b, hid_t c),
     (at, name, type, space, a, b, c))
CALL(hid_t, H5Dopen2, (hid_t at, const char *name, hid_t access), (at, name, access))
CALL(herr_t, H5Dwrite, (hid_t set, hid_t type, hid_t a, hid_t b, hid_t c, const void *data),
     (set, type, a, b, c, data))
CALL(herr_t, H5Dread, (hid_t set, hid_t type, hid_t a, hid_t b, hid_t c, void *data),
     (set, type, a, b, c, data))
CALL(hid_t, H5Dget_type, (hid_t set), (set))
CALL(hid_t, H5Dget_space, (hid_t set), (set))
CALL(hid_t, H5Dget_create_plist, (hid_t set), (set))
CALL(hid_t, H5Acreate2, (hid_t at, const char *name, hid_t type, hid_t space, hid_t a, hid_t b),
     (at, name, type, space, a, b))
CALL(herr_t, H5Awrite, (hid_t attribute, hid_t type, const void *data), (attribute, type, data))
CALL(htri_t, H5Aexists, (hid_t at, const char *name), (at, name))
CALL(hid_t, H5Aopen, (hid_t at, const char *name, hid_t access), (at, name, access))
CALL(herr_t, H5Aread, (hid_t attribute, hid_t type, void *data), (attribute, type, data))
CALL(hid_t, H5Aget_type, (hid_t attribute), (attribute))
CALL(hid_t, H5Aget_space, (hid_t attribute), (attribute))
CALL(hid_t, H5Screate, (H5S_class_t kind), (kind))
CALL(hid_t, H5Screate_simple, (int rank, const hsize_t dims[], const hsize_t most[]),
     (rank, dims, most))
CALL(int, H5Sget_simple_extent_ndims, (hid_t space), (space))
CALL(int, H5Sget_simple_extent_dims, (hid_t space, hsize_t dims[], hsize_t most[]),
     (space, dims, most))
CALL(hssize_t, H5Sget_simple_extent_npoints, (hid_t space), (space))
CALL(hid_t, H5Pcreate, (hid_t kind), (kind))
CALL(herr_t, H5Pset_userblock, (hid_t list, hsize_t size), (list, size))
CALL(herr_t, H5Pset_chunk, (hid_t list, int rank, const hsize_t dims[]), (list, rank, dims))
CALL(herr_t, H5Pset_fletcher32, (hid_t list), (list))
CALL(herr_t, H5Pset_fclose_degree, (hid_t list, H5F_close_degree_t degree), (list, degree))
CALL(herr_t, H5Pset_libver_bounds, (hid_t list, H5F_libver_t low, H5F_libver_t high),
     (list, low, high))
CALL(herr_t, H5Pset_obj_track_times, (hid_t list, hbool_t track), (list, track))
CALL(herr_t, H5Pset_fill_time, (hid_t list, H5D_fill_time_t when), (list, when))
CALL(H5D_layout_t, H5Pget_layout, (hid_t list), (list))
CALL(int, H5Pget_external_count, (hid_t list), (list))
CALL(int, H5Pget_nfilters, (hid_t list), (list))
CALL(hid_t, H5Tcopy, (hid_t type), (type))
CALL(herr_t, H5Tset_size, (hid_t type, size_t size), (type, size))
CALL(herr_t, H5Tset_cset, (hid_t type, H5T_cset_t set), (type, set))
CALL(herr_t, H5Tset_strpad, (hid_t type, H5T_str_t pad), (type, pad))
CALL(H5T_class_t, H5Tget_class, (hid_t type), (type))
CALL(htri_t, H5Tis_variable_str, (hid_t type), (type))
CALL(htri_t, H5Tequal, (hid_t a, hid_t b), (a, b))
CALL(htri_t, H5Lexists, (hid_t at, const char *name, hid_t access), (at, name, access))
CALL(herr_t, H5Lget_info, (hid_t at, const char *name, H5L_info_t *info, hid_t access),
     (at, name, info, access))
CALL(herr_t, H5Literate,
     (hid_t group, H5_index_t by, H5_iter_order_t order, hsize_t *at, H5L_iterate_t visit,
      void *self),
     (group, by, order, at, visit, self))
CALL(hid_t, H5Oopen, (hid_t at, const char *name, hid_t access), (at, name, access))
CALL(H5I_type_t, H5Iget_type, (hid_t id), (id))

size_t H5Tget_size(hid_t type) /* which says 0 where it fails */
{
    REAL(H5Tget_size);
    return fails_hdf5("H5Tget_size") ? 0 : real(type);
}

CLOSE(H5Fclose)
CLOSE(H5Gclose)
CLOSE(H5Dclose)
CLOSE(H5Aclose)
CLOSE(H5Sclose)
CLOSE(H5Pclose)
CLOSE(H5Tclose)
CLOSE(H5Oclose)
