/* Panels: from data to pixels, and axes. */
#include <math.h>
#include <stdio.h>

#include "plot/canvas.h"
#include "tweedie/memory.h"

static double share(double v, const double range[2], bool logarithmic)
{
    if (logarithmic) return (log(v) - log(range[0])) / (log(range[1]) - log(range[0]));
    return (v - range[0]) / (range[1] - range[0]);
}

double tw_panel_x(const tw_panel *p, double x)
{
    return p->left + p->width * share(x, p->x, p->log_x);
}

double tw_panel_y(const tw_panel *p, double y)
{
    return p->top + p->height * (1 - share(y, p->y, p->log_y));
}

static void keep_to(tw_canvas *c, const tw_panel *p)
{
    tw_canvas_clip(c, p->left, p->top, p->width, p->height);
}

static void release(tw_canvas *c)
{
    tw_canvas_clip(c, 0, 0, 0, 0);
}

/* ---- ticks ---- */

enum { TICKS = 24 };

/* 1, 2 or 5 times a power of ten apart, about five of them; of a logarithmic axis the decades, and
 * where there is less than one and a half, also their doubles and fives. */
static int ticks(double out[TICKS], const double range[2], bool logarithmic)
{
    int n = 0;
    const double size = range[1] - range[0], unit = pow(10, floor(log10(size / 5)));
    const double step = unit * (size / unit > 25 ? 5 : size / unit > 10 ? 2 : 1);
    if (!logarithmic) {
        for (double k = ceil(range[0] / step - 1e-9); k * step <= range[1] + 1e-9 * size; k++)
            if (n < TICKS) out[n++] = k * step;
        return n;
    }
    const double first = floor(log10(range[0])), last = ceil(log10(range[1]));
    const double every = ceil((last - first) / 8);
    for (double k = first; k <= last; k += every)
        for (int m = 0; m < (last - first <= 2 ? 3 : 1); m++) {
            const double v = pow(10, k) * (m == 0 ? 1 : m == 1 ? 2 : 5);
            if (v >= range[0] * (1 - 1e-9) && v <= range[1] * (1 + 1e-9) && n < TICKS) out[n++] = v;
        }
    return n;
}

static void name_tick(char out[32], double v, const double range[2], bool logarithmic)
{
    if (!logarithmic && fabs(v) < 1e-9 * (range[1] - range[0])) v = 0;
    if (!logarithmic && fabs(v) >= 1e6)
        snprintf(out, 32, "%gM", v / 1e6);
    else if (!logarithmic && fabs(v) >= 1e4)
        snprintf(out, 32, "%gk", v / 1e3);
    else
        snprintf(out, 32, "%g", v);
}

static const double SMALL = 1.6, LARGE = 2;

static void x_axis(tw_canvas *c, const tw_panel *p)
{
    char text[32];
    double at[TICKS];
    const int n = ticks(at, p->x, p->log_x);
    for (int i = 0; i < n; i++) {
        const double x = tw_panel_x(p, at[i]), y = p->top + p->height;
        tw_canvas_line(c, x, y, x, y + 5, 1, TW_PLOT_BLACK);
        name_tick(text, at[i], p->x, p->log_x);
        tw_canvas_text(c, x, y + 15, 0, SMALL, text, TW_PLOT_BLACK);
    }
}

static void y_axis(tw_canvas *c, const tw_panel *p)
{
    char text[32];
    double at[TICKS];
    const int n = ticks(at, p->y, p->log_y);
    for (int i = 0; i < n; i++) {
        const double y = tw_panel_y(p, at[i]);
        tw_canvas_line(c, p->left - 5, y, p->left, y, 1, TW_PLOT_BLACK);
        name_tick(text, at[i], p->y, p->log_y);
        tw_canvas_text(c, p->left - 9, y, 1, SMALL, text, TW_PLOT_BLACK);
    }
}

void tw_panel_grid(tw_canvas *c, const tw_panel *p)
{
    static const tw_colour pale = {0.90, 0.90, 0.92, 1};
    double at[TICKS];
    int n = ticks(at, p->x, p->log_x);
    for (int i = 0; i < n; i++) {
        const double x = tw_panel_x(p, at[i]);
        tw_canvas_line(c, x, p->top, x, p->top + p->height, 1, pale);
    }
    n = ticks(at, p->y, p->log_y);
    for (int i = 0; i < n; i++) {
        const double y = tw_panel_y(p, at[i]);
        tw_canvas_line(c, p->left, y, p->left + p->width, y, 1, pale);
    }
}

void tw_panel_frame(tw_canvas *c, const tw_panel *p, const char *title, const char *x_label,
                    const char *y_label)
{
    const double right = p->left + p->width, bottom = p->top + p->height;
    release(c);
    tw_canvas_line(c, p->left, p->top, right, p->top, 1, TW_PLOT_BLACK);
    tw_canvas_line(c, p->left, bottom, right, bottom, 1, TW_PLOT_BLACK);
    tw_canvas_line(c, p->left, p->top, p->left, bottom, 1, TW_PLOT_BLACK);
    tw_canvas_line(c, right, p->top, right, bottom, 1, TW_PLOT_BLACK);
    x_axis(c, p);
    y_axis(c, p);
    if (title)
        tw_canvas_text(c, p->left + 0.5 * p->width, p->top - 16, 0, LARGE, title, TW_PLOT_BLACK);
    if (x_label)
        tw_canvas_text(c, p->left + 0.5 * p->width, bottom + 36, 0, SMALL, x_label, TW_PLOT_BLACK);
    if (y_label)
        tw_canvas_text_upright(c, p->left - 58, p->top + 0.5 * p->height, SMALL, y_label,
                               TW_PLOT_BLACK);
}

/* ---- data ---- */

void tw_panel_line(tw_canvas *c, const tw_panel *p, double x0, double y0, double x1, double y1,
                   double width, tw_colour colour)
{
    keep_to(c, p);
    tw_canvas_line(c, tw_panel_x(p, x0), tw_panel_y(p, y0), tw_panel_x(p, x1), tw_panel_y(p, y1),
                   width, colour);
    release(c);
}

void tw_panel_curve(tw_canvas *c, const tw_panel *p, int64_t count, const double *x,
                    const double *y, double width, tw_colour colour)
{
    enum { AT_ONCE = 256 };
    double px[AT_ONCE], py[AT_ONCE];
    keep_to(c, p);
    for (int64_t first = 0; first + 1 < count; first += AT_ONCE - 1) {
        const int64_t n = count - first < AT_ONCE ? count - first : AT_ONCE;
        for (int64_t i = 0; i < n; i++) {
            px[i] = tw_panel_x(p, x[first + i]);
            py[i] = tw_panel_y(p, y[first + i]);
        }
        tw_canvas_polyline(c, n, px, py, width, colour);
    }
    release(c);
}

void tw_panel_disc(tw_canvas *c, const tw_panel *p, double x, double y, double radius,
                   tw_colour colour)
{
    keep_to(c, p);
    tw_canvas_disc(c, tw_panel_x(p, x), tw_panel_y(p, y), radius, colour);
    release(c);
}

void tw_panel_arrow(tw_canvas *c, const tw_panel *p, double x, double y, double right, double up,
                    double width, tw_colour colour)
{
    const double px = tw_panel_x(p, x), py = tw_panel_y(p, y);
    keep_to(c, p);
    tw_canvas_arrow(c, px, py, px + right, py - up, width, colour);
    release(c);
}

/* Linear between the middles of cells. */
static double value_at(const double *value, int64_t columns, int64_t rows, double column,
                       double row)
{
    const double x = fmin(fmax(column - 0.5, 0), (double)columns - 1),
                 y = fmin(fmax(row - 0.5, 0), (double)rows - 1);
    const int64_t i = (int64_t)x, k = (int64_t)y, right = i + 1 < columns ? i + 1 : i,
                  below = k + 1 < rows ? k + 1 : k;
    const double u = x - (double)i, v = y - (double)k;
    return (1 - v) * ((1 - u) * value[k * columns + i] + u * value[k * columns + right]) +
           v * ((1 - u) * value[below * columns + i] + u * value[below * columns + right]);
}

void tw_panel_image(tw_canvas *c, const tw_panel *p, int64_t columns, int64_t rows,
                    const double *value, double most, tw_colour (*map)(double))
{
    const int64_t w = (int64_t)p->width, h = (int64_t)p->height;
    uint8_t *rgb = NULL;
    double largest = most;
    if (c->status == TW_OK) c->status = tw_alloc(&rgb, 3 * w * h, 1, "a picture");
    if (!rgb) return;
    for (int64_t i = 0; most <= 0 && i < columns * rows; i++) largest = fmax(largest, value[i]);
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            const double column = ((double)x + 0.5) / p->width * (double)columns,
                         row = ((double)y + 0.5) / p->height * (double)rows,
                         v = value_at(value, columns, rows, column, row);
            const tw_colour at = map(largest > 0 && v > 0 ? sqrt(v / largest) : 0);
            tw_colour_bytes(at, rgb + 3 * (y * w + x));
        }
    tw_canvas_image(c, floor(p->left), floor(p->top), 1, rgb, h, w);
    tw_free(&rgb);
}

void tw_panel_legend(tw_canvas *c, const tw_panel *p, int line, bool left, const char *text,
                     tw_colour colour)
{
    const double y = p->top + 18 + 20 * line, width = tw_canvas_text_width(SMALL, text);
    const double x = left ? p->left + 44 : p->left + p->width - 12 - width;
    tw_canvas_line(c, x - 30, y, x - 10, y, 3, colour);
    tw_canvas_text(c, x, y, -1, SMALL, text, TW_PLOT_BLACK);
}
