/* What training logged, by step: keys of the lines of metrics.jsonl. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/plot.h"
#include "tweedie/metric_lines.h"

enum { WIDTH = 760, HEIGHT = 420, CURVES = 4 };

typedef tw_metric_series curve;

static tw_status split_keys(curve *curves, int *count, const char *keys)
{
    tw_status st = TW_OK;
    for (const char *at = keys; *at;) {
        const size_t n = strcspn(at, ",");
        TW_CHECK(n > 0 && n < sizeof curves->key && *count < CURVES, TW_EUSAGE,
                 "--keys %s: 1 to %d names with commas between them were expected", keys,
                 (int)CURVES);
        memcpy(curves[*count].key, at, n);
        curves[(*count)++].key[n] = '\0';
        at += n + (at[n] == ',');
    }
done:
    return st;
}

/* A curve that stays above zero is drawn by decades where it spans more than one and a half. */
static tw_panel panel_of(const curve *curves, int count)
{
    tw_panel p = {.left = 96,
                  .top = 46,
                  .width = WIDTH,
                  .height = HEIGHT,
                  .x = {0, 1},
                  .y = {INFINITY, -INFINITY}};
    for (int k = 0; k < count; k++)
        for (int64_t i = 0; i < curves[k].count; i++) {
            p.x[1] = fmax(p.x[1], curves[k].step[i]);
            p.y[0] = fmin(p.y[0], curves[k].value[i]);
            p.y[1] = fmax(p.y[1], curves[k].value[i]);
        }
    if (p.y[0] > 0 && p.y[1] > 30 * p.y[0]) {
        p.log_y = true;
        p.y[0] /= 1.2;
        p.y[1] *= 1.2;
    } else {
        const double margin = p.y[1] > p.y[0] ? 0.05 * (p.y[1] - p.y[0]) : fabs(p.y[0]) + 1e-9;
        p.y[0] -= margin;
        p.y[1] += margin;
    }
    return p;
}

static tw_status draw(const tw_plot_options *o, const curve *curves, int count)
{
    static const tw_colour colours[CURVES] = {
        {0.12, 0.35, 0.75, 1}, {0.90, 0.42, 0.05, 1}, {0.13, 0.55, 0.28, 1}, {0.78, 0.13, 0.20, 1}};
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    const tw_panel p = panel_of(curves, count);
    int line = 0;
    TW_TRY(tw_canvas_create(&c, WIDTH + 130, HEIGHT + 106));
    for (int k = 0; k < count; k++) {
        if (!curves[k].count) continue;
        tw_panel_curve(c, &p, curves[k].count, curves[k].step, curves[k].value, 1.8, colours[k]);
        tw_panel_legend(c, &p, line++, false, curves[k].key, colours[k]);
    }
    tw_panel_frame(c, &p, o->title[0] ? o->title : "training", "step", NULL);
    TW_TRY(tw_canvas_write(c, o->out, o->mode));
done:
    tw_canvas_destroy(&c);
    return st;
}

static tw_status run(const tw_plot_options *o, tw_plot_numbers *numbers)
{
    tw_status st = TW_OK;
    curve curves[CURVES] = {0};
    int count = 0;
    int64_t found = 0;
    TW_TRY(split_keys(curves, &count, o->keys));
    TW_TRY(tw_metric_series_read(curves, count, o->inputs[0]));
    for (int k = 0; k < count; k++) {
        found += curves[k].count;
        if (curves[k].count)
            tw_plot_add(numbers, curves[k].value[curves[k].count - 1], "%s", curves[k].key);
    }
    TW_CHECK(found > 0, TW_EDATA, "%s: no line has a number of %s beside its step", o->inputs[0],
             o->keys);
    TW_TRY(draw(o, curves, count));
done:
    for (int k = 0; k < CURVES; k++) tw_metric_series_free(&curves[k]);
    return st;
}

const tw_plot tw_plot_curve = {.name = "curve",
                               .usage = "METRICS.jsonl [--keys loss,validation_loss]",
                               .summary = "what training logged, by step",
                               .most = 1,
                               .run = run};
