/* What a canvas is. */
#ifndef PLOT_CANVAS_H
#define PLOT_CANVAS_H

#include "tweedie/plot.h"

struct tw_canvas {
    int64_t width, height;
    int64_t clip[4]; /* x first, behind the last; y likewise */
    float *rgb;      /* [height][width][3], in [0, 1]; NULL where no pixels are kept */
    bool svg;
    tw_text marks;              /* the elements so far */
    double wanted[4], begun[4]; /* the clip, left, top, width, height, that is asked for, and that
                                   of the innermost element that is open; width 0: none */
    tw_status status;           /* the first failure */
};

/* A line with round ends, in pixels alone: of what letters are made. */
void canvas_stroke(tw_canvas *c, double x0, double y0, double x1, double y1, double width,
                   tw_colour colour);

/* svg.c: each does nothing unless the canvas keeps SVG. */
void svg_clip(tw_canvas *c, double left, double top, double width, double height);
void svg_fill(tw_canvas *c, double left, double top, double width, double height, tw_colour colour);
void svg_line(tw_canvas *c, double x0, double y0, double x1, double y1, double width,
              tw_colour colour);
void svg_polyline(tw_canvas *c, int64_t count, const double *x, const double *y, double width,
                  tw_colour colour);
void svg_disc(tw_canvas *c, double x, double y, double radius, tw_colour colour);
/* There along x, y and back along x, back; `back` NULL: a polygon. */
void svg_area(tw_canvas *c, int64_t count, const double *x, const double *y, const double *back,
              tw_colour colour);
void svg_image(tw_canvas *c, double left, double top, double zoom, const uint8_t *rgb,
               int64_t height, int64_t width);
void svg_text(tw_canvas *c, double x, double y, int align, bool upright, double scale,
              const char *text, tw_colour colour);

#endif
