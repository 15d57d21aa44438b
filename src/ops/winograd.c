/* Forward: blocks of tiles, each by one thread, from the images through transform, products and
 * transform back; so what a block needs stays in that thread's cache. Where there are fewer blocks
 * than threads, groups of output channels are shared out too, and the transform is made by each. A
 * thread that has done its own blocks takes over from those that are slower (share.h). */
#include "ops/winograd.h"

#include <omp.h>
#include <string.h>

#include "ops/share.h"
#include "ops/task.h"

/* A point's numbers do not begin at a multiple of 4096 bytes, or all points of a tile would want
 * the same few lines of a cache. */
enum { APART = 16 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t pieces(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

/* Tiles and output panels that one thread takes at a time. Weights are read once for each block,
 * so that 24 tiles need them slowly enough for a third-level cache to keep up; more, up to 96,
 * where their transforms and what they are of stay within 384 KiB of a second-level cache. One core
 * of Zen 4 (1 MiB), 32, 64 and 128 channels: 0.85, 0.90 and 0.96 of the time that 2 MiB take. */
static void cut(tw_winograd *w)
{
    const int64_t in = w->in_panels * TW_PANEL, out = w->out_panels * w->panel->columns;
    const int64_t bytes = w->fixed ? 2 * in + 4 * out : 4 * (in + out);
    const int64_t room = (INT64_C(384) << 10) / (w->grid.points * bytes);
    const int64_t most = room < 24 ? 24 : room > 96 ? 96 : room;
    w->blocks = pieces(w->grid.tiles, most);
    if (w->blocks > w->threads) w->blocks = pieces(w->blocks, w->threads) * w->threads;
    if (w->blocks < w->threads) w->blocks = least(w->threads, pieces(w->grid.tiles, 24));
    w->block = pieces(w->grid.tiles, w->blocks);
    w->blocks = pieces(w->grid.tiles, w->block);
    w->groups = least(pieces(w->threads, w->blocks), w->out_panels);
    w->group = pieces(w->out_panels, w->groups);
    w->groups = pieces(w->out_panels, w->group);
}

tw_status tw_winograd_create(tw_winograd *out, tw_task *t, const tw_conv_shapes *s,
                             const tw_attr *a, bool flip)
{
    tw_status st = TW_OK;
    const tw_value *stored = t->node->in[1];
    const tw_md_blocking layout = tw_winograd_kernel_layout();
    tw_winograd w = {.grid = tw_winograd_grid_of(s, a, t->act), .flip = flip};
    w.direct = !flip && stored->layout == TW_BLOCKED;
    w.grid.paired = tw_winograd_is_paired(&w.grid, t->node->in[0]) || a->f[CONV_POOLED] != 0;
    w.gain = a->f[1] != 0 ? (float)a->f[1] : 1;
    w.kern = TW_KERNEL_SELECT(tw_kern_winograd);
    w.panel = TW_KERNEL_SELECT(tw_kern_panel);
    w.threads = omp_get_max_threads();
    w.in_panels = pieces(w.grid.in_channels, TW_PANEL);
    w.out_panels = pieces(w.grid.out_channels, w.panel->columns);
    if (tw_winograd_fixed_suits(&w.grid)) w.fixed = TW_KERNEL_SELECT(tw_kern_short);
    w.native = tw_processor_allowed().avx512_vnni;
    cut(&w);
    w.v.panel_stride = w.block * TW_PANEL;
    w.v.point_stride = w.in_panels * w.v.panel_stride + APART;
    w.m.panel_stride = w.block * w.panel->columns;
    w.m.point_stride = w.group * w.m.panel_stride + APART;
    w.u.panel_stride = w.grid.in_channels * w.panel->columns;
    w.u.point_stride = w.out_panels * w.u.panel_stride + APART;
    w.zeros = w.in_panels * TW_PANEL;
    w.inputs = w.grid.points * w.v.point_stride;
    t->packed_bytes = (size_t)(w.grid.points * w.u.point_stride) * sizeof(float);
    t->pack_unit[1] = tw_weights_unit(stored->shape, stored->layout);
    if (w.fixed) {
        tw_winograd_fixed_layout(&w);
        t->packed_bytes = tw_winograd_fixed_packed_bytes(&w);
        t->pack_unit[1] = tw_shape_count(stored->shape); /* scales are of all input channels */
    }
    w.own = w.zeros + w.inputs + w.grid.points * w.m.point_stride;
    TW_TRY(tw_winograd_name(t, &w.grid, w.fixed != NULL));
    TW_TRY(tw_weights_copy_pack_blocked(&w.weights, stored->shape, stored->layout, flip, &layout,
                                        TW_DTYPE_F32));
    t->flops = tw_conv_flops(s);
    t->packs_whole = true; /* but for columns whose products nobody reads */
    t->scratch_bytes = (size_t)(w.threads * w.own) * sizeof(float);
    *out = w;
done:
    return st;
}

void tw_winograd_destroy(tw_winograd *w)
{
    tw_weights_copy_destroy(&w->weights);
}

const tw_winograd_kernel *tw_winograd_weights(const tw_winograd *w, const tw_task *t,
                                              tw_winograd_kernel *copy, int64_t i, int64_t o)
{
    const int64_t panels = w->grid.in_channels / TW_WINOGRAD_CHANNELS;
    if (w->direct && o < w->grid.out_channels)
        return (const tw_winograd_kernel *)t->in[1] + o / TW_WINOGRAD_CHANNELS * panels +
               i / TW_WINOGRAD_CHANNELS;
    if (i + TW_WINOGRAD_CHANNELS > w->grid.in_channels ||
        o + TW_WINOGRAD_CHANNELS > w->grid.out_channels)
        memset(copy, 0, sizeof *copy);
    if (o < w->grid.out_channels)
        tw_weights_copy_tile(&w->weights, copy, t->in[1], w->flip ? i : o, w->flip ? o : i);
    return (const tw_winograd_kernel *)copy;
}

/* Some 16 input and 16 output channels, from (i, o) on. */
static void pack_tile(const tw_winograd *w, const tw_task *t, int64_t i, int64_t o)
{
    const int64_t columns = w->panel->columns;
    tw_winograd_kernel copy;
    tw_winograd_row u = w->u;
    u.at = (float *)t->packed + o / columns * u.panel_stride + i * columns + o % columns;
    w->kern->weights[w->grid.size](&u, tw_winograd_weights(w, t, &copy, i, o),
                                   least(TW_WINOGRAD_CHANNELS, w->grid.in_channels - i),
                                   least(TW_WINOGRAD_CHANNELS, w->out_panels * columns - o));
}

void tw_winograd_pack(const tw_winograd *w, const tw_task *t, int64_t unit)
{
    const tw_weights_tiles tiles = tw_weights_tiles_of(w->weights.shape, w->weights.layout, unit);
    if (w->fixed) {
        tw_winograd_fixed_pack(w, t);
        return;
    }
    for (int64_t i = tiles.first; i < tiles.end; i += TW_WINOGRAD_CHANNELS)
        pack_tile(w, t, w->flip ? tiles.o : i, w->flip ? i : tiles.o);
}

static void transform_inputs(const tw_winograd *w, float *v, const void *x, const float *zeros,
                             int64_t first, int64_t count)
{
    if (w->fixed) {
        tw_winograd_fixed_inputs(w, v, x, zeros, first, count);
        return;
    }
    const void *pixel[2][TW_WINOGRAD_POINTS_MAX];
    tw_winograd_row row = w->v;
    tw_winograd_inputs(&w->grid, first, x, zeros, pixel[0]);
    for (int64_t t = 0; t < count; t++) {
        const void **now = pixel[t % 2], **next = pixel[(t + 1) % 2];
        row.at = v + t * TW_PANEL;
        tw_winograd_inputs(&w->grid, first + (t + 1 < count ? t + 1 : t), x, zeros, next);
        w->kern->input[w->grid.size][w->grid.stored](&row, now, next, w->grid.in_channels);
    }
}

/* All points. While products are computed memory is idle: each brings some of the next block's
 * input near. */
static void multiply(const tw_winograd *w, float *m, const float *v, const float *u,
                     const tw_winograd_work *k)
{
    if (w->fixed) {
        tw_winograd_fixed_multiply(w, m, v, u, k);
        return;
    }
    const int64_t cuts = pieces(k->count, w->panel->rows_max), columns = w->panel->columns,
                  panels = k->last - k->panel, all = w->grid.points * panels;
    for (int64_t j = 0; j < all; j++) {
        const int64_t p = j / panels, panel = j % panels;
        tw_winograd_fetch(&k->next, j, all);
        if (tw_winograd_spares(&w->grid, p)) continue;
        for (int64_t c = 0, row = 0, next; c < cuts; c++, row = next) {
            const tw_panel_product product = {
                .a = v + p * w->v.point_stride + row * TW_PANEL,
                .b = u + p * w->u.point_stride + (k->panel + panel) * w->u.panel_stride,
                .c = m + p * w->m.point_stride + panel * w->m.panel_stride + row * columns,
                .inner = w->grid.in_channels,
                .a_stride = w->v.panel_stride};
            next = (c + 1) * k->count / cuts;
            w->panel->straight(&product, (int)(next - row));
        }
    }
}

static void transform_outputs(const tw_winograd *w, const float *bias, const void *summand, void *y,
                              float *m, const tw_winograd_work *k)
{
    const int64_t channel = k->panel * w->panel->columns,
                  channels = least(k->last * w->panel->columns, w->grid.out_channels) - channel;
    const tw_dtype act = w->grid.stored == TW_STORED_F32 ? TW_DTYPE_F32 : TW_DTYPE_BF16;
    tw_winograd_output to = {.bias = bias ? bias + channel : NULL,
                             .summand = summand ? tw_at_const(summand, channel, act) : NULL,
                             .y = tw_at(y, channel, act),
                             .gain = w->gain};
    tw_winograd_row row = w->m;
    int64_t at[2][16];
    tw_winograd_outputs(&w->grid, k->first, at[0]);
    for (int64_t t = 0; t < k->count; t++) {
        to.at = at[t % 2];
        to.ahead = at[(t + 1) % 2];
        row.at = m + t * w->panel->columns;
        tw_winograd_outputs(&w->grid, k->first + (t + 1 < k->count ? t + 1 : t), at[(t + 1) % 2]);
        w->kern->output[w->grid.size][w->grid.stored](&row, &to, channels);
    }
}

/* What multiply() leaves out. */
static void clear_spared(const tw_winograd *w, float *m)
{
    for (int p = 0; p < w->grid.points; p++)
        if (tw_winograd_spares(&w->grid, p))
            memset(m + p * w->m.point_stride, 0, (size_t)w->m.point_stride * sizeof *m);
}

static tw_winograd_work work_of(const tw_winograd *w, const void *x, int64_t item, bool last)
{
    const int64_t first = item / w->groups * w->block, next = first + w->block;
    tw_winograd_work k = {.first = first, .count = least(w->block, w->grid.tiles - first)};
    k.panel = item % w->groups * w->group;
    k.last = least(k.panel + w->group, w->out_panels);
    if (!last && k.last == w->out_panels)
        k.next = tw_winograd_input_reach(&w->grid, x, next, least(w->block, w->grid.tiles - next));
    return k;
}

static void run_items(const tw_winograd *w, const tw_task *t, tw_share *share, const float *bias,
                      const void *summand)
{
    const int me = omp_get_thread_num();
    float *zeros = (float *)t->scratch + me * w->own, *v = zeros + w->zeros, *m = v + w->inputs;
    int64_t have = -1; /* first tile of the block whose inputs v holds */
    bool more;
    memset(zeros, 0, (size_t)w->zeros * sizeof *zeros);
    clear_spared(w, m);
    for (int64_t item; (item = tw_share_next(share, me, &more)) >= 0;) {
        const tw_winograd_work k = work_of(w, t->in[0], item, !more);
        if (k.first != have) transform_inputs(w, v, t->in[0], zeros, k.first, k.count);
        have = k.first;
        multiply(w, m, v, t->packed, &k);
        transform_outputs(w, bias, summand, t->out[0], m, &k);
    }
}

void tw_winograd_run(const tw_winograd *w, const tw_task *t, const float *bias, const void *summand)
{
    tw_share share;
    tw_share_begin(&share, w->threads, w->blocks * w->groups);
#pragma omp parallel num_threads(w->threads)
    run_items(w, t, &share, bias, summand);
}
