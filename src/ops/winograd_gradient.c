/* Backward-weights: the transpose of the forward algorithm, gw = Gᵀ [Σ (A gy Aᵀ) ⊙ (Bᵀ x B)] G, the
 * sum over all tiles being the inner dimension of the products.
 *
 * Tiles are taken in blocks whose number depends on the shapes alone: all threads transform a
 * block, then each adds its share of the products, points and panels of output channels, to sums of
 * its own. So a number's sum is in one order, over a block and over the blocks, whoever computes
 * it. */
#include <omp.h>
#include <string.h>

#include "ops/task.h"
#include "ops/winograd.h"

enum { APART = 16 }; /* as in winograd.c */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t pieces(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

/* A block's transformed tiles fill 4 MiB, but sums are read and written once for each block: not
 * less than 96 tiles. */
static int64_t block_of(const tw_winograd_gradient *w)
{
    const int64_t channels = w->in_panels * TW_PANEL + w->grid.out_channels;
    const int64_t room = (INT64_C(1) << 22) / (w->grid.points * channels * (int64_t)sizeof(float));
    const int64_t most = room < 96 ? 96 : room > 256 ? 256 : room;
    return pieces(w->grid.tiles, pieces(w->grid.tiles, most));
}

tw_status tw_winograd_gradient_create(tw_winograd_gradient *out, tw_task *t,
                                      const tw_conv_shapes *s, const tw_attr *a)
{
    tw_status st = TW_OK;
    const tw_value *gw = &t->node->out[0];
    const tw_md_blocking layout = tw_winograd_kernel_layout();
    tw_winograd_gradient w = {.grid = tw_winograd_grid_of(s, a, t->act)};
    w.kern = TW_KERNEL_SELECT(tw_kern_winograd);
    w.panel = TW_KERNEL_SELECT(tw_kern_panel);
    w.threads = omp_get_max_threads();
    w.in_panels = pieces(w.grid.in_channels, TW_PANEL);
    w.out_panels = pieces(w.grid.out_channels, w.panel->columns);
    w.block = block_of(&w);
    w.v.panel_stride = w.block * TW_PANEL;
    w.v.point_stride = w.in_panels * w.v.panel_stride + APART;
    w.z.panel_stride = w.block * w.panel->columns;
    w.z.point_stride = w.out_panels * w.z.panel_stride + APART;
    w.u.panel_stride = w.grid.in_channels * w.panel->columns;
    w.u.point_stride = w.out_panels * w.u.panel_stride + APART;
    w.zeros = pieces(w.in_panels * TW_PANEL > w.grid.out_channels ? w.in_panels * TW_PANEL
                                                                  : w.grid.out_channels,
                     TW_PANEL) *
              TW_PANEL;
    TW_TRY(tw_winograd_name(t, &w.grid));
    TW_TRY(tw_weights_copy_unpack_blocked(&w.weights, gw->shape, gw->layout, &layout));
    t->flops = tw_conv_flops(s);
    t->scratch_bytes = (size_t)(w.zeros + w.grid.points * (w.v.point_stride + w.z.point_stride +
                                                           w.u.point_stride)) *
                       sizeof(float);
    *out = w;
done:
    return st;
}

void tw_winograd_gradient_destroy(tw_winograd_gradient *w)
{
    tw_weights_copy_destroy(&w->weights);
}

/* Tile `tile` of x and gy becomes row `row` of v and z. */
static void transform_tile(const tw_winograd_gradient *w, const tw_task *t, const float *zeros,
                           int64_t tile, int64_t row)
{
    const void *pixel[TW_WINOGRAD_POINTS_MAX];
    int64_t at[16];
    tw_winograd_row v = w->v, z = w->z;
    v.at += row * TW_PANEL;
    z.at += row * w->panel->columns;
    tw_winograd_inputs(&w->grid, tile, t->in[0], zeros, pixel);
    w->kern->input[w->grid.size][w->grid.stored](&v, pixel, w->grid.in_channels);
    tw_winograd_outputs(&w->grid, tile, at);
    for (int k = 0; k < w->grid.m * w->grid.m; k++)
        pixel[k] = at[k] < 0 ? zeros : tw_at_const(t->in[1], at[k], t->act);
    w->kern->gradient[w->grid.size][w->grid.stored](&z, pixel, w->grid.out_channels);
}

/* The sums of one point and one panel of output channels over the tiles of a block. */
static void multiply(const tw_winograd_gradient *w, int64_t point, int64_t panel, int64_t count,
                     bool add)
{
    for (int64_t k = 0; k < w->in_panels; k++) {
        const int64_t rows = least(TW_PANEL, w->grid.in_channels - k * TW_PANEL),
                      cuts = pieces(rows, w->panel->rows_max);
        for (int64_t c = 0, row = 0, next; c < cuts; c++, row = next) {
            const tw_panel_product product = {
                .a = w->v.at + point * w->v.point_stride + k * w->v.panel_stride + row,
                .b = w->z.at + point * w->z.point_stride + panel * w->z.panel_stride,
                .c = w->u.at + point * w->u.point_stride + panel * w->u.panel_stride +
                     (k * TW_PANEL + row) * w->panel->columns,
                .inner = count,
                .add = add};
            next = (c + 1) * rows / cuts;
            w->panel->turned(&product, (int)(next - row));
        }
    }
}

/* The weights of 16 input and 16 output channels, from (i, o) on. */
static void gather_tile(const tw_winograd_gradient *w, float *gw, int64_t i, int64_t o)
{
    const int64_t columns = w->panel->columns;
    tw_winograd_kernel g;
    tw_winograd_row u = w->u;
    u.at += o / columns * u.panel_stride + i * columns + o % columns;
    w->kern->weights_gradient[w->grid.size](
        &g, &u, least(TW_WINOGRAD_CHANNELS, w->grid.in_channels - i),
        least(TW_WINOGRAD_CHANNELS, w->out_panels * columns - o));
    tw_weights_copy_tile(&w->weights, gw, (const float *)g, o, i);
}

void tw_winograd_gradient_run(const tw_winograd_gradient *w, const tw_task *t)
{
    tw_winograd_gradient r = *w;
    float *zeros = t->scratch;
    memset(zeros, 0, (size_t)w->zeros * sizeof *zeros);
    r.v.at = zeros + w->zeros;
    r.z.at = r.v.at + w->grid.points * w->v.point_stride;
    r.u.at = r.z.at + w->grid.points * w->z.point_stride;
#pragma omp parallel num_threads(w->threads)
    {
        for (int64_t first = 0; first < w->grid.tiles; first += w->block) {
            const int64_t count = least(w->block, w->grid.tiles - first);
#pragma omp for schedule(static)
            for (int64_t k = 0; k < count; k++) transform_tile(&r, t, zeros, first + k, k);
#pragma omp for collapse(2) schedule(static)
            for (int64_t p = 0; p < w->grid.points; p++)
                for (int64_t k = 0; k < w->out_panels; k++) multiply(&r, p, k, count, first > 0);
        }
#pragma omp for collapse(2) schedule(static)
        for (int64_t o = 0; o < w->grid.out_channels; o += TW_WINOGRAD_CHANNELS)
            for (int64_t i = 0; i < w->grid.in_channels; i += TW_WINOGRAD_CHANNELS)
                gather_tile(&r, t->out[0], i, o);
    }
}
