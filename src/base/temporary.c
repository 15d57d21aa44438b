/* Temporary files: ".NAME.HOST-PID-SERIAL.tmp" beside NAME, so that whoever comes next can tell
 * whether the process that made one is still there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tweedie/file.h"
#include "tweedie/memory.h"

enum { HOST_BYTES = 96, DAY = 24 * 60 * 60 };

/* The inode of the process namespace of a host itself, a constant of the kernel. */
static const unsigned long initial_namespace = 0xEFFFFFFC;

/* The host's name, with that of the process namespace where it is not the host's own: nodes and
 * containers may share a directory and a process number. */
static void describe_host(char *out)
{
    char host[64] = "";
    struct stat space;
    (void)gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++)
        if (*c == '/') *c = '_';
    if (stat("/proc/self/ns/pid", &space) == 0 && (unsigned long)space.st_ino != initial_namespace)
        snprintf(out, HOST_BYTES, "%s.%lu", host, (unsigned long)space.st_ino);
    else
        snprintf(out, HOST_BYTES, "%s", host);
}

tw_status tw_file_temporary(char *out, size_t size, const char *path)
{
    static atomic_uint serial; /* two temporary files of one process differ too */
    const char *slash = strrchr(path, '/');
    const int n = slash ? (int)(slash - path) + 1 : 0;
    char host[HOST_BYTES];
    describe_host(host);
    return tw_format(out, size, "%.*s.%s.%s-%ld-%u.tmp", n, path, path + n, host, (long)getpid(),
                     atomic_fetch_add(&serial, 1u));
}

/* Whether a name is that of a temporary file. @param[out] stem  length of ".NAME.HOST"
 * @param[out] process  its number */
static bool parse(const char *name, size_t *stem, long *process)
{
    size_t at = strlen(name), dashes = 0;
    if (name[0] != '.' || at < 5 || strcmp(name + at - 4, ".tmp") != 0) return false;
    at -= 4;
    while (at > 0 && dashes < 2) {
        const char c = name[--at];
        if (c != '-' && (c < '0' || c > '9')) return false;
        dashes += c == '-';
    }
    *stem = at;
    *process = strtol(name + at + 1, NULL, 10);
    return dashes == 2 && *process > 0 && *process < 1L << 30;
}

static bool ends_in(const char *text, size_t length, const char *end)
{
    const size_t n = strlen(end);
    return length > n && text[length - n - 1] == '.' && memcmp(text + length - n, end, n) == 0;
}

void tw_file_sweep(const char *directory, const char *of)
{
    char host[HOST_BYTES];
    DIR *folder = opendir(directory);
    describe_host(host);
    for (const struct dirent *e; folder && (e = readdir(folder)) != NULL;) {
        struct stat info;
        size_t stem;
        long process;
        const char *name = e->d_name;
        const size_t n = of ? strlen(of) : 0;
        if (!parse(name, &stem, &process) || (of && strncmp(name + 1, of, n) != 0) ||
            (of && name[n + 1] != '.') ||
            fstatat(dirfd(folder), name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
            continue;
        const bool gone =
            ends_in(name, stem, host) && kill((pid_t)process, 0) != 0 && errno == ESRCH;
        if (gone || difftime(time(NULL), info.st_mtime) > DAY)
            (void)unlinkat(dirfd(folder), name, 0);
    }
    if (folder) closedir(folder);
}
