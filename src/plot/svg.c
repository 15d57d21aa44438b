/* A canvas as SVG 1.1. Clips are nested elements <svg>, which have no id, so that many drawings can
 * stand in one page. Numbers are in hundredths of a pixel. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plot/canvas.h"
#include "tweedie/png.h"

static const char FONT[] = "'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

static bool keeps(const tw_canvas *c)
{
    return c->svg && c->status == TW_OK;
}

static void put(tw_canvas *c, const char *text)
{
    if (keeps(c)) c->status = tw_text_add_bytes(&c->marks, text, (int64_t)strlen(text));
}

static const char *digits(char out[32], double v)
{
    const int n = snprintf(out, 32, "%.2f", fmax(fmin(v, 1e6), -1e6));
    char *end = out + n - 1;
    while (*end == '0') *end-- = '\0';
    if (*end == '.') *end = '\0';
    return strcmp(out, "-0") == 0 ? "0" : out;
}

/* ' name="value"' */
static void number(tw_canvas *c, const char *name, double v)
{
    char text[32];
    put(c, " ");
    put(c, name);
    put(c, "=\"");
    put(c, digits(text, v));
    put(c, "\"");
}

static void paint(tw_canvas *c, const char *what, tw_colour colour)
{
    char text[64];
    uint8_t rgb[3];
    tw_colour_bytes(colour, rgb);
    snprintf(text, sizeof text, " %s=\"#%02x%02x%02x\"", what, rgb[0], rgb[1], rgb[2]);
    put(c, text);
    if (colour.a < 1) {
        snprintf(text, sizeof text, "%s-opacity", what);
        number(c, text, colour.a);
    }
}

/* ---- clips ---- */

void svg_clip(tw_canvas *c, double left, double top, double width, double height)
{
    const double wanted[4] = {left, top, width, height};
    memcpy(c->wanted, width > 0 ? wanted : (const double[4]){0}, sizeof wanted);
}

static void number_clip(tw_canvas *c)
{
    char text[4][32];
    for (int k = 0; k < 4; k++) {
        static const char *const name[] = {"x", "y", "width", "height"};
        number(c, name[k], c->wanted[k]);
    }
    put(c, " viewBox=\"");
    for (int k = 0; k < 4; k++) {
        put(c, digits(text[k], c->wanted[k]));
        put(c, k < 3 ? " " : "\">\n");
    }
}

/* Opens the clip that the next element is kept to, where another one is open. */
static bool begin(tw_canvas *c)
{
    if (!keeps(c)) return false;
    if (memcmp(c->wanted, c->begun, sizeof c->wanted) == 0) return true;
    if (c->begun[2] > 0) put(c, "</svg>\n");
    memcpy(c->begun, c->wanted, sizeof c->wanted);
    if (c->begun[2] > 0) {
        put(c, "<svg");
        number_clip(c);
    }
    return keeps(c);
}

/* ---- shapes ---- */

void svg_fill(tw_canvas *c, double left, double top, double width, double height, tw_colour colour)
{
    if (!begin(c) || !isfinite(left + top + width + height) || !(width > 0 && height > 0)) return;
    put(c, "<rect");
    number(c, "x", left);
    number(c, "y", top);
    number(c, "width", width);
    number(c, "height", height);
    paint(c, "fill", colour);
    put(c, "/>\n");
}

void svg_line(tw_canvas *c, double x0, double y0, double x1, double y1, double width,
              tw_colour colour)
{
    if (!begin(c) || !isfinite(x0 + y0 + x1 + y1)) return;
    put(c, "<line");
    number(c, "x1", x0);
    number(c, "y1", y0);
    number(c, "x2", x1);
    number(c, "y2", y1);
    paint(c, "stroke", colour);
    number(c, "stroke-width", width);
    put(c, " stroke-linecap=\"round\"/>\n");
}

static void point(tw_canvas *c, double x, double y)
{
    char text[2][32];
    put(c, digits(text[0], x));
    put(c, ",");
    put(c, digits(text[1], y));
    put(c, " ");
}

void svg_polyline(tw_canvas *c, int64_t count, const double *x, const double *y, double width,
                  tw_colour colour)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t end = i;
        while (end < count && isfinite(x[end] + y[end])) end++;
        if (end - i < 2 || !begin(c)) continue;
        put(c, "<polyline points=\"");
        for (; i < end; i++) point(c, x[i], y[i]);
        put(c, "\" fill=\"none\"");
        paint(c, "stroke", colour);
        number(c, "stroke-width", width);
        put(c, " stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n");
    }
}

void svg_disc(tw_canvas *c, double x, double y, double radius, tw_colour colour)
{
    if (!begin(c) || !isfinite(x + y + radius)) return;
    put(c, "<circle");
    number(c, "cx", x);
    number(c, "cy", y);
    number(c, "r", radius);
    paint(c, "fill", colour);
    put(c, "/>\n");
}

void svg_area(tw_canvas *c, int64_t count, const double *x, const double *y, const double *back,
              tw_colour colour)
{
    if (count < 2 || !begin(c)) return;
    put(c, "<polygon points=\"");
    for (int64_t i = 0; i < count; i++)
        if (isfinite(x[i] + y[i])) point(c, x[i], y[i]);
    for (int64_t i = count; back && i-- > 0;)
        if (isfinite(x[i] + back[i])) point(c, x[i], back[i]);
    put(c, "\"");
    paint(c, "fill", colour);
    put(c, "/>\n");
}

void svg_image(tw_canvas *c, double left, double top, double zoom, const uint8_t *rgb,
               int64_t height, int64_t width)
{
    if (!begin(c)) return;
    put(c, "<image");
    number(c, "x", left);
    number(c, "y", top);
    number(c, "width", zoom * (double)width);
    number(c, "height", zoom * (double)height);
    put(c, zoom > 1 ? " style=\"image-rendering:pixelated\"" : "");
    put(c, " preserveAspectRatio=\"none\" href=\"");
    if (keeps(c)) c->status = tw_png_add_url(&c->marks, rgb, height, width, 3);
    put(c, "\"/>\n");
}

/* Letters of 5 x 7 dots are 6 dots and a stroke high; capitals of the usual fonts are 0.72 of their
 * size. */
void svg_text(tw_canvas *c, double x, double y, int align, bool upright, double scale,
              const char *text, tw_colour colour)
{
    char at[2][32], turn[96] = "";
    const double size = 8.2 * scale;
    if (!text[0] || !begin(c)) return;
    put(c, "<text");
    number(c, "x", upright ? x + 0.36 * size : x);
    number(c, "y", upright ? y : y + 0.36 * size);
    number(c, "font-size", size);
    put(c, align < 0 ? "" : align > 0 ? " text-anchor=\"end\"" : " text-anchor=\"middle\"");
    paint(c, "fill", colour);
    if (upright)
        snprintf(turn, sizeof turn, " transform=\"rotate(-90 %s %s)\"",
                 digits(at[0], x + 0.36 * size), digits(at[1], y));
    put(c, turn);
    put(c, ">");
    if (keeps(c)) c->status = tw_text_add_markup(&c->marks, text);
    put(c, "</text>\n");
}

/* ---- documents ---- */

static tw_status add_element(const tw_canvas *c, const char *head, tw_text *out)
{
    tw_status st = TW_OK;
    TW_CHECK(c->svg && c->status == TW_OK, c->svg ? c->status : TW_EINTERNAL,
             "the picture could not be drawn");
    TW_TRY(tw_text_add(out, "<svg %sviewBox=\"0 0 %lld %lld\" role=\"img\" font-family=\"%s\">\n",
                       head, (long long)c->width, (long long)c->height, FONT));
    TW_TRY(tw_text_add_bytes(out, c->marks.data ? c->marks.data : "", c->marks.length));
    TW_TRY(tw_text_add(out, "%s</svg>\n", c->begun[2] > 0 ? "</svg>\n" : ""));
done:
    return st;
}

tw_status tw_canvas_add_svg(const tw_canvas *c, tw_text *out)
{
    return add_element(c, "", out);
}

tw_status tw_canvas_write_svg(const tw_canvas *c, const char *path, tw_output_mode mode)
{
    tw_status st = TW_OK;
    tw_text text = {0};
    char head[256];
    snprintf(head, sizeof head,
             "xmlns=\"http://www.w3.org/2000/svg\" "
             "width=\"%lld\" height=\"%lld\" ",
             (long long)c->width, (long long)c->height);
    TW_TRY(tw_text_add(&text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
    TW_TRY(add_element(c, head, &text));
    TW_TRY(tw_output_write(path, mode, text.data, text.length));
done:
    tw_text_free(&text);
    return st;
}
