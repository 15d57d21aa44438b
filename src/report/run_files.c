/* Curves, status and pictures of a run. */
#include "report/run_files.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/picture.h"
#include "tweedie/clock.h"
#include "tweedie/log.h"
#include "tweedie/memory.h"

enum { SIDE_MAX = 1024 };

void tw_report_warn(tw_text *notes)
{
    for (char *at = notes->data; at && *at;) {
        const size_t n = strcspn(at, "\n");
        tw_log_warn("%.*s", (int)n, at);
        at += n + (at[n] == '\n');
    }
    tw_text_free(notes);
}

/* "vp" of "runs/vp/". */
static void name_of(char *out, size_t size, const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    if (end - begin >= size) end = begin + size - 1;
    memcpy(out, path + begin, end - begin);
    out[end - begin] = '\0';
}

tw_status report_run_open(report_run *out, const char *path, int index, tw_text *notes)
{
    tw_status st = TW_OK;
    char file[TW_PATH_MAX];
    *out = (report_run){.path = path, .colour = tw_colour_curve(index)};
    name_of(out->name, sizeof out->name, path);
    TW_TRY(tw_run_status_read(&out->status, path, tw_clock_wall_seconds()));
    TW_TRY(tw_format(file, sizeof file, "%s/metrics.jsonl", path));
    TW_TRY(tw_run_curves_read(&out->curves, file));
    if (out->curves.broken)
        TW_TRY(tw_text_add(notes,
                           "%s:%lld: is no whole line of JSON; %lld of %lld lines were "
                           "passed over\n",
                           file, (long long)out->curves.first_broken, (long long)out->curves.broken,
                           (long long)out->curves.lines));
done:
    return st;
}

void report_run_close(report_run *r)
{
    tw_run_curves_free(&r->curves);
}

/* ---- pictures ---- */

/* The step of "step-000001000.png", or −1. */
static int64_t step_of(const char *name)
{
    char digits[20];
    int64_t step;
    const size_t n = strncmp(name, "step-", 5) == 0 ? strspn(name + 5, "0123456789") : 0;
    if (n < 1 || n >= sizeof digits || strcmp(name + 5 + n, ".png") != 0) return -1;
    memcpy(digits, name + 5, n);
    digits[n] = '\0';
    return tw_text_to_int64(digits, &step) ? step : -1;
}

static int descending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* @param[out] steps  tw_free */
static tw_status list(int64_t **steps, int64_t *count, const char *folder)
{
    tw_status st = TW_OK;
    int64_t *all = NULL, n = 0, room = 0;
    DIR *d = opendir(folder);
    for (const struct dirent *e; d && (e = readdir(d));) {
        const int64_t step = step_of(e->d_name);
        if (step < 0) continue;
        if (n == room) {
            int64_t *more = NULL;
            TW_TRY(tw_alloc(&more, room = 2 * room + 64, sizeof *more, "a list of pictures"));
            if (n) memcpy(more, all, (size_t)n * sizeof *more);
            tw_free(&all);
            all = more;
        }
        all[n++] = step;
    }
    if (n) qsort(all, (size_t)n, sizeof *all, descending);
    *steps = all;
    *count = n;
    all = NULL;
done:
    if (d) closedir(d);
    tw_free(&all);
    return st;
}

/* A grid of large images becomes as small as a page needs. */
static tw_status shrink(picture *p)
{
    const double factor = (double)SIDE_MAX / (double)(p->height > p->width ? p->height : p->width);
    if (factor >= 1) return TW_OK;
    return tw_picture_resize(p, (int64_t)fmax(1, floor(factor * (double)p->height)),
                             (int64_t)fmax(1, floor(factor * (double)p->width)));
}

static tw_status read_picture(report_picture *out, const char *path, int64_t step)
{
    static const uint8_t white[3] = {255, 255, 255};
    tw_status st = TW_OK;
    picture p = {0};
    TW_TRY(tw_picture_read(&p, path));
    if (p.bits > 8) TW_TRY(tw_picture_to_8_bits(&p, tw_picture_most(&p)));
    TW_TRY(tw_picture_flatten(&p, 3, white));
    TW_TRY(shrink(&p));
    *out = (report_picture){step, p.height, p.width, p.pixels};
    p.pixels = NULL;
done:
    tw_picture_free(&p);
    return st;
}

tw_status report_data_read(report_picture *out, const char *run, tw_text *notes)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    TW_TRY(tw_format(path, sizeof path, "%s/samples/data.png", run));
    if (tw_file_exists(path) && read_picture(out, path, -1) != TW_OK)
        TW_TRY(tw_text_add(notes, "%s\n", tw_error_message()));
done:
    return st;
}

tw_status report_pictures_read(report_picture *out, int most, int *count, const char *run,
                               tw_text *notes)
{
    tw_status st = TW_OK;
    char path[TW_PATH_MAX];
    int64_t *steps = NULL, there = 0;
    *count = 0;
    TW_TRY(tw_format(path, sizeof path, "%s/samples", run));
    TW_TRY(list(&steps, &there, path));
    const int64_t wanted = there < most ? there : most;
    for (int64_t k = 0; k < wanted; k++) {
        const int64_t at = wanted > 1 ? k * (there - 1) / (wanted - 1) : 0;
        TW_TRY(
            tw_format(path, sizeof path, "%s/samples/step-%09lld.png", run, (long long)steps[at]));
        if (read_picture(&out[*count], path, steps[at]) == TW_OK)
            ++*count;
        else
            TW_TRY(tw_text_add(notes, "%s\n", tw_error_message()));
    }
done:
    tw_free(&steps);
    return st;
}
