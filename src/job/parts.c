/* Parts as files, and the blocks that become them. */
#include "job/parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tweedie/memory.h"

/* ---- names ---- */

tw_status parts_directory(char *out, const char *of)
{
    return tw_format(out, TW_PATH_MAX, "%s.parts", of);
}

tw_status parts_path(char *out, const char *directory, int64_t first)
{
    return tw_format(out, TW_PATH_MAX, "%s/part-%012lld.h5", directory, (long long)first);
}

bool parts_is_part(const char *name)
{
    const size_t n = strlen(name);
    return strncmp(name, "part-", 5) == 0 && n > 8 && strcmp(name + n - 3, ".h5") == 0;
}

/* Temporary names begin with a dot. */
tw_status parts_remove(const char *directory)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    DIR *d = opendir(directory);
    TW_CHECK(d || errno == ENOENT, TW_EIO, "%s: cannot be read: %s", directory, strerror(errno));
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (!parts_is_part(e->d_name) && strncmp(e->d_name, ".part-", 6) != 0) continue;
        TW_TRY(tw_format(path, sizeof path, "%s/%s", directory, e->d_name));
        TW_CHECK(unlink(path) == 0 || errno == ENOENT, TW_EIO, "%s: cannot be removed: %s", path,
                 strerror(errno));
    }
    TW_CHECK(!d || rmdir(directory) == 0 || errno == ENOENT || errno == ENOTEMPTY, TW_EIO,
             "%s: cannot be removed: %s", directory, strerror(errno));
done:
    if (d) closedir(d);
    return st;
}

tw_status parts_differ(const char *path, const char *how, const char *there, const char *here)
{
    return tw_error_set(TW_EUSAGE,
                        "%s: exists already, and %s; use another --out, or --force replaces it\n"
                        "  there: %s\n  here:  %s",
                        path, how, there, here);
}

/* ---- blocks ---- */

tw_status block_work_agree(const block_work *w, tw_status st)
{
    return w->comm ? tw_comm_agree(w->comm, st) : st;
}

/* flags [blocks]: 1 where it is there */
static tw_status look(const block_work *w, double *flags)
{
    tw_status st = TW_OK;
    for (int64_t i = w->rank; i < w->count; i += w->ranks) {
        bool there;
        TW_TRY(w->check(w->self, w->first + i, &there));
        flags[i] = there;
    }
done:
    return st;
}

tw_status block_work_check_array(int64_t first, int64_t block, const char *what)
{
    tw_status st = TW_OK;
    const char *task = getenv("SLURM_ARRAY_TASK_ID");
    TW_CHECK(!task || !*task || first % block == 0, TW_EUSAGE,
             "--first %lld in a job array: %s are computed %lld at a time, so this task and its "
             "neighbour would compute the same ones; set BLOCK=%lld for the job",
             (long long)first, what, (long long)block, (long long)block);
done:
    return st;
}

tw_status block_work_list(block_work *w)
{
    tw_status st = TW_OK;
    double *flags = NULL;
    st = tw_alloc(&flags, w->count, sizeof *flags, "the list of parts");
    if (st == TW_OK) st = tw_alloc(&w->missing, w->count, sizeof *w->missing, "the list of parts");
    TW_TRY(block_work_agree(w, st));
    TW_TRY(block_work_agree(w, look(w, flags)));
    if (w->comm) TW_TRY(tw_comm_sum(w->comm, flags, w->count));
    for (int64_t i = 0; i < w->count; i++)
        if (flags[i] == 0) w->missing[w->missing_count++] = w->first + i;
done:
    tw_free(&flags);
    return st;
}

tw_status block_work_run(block_work *w)
{
    tw_status st = TW_OK;
    for (int64_t i = 0; i < w->missing_count; i += w->ranks) {
        w->before = i;
        w->active = w->missing_count - i < w->ranks ? w->missing_count - i : w->ranks;
        if (i + w->rank < w->missing_count) st = w->make(w->self, w->missing[i + w->rank]);
        TW_TRY(block_work_agree(w, st));
    }
done:
    return st;
}

void block_work_free(block_work *w)
{
    tw_free(&w->missing);
}
