/* Galleries. Images and data beside them stand in rows of the same height; fields repeat them for
 * each channel. Values about zero take a map whose middle is white, and a range that is symmetric;
 * others the map from dark to bright, from the least to the largest value that is shown. */
#include "tweedie/gallery.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plot/canvas.h"
#include "tweedie/memory.h"

enum {
    MARGIN = 8,
    HEAD = 24,
    LINE = 19, /* of the caption */
    CAPTION_LEAST = 380,
    APART = 18, /* samples from data, and a channel from the next */
    BAR = 14,
    BAR_ROOM = 96, /* the colour bar with its numbers */
    PIXELS_MAX = 40 << 20
};

static const double SMALL = 1.5;

/* Where everything stands. */
typedef struct layout {
    int64_t columns, rows, real_columns; /* images */
    int64_t step_x, step_y;              /* from an image to the next */
    int64_t block_width, block_height;   /* images of one channel, with their head and bar */
    int64_t head;
} layout;

bool tw_gallery_is_field(const tw_dataset_spec *s)
{
    const bool picture = s->channels == 1 || s->channels == 3;
    if (s->kind == TW_DATASET_UINT8) return !picture;
    return s->channels != 3 || s->channel_text;
}

static layout plan(const tw_gallery *g)
{
    const tw_dataset_spec *s = g->spec;
    const bool field = tw_gallery_is_field(s);
    layout l = {.step_x = g->zoom * s->width + (g->zoom > 1 ? 2 : 1),
                .step_y = g->zoom * s->height + (g->zoom > 1 ? 2 : 1)};
    l.columns = g->columns
                    ? g->columns
                    : (int64_t)ceil(sqrt((double)g->count * (double)s->height / (double)s->width));
    if (l.columns > g->count) l.columns = g->count;
    if (l.columns < 1) l.columns = 1;
    l.rows = (g->count + l.columns - 1) / l.columns;
    l.real_columns = g->real ? (g->real_count + l.rows - 1) / l.rows : 0;
    l.head = field || g->real ? HEAD : 0;
    l.block_width = l.columns * l.step_x +
                    (l.real_columns ? APART + l.real_columns * l.step_x : 0) +
                    (field ? BAR_ROOM : 0);
    l.block_height = l.head + l.rows * l.step_y;
    return l;
}

static double width_of(const tw_gallery *g, const layout *l)
{
    return 2 * MARGIN + fmax((double)l->block_width, g->caption ? CAPTION_LEAST : 0);
}

/* How much of a text stands on a line of that width: whole words where one fits. */
static size_t line_length(const char *text, double width)
{
    const size_t n = strlen(text), room = (size_t)fmax(8, (width / SMALL + 2) / 6);
    if (n <= room) return n;
    size_t end = room;
    while (end > 0 && text[end] != ' ') end--;
    return end ? end : room;
}

/* Draws it where there is a canvas. @return its lines */
static int64_t put_caption(tw_canvas *c, const tw_gallery *g, double width, double left, double top)
{
    char line[256];
    int64_t lines = 0;
    for (const char *at = g->caption; at && *at; lines++) {
        size_t n = line_length(at, width);
        snprintf(line, sizeof line, "%.*s", (int)n, at);
        if (c)
            tw_canvas_text(c, left, top + (double)(LINE * lines), -1, SMALL, line, TW_PLOT_BLACK);
        at += n;
        at += strspn(at, " ");
    }
    return lines;
}

static double height_of(const tw_gallery *g, const layout *l)
{
    const int64_t blocks = tw_gallery_is_field(g->spec) ? g->spec->channels : 1;
    return (double)(2 * MARGIN + blocks * l->block_height + (blocks - 1) * APART +
                    LINE * put_caption(NULL, g, width_of(g, l) - 2 * MARGIN, 0, 0));
}

tw_status tw_gallery_size(const tw_gallery *g, int64_t *width, int64_t *height)
{
    tw_status st = TW_OK;
    TW_CHECK(g->spec->kind != TW_DATASET_POINTS, TW_EUSAGE,
             "points are drawn by tweedie plot samples; images were expected");
    TW_CHECK(g->zoom >= 1 && g->zoom <= TW_GALLERY_ZOOM_MAX && g->count >= 1, TW_EUSAGE,
             "a zoom of %lld; 1 to %d were expected", (long long)g->zoom, (int)TW_GALLERY_ZOOM_MAX);
    const layout l = plan(g);
    const double w = fmax(width_of(g, &l), 16), h = fmax(height_of(g, &l), 16);
    TW_CHECK(w <= 16384 && h <= 16384 && w * h <= PIXELS_MAX, TW_EUSAGE,
             "%lld samples at zoom %lld make a picture of %.0f x %.0f pixels; at most 16384 a side "
             "and 40 million together were expected: fewer samples or a smaller zoom",
             (long long)g->count, (long long)g->zoom, w, h);
    *width = (int64_t)ceil(w);
    *height = (int64_t)ceil(h);
done:
    return st;
}

/* ---- one channel ---- */

typedef struct painter {
    const tw_gallery *g;
    int64_t channel; /* −1: the picture as it is */
    double low, high;
    tw_colour (*map)(double);
    uint8_t *rgb, *stored; /* one image: [H][W][3], [H][W][C] */
} painter;

static double value(const tw_dataset_spec *s, const float *x, int64_t pixel, int64_t channel)
{
    const double v = (double)x[pixel * s->channels + channel];
    if (s->kind == TW_DATASET_UINT8) return 127.5 * (v + 1);
    return v * (s->scale ? (double)s->scale[channel] : 1) +
           (s->offset ? (double)s->offset[channel] : 0);
}

static void widen(painter *p, const float *x, int64_t count)
{
    const tw_dataset_spec *s = p->g->spec;
    for (int64_t i = 0; i < count * s->height * s->width; i++) {
        const double v = value(s, x, i, p->channel);
        if (!isfinite(v)) continue;
        p->low = fmin(p->low, v);
        p->high = fmax(p->high, v);
    }
}

/* Signed where the smaller side is at least a tenth of the larger. */
static void find_range(painter *p)
{
    p->low = INFINITY;
    p->high = -INFINITY;
    widen(p, p->g->x, p->g->count);
    if (p->g->real) widen(p, p->g->real, p->g->real_count);
    if (p->low > p->high) p->low = p->high = 0;
    const double side = fmax(-p->low, p->high);
    const bool both = p->low < 0 && p->high > 0 && fmin(-p->low, p->high) >= 0.1 * side;
    p->map = both ? tw_colour_signed : tw_colour_viridis;
    if (both) p->low = -side, p->high = side;
    if (p->low == p->high) p->high = p->low + 1;
}

static void paint(const painter *p, const float *x)
{
    const tw_dataset_spec *s = p->g->spec;
    if (p->channel < 0) tw_dataset_pixels(s, 1, x, p->stored);
    for (int64_t i = 0; i < s->height * s->width; i++)
        if (p->channel >= 0)
            tw_colour_bytes(p->map((value(s, x, i, p->channel) - p->low) / (p->high - p->low)),
                            p->rgb + 3 * i);
        else
            for (int64_t k = 0; k < 3; k++)
                p->rgb[3 * i + k] = p->stored[i * s->channels + (s->channels == 3 ? k : 0)];
}

static void draw_images(tw_canvas *c, const painter *p, const layout *l, const float *x,
                        int64_t count, int64_t columns, double left, double top)
{
    const tw_dataset_spec *s = p->g->spec;
    for (int64_t i = 0; i < count; i++) {
        paint(p, x + i * tw_dataset_elements(s));
        tw_canvas_image(c, left + (double)(i % columns * l->step_x),
                        top + (double)(i / columns * l->step_y), (double)p->g->zoom, p->rgb,
                        s->height, s->width);
    }
}

static void draw_bar(tw_canvas *c, const painter *p, double left, double top, double height)
{
    char text[32];
    const int labels = height > 150 ? 4 : 2;
    for (double y = 0; y < height; y++)
        tw_canvas_fill(c, left, top + y, BAR, fmin(1, height - y), p->map(1 - (y + 0.5) / height));
    for (int k = 0; k <= labels; k++) {
        const double f = (double)k / labels, y = fmin(fmax(f * height, 5), height - 5);
        snprintf(text, sizeof text, "%.4g", p->high + f * (p->low - p->high));
        tw_canvas_line(c, left + BAR, top + f * height, left + BAR + 4, top + f * height, 1,
                       TW_PLOT_BLACK);
        tw_canvas_text(c, left + BAR + 8, top + y, -1, 1.4, text, TW_PLOT_BLACK);
    }
}

/* "temperature [K]", "channel 2". */
static void name_channel(char *out, size_t size, const tw_dataset_spec *s, int64_t channel)
{
    char name[TW_DATASET_NAME_MAX], units[TW_DATASET_NAME_MAX];
    tw_dataset_channel_name(s, channel, name, units);
    if (!name[0]) snprintf(name, sizeof name, "channel %lld", (long long)channel);
    snprintf(out, size, units[0] ? "%s [%s]" : "%s", name, units);
}

static void draw_block(tw_canvas *c, painter *p, const layout *l, double left, double top)
{
    char title[2 * TW_DATASET_NAME_MAX + 8] = "samples";
    const tw_gallery *g = p->g;
    const double data = left + (double)(l->columns * l->step_x + APART),
                 body = top + (double)l->head;
    if (p->channel >= 0) {
        find_range(p);
        name_channel(title, sizeof title, g->spec, p->channel);
        draw_bar(c, p, left + (double)(l->block_width - BAR_ROOM + 8), body,
                 (double)(l->rows * l->step_y - 1));
    }
    if (l->head) tw_canvas_text(c, left, top + 10, -1, SMALL, title, TW_PLOT_BLACK);
    if (g->real) tw_canvas_text(c, data, top + 10, -1, SMALL, "data", TW_PLOT_BLACK);
    draw_images(c, p, l, g->x, g->count, l->columns, left, body);
    if (g->real) draw_images(c, p, l, g->real, g->real_count, l->real_columns, data, body);
}

tw_status tw_gallery_draw(tw_canvas *c, const tw_gallery *g, double left, double top)
{
    tw_status st = TW_OK;
    const layout l = plan(g);
    const tw_dataset_spec *s = g->spec;
    const bool field = tw_gallery_is_field(s);
    painter p = {.g = g, .channel = -1};
    double y = top + MARGIN;
    TW_TRY(tw_alloc(&p.rgb, 3 * s->height * s->width, 1, "an image"));
    TW_TRY(tw_alloc(&p.stored, tw_dataset_elements(s), 1, "an image"));
    for (int64_t k = 0; k < (field ? s->channels : 1); k++) {
        if (field) p.channel = k;
        draw_block(c, &p, &l, left + MARGIN, y);
        y += (double)(l.block_height + APART);
    }
    (void)put_caption(c, g, width_of(g, &l) - 2 * MARGIN, left + MARGIN, y - APART + 12);
done:
    tw_free(&p.rgb);
    tw_free(&p.stored);
    return st;
}

tw_status tw_gallery_write(const char *path, tw_output_mode mode, const tw_gallery *g)
{
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    int64_t width, height;
    TW_TRY(tw_gallery_size(g, &width, &height));
    TW_TRY(tw_canvas_create_for(&c, path, width, height));
    TW_TRY(tw_gallery_draw(c, g, 0, 0));
    TW_TRY(tw_canvas_write(c, path, mode));
done:
    tw_canvas_destroy(&c);
    return st;
}
