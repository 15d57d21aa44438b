/* Items are a segment and some tiles of output channels, taken as threads come to want them. */
#include "ops/pointwise_gradient.h"

#include <omp.h>
#include <string.h>

#include "ops/task.h"

enum {
    BLOCK = 128, /* pixels, or pairs: of them a tile of gy and a panel of x are 24 KiB, in a
                    first-level cache */
    LEAST = 256, /* of a segment: its sums are written once and read once more */
    PANEL = TW_POINTWISE_PANEL,
    APART = 16 /* floats: panels do not begin at multiples of 4096 bytes */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t pieces(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

/* One core of Zen 4, processor time with the bias's gradient, against oneDNN 2.6's matrix product:
 *
 *     pixels  channels                          AVX-512        AVX2
 *      16384  128 with 256, 384                1.21  1.00    1.10  0.99
 *       4096  256 with 256, 512, 768           1.05  1.01    1.17  1.01
 *      12544  64 with 64, 192; 50176  32, 64   1.35  0.97    1.01  0.92
 *   256-1024  256 with 384, 512                1.00  0.90    1.15  1.05
 *         64  256                                 0.90          1.00
 */
/* Pairs of bf16, against oneDNN 2.6's matrix product without the bias's gradient, on the same core:
 * 16384 pixels 1.10 to 1.17, 12544 pixels of 64 channels 1.04, 1024 and 4096 pixels of 256 and more
 * 0.96 to 1.03; but on two cores that reaches 267 to 337 GFLOP/s, of 2 x 215. */
static bool suits_pairs(int64_t pixels, int64_t inputs, int64_t outputs)
{
    return tw_processor_allowed().avx512_bf16 && tw_dnnl_bf16_unit() == TW_DNNL_BF16_DOTS &&
           pixels >= 1024 && inputs >= 64 && outputs >= 64;
}

bool tw_pointwise_gradient_suits(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act)
{
    const int64_t outputs = s->w.dims[0], inputs = s->w.dims[1],
                  pixels = tw_shape_count(s->y) / outputs;
    if (!tw_conv_is_pointwise(s, a)) return false;
    if (act == TW_DTYPE_BF16) return suits_pairs(pixels, inputs, outputs);
    if (tw_isa_get() == TW_ISA_AVX512)
        return pixels >= 4096 && inputs >= 32 && outputs >= 32 && inputs + outputs >= 96;
    return tw_isa_get() == TW_ISA_AVX2 && pixels >= 256 && inputs >= 64 && outputs >= 64 &&
           inputs + outputs >= 192;
}

/* Up to eight, for so many threads. */
static int64_t segments_of(const tw_pointwise_gradient *d)
{
    int64_t segments = 1;
    while (segments < 8 && d->pixels >= 2 * segments * LEAST * d->each &&
           2 * segments * d->sums * (int64_t)sizeof(float) <= INT64_C(12) << 20)
        segments *= 2;
    return segments;
}

static tw_pointwise_gradient describe(const tw_conv_shapes *s, const tw_value *gw, tw_dtype act)
{
    tw_pointwise_gradient d = {.kern = TW_KERNEL_SELECT(tw_kern_pointwise),
                               .columns = TW_KERNEL_SELECT(tw_kern_columns),
                               .inputs = s->w.dims[1],
                               .outputs = s->w.dims[0],
                               .pixels = tw_shape_count(s->y) / s->w.dims[0],
                               .panel = BLOCK * PANEL + APART,
                               .each = act == TW_DTYPE_BF16 ? 2 : 1,
                               .threads = omp_get_max_threads()};
    const int64_t columns = d.kern->columns;
    d.in_panels = pieces(d.inputs, PANEL);
    d.tiles = pieces(d.outputs, columns);
    d.direct = gw->layout == TW_BLOCKED && d.outputs % columns == 0;
    d.c_panel = d.inputs * PANEL;
    d.bias = pieces(d.tiles * columns, PANEL) * PANEL;
    d.sums = d.bias * d.inputs;
    d.segments = segments_of(&d);
    d.groups = least(d.tiles, pieces(d.threads, d.segments));
    d.group = pieces(d.tiles, d.groups);
    d.group += d.group * columns % PANEL != 0; /* half a panel */
    d.groups = pieces(d.tiles, d.group);
    d.own = (d.in_panels + pieces(d.group * columns, PANEL)) * d.panel;
    return d;
}

tw_status tw_pointwise_gradient_create(tw_pointwise_gradient *out, tw_task *t,
                                       const tw_conv_shapes *s)
{
    static const char *const isa[] = {"baseline", "avx2", "avx512"};
    tw_status st = TW_OK;
    const tw_value *gw = &t->node->out[0];
    tw_pointwise_gradient d = describe(s, gw, t->act);
    const tw_md_blocking layout = {.rank = s->w.rank,
                                   .stride = {d.c_panel, PANEL},
                                   .inner_count = 1,
                                   .inner_size = {PANEL},
                                   .inner_dim = {0}};
    TW_TRY(tw_format(t->implementation, sizeof t->implementation, "pointwise:%s",
                     d.each == 2 ? "avx512_bf16" : isa[tw_isa_get()]));
    if (!d.direct)
        TW_TRY(tw_weights_copy_unpack_blocked(&d.weights, gw->shape, gw->layout, &layout));
    t->flops = tw_conv_flops(s);
    t->scratch_bytes = (size_t)(d.segments * (d.sums + d.bias) + d.threads * d.own) * sizeof(float);
    *out = d;
done:
    return st;
}

void tw_pointwise_gradient_destroy(tw_pointwise_gradient *d)
{
    tw_weights_copy_destroy(&d->weights);
}

/* What an item has: panels of x and gy, sums, tiles [first, last). */
typedef struct work {
    float *x, *y, *sums, *bias;
    int64_t first, last, channel, channels; /* channels: of its tiles, as far as they exist */
} work;

/* Pieces of `count` numbers of a tensor, by products of `inner` k: the next one is `at`. */
static tw_pointwise_ahead ahead_of(const tw_task *t, int input, int64_t first, int64_t count,
                                   int64_t products, int64_t inner)
{
    return (tw_pointwise_ahead){.at = tw_at_const(t->in[input], first, t->act),
                                .step = count * (int64_t)tw_dtype_size(t->act) *
                                        TW_POINTWISE_FETCH_EACH / (products * inner)};
}

/* Panels of some pixels of input `input`, channels from `channel` on. */
static void lay_out(const tw_pointwise_gradient *d, const tw_task *t, int input, float *to,
                    int64_t first, int64_t count, int64_t channel, int64_t channels, float *sums,
                    bool add)
{
    const int64_t row = input ? d->outputs : d->inputs;
    const void *x = tw_at_const(t->in[input], first * row + channel, t->act);
    if (d->each == 2)
        d->kern->lay_out_pairs(to, d->panel, x, row, count, channels, sums, add);
    else
        d->kern->lay_out(to, d->panel, x, row, count, channels, sums, add);
}

/* One tile's sums over a block, of a panel of input channels. */
static void multiply(const tw_pointwise_gradient *d, const work *w, tw_pointwise_ahead ahead[2],
                     int64_t tile, int64_t i, int64_t count, bool add)
{
    const int64_t c = tile * d->kern->columns, at = c - w->first * d->kern->columns,
                  rows = least(PANEL, d->inputs - i * PANEL),
                  cuts = pieces(rows, d->kern->rows_max);
    for (int64_t k = 0, row = 0, end; k < cuts; k++, row = end) {
        const tw_pointwise_sum sum = {.a = w->x + i * d->panel + row,
                                      .b = w->y + at / PANEL * d->panel + at % PANEL,
                                      .c = w->sums + c / PANEL * d->c_panel +
                                           (i * PANEL + row) * PANEL + c % PANEL,
                                      .inner = count,
                                      .b_panel = d->panel,
                                      .c_panel = d->c_panel,
                                      .ahead = {ahead[0], ahead[1]},
                                      .add = add};
        end = (k + 1) * rows / cuts;
        (d->each == 2 ? d->kern->sum_pairs : d->kern->sum)(&sum, (int)(end - row));
        for (int j = 0; j < 2; j++) ahead[j].at += count / TW_POINTWISE_FETCH_EACH * ahead[j].step;
    }
}

/* Pixels [start, end). While products are computed memory is idle: each brings some of the next
 * block near. */
static void sum_segment(const tw_pointwise_gradient *d, const tw_task *t, const work *w,
                        int64_t start, int64_t end)
{
    const int64_t cuts = pieces(PANEL, d->kern->rows_max),
                  all = (w->last - w->first) * d->in_panels * cuts,
                  blocks = pieces(end - start, BLOCK * d->each);
    for (int64_t b = 0, first = start, last; b < blocks; b++, first = last) {
        last = start + (b + 1) * (end - start) / blocks;
        const int64_t count = last - first, inner = pieces(count, d->each),
                      next = least(count, d->pixels - last);
        lay_out(d, t, 0, w->x, first, count, 0, d->inputs, NULL, false);
        lay_out(d, t, 1, w->y, first, count, w->channel, w->channels,
                t->out[1] ? w->bias + w->channel : NULL, b > 0);
        tw_pointwise_ahead ahead[2] = {
            ahead_of(t, 0, last * d->inputs, next * d->inputs, all, inner),
            ahead_of(t, 1, last * d->outputs, next * d->outputs, all, inner)};
        for (int64_t tile = w->first; tile < w->last; tile++)
            for (int64_t i = 0; i < d->in_panels; i++) multiply(d, w, ahead, tile, i, inner, b > 0);
    }
}

/* Into the first segment's, in order. */
static void add_segments(const tw_pointwise_gradient *d, float *first, const float *rest)
{
    enum { PART = 4096 };
#pragma omp for schedule(static)
    for (int64_t at = 0; at < d->sums; at += PART)
        for (int64_t s = 1; s < d->segments; s++)
            d->columns->add_f32(first + at, rest + s * d->sums + at, 1, least(PART, d->sums - at));
}

void tw_pointwise_gradient_run(const tw_pointwise_gradient *d, const tw_task *t)
{
    float *sums = t->scratch, *bias = sums + d->segments * d->sums,
          *own = bias + d->segments * d->bias, *first = d->direct ? t->out[0] : sums;
#pragma omp parallel num_threads(d->threads)
    {
        work w = {.x = own + omp_get_thread_num() * d->own};
        w.y = w.x + d->in_panels * d->panel;
#pragma omp for collapse(2) schedule(dynamic)
        for (int64_t s = 0; s < d->segments; s++)
            for (int64_t g = 0; g < d->groups; g++) {
                w.sums = s == 0 ? first : sums + s * d->sums;
                w.bias = bias + s * d->bias;
                w.first = g * d->group;
                w.last = least(w.first + d->group, d->tiles);
                w.channel = w.first * d->kern->columns;
                w.channels = least(w.last * d->kern->columns, d->outputs) - w.channel;
                sum_segment(d, t, &w, s * d->pixels / d->segments,
                            (s + 1) * d->pixels / d->segments);
            }
        add_segments(d, first, sums);
    }
    if (!d->direct) tw_weights_copy_run(&d->weights, t->out[0], sums);
    if (!t->out[1]) return;
    d->columns->add_f32(bias, bias + d->bias, d->segments - 1, d->bias);
    memcpy(t->out[1], bias, (size_t)d->outputs * sizeof *bias);
}
