/* Listing folders, and counting what is left out of them. */
#include "data/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "tweedie/file.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

enum { DEPTH_MAX = 64 };

/* ---- what is left out ---- */

tw_status tw_tally_add(tw_tally *t, const char *example, const char *reason, ...)
{
    tw_status st = TW_OK;
    char words[TALLY_WORDS];
    va_list arguments;
    int i = 0;
    if (t->closed) return TW_OK;
    va_start(arguments, reason);
    (void)vsnprintf(words, sizeof words, reason, arguments);
    va_end(arguments);
    while (i < t->count && strcmp(t->rows[i].reason, words) != 0) i++;
    if (i == TALLY_REASONS)
        i--; /* that many kinds of files: the last row takes the rest */
    else if (i == t->count)
        memcpy(t->rows[t->count++].reason, words, sizeof words);
    if (t->rows[i].count < TALLY_EXAMPLES)
        TW_TRY(tw_strdup(&t->rows[i].examples[t->rows[i].count], example));
    t->rows[i].count++;
done:
    return st;
}

void tw_tally_log(const tw_tally *t, const char *prefix)
{
    for (int i = 0; i < t->count; i++) {
        char names[1200] = "";
        const int64_t n = t->rows[i].count;
        for (int k = 0; k < TALLY_EXAMPLES && k < n; k++) {
            const char *name = t->rows[i].examples[k];
            if (strlen(names) + strlen(name) + 8 > sizeof names) break;
            snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", k ? ", " : "",
                     name);
        }
        tw_log_warn("%s%s: %lld (%s%s)", prefix, t->rows[i].reason, (long long)n, names,
                    n > TALLY_EXAMPLES ? ", ..." : "");
    }
}

void tw_tally_free(tw_tally *t)
{
    for (int i = 0; i < t->count; i++)
        for (int k = 0; k < TALLY_EXAMPLES; k++) tw_free(&t->rows[i].examples[k]);
    *t = (tw_tally){0};
}

/* ---- folders ---- */

bool tw_folder_is_system(const char *name)
{
    static const char *const names[] = {"__MACOSX",      "Icon\r", /* macOS */
                                        "@eaDir",        "#recycle",
                                        "#snapshot",     "@tmp",
                                        "@SynoResource",                       /* Synology */
                                        "@Recycle",      "@Recently-Snapshot", /* QNAP */
                                        "lost+found",    "$RECYCLE.BIN",
                                        "RECYCLER",      "System Volume Information",
                                        "FOUND.000",     "Thumbs.db",
                                        "ehthumbs.db",   "desktop.ini",
                                        "__pycache__"};
    if (name[0] == '.') return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0) return true;
    return false;
}

bool tw_folder_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

tw_status tw_folder_join(char *out, const char *path, const char *name)
{
    return tw_format(out, TW_PATH_MAX, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
                     name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_entry(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static tw_status take_entry(tw_folder *out, const struct dirent *entry, const char *path,
                            tw_tally *tally)
{
    tw_status st = TW_OK;
    char *inner = NULL;
    const bool system = tw_folder_is_system(entry->d_name);
    bool is_folder = entry->d_type == DT_DIR;
    if (system || entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK) {
        TW_TRY(tw_alloc(&inner, TW_PATH_MAX, 1, "a path"));
        TW_TRY(tw_folder_join(inner, path, entry->d_name));
        is_folder = tw_folder_exists(inner);
    }
    if (system) {
        if (tally)
            TW_TRY(tw_tally_add(tally, inner, "%s %s",
                                entry->d_name[0] == '.' ? "hidden" : "system",
                                is_folder ? "folders" : "files"));
        goto done;
    }
    TW_TRY(tw_strdup(&out->entries[out->count].name, entry->d_name));
    out->entries[out->count++].is_folder = is_folder;
done:
    tw_free(&inner);
    return st;
}

tw_status tw_folder_open(tw_folder *out, const char *path, tw_tally *tally)
{
    tw_status st = TW_OK;
    struct dirent **found = NULL;
    tw_folder f = {0};
    const int count = scandir(path, &found, is_entry, by_name);
    TW_CHECK(count >= 0, TW_ENOINPUT, "%s: cannot be listed: %s", path, strerror(errno));
    TW_TRY(tw_alloc(&f.entries, count > 0 ? count : 1, sizeof *f.entries, "a list of files"));
    for (int i = 0; i < count; i++) TW_TRY(take_entry(&f, found[i], path, tally));
    *out = f;
    f = (tw_folder){0};
done:
    for (int i = 0; i < count; i++) free(found[i]);
    free(found);
    tw_folder_close(&f);
    return st;
}

void tw_folder_close(tw_folder *f)
{
    for (int64_t i = 0; i < f->count; i++) tw_free(&f->entries[i].name);
    tw_free(&f->entries);
    f->count = 0;
}

tw_status tw_folder_enter(tw_folder_trail *trail, const char *path, const tw_folder_trail *up)
{
    tw_status st = TW_OK;
    struct stat info;
    TW_CHECK(stat(path, &info) == 0, TW_ENOINPUT, "%s: cannot be read: %s", path, strerror(errno));
    *trail = (tw_folder_trail){
        .device = info.st_dev, .inode = info.st_ino, .depth = up ? up->depth + 1 : 1, .up = up};
    TW_CHECK(trail->depth <= DEPTH_MAX, TW_EDATA, "%s: more than %d folders deep", path, DEPTH_MAX);
    for (; up; up = up->up)
        TW_CHECK(up->device != info.st_dev || up->inode != info.st_ino, TW_EDATA,
                 "%s: leads back to a folder that it is in; remove the link", path);
done:
    return st;
}
