/* A dataset at a glance: its first samples, and of each channel range, mean, deviation and
 * histogram. Of a large dataset the numbers are those of blocks that are spread over it evenly. */
#include <math.h>
#include <stdio.h>

#include "cli/inspect.h"
#include "tweedie/gallery.h"
#include "tweedie/memory.h"

enum {
    BYTES_MAX = 64 << 20, /* of samples that are looked at */
    SAMPLES_MAX = 20000,
    BLOCKS = 64,
    BINS = 64,
    CHANNELS_MAX = 16, /* that are described */
    IMAGES = 64,
    IMAGE_SIDE = 72, /* pixels, about, of the picture */
    CELL_WIDTH = 372,
    CELL_HEIGHT = 250,
    COLUMNS = 3,
    HEAD = 34
};

typedef struct channel {
    char title[2 * TW_DATASET_NAME_MAX + 8];
    double least, most, mean, deviation;
    double low, high; /* of the histogram: 0 … 255 of bytes */
    double bins[BINS];
} channel;

typedef struct overview {
    const tw_dataset_spec *spec;
    int64_t count;
    float *x; /* [count][dims], model units */
    int64_t channels;
    channel *channel;
} overview;

/* ---- numbers ---- */

static tw_status read_samples(overview *o, tw_dataset *d)
{
    tw_status st = TW_OK;
    const int64_t dims = tw_dataset_elements(o->spec), all = tw_dataset_count(d),
                  room = BYTES_MAX / (4 * dims) < 1 ? 1 : BYTES_MAX / (4 * dims);
    int64_t n = all < SAMPLES_MAX ? all : SAMPLES_MAX;
    if (n > room) n = room;
    const int64_t blocks = n == all || n < BLOCKS ? 1 : BLOCKS, each = n / blocks;
    TW_CHECK(all > 0, TW_EDATA, "there are no samples to draw");
    TW_TRY(tw_alloc(&o->x, blocks * each * dims, sizeof *o->x, "samples of a picture"));
    for (int64_t b = 0; b < blocks; b++)
        TW_TRY(tw_dataset_read(d, b * (all / blocks), each, o->x + b * each * dims, NULL));
    o->count = blocks * each;
done:
    return st;
}

static double value(const overview *o, int64_t pixel, int64_t c)
{
    const tw_dataset_spec *s = o->spec;
    const double v = (double)o->x[pixel * s->channels + c];
    if (s->kind == TW_DATASET_UINT8) return round(127.5 * (v + 1));
    return v * (s->scale ? (double)s->scale[c] : 1) + (s->offset ? (double)s->offset[c] : 0);
}

static void measure(channel *out, const overview *o, int64_t c)
{
    const int64_t n = o->count * o->spec->height * o->spec->width;
    double sum = 0, square = 0;
    out->least = INFINITY;
    out->most = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double v = value(o, i, c);
        out->least = fmin(out->least, v);
        out->most = fmax(out->most, v);
        sum += v;
    }
    out->mean = sum / (double)n;
    const bool bytes = o->spec->kind == TW_DATASET_UINT8;
    out->low = bytes ? 0 : out->least;
    out->high = bytes ? 256 : out->most > out->least ? out->most : out->least + 1;
    for (int64_t i = 0; i < n; i++) {
        const double v = value(o, i, c), at = BINS * (v - out->low) / (out->high - out->low);
        square += (v - out->mean) * (v - out->mean);
        out->bins[at < BINS ? (int)at : BINS - 1] += 1 / (double)n;
    }
    out->deviation = sqrt(square / (double)n);
}

static tw_status describe(overview *o)
{
    tw_status st = TW_OK;
    char name[TW_DATASET_NAME_MAX], units[TW_DATASET_NAME_MAX];
    o->channels = o->spec->channels < CHANNELS_MAX ? o->spec->channels : CHANNELS_MAX;
    TW_TRY(tw_alloc(&o->channel, o->channels, sizeof *o->channel, "channels"));
    for (int64_t c = 0; c < o->channels; c++) {
        channel *k = &o->channel[c];
        tw_dataset_channel_name(o->spec, c, name, units);
        if (!name[0])
            snprintf(name, sizeof name, "%s %lld",
                     o->spec->kind == TW_DATASET_POINTS ? "coordinate" : "channel", (long long)c);
        snprintf(k->title, sizeof k->title, units[0] ? "%s [%s]" : "%s", name, units);
        measure(k, o, c);
    }
done:
    return st;
}

static void tell(tw_json *j, const overview *o)
{
    tw_json_int64(j, "samples_measured", o->count);
    tw_json_list(j, "channel_values");
    for (int64_t c = 0; c < o->channels; c++) {
        tw_json_object(j, NULL);
        tw_json_string(j, "name", o->channel[c].title);
        tw_json_double(j, "least", o->channel[c].least);
        tw_json_double(j, "most", o->channel[c].most);
        tw_json_double(j, "mean", o->channel[c].mean);
        tw_json_double(j, "deviation", o->channel[c].deviation);
        tw_json_end(j);
    }
    tw_json_end(j);
}

/* ---- drawing ---- */

/* Shares of the values; by decades where one bin holds nearly all of them. */
static void scale(tw_panel *p, const channel *k)
{
    double least = INFINITY;
    for (int b = 0; b < BINS; b++) {
        p->y[1] = fmax(p->y[1], 1.08 * k->bins[b]);
        if (k->bins[b] > 0) least = fmin(least, k->bins[b]);
    }
    p->log_y = p->y[1] > 0.3 && least < 0.01 * p->y[1];
    if (p->log_y) {
        p->y[0] = least / 1.5;
        p->y[1] *= 1.4;
    }
}

static void draw_bars(tw_canvas *c, const tw_panel *p, const channel *k)
{
    const double width = p->width / BINS, bottom = p->top + p->height;
    for (int b = 0; b < BINS; b++) {
        if (k->bins[b] <= 0) continue;
        const double y = tw_panel_y(p, k->bins[b]);
        tw_canvas_fill(c, p->left + b * width, y, width, bottom - y,
                       (tw_colour){0.35, 0.53, 0.82, 1});
    }
    tw_panel_line(c, p, k->mean, p->y[0], k->mean, p->y[1], 1.4, TW_PLOT_ORANGE);
}

static void draw_channel(tw_canvas *c, const channel *k, double left, double top)
{
    char text[96];
    tw_panel p = {.left = left + 66,
                  .top = top + 54,
                  .width = CELL_WIDTH - 90,
                  .height = CELL_HEIGHT - 96,
                  .x = {k->low, k->high}};
    scale(&p, k);
    tw_panel_grid(c, &p);
    draw_bars(c, &p, k);
    tw_panel_frame(c, &p, NULL, NULL, NULL);
    snprintf(text, sizeof text, "%.4g to %.4g, mean %.4g, dev. %.4g", k->least, k->most, k->mean,
             k->deviation);
    tw_canvas_text(c, left + 10, top + 18, -1, 1.8, k->title, TW_PLOT_BLACK);
    tw_canvas_text(c, left + 10, top + 38, -1, 1.4, text, TW_PLOT_GREY);
}

static int64_t zoom_of(const tw_dataset_spec *s)
{
    const int64_t side = s->height > s->width ? s->height : s->width;
    return side >= IMAGE_SIDE ? 1 : (IMAGE_SIDE + side / 2) / side;
}

/* The first samples, where they have a picture. */
static tw_status plan_images(tw_gallery *g, int64_t *width, int64_t *height, const overview *o)
{
    tw_status st = TW_OK;
    *width = *height = 0;
    if (o->spec->kind == TW_DATASET_POINTS) return TW_OK;
    *g = (tw_gallery){.spec = o->spec,
                      .count = o->count < IMAGES ? o->count : IMAGES,
                      .x = o->x,
                      .zoom = zoom_of(o->spec)};
    while (tw_gallery_size(g, width, height) != TW_OK || *width * *height > 4 << 20) {
        if (g->zoom > 1)
            g->zoom--;
        else if (g->count > 1)
            g->count = (g->count + 1) / 2;
        else
            break;
    }
    TW_TRY(tw_gallery_size(g, width, height));
done:
    return st;
}

static tw_status draw(const overview *o, const tw_inspect_picture *to)
{
    tw_status st = TW_OK;
    tw_canvas *c = NULL;
    tw_gallery g;
    char text[256];
    int64_t width, height;
    TW_TRY(plan_images(&g, &width, &height, o));
    const int64_t columns = o->channels < COLUMNS ? o->channels : COLUMNS,
                  rows = (o->channels + columns - 1) / columns,
                  wide = columns * CELL_WIDTH > width ? columns * CELL_WIDTH : width;
    TW_TRY(tw_canvas_create_for(&c, to->out, wide + 8, HEAD + height + rows * CELL_HEIGHT));
    snprintf(text, sizeof text, "%s: %lld %s", o->spec->name, (long long)o->spec->count,
             tw_dataset_kind_name(o->spec->kind));
    tw_canvas_text(c, 10, 18, -1, 2, text, TW_PLOT_BLACK);
    if (height) TW_TRY(tw_gallery_draw(c, &g, 0, HEAD));
    for (int64_t k = 0; k < o->channels; k++)
        draw_channel(c, &o->channel[k], (double)(k % columns * CELL_WIDTH),
                     (double)(HEAD + height + k / columns * CELL_HEIGHT));
    TW_TRY(tw_canvas_write(c, to->out, to->mode));
done:
    tw_canvas_destroy(&c);
    return st;
}

tw_status tw_inspect_grid(tw_json *j, tw_dataset *d, const tw_inspect_picture *picture)
{
    tw_status st = TW_OK;
    overview o = {.spec = tw_dataset_get_spec(d)};
    TW_TRY(read_samples(&o, d));
    TW_TRY(describe(&o));
    TW_TRY(draw(&o, picture));
    tw_json_string(j, "picture", picture->out);
    tell(j, &o);
done:
    tw_free(&o.x);
    tw_free(&o.channel);
    return st;
}
