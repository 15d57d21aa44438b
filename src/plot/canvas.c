/* A canvas, and its pixels. Shapes are antialiased by distance: a pixel whose centre is d outside
 * of a shape's edge is covered by ½ − d, cut to [0, 1], which is exact for straight edges along an
 * axis and off by less than a tenth otherwise. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "plot/canvas.h"
#include "tweedie/memory.h"
#include "tweedie/png.h"

tw_status tw_canvas_create(tw_canvas **out, int64_t width, int64_t height)
{
    return tw_canvas_create_as(out, width, height, TW_CANVAS_PIXELS);
}

tw_status tw_canvas_create_as(tw_canvas **out, int64_t width, int64_t height, unsigned keeps)
{
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    TW_CHECK(width >= 16 && height >= 16 && width <= 16384 && height <= 16384, TW_ESHAPE,
             "a picture of %lld x %lld pixels; sides of 16 to 16384 were expected",
             (long long)width, (long long)height);
    TW_TRY(tw_alloc(&c, 1, sizeof *c, "a picture"));
    c->width = width;
    c->height = height;
    c->svg = keeps & TW_CANVAS_SVG;
    if (keeps & TW_CANVAS_PIXELS)
        TW_TRY(tw_alloc(&c->rgb, width * height * 3, sizeof *c->rgb, "a picture"));
    for (int64_t i = 0; c->rgb && i < width * height * 3; i++) c->rgb[i] = 1;
    tw_canvas_clip(c, 0, 0, 0, 0);
    svg_fill(c, 0, 0, (double)width, (double)height, (tw_colour){1, 1, 1, 1});
    *out = c;
    c = NULL;
done:
    tw_canvas_destroy(&c);
    return st;
}

tw_status tw_canvas_create_for(tw_canvas **out, const char *path, int64_t width, int64_t height)
{
    const size_t n = strlen(path);
    const bool svg = n > 4 && strcasecmp(path + n - 4, ".svg") == 0;
    return tw_canvas_create_as(out, width, height, svg ? TW_CANVAS_SVG : TW_CANVAS_PIXELS);
}

void tw_canvas_destroy(tw_canvas **canvas)
{
    tw_canvas *c = *canvas;
    if (!c) return;
    tw_free(&c->rgb);
    tw_text_free(&c->marks);
    tw_free(canvas);
}

tw_status tw_canvas_write(const tw_canvas *c, const char *path, tw_output_mode mode)
{
    tw_status st = TW_OK;
    uint8_t *pixels = NULL;
    if (!c->rgb) return tw_canvas_write_svg(c, path, mode);
    TW_CHECK(c->status == TW_OK, c->status, "%s: the picture could not be drawn", path);
    TW_TRY(tw_alloc(&pixels, c->width * c->height * 3, 1, "a picture"));
    for (int64_t i = 0; i < c->width * c->height; i++)
        tw_canvas_pixel(c, i % c->width, i / c->width, pixels + 3 * i);
    TW_TRY(tw_png_write_as(path, mode, pixels, c->height, c->width, 3));
done:
    tw_free(&pixels);
    return st;
}

void tw_canvas_pixel(const tw_canvas *c, int64_t x, int64_t y, uint8_t rgb[3])
{
    for (int k = 0; k < 3; k++)
        rgb[k] = (uint8_t)lrint(255 * (double)c->rgb[3 * (y * c->width + x) + k]);
}

static int64_t bounded(double v, int64_t most)
{
    return v < 0 ? 0 : v > (double)most ? most : (int64_t)v;
}

void tw_canvas_clip(tw_canvas *c, double left, double top, double width, double height)
{
    svg_clip(c, left, top, width, height);
    c->clip[0] = width > 0 ? bounded(left, c->width) : 0;
    c->clip[1] = width > 0 ? bounded(ceil(left + width), c->width) : c->width;
    c->clip[2] = width > 0 ? bounded(top, c->height) : 0;
    c->clip[3] = width > 0 ? bounded(ceil(top + height), c->height) : c->height;
}

static void blend(tw_canvas *c, int64_t x, int64_t y, double cover, tw_colour colour)
{
    float *p = c->rgb + 3 * (y * c->width + x);
    const double a = cover * colour.a;
    p[0] += (float)(a * (colour.r - (double)p[0]));
    p[1] += (float)(a * (colour.g - (double)p[1]));
    p[2] += (float)(a * (colour.b - (double)p[2]));
}

/* The pixels, within the clip, of a box. */
typedef struct box {
    int64_t x0, x1, y0, y1;
} box;

static box box_of(const tw_canvas *c, double left, double right, double top, double bottom)
{
    if (!c->rgb) return (box){0, 0, 0, 0};
    box b = {bounded(floor(left), c->width), bounded(ceil(right), c->width),
             bounded(floor(top), c->height), bounded(ceil(bottom), c->height)};
    if (b.x0 < c->clip[0]) b.x0 = c->clip[0];
    if (b.x1 > c->clip[1]) b.x1 = c->clip[1];
    if (b.y0 < c->clip[2]) b.y0 = c->clip[2];
    if (b.y1 > c->clip[3]) b.y1 = c->clip[3];
    return b;
}

static double between(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

void tw_canvas_fill(tw_canvas *c, double left, double top, double width, double height,
                    tw_colour colour)
{
    svg_fill(c, left, top, width, height, colour);
    const box b = box_of(c, left, left + width, top, top + height);
    for (int64_t y = b.y0; y < b.y1; y++)
        for (int64_t x = b.x0; x < b.x1; x++) {
            const double cx = fmin((double)x + 1, left + width) - fmax((double)x, left),
                         cy = fmin((double)y + 1, top + height) - fmax((double)y, top);
            blend(c, x, y, between(cx, 0, 1) * between(cy, 0, 1), colour);
        }
}

void canvas_stroke(tw_canvas *c, double x0, double y0, double x1, double y1, double width,
                   tw_colour colour)
{
    const double r = 0.5 * width, dx = x1 - x0, dy = y1 - y0, square = dx * dx + dy * dy;
    if (!isfinite(x0 + y0 + x1 + y1)) return;
    const box b = box_of(c, fmin(x0, x1) - r - 1, fmax(x0, x1) + r + 1, fmin(y0, y1) - r - 1,
                         fmax(y0, y1) + r + 1);
    for (int64_t y = b.y0; y < b.y1; y++)
        for (int64_t x = b.x0; x < b.x1; x++) {
            const double px = (double)x + 0.5 - x0, py = (double)y + 0.5 - y0,
                         along = square > 0 ? between((px * dx + py * dy) / square, 0, 1) : 0,
                         d = hypot(px - along * dx, py - along * dy);
            /* a line thinner than a pixel is paler, not wider */
            const double cover = between(r + 0.5 - d, 0, fmin(1, width));
            if (cover > 0) blend(c, x, y, cover, colour);
        }
}

void tw_canvas_line(tw_canvas *c, double x0, double y0, double x1, double y1, double width,
                    tw_colour colour)
{
    svg_line(c, x0, y0, x1, y1, width, colour);
    canvas_stroke(c, x0, y0, x1, y1, width, colour);
}

void tw_canvas_polyline(tw_canvas *c, int64_t count, const double *x, const double *y, double width,
                        tw_colour colour)
{
    svg_polyline(c, count, x, y, width, colour);
    for (int64_t i = 1; i < count; i++)
        canvas_stroke(c, x[i - 1], y[i - 1], x[i], y[i], width, colour);
}

void tw_canvas_disc(tw_canvas *c, double x, double y, double radius, tw_colour colour)
{
    svg_disc(c, x, y, radius, colour);
    canvas_stroke(c, x, y, x, y, 2 * radius, colour);
}

/* One column of pixels of a band, where it is `share` wide and reaches from high to low. */
static void column(tw_canvas *c, int64_t at, double share, double high, double low,
                   tw_colour colour)
{
    const box b = box_of(c, (double)at, (double)at + 1, high, low);
    for (int64_t y = b.y0; y < b.y1 && b.x0 < b.x1; y++)
        blend(c, at, y, share * between(fmin((double)y + 1, low) - fmax((double)y, high), 0, 1),
              colour);
}

/* Column by column, so that nothing is blended twice where two pieces meet. */
void tw_canvas_band(tw_canvas *c, int64_t count, const double *x, const double *top,
                    const double *bottom, tw_colour colour)
{
    svg_area(c, count, x, top, bottom, colour);
    if (count < 2 || !isfinite(x[0] + x[count - 1])) return;
    const box b = box_of(c, x[0], x[count - 1], 0, (double)c->height);
    for (int64_t at = b.x0, i = 0; at < b.x1; at++) {
        const double left = fmax((double)at, x[0]), right = fmin((double)at + 1, x[count - 1]),
                     middle = 0.5 * (left + right);
        while (i + 2 < count && x[i + 1] < middle) i++;
        const double f = x[i + 1] > x[i] ? (middle - x[i]) / (x[i + 1] - x[i]) : 0,
                     high = top[i] + f * (top[i + 1] - top[i]),
                     low = bottom[i] + f * (bottom[i + 1] - bottom[i]);
        if (isfinite(high + low)) column(c, at, between(right - left, 0, 1), high, low, colour);
    }
}

/* The mean of the picture's pixels under one of the canvas. */
static tw_colour sample(const uint8_t *rgb, int64_t height, int64_t width, double x, double y,
                        double size)
{
    const int64_t x0 = bounded(x, width - 1), y0 = bounded(y, height - 1),
                  x1 = size > 1 ? bounded(x + size, width) : x0 + 1,
                  y1 = size > 1 ? bounded(y + size, height) : y0 + 1;
    double sum[3] = {0}, n = 0;
    for (int64_t v = y0; v < y1 || v == y0; v++)
        for (int64_t u = x0; u < x1 || u == x0; u++, n++)
            for (int k = 0; k < 3; k++) sum[k] += rgb[3 * (v * width + u) + k];
    return (tw_colour){sum[0] / n / 255, sum[1] / n / 255, sum[2] / n / 255, 1};
}

void tw_canvas_image(tw_canvas *c, double left, double top, double zoom, const uint8_t *rgb,
                     int64_t height, int64_t width)
{
    svg_image(c, left, top, zoom, rgb, height, width);
    const box b = box_of(c, round(left), round(left + zoom * (double)width), round(top),
                         round(top + zoom * (double)height));
    for (int64_t y = b.y0; y < b.y1; y++)
        for (int64_t x = b.x0; x < b.x1; x++) {
            const double half = zoom < 1 ? 0 : 0.5;
            blend(c, x, y, 1,
                  sample(rgb, height, width, ((double)x + half - round(left)) / zoom,
                         ((double)y + half - round(top)) / zoom, 1 / zoom));
        }
}

/* A triangle: the largest of the distances from its three edges. */
static void triangle(tw_canvas *c, const double x[3], const double y[3], tw_colour colour)
{
    const box b = box_of(c, fmin(x[0], fmin(x[1], x[2])) - 1, fmax(x[0], fmax(x[1], x[2])) + 1,
                         fmin(y[0], fmin(y[1], y[2])) - 1, fmax(y[0], fmax(y[1], y[2])) + 1);
    const double turn = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]),
                 sign = turn < 0 ? -1 : 1;
    for (int64_t py = b.y0; py < b.y1; py++)
        for (int64_t px = b.x0; px < b.x1; px++) {
            double d = -1e9;
            for (int k = 0; k < 3; k++) {
                const double ex = x[(k + 1) % 3] - x[k], ey = y[(k + 1) % 3] - y[k],
                             length = hypot(ex, ey);
                if (length > 0)
                    d = fmax(d,
                             sign *
                                 (ey * ((double)px + 0.5 - x[k]) - ex * ((double)py + 0.5 - y[k])) /
                                 length);
            }
            if (d < 0.5) blend(c, px, py, between(0.5 - d, 0, 1), colour);
        }
}

void tw_canvas_arrow(tw_canvas *c, double x0, double y0, double x1, double y1, double width,
                     tw_colour colour)
{
    const double dx = x1 - x0, dy = y1 - y0, length = hypot(dx, dy);
    if (!(length > 0) || !isfinite(length)) return;
    const double head = fmin(0.45 * length, 2.5 + 2.6 * width), ux = dx / length, uy = dy / length,
                 half = 0.45 * head;
    const double bx = x1 - head * ux, by = y1 - head * uy;
    const double x[3] = {x1, bx - half * uy, bx + half * uy},
                 y[3] = {y1, by + half * ux, by - half * ux};
    tw_canvas_line(c, x0, y0, bx, by, width, colour);
    svg_area(c, 3, x, y, NULL, colour);
    triangle(c, x, y, colour);
}
