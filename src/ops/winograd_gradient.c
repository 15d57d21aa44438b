/* Backward-weights: the transpose of the forward algorithm, gw = Gᵀ [Σ (A gy Aᵀ) ⊙ (Bᵀ x B)] G, the
 * sum over all tiles being the inner dimension of the products.
 *
 * Tiles are cut into segments and these into blocks, whose numbers depend on the shapes alone. Each
 * segment has sums of its own, over a block and then over its blocks, which are added in the end,
 * in order: so a number does not depend on who computes it. Where segments can be shared out evenly
 * each is one thread's, whose cache holds what a block needs; otherwise all threads transform a
 * block, and then each adds its share of the products, points and panels of output channels. */
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

/* Sums are written once for each segment and read again: up to eight segments, for so many threads,
 * as long as all sums stay within 10 MiB and each has 256 tiles. */
static int64_t segments_of(const tw_winograd_gradient *w)
{
    const int64_t bytes = w->sums * (int64_t)sizeof(float);
    int64_t segments = 1;
    while (segments < 8 && 2 * segments * bytes <= INT64_C(10) << 20 &&
           w->grid.tiles >= 2 * segments * 256)
        segments *= 2;
    return segments;
}

/* A block's transformed tiles stay within 512 KiB, but sums are read and written once for each
 * block: not less than 64 tiles. One core of Zen 4, 32, 64 and 128 channels: 0.84, 0.86 and 0.96 of
 * the time that 4 MiB and 96 tiles take; of 256 channels the same. With 48 tiles at least, 128
 * channels and more take 1.01 to 1.02 of the time, with 96 and 128 as much or more. */
static int64_t block_of(const tw_winograd_gradient *w)
{
    const int64_t channels = w->in_panels * TW_PANEL + w->grid.out_channels;
    const int64_t room =
        (INT64_C(512) << 10) / (w->grid.points * channels * (int64_t)sizeof(float));
    const int64_t most = w->fixed     ? TW_WINOGRAD_FIXED_TILES
                         : room < 64  ? 64
                         : room > 256 ? 256
                                      : room,
                  tiles = pieces(w->grid.tiles, w->segments);
    return pieces(tiles, pieces(tiles, most));
}

/* Shares out segments and, where these are few, groups of output panels. */
static void share_out(tw_winograd_gradient *w)
{
    w->groups = least(pieces(w->threads, w->segments), w->out_panels);
    w->group = pieces(w->out_panels, w->groups);
    w->groups = pieces(w->out_panels, w->group);
    const int64_t items = w->segments * w->groups;
    w->together = items * 8 < pieces(items, w->threads) * w->threads * 7;
    if (!w->together) return;
    w->groups = 1;
    w->group = w->out_panels;
}

static void lay_out(tw_winograd_gradient *w)
{
    w->u.panel_stride = w->grid.in_channels * w->panel->columns;
    w->u.point_stride = w->out_panels * w->u.panel_stride + APART;
    w->sums = w->grid.points * w->u.point_stride;
    w->segments = segments_of(w);
    w->block = block_of(w);
    share_out(w);
    w->v.panel_stride = w->block * TW_PANEL;
    w->v.point_stride = w->in_panels * w->v.panel_stride + APART;
    w->z.panel_stride = w->block * w->panel->columns;
    w->z.point_stride = w->group * w->z.panel_stride + APART;
    w->zeros = pieces(w->in_panels * TW_PANEL > w->grid.out_channels ? w->in_panels * TW_PANEL
                                                                     : w->grid.out_channels,
                      TW_PANEL) *
               TW_PANEL;
    w->bias = w->out_panels * w->panel->columns;
    w->own = w->grid.points * (w->v.point_stride + w->z.point_stride);
    if (w->fixed) tw_winograd_gradient_fixed_layout(w);
}

tw_status tw_winograd_gradient_create(tw_winograd_gradient *out, tw_task *t,
                                      const tw_conv_shapes *s, const tw_attr *a)
{
    tw_status st = TW_OK;
    const tw_value *gw = &t->node->out[0];
    const tw_md_blocking layout = tw_winograd_kernel_layout();
    tw_winograd_gradient w = {.grid = tw_winograd_grid_of(s, a, t->act)};
    w.grid.paired = tw_winograd_is_paired(&w.grid, t->node->in[0]);
    w.kern = TW_KERNEL_SELECT(tw_kern_winograd);
    w.panel = TW_KERNEL_SELECT(tw_kern_panel);
    w.columns = TW_KERNEL_SELECT(tw_kern_columns);
    w.threads = omp_get_max_threads();
    w.in_panels = pieces(w.grid.in_channels, TW_PANEL);
    w.out_panels = pieces(w.grid.out_channels, w.panel->columns);
    if (tw_winograd_fixed_suits(&w.grid)) w.fixed = TW_KERNEL_SELECT(tw_kern_short);
    w.native = tw_processor_allowed().avx512_vnni;
    lay_out(&w);
    TW_TRY(tw_winograd_name(t, &w.grid, w.fixed != NULL));
    TW_TRY(tw_weights_copy_unpack_blocked(&w.weights, gw->shape, gw->layout, &layout));
    t->flops = tw_conv_flops(s);
    t->scratch_bytes = (size_t)(w.zeros + w.segments * (w.sums + w.bias) +
                                (w.together ? 1 : w.threads) * w.own + w.threads * w.strip) *
                       sizeof(float);
    *out = w;
done:
    return st;
}

void tw_winograd_gradient_destroy(tw_winograd_gradient *w)
{
    tw_weights_copy_destroy(&w->weights);
}

/* Where a tile's pixels are, of x and of gy. */
typedef struct pixels {
    const void *x[TW_WINOGRAD_POINTS_MAX], *y[16];
} pixels;

static void find_pixels(const tw_winograd_gradient *w, const tw_task *t,
                        const tw_winograd_gradient_work *k, int64_t tile, pixels *p)
{
    int64_t at[16];
    tw_winograd_inputs(&w->grid, tile, t->in[0], k->zeros, p->x);
    tw_winograd_outputs(&w->grid, tile, at);
    for (int j = 0; j < w->grid.m * w->grid.m; j++)
        p->y[j] = at[j] < 0 ? k->zeros
                            : tw_at_const(t->in[1], at[j] + k->first * w->panel->columns, t->act);
}

/* Tiles [first, end) of x and gy become rows of v and z, from `row` on. */
static void transform_tiles(const tw_winograd_gradient *w, const tw_task *t,
                            const tw_winograd_gradient_work *k, int64_t first, int64_t end,
                            int64_t row)
{
    const int64_t columns = w->panel->columns,
                  outputs = least(k->last * columns, w->grid.out_channels) - k->first * columns;
    pixels p[2];
    tw_winograd_row v = w->v, z = w->z;
    v.at = k->v + row * TW_PANEL;
    z.at = k->z + row * columns;
    if (first < end) find_pixels(w, t, k, first, &p[first % 2]);
    for (int64_t tile = first; tile < end; tile++, v.at += TW_PANEL, z.at += columns) {
        const pixels *now = &p[tile % 2];
        pixels *next = &p[(tile + 1) % 2];
        find_pixels(w, t, k, tile + 1 < end ? tile + 1 : tile, next);
        w->kern->input[w->grid.size][w->grid.stored](&v, now->x, next->x, w->grid.in_channels);
        w->kern->gradient[w->grid.size][w->grid.stored](&z, now->y, next->y, outputs);
    }
}

/* The bias's gradient of a panel: the second row of A adds up all of a tile, so point (1, 1) of its
 * transform is the sum of its gradients. */
void tw_winograd_gradient_add_bias(const tw_winograd_gradient *w,
                                   const tw_winograd_gradient_work *k, const float *z,
                                   int64_t panel, int64_t count, bool add)
{
    const int64_t columns = w->panel->columns;
    float sum[TW_PANEL_COLUMNS_MAX] = {0}, *bias = k->bias + panel * columns;
    w->columns->add_f32(sum, z, count, columns);
    for (int64_t c = 0; c < columns; c++) bias[c] = add ? bias[c] + sum[c] : sum[c];
}

/* The sums of one point and one panel of output channels over the tiles of a block. */
static void multiply(const tw_winograd_gradient *w, const tw_winograd_gradient_work *k,
                     int64_t point, int64_t panel, int64_t count, bool add)
{
    float *u = k->u + point * w->u.point_stride + panel * w->u.panel_stride;
    if (tw_winograd_spares(&w->grid, point)) {
        if (!add) memset(u, 0, (size_t)w->u.panel_stride * sizeof *u);
        return;
    }
    if (w->fixed) {
        tw_winograd_gradient_fixed_multiply(w, k, point, panel, count, add);
        return;
    }
    const int64_t pairs = pieces(w->grid.in_channels, 2),
                  cuts = pieces(2 * pairs, w->panel->turned_best);
    for (int64_t c = 0, row = 0, next; c < cuts; c++, row = next) {
        const tw_panel_product product = {.a = k->v + point * w->v.point_stride +
                                               row / TW_PANEL * w->v.panel_stride + row % TW_PANEL,
                                          .b = k->z + point * w->z.point_stride +
                                               (panel - k->first) * w->z.panel_stride,
                                          .c = u + row * w->panel->columns,
                                          .inner = count,
                                          .a_stride = w->v.panel_stride,
                                          .row = row % TW_PANEL,
                                          .add = add};
        next = least(2 * ((c + 1) * pairs / cuts), w->grid.in_channels);
        w->panel->turned(&product, (int)(next - row));
    }
    if (point == 0)
        tw_winograd_gradient_add_bias(w, k,
                                      k->z + (w->grid.m + 3) * w->z.point_stride +
                                          (panel - k->first) * w->z.panel_stride,
                                      panel, count, add);
}

/* One thread's segment, or its share of one. While products are computed memory is idle: each
 * brings some of the next block's tensors near. */
static void sum_segment(const tw_winograd_gradient *w, const tw_task *t,
                        const tw_winograd_gradient_work *k, int64_t segment)
{
    const int64_t panels = k->last - k->first, all = w->grid.points * panels;
    const int64_t start = segment * w->grid.tiles / w->segments,
                  end = (segment + 1) * w->grid.tiles / w->segments;
    for (int64_t first = start; first < end; first += w->block) {
        const int64_t count = least(w->block, end - first), next = first + count,
                      rest = least(w->block, w->grid.tiles - next);
        tw_winograd_reach x = {0}, y = {0};
        if (rest > 0) {
            x = tw_winograd_input_reach(&w->grid, t->in[0], next, rest);
            y = tw_winograd_output_reach(&w->grid, t->in[1], next, rest);
        }
        if (w->fixed)
            tw_winograd_gradient_fixed_transform(w, t, k, first, count, 0, 1, first > start);
        else
            transform_tiles(w, t, k, first, next, 0);
        for (int64_t j = 0; j < all; j++) {
            tw_winograd_fetch(&x, j, all);
            tw_winograd_fetch(&y, j, all);
            multiply(w, k, j / panels, k->first + j % panels, count, first > start);
        }
    }
}

/* All threads' segment. */
static void sum_segment_together(const tw_winograd_gradient *w, const tw_task *t,
                                 const tw_winograd_gradient_work *k, int64_t segment)
{
    const int64_t me = omp_get_thread_num(), all = omp_get_num_threads();
    const int64_t start = segment * w->grid.tiles / w->segments,
                  end = (segment + 1) * w->grid.tiles / w->segments;
    for (int64_t first = start; first < end; first += w->block) {
        const int64_t count = least(w->block, end - first), row = me * count / all;
        if (w->fixed)
            tw_winograd_gradient_fixed_transform(w, t, k, first, count, me, all, first > start);
        else
            transform_tiles(w, t, k, first + row, first + (me + 1) * count / all, row);
#pragma omp barrier
#pragma omp for collapse(2) schedule(static)
        for (int64_t p = 0; p < w->grid.points; p++)
            for (int64_t panel = 0; panel < w->out_panels; panel++)
                multiply(w, k, p, panel, count, first > start);
    }
}

static void sum_segments(const tw_winograd_gradient *w, const tw_task *t, float *sums, float *bias,
                         float *own)
{
    const int64_t items = w->segments * w->groups, me = w->together ? 0 : omp_get_thread_num(),
                  all = w->together ? 1 : omp_get_num_threads();
    tw_winograd_gradient_work k = {.zeros = t->scratch, .v = own + me * w->own};
    k.z = k.v + w->grid.points * w->v.point_stride;
    k.strip = own + (w->together ? 1 : w->threads) * w->own + omp_get_thread_num() * w->strip;
    for (int64_t item = me * items / all; item < (me + 1) * items / all; item++) {
        const int64_t segment = item / w->groups;
        k.u = sums + segment * w->sums;
        k.bias = bias + segment * w->bias;
        k.first = item % w->groups * w->group;
        k.last = least(k.first + w->group, w->out_panels);
        if (w->together)
            sum_segment_together(w, t, &k, segment);
        else
            sum_segment(w, t, &k, segment);
    }
#pragma omp barrier
}

/* Into the first segment's, in order. */
static void add_segments(const tw_winograd_gradient *w, float *sums, float *bias)
{
#pragma omp for schedule(static)
    for (int64_t p = 0; p < w->grid.points; p++)
        for (int64_t s = 1; s < w->segments; s++)
            w->columns->add_f32(sums + p * w->u.point_stride,
                                sums + s * w->sums + p * w->u.point_stride, 1,
                                w->u.point_stride - APART);
#pragma omp single nowait
    w->columns->add_f32(bias, bias + w->bias, w->segments - 1, w->bias);
}

/* The weights of 16 input and 16 output channels, from (i, o) on. */
static void gather_tile(const tw_winograd_gradient *w, float *gw, float *sums, int64_t i, int64_t o)
{
    const int64_t columns = w->panel->columns;
    tw_winograd_kernel g;
    tw_winograd_row u = w->u;
    u.at = sums + o / columns * u.panel_stride + i * columns + o % columns;
    w->kern->weights_gradient[w->grid.size](
        &g, &u, least(TW_WINOGRAD_CHANNELS, w->grid.in_channels - i),
        least(TW_WINOGRAD_CHANNELS, w->out_panels * columns - o));
    tw_weights_copy_tile(&w->weights, gw, (const float *)g, o, i);
}

void tw_winograd_gradient_run(const tw_winograd_gradient *w, const tw_task *t)
{
    float *sums = (float *)t->scratch + w->zeros, *bias = sums + w->segments * w->sums,
          *own = bias + w->segments * w->bias;
    memset(t->scratch, 0, (size_t)w->zeros * sizeof *sums);
#pragma omp parallel num_threads(w->threads)
    {
        sum_segments(w, t, sums, bias, own);
        add_segments(w, sums, bias);
#pragma omp for collapse(2) schedule(static)
        for (int64_t o = 0; o < w->grid.out_channels; o += TW_WINOGRAD_CHANNELS)
            for (int64_t i = 0; i < w->grid.in_channels; i += TW_WINOGRAD_CHANNELS)
                gather_tile(w, t->out[0], sums, i, o);
    }
    if (t->out[1]) memcpy(t->out[1], bias, (size_t)w->grid.out_channels * sizeof *bias);
}
