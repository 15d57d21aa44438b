/* Pixels. Shapes are antialiased by distance: a pixel whose centre is d outside of a shape's edge
 * is covered by ½ − d, cut to [0, 1], which is exact for straight edges along an axis and off by
 * less than a tenth otherwise. */
#include <math.h>
#include <stdlib.h>

#include "plot/canvas.h"
#include "tweedie/memory.h"
#include "tweedie/png.h"

tw_status tw_canvas_create(tw_canvas **out, int64_t width, int64_t height)
{
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    TW_CHECK(width >= 16 && height >= 16 && width <= 16384 && height <= 16384, TW_ESHAPE,
             "a picture of %lld x %lld pixels; sides of 16 to 16384 were expected",
             (long long)width, (long long)height);
    TW_TRY(tw_alloc(&c, 1, sizeof *c, "a picture"));
    c->width = width;
    c->height = height;
    TW_TRY(tw_alloc(&c->rgb, width * height * 3, sizeof *c->rgb, "a picture"));
    for (int64_t i = 0; i < width * height * 3; i++) c->rgb[i] = 1;
    tw_canvas_clip(c, 0, 0, 0, 0);
    *out = c;
    c = NULL;
done:
    tw_canvas_destroy(&c);
    return st;
}

void tw_canvas_destroy(tw_canvas **canvas)
{
    tw_canvas *c = *canvas;
    if (!c) return;
    tw_free(&c->rgb);
    tw_free(canvas);
}

tw_status tw_canvas_write(const tw_canvas *c, const char *path, tw_output_mode mode)
{
    tw_status st = TW_OK;
    uint8_t *pixels = NULL;
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
    const box b = box_of(c, left, left + width, top, top + height);
    for (int64_t y = b.y0; y < b.y1; y++)
        for (int64_t x = b.x0; x < b.x1; x++) {
            const double cx = fmin((double)x + 1, left + width) - fmax((double)x, left),
                         cy = fmin((double)y + 1, top + height) - fmax((double)y, top);
            blend(c, x, y, between(cx, 0, 1) * between(cy, 0, 1), colour);
        }
}

void tw_canvas_line(tw_canvas *c, double x0, double y0, double x1, double y1, double width,
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

void tw_canvas_disc(tw_canvas *c, double x, double y, double radius, tw_colour colour)
{
    tw_canvas_line(c, x, y, x, y, 2 * radius, colour);
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
    tw_canvas_line(c, x0, y0, bx, by, width, colour);
    triangle(c, (const double[]){x1, bx - half * uy, bx + half * uy},
             (const double[]){y1, by + half * ux, by - half * ux}, colour);
}
