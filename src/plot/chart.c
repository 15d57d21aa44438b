/* Charts. Runs of a million lines are thinned to what a picture can show before they are drawn. */
#include "tweedie/chart.h"

#include <math.h>
#include <string.h>

#include "plot/canvas.h"
#include "tweedie/memory.h"

enum { MARGIN_LEFT = 66, MARGIN_RIGHT = 16, MARGIN_TOP = 40, TITLE = 20, MARGIN_BOTTOM = 46 };
enum { SMOOTH_LEAST = 100, DECADES = 12 };

static const double SMALL = 1.5, LARGE = 1.9;

/* ---- thinning and smoothing ---- */

/* Indices of the first, least, largest and last of points from … to − 1, each once, ascending. */
static int choose(int64_t chosen[4], const double *y, int64_t from, int64_t to)
{
    int64_t least = from, most = from;
    int n = 0;
    for (int64_t i = from; i < to; i++) {
        if (y[i] < y[least]) least = i;
        if (y[i] > y[most]) most = i;
    }
    const int64_t wanted[4] = {from, least < most ? least : most, least < most ? most : least,
                               to - 1};
    for (int k = 0; k < 4; k++)
        if (n == 0 || wanted[k] > chosen[n - 1]) chosen[n++] = wanted[k];
    return n;
}

int64_t tw_curve_thin(double *thin_x, double *thin_y, const double *x, const double *y,
                      int64_t count, int64_t columns)
{
    int64_t n = 0, chosen[4];
    if (count <= 4 * columns) {
        memcpy(thin_x, x, (size_t)count * sizeof *x);
        memcpy(thin_y, y, (size_t)count * sizeof *y);
        return count;
    }
    const double width = (x[count - 1] - x[0]) / (double)columns;
    for (int64_t from = 0, column = 0; from < count && column < columns; column++) {
        int64_t to = from;
        const double end = x[0] + width * (double)(column + 1);
        while (to < count && (x[to] < end || column == columns - 1)) to++;
        if (to == from) continue;
        const int kept = choose(chosen, y, from, to);
        for (int k = 0; k < kept; k++, n++) {
            thin_x[n] = x[chosen[k]];
            thin_y[n] = y[chosen[k]];
        }
        from = to;
    }
    return n;
}

/* The mean of each point and its neighbours to both sides, fewer at the ends. */
static void smooth(double *out, const double *y, int64_t count)
{
    const int64_t reach = count / 50 < 1 ? 1 : count / 50;
    double sum = 0;
    int64_t from = 0, to = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t side = i < reach ? i : count - 1 - i < reach ? count - 1 - i : reach;
        for (; to <= i + side && to < count; to++) sum += y[to];
        for (; from < i - side; from++) sum -= y[from];
        out[i] = sum / (double)(to - from);
    }
}

/* ---- ranges ---- */

static bool is_noisy(const tw_curve *k)
{
    return k->smooth && k->count >= SMOOTH_LEAST;
}

/* The first twentieth of a long noisy curve may run off: else its fall is all that is seen. */
static void find_range(double range[2], const tw_chart *chart)
{
    range[0] = INFINITY;
    range[1] = -INFINITY;
    for (int k = 0; k < chart->count; k++)
        for (int64_t i = is_noisy(&chart->curves[k]) ? chart->curves[k].count / 20 : 0;
             i < chart->curves[k].count; i++) {
            range[0] = fmin(range[0], chart->curves[k].y[i]);
            range[1] = fmax(range[1], chart->curves[k].y[i]);
        }
    if (range[0] > range[1]) range[0] = 0, range[1] = 1;
    if (chart->zero) range[0] = fmin(range[0], 0);
}

static void choose_scale(tw_panel *p, const tw_chart *chart)
{
    find_range(p->y, chart);
    if (chart->stacked) {
        p->y[0] = 0;
        p->y[1] = 1;
    } else if (p->y[0] > 0 && p->y[1] > DECADES * p->y[0]) {
        p->log_y = true;
        p->y[0] /= 1.2;
        p->y[1] *= 1.2;
    } else {
        const double margin =
            p->y[1] > p->y[0] ? 0.06 * (p->y[1] - p->y[0]) : 0.1 * fabs(p->y[0]) + 1e-9;
        if (!chart->zero || p->y[0] < 0) p->y[0] -= margin;
        p->y[1] += margin;
    }
}

tw_panel tw_chart_panel(const tw_chart *chart, double left, double top, double width, double height)
{
    tw_panel p = {.left = left + MARGIN_LEFT,
                  .top = top + MARGIN_TOP,
                  .width = width - MARGIN_LEFT - MARGIN_RIGHT,
                  .height = height - MARGIN_TOP - MARGIN_BOTTOM,
                  .x = {0, chart->last_x}};
    for (int k = 0; k < chart->count; k++)
        if (chart->curves[k].count)
            p.x[1] = fmax(p.x[1], chart->curves[k].x[chart->curves[k].count - 1]);
    if (!(p.x[1] > 0)) p.x[1] = 1;
    choose_scale(&p, chart);
    return p;
}

/* ---- drawing ---- */

/* Opaque: where pieces of a line overlap it is no darker. */
static tw_colour pale(tw_colour c)
{
    return (tw_colour){0.35 * c.r + 0.65, 0.35 * c.g + 0.65, 0.35 * c.b + 0.65, 1};
}

static void draw_line(tw_canvas *c, const tw_panel *p, const tw_curve *k, double *work)
{
    const int64_t columns = (int64_t)p->width, room = 4 * columns;
    double *mean = work + 2 * room;
    const bool noisy = is_noisy(k);
    int64_t n = tw_curve_thin(work, work + room, k->x, k->y, k->count, columns);
    tw_panel_curve(c, p, n, work, work + room, noisy ? 1.1 : 1.8,
                   noisy ? pale(k->colour) : k->colour);
    if (!noisy) return;
    smooth(mean, k->y, k->count);
    n = tw_curve_thin(work, work + room, k->x, mean, k->count, columns);
    tw_panel_curve(c, p, n, work, work + room, 2, k->colour);
}

static void draw_curve(tw_canvas *c, const tw_panel *p, const tw_curve *k)
{
    double *work = NULL;
    if (!k->count) return;
    if (c->status == TW_OK)
        c->status = tw_alloc(&work, 8 * (int64_t)p->width + k->count, sizeof *work, "a curve");
    if (!work) return;
    draw_line(c, p, k, work);
    for (int64_t i = 0; (k->discs || k->count == 1) && i < k->count; i++)
        tw_panel_disc(c, p, k->x[i], k->y[i], 2.6, k->colour);
    tw_free(&work);
}

/* The mean of `group` values from the one at i * group on, fewer at the end. */
static double mean_of(const double *v, int64_t i, int64_t group, int64_t count)
{
    const int64_t from = i * group, to = from + group < count ? from + group : count;
    double sum = 0;
    for (int64_t k = from; k < to; k++) sum += v[k];
    return sum / (double)(to - from);
}

/* In pixels; of more points than columns the means of neighbours. Each band's top is the next
 * one's floor. */
static void draw_stack(tw_canvas *c, const tw_panel *p, const tw_chart *chart)
{
    double *work = NULL;
    const int64_t count = chart->count ? chart->curves[0].count : 0;
    if (count < 1) return;
    const int64_t group = 1 + (count - 1) / (int64_t)p->width, n = (count + group - 1) / group;
    if (c->status == TW_OK) c->status = tw_alloc(&work, 4 * n, sizeof *work, "a chart");
    if (!work) return;
    double *x = work, *sum = work + n, *top = work + 2 * n, *floor = work + 3 * n;
    for (int64_t i = 0; i < n; i++) {
        x[i] = tw_panel_x(p, mean_of(chart->curves[0].x, i, group, count));
        floor[i] = tw_panel_y(p, 0);
    }
    tw_canvas_clip(c, p->left, p->top, p->width, p->height);
    for (int k = 0; k < chart->count; k++) {
        for (int64_t i = 0; i < n; i++) {
            sum[i] += mean_of(chart->curves[k].y, i, group, count);
            top[i] = tw_panel_y(p, sum[i]);
        }
        tw_canvas_band(c, n, x, top, floor, chart->curves[k].colour);
        memcpy(floor, top, (size_t)n * sizeof *top);
    }
    tw_canvas_clip(c, 0, 0, 0, 0);
    tw_free(&work);
}

static void draw_mark(tw_canvas *c, const tw_panel *p, const tw_chart_mark *m)
{
    const double x = tw_panel_x(p, m->x);
    if (x < p->left - 1 || x > p->left + p->width + 1) return;
    for (double y = p->top; y < p->top + p->height; y += 8)
        tw_canvas_line(c, x, y, x, fmin(y + 4, p->top + p->height), 1.2, m->colour);
}

/* From the right, over the panel: a piece of the curve, then its name. */
static void draw_legend(tw_canvas *c, const tw_panel *p, const tw_chart *chart)
{
    double right = p->left + p->width;
    for (int k = chart->count; k-- > 0;) {
        const char *name = chart->curves[k].name;
        const double y = p->top - TITLE;
        if (!name) continue;
        right -= tw_canvas_text_width(SMALL, name);
        tw_canvas_text(c, right, y, -1, SMALL, name, TW_PLOT_BLACK);
        tw_canvas_line(c, right - 20, y, right - 6, y, chart->stacked ? 8 : 3,
                       chart->curves[k].colour);
        right -= 34;
    }
}

void tw_chart_draw(tw_canvas *c, const tw_chart *chart, double left, double top, double width,
                   double height)
{
    const tw_panel p = tw_chart_panel(chart, left, top, width, height);
    tw_panel_grid(c, &p);
    if (chart->stacked)
        draw_stack(c, &p, chart);
    else
        for (int k = 0; k < chart->count; k++) draw_curve(c, &p, &chart->curves[k]);
    for (int k = 0; k < chart->mark_count; k++) draw_mark(c, &p, &chart->marks[k]);
    tw_panel_frame(c, &p, NULL, NULL, NULL);
    if (chart->title)
        tw_canvas_text(c, left + 8, p.top - TITLE, -1, LARGE, chart->title, TW_PLOT_BLACK);
    if (chart->x_label)
        tw_canvas_text(c, p.left + p.width, p.top + p.height + 33, 1, SMALL, chart->x_label,
                       TW_PLOT_GREY);
    draw_legend(c, &p, chart);
}
