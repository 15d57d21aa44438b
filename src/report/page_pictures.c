/* Curves and pictures. */
#include <stdio.h>

#include "report/page.h"
#include "tweedie/memory.h"
#include "tweedie/png.h"

enum { CHART_WIDTH = 624, CHART_HEIGHT = 312, PICTURES = 4 };
enum { PICTURE_WIDTH = 230 }; /* as page_style.c has it */

tw_status report_curves_section(html *h, const report_subject *subjects, int count)
{
    tw_status st = TW_OK;
    report_panel panels[REPORT_PANELS_MAX];
    report_run runs[TW_REPORT_RUNS_MAX];
    tw_canvas *c = NULL;
    for (int r = 0; r < count; r++) runs[r] = subjects[r].run; /* borrows the curves */
    const int n = report_panels(panels, runs, count);
    html_add(h, "<section id=\"curves\"><h2>Curves</h2><p class=\"quiet\">By step. Discs are "
                "validation; dashed lines are restarts, red where a run diverged or failed; a "
                "noisy curve is pale, with its moving mean over it.</p><div class=\"charts\">\n");
    for (int k = 0; k < n; k++) {
        TW_TRY(tw_canvas_create_as(&c, CHART_WIDTH, CHART_HEIGHT, TW_CANVAS_SVG));
        report_panel_draw(c, &panels[k], runs, count, 0, 0, CHART_WIDTH, CHART_HEIGHT);
        html_add(h, "<div class=\"card\">");
        if (h->status == TW_OK) h->status = tw_canvas_add_svg(c, &h->text);
        html_add(h, "</div>\n");
        tw_canvas_destroy(&c);
    }
    html_add(h, "</div></section>\n");
done:
    tw_canvas_destroy(&c);
    return st;
}

static void add_picture(html *h, const report_picture *p)
{
    char caption[64] = "data";
    if (p->step >= 0) snprintf(caption, sizeof caption, "step %lld", (long long)p->step);
    html_add(h, p->width < PICTURE_WIDTH ? "<figure><img class=\"small\" alt=\"" /* whole pixels */
                                         : "<figure><img alt=\"");
    html_text(h, p->step >= 0 ? "samples" : "data");
    html_add(h, "\" src=\"");
    if (h->status == TW_OK) h->status = tw_png_add_url(&h->text, p->rgb, p->height, p->width, 3);
    html_add(h, "\" /><figcaption>");
    html_text(h, caption);
    html_add(h, "</figcaption></figure>\n");
}

/* The newest last, as time goes, then the data. */
static tw_status add_run(html *h, const report_run *run, tw_text *notes)
{
    tw_status st = TW_OK;
    report_picture p[PICTURES] = {{0}}, data = {0};
    int count = 0;
    st = report_pictures_read(p, PICTURES, &count, run->path, notes);
    if (st == TW_OK && count) st = report_data_read(&data, run->path, notes);
    TW_TRY(st);
    html_add(h, "<div class=\"card\"><h3>");
    report_name(h, run);
    html_add(h, "</h3><div class=\"pictures\">");
    for (int k = count; k-- > 0;) add_picture(h, &p[k]);
    if (data.rgb) add_picture(h, &data);
    if (!count) html_add(h, "<p class=\"quiet\">No pictures: log.grid_every makes some.</p>");
    html_add(h, "</div></div>\n");
done:
    for (int k = 0; k < PICTURES; k++) tw_free(&p[k].rgb);
    tw_free(&data.rgb);
    return st;
}

tw_status report_pictures_section(html *h, const report_subject *subjects, int count,
                                  tw_text *notes)
{
    tw_status st = TW_OK;
    html_add(h, "<section id=\"pictures\"><h2>Samples</h2>\n");
    for (int r = 0; r < count; r++) TW_TRY(add_run(h, &subjects[r].run, notes));
    html_add(h, "</section>\n");
done:
    return st;
}
