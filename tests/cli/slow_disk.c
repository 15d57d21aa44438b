/* A disk that is slow: a library for LD_PRELOAD that lets reads, writes and flushes of files take
 * their time, without using the processor.
 *
 *     SLOW_PATH       writes and flushes only of files whose path contains this
 *     SLOW_READ_PATH  reads only of files whose path contains this
 *     SLOW_READ_MS    what reading a megabyte takes
 *     SLOW_WRITE_MS  what writing a megabyte takes
 *     SLOW_FLUSH_MS  what a flush takes */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double number(const char *name)
{
    const char *text = getenv(name);
    return text ? atof(text) : 0;
}

static void wait_for(int file, const char *variable, double milliseconds)
{
    char link[64], path[PATH_MAX];
    const char *part = getenv(variable);
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (!part || n < 0) return;
    path[n] = '\0';
    if (!strstr(path, part)) return;
    const struct timespec time = {(time_t)(milliseconds / 1e3),
                                  (long)(milliseconds * 1e6) % 1000000000L};
    nanosleep(&time, NULL);
}

/* The real function behind ours. */
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (!real) *(void **)(&real) = dlsym(RTLD_NEXT, #name)

static void wait_for_read(int file, size_t size)
{
    wait_for(file, "SLOW_READ_PATH", number("SLOW_READ_MS") * (double)size / 1e6);
}

ssize_t read(int file, void *bytes, size_t size)
{
    REAL(read);
    wait_for_read(file, size);
    return real(file, bytes, size);
}

ssize_t pread(int file, void *bytes, size_t size, off_t offset)
{
    REAL(pread);
    wait_for_read(file, size);
    return real(file, bytes, size, offset);
}

ssize_t pread64(int file, void *bytes, size_t size, off64_t offset)
{
    REAL(pread64);
    wait_for_read(file, size);
    return real(file, bytes, size, offset);
}

ssize_t write(int file, const void *bytes, size_t size)
{
    REAL(write);
    wait_for(file, "SLOW_PATH", number("SLOW_WRITE_MS") * (double)size / 1e6);
    return real(file, bytes, size);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset)
{
    REAL(pwrite);
    wait_for(file, "SLOW_PATH", number("SLOW_WRITE_MS") * (double)size / 1e6);
    return real(file, bytes, size, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset)
{
    REAL(pwrite64);
    wait_for(file, "SLOW_PATH", number("SLOW_WRITE_MS") * (double)size / 1e6);
    return real(file, bytes, size, offset);
}

int fsync(int file)
{
    REAL(fsync);
    wait_for(file, "SLOW_PATH", number("SLOW_FLUSH_MS"));
    return real(file);
}
