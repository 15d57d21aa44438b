/* Winograd's convolutions with products in fixed point: transformed inputs lie as
 * [point][tile][channel], weights as [point][panel][pair of channels][column][2] with the scales of
 * all columns behind them. */
#include "ops/winograd.h"

#include "ops/task.h"

/* Rows do not begin at multiples of a power of two, or twelve of them would want the same lines of
 * a cache. */
enum { APART = 32, BLOCK = TW_WINOGRAD_CHANNELS };

static int64_t pieces(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

/* What each factor errs by grows with the root of the channels that share its scale. */
enum { CHANNELS_MAX = 1024 };

bool tw_winograd_fixed_suits(const tw_winograd_grid *g)
{
    return g->stored == TW_STORED_BF16_NATIVE && tw_processor_allowed().avx512_vnni && g->m == 4 &&
           g->in_channels <= CHANNELS_MAX;
}

static int64_t row_of(const tw_winograd *w)
{
    return w->in_panels * TW_PANEL + APART;
}

void tw_winograd_fixed_layout(tw_winograd *w)
{
    w->v.point_stride = w->block * row_of(w);
    w->u.panel_stride = w->in_panels * TW_PANEL * w->panel->columns;
    w->u.point_stride = w->out_panels * w->u.panel_stride + APART;
    w->inputs = w->grid.points * (w->v.point_stride / 2 + w->block + row_of(w));
}

size_t tw_winograd_fixed_packed_bytes(const tw_winograd *w)
{
    return (size_t)w->grid.points * ((size_t)w->u.point_stride * sizeof(int16_t) +
                                     (size_t)(w->out_panels * w->panel->columns) * sizeof(float));
}

/* ---- weights ---- */

/* Scales of the columns of a point. */
static float *column_scales(const tw_winograd *w, const void *packed, int64_t point)
{
    const int16_t *end = (const int16_t *)packed + w->grid.points * w->u.point_stride;
    return (float *)(uintptr_t)(const void *)end + point * w->out_panels * w->panel->columns;
}

/* 16 output channels: scales first, which are of all input channels. */
static void pack_columns(const tw_winograd *w, const tw_task *t, int64_t o)
{
    const int64_t columns = w->panel->columns;
    int16_t *packed = (int16_t *)t->packed + o / columns * w->u.panel_stride + 2 * (o % columns);
    tw_winograd_kernel copy;
    tw_winograd_gram gram = {.at = {{0}}};
    tw_winograd_columns scale;
    for (int64_t i = 0; i < w->grid.in_channels; i += BLOCK)
        w->kern->gram(&gram, tw_winograd_weights(w, t, &copy, i, o));
    w->kern->squares[w->grid.size](&scale, &gram);
    for (int p = 0; p < w->grid.points; p++) {
        float *inverse = column_scales(w, t->packed, p) + o;
        for (int j = 0; j < BLOCK; j++)
            scale.at[p][j] = tw_short_scale(scale.at[p][j], 0, TW_SHORT_RIGHT, inverse + j);
    }
    for (int64_t i = 0; i < w->grid.in_channels; i += BLOCK)
        w->kern->fixed[w->grid.size](packed + i * columns, w->u.point_stride,
                                     tw_winograd_weights(w, t, &copy, i, o), &scale);
}

void tw_winograd_fixed_pack(const tw_winograd *w, const tw_task *t)
{
    const int64_t all = w->out_panels * w->panel->columns;
#pragma omp parallel for schedule(static)
    for (int64_t o = 0; o < all; o += BLOCK) pack_columns(w, t, o);
}

/* ---- inputs and products ---- */

static int16_t *input_row(const tw_winograd *w, const float *v, int64_t point, int64_t t)
{
    return (int16_t *)(uintptr_t)(const void *)v + point * w->v.point_stride + t * row_of(w);
}

static float *input_scales(const tw_winograd *w, const float *v, int64_t point)
{
    return (float *)(uintptr_t)v + w->grid.points * w->v.point_stride / 2 + point * w->block;
}

void tw_winograd_fixed_inputs(const tw_winograd *w, float *v, const void *x, const float *zeros,
                              int64_t first, int64_t count)
{
    const void *pixel[2][TW_WINOGRAD_POINTS_MAX];
    const tw_winograd_row one = {.at = input_scales(w, v, w->grid.points),
                                 .point_stride = row_of(w),
                                 .panel_stride = TW_PANEL};
    tw_winograd_inputs(&w->grid, first, x, zeros, pixel[0]);
    for (int64_t t = 0; t < count; t++) {
        const void **now = pixel[t % 2], **next = pixel[(t + 1) % 2];
        tw_winograd_inputs(&w->grid, first + (t + 1 < count ? t + 1 : t), x, zeros, next);
        w->kern->input[w->grid.size][w->grid.stored](&one, now, next, w->grid.in_channels);
        for (int64_t p = 0; p < w->grid.points; p++)
            if (!tw_winograd_spares(&w->grid, p))
                input_scales(w, v, p)[t] = w->fixed->left(
                    input_row(w, v, p, t), one.at + p * one.point_stride, w->in_panels * TW_PANEL);
    }
}

void tw_winograd_fixed_multiply(const tw_winograd *w, float *m, const float *v, const void *packed,
                                const tw_winograd_work *k)
{
    const int64_t cuts = pieces(k->count, w->fixed->rows_max), columns = w->panel->columns,
                  panels = k->last - k->panel, all = w->grid.points * panels;
    for (int64_t j = 0; j < all; j++) {
        const int64_t p = j / panels, panel = j % panels, column = k->panel + panel;
        tw_winograd_fetch(&k->next, j, all);
        if (tw_winograd_spares(&w->grid, p)) continue;
        for (int64_t c = 0, row = 0, next; c < cuts; c++, row = next) {
            const tw_short_product product = {
                .a = input_row(w, v, p, row),
                .b = (const int16_t *)packed + p * w->u.point_stride + column * w->u.panel_stride,
                .row = input_scales(w, v, p) + row,
                .column = column_scales(w, packed, p) + column * columns,
                .c = m + p * w->m.point_stride + panel * w->m.panel_stride + row * columns,
                .pairs = (w->grid.in_channels + 1) / 2,
                .a_stride = row_of(w)};
            next = (c + 1) * k->count / cuts;
            w->fixed->product[w->native](&product, (int)(next - row));
        }
    }
}
