/* Memory limits: /proc/meminfo, control groups of both versions, and what Slurm was asked for
 * (which it may enforce without any of them).
 */
#include "tweedie/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, LINE_BYTES = PATH_BYTES + 64 };

/* A positive whole number of `unit` bytes, or INT64_MAX: "max", nothing, or more than can be meant.
 */
static int64_t number(const char *text, int64_t unit)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return errno || end == text || n <= 0 || n > INT64_MAX / 2 / unit ? INT64_MAX : n * unit;
}

static int64_t machine(void)
{
    int64_t limit = INT64_MAX;
    char line[LINE_BYTES];
    FILE *file = fopen("/proc/meminfo", "re");
    while (file && fgets(line, (int)sizeof line, file))
        if (strncmp(line, "MemTotal:", 9) == 0) limit = number(line + 9, 1024);
    if (file) fclose(file);
    return limit;
}

static int64_t read_limit(const char *path)
{
    char text[64] = "";
    FILE *file = fopen(path, "re");
    if (!file) return INT64_MAX;
    if (!fgets(text, (int)sizeof text, file)) text[0] = '\0';
    fclose(file);
    return number(text, 1);
}

/* The least limit of a group and of those that it lies in. In a container the path may be one of
 * the host's, which does not exist here: the root that is mounted is then the container's own
 * group. */
static int64_t group(const char *root, const char *path, const char *name)
{
    int64_t limit = INT64_MAX;
    char at[PATH_BYTES], file[PATH_BYTES + 128];
    snprintf(at, sizeof at, "%s", path);
    for (;;) {
        if (snprintf(file, sizeof file, "%s%s/%s", root, at, name) < (int)sizeof file) {
            const int64_t one = read_limit(file);
            if (one < limit) limit = one;
        }
        char *slash = strrchr(at, '/');
        if (!slash) return limit;
        *slash = '\0';
    }
}

static int64_t groups(void)
{
    int64_t limit = INT64_MAX;
    char line[LINE_BYTES];
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, (int)sizeof line, file)) { /* "4:memory:/path", "0::/path" */
        line[strcspn(line, "\n")] = '\0';
        char *kind = strchr(line, ':'), *path = kind ? strchr(kind + 1, ':') : NULL;
        if (!path) continue;
        *path++ = '\0';
        if (strcmp(path, "/") == 0) path++;
        int64_t one = INT64_MAX;
        if (strcmp(kind + 1, "memory") == 0)
            one = group("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
        if (!kind[1]) one = group("/sys/fs/cgroup", path, "memory.max");
        if (one < limit) limit = one;
    }
    if (file) fclose(file);
    return limit;
}

static int64_t slurm(void)
{
    const char *node = getenv("SLURM_MEM_PER_NODE"), *cpu = getenv("SLURM_MEM_PER_CPU"),
               *cpus = getenv("SLURM_CPUS_ON_NODE");
    if (node) return number(node, 1 << 20);
    if (!cpu || !cpus) return INT64_MAX;
    const int64_t count = number(cpus, 1);
    return count < 1 << 20 ? number(cpu, count << 20) : INT64_MAX;
}

int64_t tw_memory_limit(const char **who)
{
    const struct {
        int64_t bytes;
        const char *who;
    } all[] = {
        {machine(), "the machine"}, {groups(), "its control group"}, {slurm(), "Slurm (--mem)"}};
    int least = 0;
    for (int i = 1; i < 3; i++)
        if (all[i].bytes < all[least].bytes) least = i;
    *who = all[least].who;
    return all[least].bytes;
}
