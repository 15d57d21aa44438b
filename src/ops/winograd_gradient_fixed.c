/* Winograd's backward-weights with products in fixed point (kern_short.h): transformed inputs lie
 * as [point][panel of 16][pair of tiles][channel][2], gradients as [point][panel][pair][column][2],
 * each side's inverse scales behind its numbers. A scale belongs to a channel, at one point, over
 * the tiles of a block.
 *
 * It is known when all of these have been transformed. So a strip of channels, whose transforms in
 * f32 stay in a second-level cache, is taken through all tiles, and then made whole. */
#include "ops/task.h"
#include "ops/winograd.h"

/* As in winograd_fixed.c, in numbers of 16 bits, and in floats. A strip is a line of 64 bytes of a
 * pixel in bf16. */
enum { APART = 32, APART_F32 = 16, STRIP = 32 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t pieces(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

/* ---- memory ---- */

static int64_t in_width(const tw_winograd_gradient *w)
{
    return w->in_panels * TW_PANEL;
}

static int64_t out_width(const tw_winograd_gradient *w)
{
    return w->group * w->panel->columns;
}

static int64_t pointers_of(const tw_winograd_gradient *w)
{
    return w->block * w->grid.points;
}

void tw_winograd_gradient_fixed_layout(tw_winograd_gradient *w)
{
    const int64_t pairs = pieces(w->block, 2), floats = sizeof(const void *) / sizeof(float);
    w->v.panel_stride = 2 * pairs * TW_PANEL;
    w->v.point_stride = w->in_panels * w->v.panel_stride + APART;
    w->z.panel_stride = 2 * pairs * w->panel->columns;
    w->z.point_stride = w->group * w->z.panel_stride + APART;
    w->own =
        w->grid.points * ((w->v.point_stride + w->z.point_stride) / 2 + in_width(w) + out_width(w));
    w->strip = w->grid.points * (w->block * STRIP + APART_F32) + pointers_of(w) * floats;
}

static int16_t *numbers(float *side, int64_t at)
{
    return (int16_t *)(void *)side + at;
}

static float *in_scales(const tw_winograd_gradient *w, const tw_winograd_gradient_work *k,
                        int64_t point)
{
    return k->v + w->grid.points * w->v.point_stride / 2 + point * in_width(w);
}

static float *z_of(const tw_winograd_gradient *w, const tw_winograd_gradient_work *k)
{
    return in_scales(w, k, w->grid.points);
}

static float *out_scales(const tw_winograd_gradient *w, const tw_winograd_gradient_work *k,
                         int64_t point)
{
    return z_of(w, k) + w->grid.points * w->z.point_stride / 2 + point * out_width(w);
}

/* ---- transforms ---- */

typedef void expand(const tw_winograd_row *v, const void *const *pixel, const void *const *ahead,
                    int64_t channels);

/* A strip of all tiles, in f32. The next strip's pixels are where the pointers point then. */
static void expand_strip(expand *f, const tw_winograd_row *strip, const char **pixel, int64_t each,
                         int64_t count, int64_t width, int64_t channels)
{
    tw_winograd_row row = *strip;
    for (int64_t t = 0; t < count; t++, pixel += each, row.at += width) {
        const char **ahead = t + 1 < count ? pixel + each : pixel;
        f(&row, (const void *const *)pixel, (const void *const *)ahead, channels);
    }
}

static void advance(const char **pixel, int64_t count, int64_t bytes)
{
    for (int64_t i = 0; i < count; i++) pixel[i] += bytes;
}

/* Strips [from, to) of the inputs. */
static void transform_inputs(const tw_winograd_gradient *w, const void *x,
                             const tw_winograd_gradient_work *k, int64_t first, int64_t count,
                             int64_t from, int64_t to)
{
    enum { PANELS = STRIP / TW_PANEL };
    const tw_winograd_row strip = {.at = k->strip,
                                   .point_stride = w->block * STRIP + APART_F32,
                                   .panel_stride = w->block * TW_PANEL};
    const char **pixel = (const char **)(void *)(k->strip + w->grid.points * strip.point_stride);
    for (int64_t t = 0; t < count; t++)
        tw_winograd_inputs(&w->grid, first + t, x, k->zeros,
                           (const void **)pixel + t * w->grid.points);
    advance(pixel, count * w->grid.points, from * STRIP * (int64_t)w->grid.element);
    for (int64_t s = from; s < to; s++) {
        const int64_t last = least((s + 1) * PANELS, w->in_panels);
        expand_strip(w->kern->input[w->grid.size][w->grid.stored], &strip, pixel, w->grid.points,
                     count, TW_PANEL, least(STRIP, w->grid.in_channels - s * STRIP));
        advance(pixel, count * w->grid.points, STRIP * (int64_t)w->grid.element);
        for (int64_t p = 0; p < w->grid.points; p++)
            for (int64_t i = s * PANELS; i < last && !tw_winograd_spares(&w->grid, p); i++)
                w->fixed->pairs(numbers(k->v, p * w->v.point_stride + i * w->v.panel_stride),
                                in_scales(w, k, p) + i * TW_PANEL,
                                strip.at + p * strip.point_stride + i % PANELS * strip.panel_stride,
                                count, TW_PANEL);
    }
}

static void find_outputs(const tw_winograd_gradient *w, const void *gy, const void *zeros,
                         int64_t tile, const char **pixel)
{
    const int area = w->grid.m * w->grid.m;
    int64_t at[16];
    tw_winograd_outputs(&w->grid, tile, at);
    for (int j = 0; j < area; j++)
        pixel[j] = at[j] < 0 ? zeros : (const char *)gy + at[j] * (int64_t)w->grid.element;
}

/* Panels [from, to) of the outputs' gradients, each of them a strip, and their bias's. */
static void transform_gradients(const tw_winograd_gradient *w, const void *gy,
                                const tw_winograd_gradient_work *k, int64_t first, int64_t count,
                                int64_t from, int64_t to, bool add)
{
    const int64_t columns = w->panel->columns, area = w->grid.m * w->grid.m,
                  bytes = columns * (int64_t)w->grid.element;
    const tw_winograd_row strip = {.at = k->strip, .point_stride = w->block * columns + APART_F32};
    const char **pixel = (const char **)(void *)(k->strip + w->grid.points * strip.point_stride);
    for (int64_t t = 0; t < count; t++) find_outputs(w, gy, k->zeros, first + t, pixel + t * area);
    advance(pixel, count * area, from * bytes);
    for (int64_t panel = from; panel < to; panel++) {
        expand_strip(w->kern->gradient[w->grid.size][w->grid.stored], &strip, pixel, area, count,
                     columns, least(columns, w->grid.out_channels - panel * columns));
        advance(pixel, count * area, bytes);
        for (int64_t p = 0; p < w->grid.points; p++)
            if (!tw_winograd_spares(&w->grid, p))
                w->fixed->pairs(numbers(z_of(w, k), p * w->z.point_stride +
                                                        (panel - k->first) * w->z.panel_stride),
                                out_scales(w, k, p) + (panel - k->first) * columns,
                                strip.at + p * strip.point_stride, count, columns);
        tw_winograd_gradient_add_bias(w, k, strip.at + (w->grid.m + 3) * strip.point_stride, panel,
                                      count, add);
    }
}

void tw_winograd_gradient_fixed_transform(const tw_winograd_gradient *w, const tw_task *t,
                                          const tw_winograd_gradient_work *k, int64_t first,
                                          int64_t count, int64_t part, int64_t parts, bool add)
{
    const int64_t ins = pieces(w->in_panels, STRIP / TW_PANEL), all = ins + k->last - k->first,
                  from = part * all / parts, to = (part + 1) * all / parts;
    if (from < ins) transform_inputs(w, t->in[0], k, first, count, from, least(to, ins));
    if (to > ins)
        transform_gradients(w, t->in[1], k, first, count, k->first + (from > ins ? from - ins : 0),
                            k->first + to - ins, add);
}

/* ---- products ---- */

void tw_winograd_gradient_fixed_multiply(const tw_winograd_gradient *w,
                                         const tw_winograd_gradient_work *k, int64_t point,
                                         int64_t panel, int64_t count, bool add)
{
    const int64_t columns = w->panel->columns;
    float *u = k->u + point * w->u.point_stride + panel * w->u.panel_stride;
    for (int64_t i = 0; i < w->in_panels; i++) {
        const int64_t rows = least(TW_PANEL, w->grid.in_channels - i * TW_PANEL),
                      cuts = pieces(rows, w->fixed->rows_max);
        for (int64_t c = 0, row = 0, next; c < cuts; c++, row = next) {
            const tw_short_product product = {
                .a = numbers(k->v, point * w->v.point_stride + i * w->v.panel_stride + 2 * row),
                .b = numbers(z_of(w, k),
                             point * w->z.point_stride + (panel - k->first) * w->z.panel_stride),
                .row = in_scales(w, k, point) + i * TW_PANEL + row,
                .column = out_scales(w, k, point) + (panel - k->first) * columns,
                .c = u + (i * TW_PANEL + row) * columns,
                .pairs = pieces(count, 2),
                .add = add};
            next = (c + 1) * rows / cuts;
            w->fixed->turned[w->native](&product, (int)(next - row));
        }
    }
}
