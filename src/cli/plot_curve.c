/* What training logged, by step: keys of the lines of metrics.jsonl. */
#include <string.h>

#include "cli/plot.h"
#include "tweedie/chart.h"
#include "tweedie/metric_lines.h"

enum { WIDTH = 890, HEIGHT = 526, CURVES = 4 };

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

static tw_status draw(const tw_plot_options *o, const curve *curves, int count)
{
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    tw_curve drawn[CURVES];
    tw_chart chart = {
        .title = o->title[0] ? o->title : "training", .x_label = "step", .curves = drawn};
    for (int k = 0; k < count; k++)
        if (curves[k].count)
            drawn[chart.count++] = (tw_curve){.name = curves[k].key,
                                              .count = curves[k].count,
                                              .x = curves[k].step,
                                              .y = curves[k].value,
                                              .colour = tw_colour_curve(k)};
    TW_TRY(tw_canvas_create_for(&c, o->out, WIDTH, HEIGHT));
    tw_chart_draw(c, &chart, 8, 8, WIDTH - 16, HEIGHT - 16);
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
