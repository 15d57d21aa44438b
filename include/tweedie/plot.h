/* Drawing: a canvas with antialiased lines, discs, arrows, pictures and text, and panels on it that
 * map data to pixels, with axes, ticks and titles. A canvas keeps what is drawn as RGB pixels, as
 * SVG, or as both, so that a figure is drawn once and written twice.
 *
 *     TW_TRY(tw_canvas_create(&c, 900, 480));
 *     tw_panel p = {.left = 60, .top = 40, .width = 400, .height = 400, .x = {-2, 2}, .y = {-2,
 * 2}}; tw_panel_frame(c, &p, "title", "x", "y"); tw_panel_line(c, &p, 0, 0, 1, 1, 2, TW_PLOT_BLUE);
 *     TW_TRY(tw_canvas_write(c, path, TW_OUTPUT_NEW));
 *     tw_canvas_destroy(&c);
 *
 * Drawing never fails: what is outside of the canvas, or of a panel, is left out, and so is what is
 * not finite; that memory was short is told when the canvas is written. Nothing here is collective.
 */
#ifndef TWEEDIE_PLOT_H
#define TWEEDIE_PLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/output.h"
#include "tweedie/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_colour {
    double r, g, b, a; /* in [0, 1]; a: opacity */
} tw_colour;

#define TW_PLOT_BLACK ((tw_colour){0.10, 0.10, 0.12, 1})
#define TW_PLOT_GREY ((tw_colour){0.55, 0.55, 0.58, 1})
#define TW_PLOT_BLUE ((tw_colour){0.12, 0.35, 0.75, 1})
#define TW_PLOT_ORANGE ((tw_colour){0.90, 0.42, 0.05, 1})
#define TW_PLOT_GREEN ((tw_colour){0.13, 0.55, 0.28, 1})
#define TW_PLOT_RED ((tw_colour){0.78, 0.13, 0.20, 1})

/* Colour maps: t in [0, 1]. */
tw_colour tw_colour_viridis(double t); /* dark to bright: densities by themselves */
tw_colour tw_colour_paper(double t);   /* white to blue: what arrows are drawn on */
tw_colour tw_colour_warm(double t);    /* violet to orange: time */
tw_colour tw_colour_signed(double t);  /* blue, white at ½, red: values about zero */
/* Of curve k of several: eight that are told apart, also without red and green; then again. */
tw_colour tw_colour_curve(int k);

void tw_colour_bytes(tw_colour colour, uint8_t rgb[3]);

typedef struct tw_canvas tw_canvas;

enum { TW_CANVAS_PIXELS = 1, TW_CANVAS_SVG = 2 };

/* White, of pixels. @return TW_ENOMEM, TW_ESHAPE for sides outside of 16 … 16384 */
tw_status tw_canvas_create(tw_canvas **out, int64_t width, int64_t height);
/* The same of what `keeps` says: TW_CANVAS_PIXELS, TW_CANVAS_SVG, or both. */
tw_status tw_canvas_create_as(tw_canvas **out, int64_t width, int64_t height, unsigned keeps);
/* Of what a file of this name holds: SVG where it ends in ".svg", else pixels. */
tw_status tw_canvas_create_for(tw_canvas **out, const char *path, int64_t width, int64_t height);
void tw_canvas_destroy(tw_canvas **canvas);

/* The pixels as a PNG; SVG where the canvas keeps no pixels. @return as tw_output_begin, TW_EIO */
tw_status tw_canvas_write(const tw_canvas *c, const char *path, tw_output_mode mode);
/* The other as an SVG 1.1 document that refers to nothing outside of itself. */
tw_status tw_canvas_write_svg(const tw_canvas *c, const char *path, tw_output_mode mode);
/* Its element <svg> alone, for a page of HTML: without a width, as wide as the page says. No ids,
 * so that many stand in one page. Appends to `out`. */
tw_status tw_canvas_add_svg(const tw_canvas *c, tw_text *out);

/* One pixel, 0 … 255 each; for tests. */
void tw_canvas_pixel(const tw_canvas *c, int64_t x, int64_t y, uint8_t rgb[3]);

/* In pixels, y downwards; the centre of pixel i is at i + 0.5. */
void tw_canvas_fill(tw_canvas *c, double left, double top, double width, double height,
                    tw_colour colour);
void tw_canvas_line(tw_canvas *c, double x0, double y0, double x1, double y1, double width,
                    tw_colour colour);
/* count points joined; a point that is not finite parts the line in two. */
void tw_canvas_polyline(tw_canvas *c, int64_t count, const double *x, const double *y, double width,
                        tw_colour colour);
/* The area between two lines over the same x, which ascend. */
void tw_canvas_band(tw_canvas *c, int64_t count, const double *x, const double *top,
                    const double *bottom, tw_colour colour);
/* A picture [height][width][3], 0 … 255, each of its pixels `zoom` wide and high; smaller ones than
 * the canvas's are averaged. */
void tw_canvas_image(tw_canvas *c, double left, double top, double zoom, const uint8_t *rgb,
                     int64_t height, int64_t width);
void tw_canvas_disc(tw_canvas *c, double x, double y, double radius, tw_colour colour);
void tw_canvas_arrow(tw_canvas *c, double x0, double y0, double x1, double y1, double width,
                     tw_colour colour);

/* In pixels: ASCII, in letters of 5 x 7 dots `scale` pixels apart; in SVG: any text, in the
 * viewer's sans-serif letters of that height. `align`: −1 begins at x, 0 is centred, 1 ends at x; y
 * is the middle of the capitals. */
void tw_canvas_text(tw_canvas *c, double x, double y, int align, double scale, const char *text,
                    tw_colour colour);
/* From below to above, centred at x, y. */
void tw_canvas_text_upright(tw_canvas *c, double x, double y, double scale, const char *text,
                            tw_colour colour);
double tw_canvas_text_width(double scale, const char *text);

/* What is drawn is kept to this rectangle until it is called again; width 0: to the canvas. */
void tw_canvas_clip(tw_canvas *c, double left, double top, double width, double height);

/* A rectangle of the canvas with data coordinates. */
typedef struct tw_panel {
    double left, top, width, height; /* pixels */
    double x[2], y[2];               /* least and largest */
    bool log_x, log_y;
} tw_panel;

double tw_panel_x(const tw_panel *p, double x); /* to pixels */
double tw_panel_y(const tw_panel *p, double y);

/* Ticks, their numbers, a border, and texts, each may be NULL. Last: over what is drawn. */
void tw_panel_frame(tw_canvas *c, const tw_panel *p, const char *title, const char *x_label,
                    const char *y_label);

/* Pale lines at the ticks. First: under what is drawn. */
void tw_panel_grid(tw_canvas *c, const tw_panel *p);

/* In data coordinates, kept to the panel. */
void tw_panel_line(tw_canvas *c, const tw_panel *p, double x0, double y0, double x1, double y1,
                   double width, tw_colour colour);
void tw_panel_curve(tw_canvas *c, const tw_panel *p, int64_t count, const double *x,
                    const double *y, double width, tw_colour colour);
void tw_panel_disc(tw_canvas *c, const tw_panel *p, double x, double y, double radius,
                   tw_colour colour);
/* An arrow whose tail is at x, y and whose length is given in pixels. */
void tw_panel_arrow(tw_canvas *c, const tw_panel *p, double x, double y, double right, double up,
                    double width, tw_colour colour);

/* value [rows][columns], row 0 at the top, over the whole panel, linear between; a value / most in
 * [0, 1] takes the map's colour after the square root, so that tails are seen. most 0: the largest
 * value. */
void tw_panel_image(tw_canvas *c, const tw_panel *p, int64_t columns, int64_t rows,
                    const double *value, double most, tw_colour (*map)(double));

/* The density of points [count][2] over the whole panel, in viridis: each is spread over its
 * neighbours by a small Gaussian, so that few points are seen too. */
void tw_panel_density(tw_canvas *c, const tw_panel *p, const float *points, int64_t count);

/* One line of a legend, `line` of them down from the panel's corner at the right (or left). */
void tw_panel_legend(tw_canvas *c, const tw_panel *p, int line, bool left, const char *text,
                     tw_colour colour);

#ifdef __cplusplus
}
#endif

#endif
