/* One figure of a run: two columns of panels, the newest grid of samples beside the loss. */
#include <math.h>
#include <stdio.h>

#include "report/panels.h"
#include "tweedie/memory.h"

enum { WIDTH = 1280, HEAD = 64, CELL_WIDTH = 624, CELL_HEIGHT = 312, MARGIN = 12 };

static void describe(char *out, size_t size, const tw_run_status *s)
{
    /* a trainer that draws is at work for as long as its picture is looked at */
    const bool live =
        s->state == TW_RUN_STARTING || s->state == TW_RUN_TRAINING || s->state == TW_RUN_SAVING;
    int n = live ? 0 : snprintf(out, size, "%s, ", tw_run_state_name(s->state));
    n += snprintf(out + n, size - (size_t)n, "step %lld", (long long)(s->step < 0 ? 0 : s->step));
    if (s->step >= 0 && s->steps > 0)
        n += snprintf(out + n, size - (size_t)n, " of %lld", (long long)s->steps);
    if (!isnan(s->rate))
        n += snprintf(out + n, size - (size_t)n, ", %.3g images/s by the clock", s->rate);
    if (s->batch > 0) n += snprintf(out + n, size - (size_t)n, ", batch %lld", (long long)s->batch);
    if (s->ranks > 0)
        n += snprintf(out + n, size - (size_t)n, ", %lld x %lld threads", (long long)s->ranks,
                      (long long)s->threads);
    if (s->restarts > 0)
        snprintf(out + n, size - (size_t)n, ", %lld restart%s", (long long)s->restarts,
                 s->restarts == 1 ? "" : "s");
}

/* Whole pixels where they are larger than the canvas's. */
static void draw_picture(tw_canvas *c, const report_picture *p, double left, double top,
                         double room)
{
    char title[64] = "data";
    const double height = CELL_HEIGHT - 52,
                 fit = fmin(room / (double)p->width, height / (double)p->height),
                 zoom = fit >= 1 ? floor(fit) : fit;
    if (p->step >= 0) snprintf(title, sizeof title, "samples at step %lld", (long long)p->step);
    tw_canvas_text(c, left, top + 20, -1, 1.9, title, TW_PLOT_BLACK);
    tw_canvas_image(c, left, top + 36, zoom, p->rgb, p->height, p->width);
}

typedef struct pictures {
    int count;
    report_picture newest, data; /* data: may have no pixels */
} pictures;

static void draw_pictures(tw_canvas *c, const pictures *p, double left, double top)
{
    const double room = 0.5 * CELL_WIDTH - 20;
    draw_picture(c, &p->newest, left + 8, top, room);
    if (p->data.rgb) draw_picture(c, &p->data, left + 0.5 * CELL_WIDTH + 8, top, room);
}

static void draw(tw_canvas *c, const report_run *run, const report_panel *panels, int count,
                 const pictures *p)
{
    char text[256];
    describe(text, sizeof text, &run->status);
    tw_canvas_text(c, 20, 22, -1, 2.6, run->name, TW_PLOT_BLACK);
    tw_canvas_text(c, 20, 48, -1, 1.6, text, TW_PLOT_GREY);
    for (int k = 0, cell = 0; k < count; k++, cell++) {
        if (k == 1 && p->count) {
            draw_pictures(c, p, MARGIN + (cell % 2) * CELL_WIDTH, HEAD + (cell / 2) * CELL_HEIGHT);
            cell++;
        }
        report_panel_draw(c, &panels[k], run, 1, MARGIN + (cell % 2) * CELL_WIDTH,
                          HEAD + (cell / 2) * CELL_HEIGHT, CELL_WIDTH, CELL_HEIGHT);
    }
}

tw_status tw_run_figure_write(const char *run, const char *svg, const char *png,
                              tw_output_mode mode, tw_text *notes)
{
    tw_status st = TW_OK;
    report_run r = {0};
    report_panel panels[REPORT_PANELS_MAX];
    pictures p = {0};
    tw_canvas *c = NULL;
    TW_TRY(report_run_open(&r, run, 0, notes));
    TW_TRY(report_pictures_read(&p.newest, 1, &p.count, run, notes));
    if (p.count) TW_TRY(report_data_read(&p.data, run, notes));
    const int count = report_panels(panels, &r, 1), rows = (count + p.count + 1) / 2;
    TW_TRY(tw_canvas_create_as(&c, WIDTH, HEAD + rows * CELL_HEIGHT + MARGIN,
                               (svg ? TW_CANVAS_SVG : 0u) | (png ? TW_CANVAS_PIXELS : 0u)));
    draw(c, &r, panels, count, &p);
    if (svg) TW_TRY(tw_canvas_write_svg(c, svg, mode));
    if (png) TW_TRY(tw_canvas_write(c, png, mode));
done:
    tw_canvas_destroy(&c);
    tw_free(&p.newest.rgb);
    tw_free(&p.data.rgb);
    report_run_close(&r);
    return st;
}
