/* Panels of curves. */
#include "report/panels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CURVES_MAX = 2 * TW_REPORT_RUNS_MAX };

static const report_panel usual[] = {
    {"loss", {"loss", "validation_loss"}, {"training", "validation"}, false, false},
    {"gradient norm", {"gradient_norm", NULL}, {NULL, NULL}, false, false},
    {"learning rate", {"learning_rate", NULL}, {NULL, NULL}, true, false},
    {"images per second", {"images_per_second", NULL}, {NULL, NULL}, true, false},
    {"share of time", {"share_compute", NULL}, {NULL, NULL}, false, true},
};
enum { USUAL = sizeof usual / sizeof *usual, ALWAYS = 4 };

/* Whatever else was measured now and then is the quality of samples, or of a classifier. */
static bool is_usual(const char *key)
{
    for (int k = 0; k < USUAL; k++)
        for (int i = 0; i < 2; i++)
            if (usual[k].keys[i] && strcmp(usual[k].keys[i], key) == 0) return true;
    return strncmp(key, "share_", 6) == 0;
}

static bool is_there(const report_panel *p, const report_run *runs, int count)
{
    for (int k = 0; k < count; k++)
        if (p->clock ? runs[k].curves.clock[0].count > 0
                     : tw_run_curves_find(&runs[k].curves, p->keys[0]) != NULL)
            return true;
    return false;
}

static bool has_panel(const report_panel *panels, int count, const char *key)
{
    for (int k = 0; k < count; k++)
        if (strcmp(panels[k].keys[0], key) == 0) return true;
    return false;
}

/* "frechet distance" of "frechet_distance". */
static void title_of(char out[64], const char *key)
{
    snprintf(out, 64, "%s", key);
    for (char *c = out; *c; c++)
        if (*c == '_') *c = ' ';
}

int report_panels(report_panel out[REPORT_PANELS_MAX], const report_run *runs, int count)
{
    int n = 0;
    for (int k = 0; k < USUAL; k++)
        if (k < ALWAYS || is_there(&usual[k], runs, count)) out[n++] = usual[k];
    for (int r = 0; r < count; r++)
        for (int k = 0; k < runs[r].curves.count && n < REPORT_PANELS_MAX; k++) {
            const char *key = runs[r].curves.series[k].key;
            if (is_usual(key) || has_panel(out, n, key)) continue;
            out[n] = (report_panel){.keys = {key, NULL}};
            title_of(out[n++].title, key);
        }
    return n;
}

/* ---- drawing ---- */

static tw_curve curve_of(const tw_metric_series *s, const char *name, tw_colour colour)
{
    return (tw_curve){.name = name,
                      .count = s ? s->count : 0,
                      .x = s ? s->step : NULL,
                      .y = s ? s->value : NULL,
                      .colour = colour};
}

static int shares_of(tw_curve *curves, const tw_run_curves *run)
{
    static const char *const names[] = {"read", "compute", "communicate", "save"};
    static const tw_colour colours[] = {
        {0.20, 0.62, 0.60, 1}, {0.45, 0.60, 0.85, 1}, {0.95, 0.62, 0.25, 1}, {0.72, 0.72, 0.76, 1}};
    for (int k = 0; k < TW_CLOCK_SHARES; k++)
        curves[k] = curve_of(&run->clock[k], names[k], colours[k]);
    return TW_CLOCK_SHARES;
}

static int collect(tw_curve *curves, const report_panel *p, const report_run *runs, int count)
{
    int n = 0;
    if (p->clock && count == 1) return shares_of(curves, &runs[0].curves);
    for (int r = 0; r < count; r++)
        for (int i = 0; i < 2 && p->keys[i]; i++) {
            const tw_metric_series *s = p->clock ? &runs[r].curves.clock[TW_CLOCK_COMPUTE]
                                                 : tw_run_curves_find(&runs[r].curves, p->keys[i]);
            const bool second = i == 1;
            if (!s) continue;
            curves[n] = curve_of(s, count == 1 ? p->names[i] : NULL,
                                 count == 1 ? tw_colour_curve(i) : runs[r].colour);
            curves[n].discs = second || (!is_usual(p->keys[i]) && s->count < 60);
            curves[n++].smooth = !second && i == 0 && strcmp(p->keys[0], "learning_rate") != 0;
        }
    return n;
}

static int marks_of(tw_chart_mark *marks, const report_run *runs, int count)
{
    int n = 0;
    for (int r = 0; r < count; r++)
        for (int k = 0; k < runs[r].curves.mark_count && n < TW_RUN_MARKS_MAX; k++) {
            const tw_run_mark *m = &runs[r].curves.marks[k];
            marks[n++] = (tw_chart_mark){m->step, m->bad       ? TW_PLOT_RED
                                                  : count == 1 ? TW_PLOT_GREY
                                                               : runs[r].colour};
        }
    return n;
}

static double last_step(const report_run *runs, int count)
{
    double last = 0;
    for (int r = 0; r < count; r++) last = fmax(last, (double)runs[r].status.step);
    return last;
}

void report_panel_draw(tw_canvas *c, const report_panel *p, const report_run *runs, int count,
                       double left, double top, double width, double height)
{
    tw_curve curves[CURVES_MAX];
    tw_chart_mark marks[TW_RUN_MARKS_MAX];
    const bool alone = count == 1;
    const tw_chart chart = {.title = p->clock && !alone ? "share of time in computing" : p->title,
                            .x_label = "step",
                            .curves = curves,
                            .count = collect(curves, p, runs, count),
                            .marks = marks,
                            .mark_count = marks_of(marks, runs, count),
                            .last_x = last_step(runs, count),
                            .zero = p->zero || (p->clock && !alone),
                            .stacked = p->clock && alone};
    tw_chart_draw(c, &chart, left, top, width, height);
    if (!is_there(p, runs, count)) {
        const tw_panel box = tw_chart_panel(&chart, left, top, width, height);
        tw_canvas_text(c, box.left + 0.5 * box.width, box.top + 0.5 * box.height, 0, 1.6,
                       "nothing logged yet", TW_PLOT_GREY);
    }
}
