/* Points in the plane as heat maps: sample sets side by side, and the data behind them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/plot.h"
#include "tweedie/data.h"
#include "tweedie/density.h"
#include "tweedie/memory.h"
#include "tweedie/metrics.h"

enum { PANEL = 420, SETS = 8, POINTS_MOST = 20000, NODES_MOST = 16 };

typedef struct set {
    const char *path;
    int64_t count;
    float *x; /* [count][2], as stored */
} set;

static tw_status read_set(set *s, const char *path, const char *split)
{
    tw_status st = TW_OK;
    tw_dataset *data = NULL;
    const tw_dataset_options opening = {.path = path, .split = split};
    TW_TRY(tw_dataset_open(&data, NULL, &opening));
    const tw_dataset_spec *spec = tw_dataset_get_spec(data);
    TW_CHECK(spec->kind == TW_DATASET_POINTS && spec->channels == 2, TW_EUSAGE,
             "%s: holds %s of %lld numbers; only points in the plane can be drawn (tweedie sample "
             "--grid draws images)",
             path, tw_dataset_kind_name(spec->kind), (long long)tw_dataset_elements(spec));
    const int64_t n =
        tw_dataset_count(data) < POINTS_MOST ? tw_dataset_count(data) : (int64_t)POINTS_MOST;
    TW_TRY(tw_alloc(&s->x, 2 * n, sizeof *s->x, "points"));
    TW_TRY(tw_dataset_read_stored(data, 0, n, s->x, NULL));
    s->path = path;
    s->count = n;
done:
    tw_dataset_destroy(&data);
    return st;
}

/* "plain" of "runs/plain.h5". */
static void name_of(char out[40], const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, 40, "%.39s", slash ? slash + 1 : path);
    char *end = strrchr(out, '.');
    if (end && end != out) *end = '\0';
}

/* The share of the points that are nearest to each of the density's Gaussians. */
static void weigh_modes(tw_plot_numbers *n, const set *s, const tw_density *d, const char *name)
{
    const int nodes = tw_density_nodes(d);
    double share[NODES_MOST] = {0}, mean[NODES_MOST][2], weight, std;
    if (nodes > NODES_MOST) return;
    for (int k = 0; k < nodes; k++) tw_density_node(d, k, &weight, mean[k], &std);
    for (int64_t i = 0; i < s->count; i++) {
        int near = 0;
        for (int k = 1; k < nodes; k++)
            if (hypot((double)s->x[2 * i] - mean[k][0], (double)s->x[2 * i + 1] - mean[k][1]) <
                hypot((double)s->x[2 * i] - mean[near][0], (double)s->x[2 * i + 1] - mean[near][1]))
                near = k;
        share[near] += 1 / (double)s->count;
    }
    for (int k = 0; k < nodes; k++) tw_plot_add(n, share[k], "%s_mode_%d", name, k);
}

static tw_status draw(const tw_plot_options *o, const set *sets, int count)
{
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    char name[40];
    TW_TRY(tw_canvas_create_for(&c, o->out, 40 + count * (PANEL + 60), PANEL + 106));
    for (int k = 0; k < count; k++) {
        const tw_panel p = {.left = 78 + k * (PANEL + 60),
                            .top = 46,
                            .width = PANEL,
                            .height = PANEL,
                            .x = {-o->range, o->range},
                            .y = {-o->range, o->range}};
        name_of(name, sets[k].path);
        tw_panel_density(c, &p, sets[k].x, sets[k].count);
        tw_panel_frame(c, &p, k == 0 && o->title[0] ? o->title : name, "x", k == 0 ? "y" : NULL);
    }
    TW_TRY(tw_canvas_write(c, o->out, o->mode));
done:
    tw_canvas_destroy(&c);
    return st;
}

/* Root mean square deviation from the mean, over both coordinates. */
static double spread_of(const set *s)
{
    double mean[2], std[2];
    tw_moments(mean, std, s->x, s->count, 2);
    return sqrt((std[0] * std[0] + std[1] * std[1]) / 2);
}

static tw_status judge(const tw_plot_options *o, const set *sets, int samples, const set *reference,
                       tw_plot_numbers *n)
{
    tw_status st = TW_OK;
    tw_density *d = NULL;
    char name[40];
    if (o->density[0]) TW_TRY(tw_density_create(&d, o->density));
    for (int k = 0; k < samples; k++) {
        double apart;
        name_of(name, sets[k].path);
        name[20] = '\0';
        if (d) weigh_modes(n, &sets[k], d, name);
        tw_plot_add(n, spread_of(&sets[k]), "%s_deviation", name);
        if (!reference) continue;
        TW_TRY(tw_sliced_wasserstein(&apart, NULL, sets[k].x, sets[k].count, reference->x,
                                     reference->count, 2, &TW_SLICED_DEFAULTS));
        tw_plot_add(n, apart, "%s_sliced_wasserstein", name);
    }
done:
    tw_density_destroy(&d);
    return st;
}

static tw_status run(const tw_plot_options *o, tw_plot_numbers *numbers)
{
    tw_status st = TW_OK;
    set sets[SETS + 1] = {0};
    int count = 0;
    for (int i = 0; i < o->input_count; i++) TW_TRY(read_set(&sets[count++], o->inputs[i], "all"));
    if (o->reference[0]) TW_TRY(read_set(&sets[count++], o->reference, ""));
    TW_TRY(judge(o, sets, o->input_count, o->reference[0] ? &sets[count - 1] : NULL, numbers));
    TW_TRY(draw(o, sets, count));
done:
    for (int i = 0; i <= SETS; i++) tw_free(&sets[i].x);
    return st;
}

const tw_plot tw_plot_samples = {.name = "samples",
                                 .usage = "S.h5 [S2.h5 ...] [--reference DATA.h5]",
                                 .summary = "points as heat maps",
                                 .most = SETS,
                                 .run = run};
