/* Blocks of pixels, each by one thread: pointers to what they meet are made once and serve all
 * panels of output channels. */
#include "ops/conv_gather.h"

#include <omp.h>
#include <string.h>

#include "ops/task.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t pieces(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

/* ---- which ---- */

/* On one core of Zen 4 without AVX-512: 3 x 3 at stride 2 of 128 and 256 channels took oneDNN 2.6
 * 1.3 to 1.6 times as long in channels last as in its own layout. Smaller ones are conv_direct.h's.
 */
static const double wide_flops_min = 0x1p26;

bool tw_conv_gather_suits(const tw_conv_shapes *s, const tw_attr *a, tw_conv_direction direction,
                          tw_dtype act)
{
    const bool back = direction == TW_CONV_BACKWARD_DATA;
    if (s->x.rank != 4 || s->w.dims[2] * s->w.dims[3] > TW_GATHER_TAPS_MAX) return false;
    if (a->i[CONV_STRIDE] > 2 || a->i[CONV_STRIDE + 1] > 2) return false;
    const int64_t inputs = s->w.dims[back ? 0 : 1], outputs = s->w.dims[back ? 1 : 0];
    if (outputs <= TW_GATHER_NARROW)
        return inputs >= 16 && s->w.dims[2] * s->w.dims[3] > 1 &&
               !(act == TW_DTYPE_BF16 && tw_dnnl_bf16_unit() == TW_DNNL_BF16_TILES);
    return act == TW_DTYPE_F32 && tw_isa_get() != TW_ISA_AVX512 && a->i[CONV_STRIDE] == 2 &&
           a->i[CONV_STRIDE + 1] == 2 && outputs >= 16 && tw_conv_flops(s) > wide_flops_min;
}

/* ---- plan ---- */

/* The taps that pixels of the result meet whose remainders by the stride are those of class->first.
 */
static void find_taps(tw_gather_class *class, const tw_conv_shapes *s, const tw_attr *a, bool back)
{
    const int64_t taps = s->w.dims[2] * s->w.dims[3];
    for (int64_t k = 0; k < taps; k++) {
        const int64_t at[2] = {k / s->w.dims[3], k % s->w.dims[3]};
        bool meets = true;
        int64_t offset[2];
        for (int d = 0; d < 2; d++) {
            const int64_t stride = a->i[CONV_STRIDE + d];
            offset[d] = at[d] * a->i[CONV_DILATION + d] - a->i[CONV_BEFORE + d];
            if (!back) continue;
            offset[d] = class->first[d] - offset[d];
            meets = meets && offset[d] % stride == 0;
            offset[d] /= stride;
        }
        if (!meets) continue;
        class->tap[class->taps] = back ? taps - 1 - k : k; /* the packed kernel is turned round */
        memcpy(class->offset[class->taps++], offset, sizeof offset);
    }
}

static void find_classes(tw_conv_gather *d, const tw_conv_shapes *s, const tw_attr *a, bool back)
{
    const int64_t count = d->step[0] * d->step[1];
    for (int64_t c = 0; c < count; c++) {
        tw_gather_class *class = &d->class[d->classes];
        *class = (tw_gather_class){.first = {c / d->step[1], c % d->step[1]}};
        for (int k = 0; k < 2; k++)
            class->extent[k] = pieces(d->out[k] - class->first[k], d->step[k]);
        class->pixels = d->images * class->extent[0] * class->extent[1];
        if (class->pixels <= 0) continue;
        find_taps(class, s, a, back);
        d->classes++;
    }
}

static tw_conv_gather describe(const tw_conv_shapes *s, const tw_attr *a, bool back, tw_dtype act)
{
    const tw_shape in = back ? s->y : s->x, out = back ? s->x : s->y;
    tw_conv_gather d = {.kern = TW_KERNEL_SELECT(tw_kern_gather),
                        .stored = tw_stored_of(act),
                        .element = tw_dtype_size(act),
                        .images = in.dims[0],
                        .inputs = in.dims[3],
                        .outputs = out.dims[3],
                        .threads = omp_get_max_threads(),
                        .gain = a->f[1] != 0 ? (float)a->f[1] : 1};
    for (int k = 0; k < 2; k++) {
        d.in[k] = in.dims[1 + k];
        d.out[k] = out.dims[1 + k];
        d.step[k] = back ? a->i[CONV_STRIDE + k] : 1;
        d.source_step[k] = back ? 1 : a->i[CONV_STRIDE + k];
    }
    find_classes(&d, s, a, back);
    d.narrow = d.outputs <= TW_GATHER_NARROW;
    d.panel = d.narrow ? TW_GATHER_NARROW : d.kern->lanes * TW_GATHER_VECTORS;
    d.panels = pieces(d.outputs, d.panel);
    return d;
}

/* 96 pixels share the weights that a thread reads; fewer where there would be too few blocks. */
static void cut(tw_conv_gather *d)
{
    const int64_t tile = d->narrow ? d->kern->narrow_pixels : d->kern->wide_pixels;
    int64_t pixels = 0, taps = 0;
    for (int c = 0; c < d->classes; c++) {
        pixels += d->class[c].pixels;
        taps = d->class[c].taps > taps ? d->class[c].taps : taps;
    }
    d->block = pieces(least(96, pieces(pixels, 4 * (int64_t)d->threads)), tile) * tile;
    for (int c = 0; c < d->classes; c++) d->blocks += pieces(d->class[c].pixels, d->block);
    d->zeros =
        (size_t)pieces((int64_t)(d->element * (size_t)d->inputs), TW_ALIGNMENT) * TW_ALIGNMENT;
    d->own = (size_t)(d->block / tile * taps * TW_GATHER_PIXELS_MAX) * sizeof(void *) +
             (size_t)d->block * sizeof(int64_t);
    d->own = (d->own + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

static tw_md_blocking packed_layout(const tw_conv_gather *d, const tw_conv_shapes *s)
{
    if (d->narrow)
        return (tw_md_blocking){.rank = 4,
                                .stride = {d->tap_stride / TW_GATHER_NARROW, 1,
                                           s->w.dims[3] * d->tap_stride, d->tap_stride}};
    return (tw_md_blocking){
        .rank = 4,
        .stride = {d->panel_stride, d->panel, s->w.dims[3] * d->tap_stride, d->tap_stride},
        .inner_count = 1,
        .inner_size = {d->panel},
        .inner_dim = {0}};
}

tw_status tw_conv_gather_create(tw_conv_gather *out, tw_task *t, const tw_conv_shapes *s,
                                const tw_attr *a, tw_conv_direction direction, bool flip)
{
    static const char *const isa[] = {"baseline", "avx2", "avx512"};
    tw_status st = TW_OK;
    const tw_value *w = t->node->in[1];
    const bool back = direction == TW_CONV_BACKWARD_DATA;
    tw_conv_gather d = describe(s, a, back, t->act);
    cut(&d);
    d.tap_stride = d.narrow ? TW_GATHER_NARROW * pieces(d.inputs, d.kern->lanes) * d.kern->lanes
                            : d.inputs * d.panel;
    d.panel_stride = s->w.dims[2] * s->w.dims[3] * d.tap_stride;
    const tw_md_blocking layout = packed_layout(&d, s);
    TW_TRY(tw_format(t->implementation, sizeof t->implementation, "gather:%s", isa[tw_isa_get()]));
    TW_TRY(tw_weights_copy_pack_blocked(&d.weights, w->shape, w->layout, flip || back, &layout,
                                        TW_DTYPE_F32));
    t->flops = tw_conv_flops(s);
    t->packed_bytes = (size_t)(d.panels * d.panel_stride) * sizeof(float);
    t->packs_whole = tw_weights_copy_fills(&d.weights, t->packed_bytes);
    t->pack_unit[1] = tw_weights_unit(w->shape, w->layout);
    t->scratch_bytes = d.zeros + (size_t)d.threads * d.own;
    *out = d;
done:
    return st;
}

void tw_conv_gather_destroy(tw_conv_gather *d)
{
    tw_weights_copy_destroy(&d->weights);
}

/* ---- run ---- */

/* The pixel number q of a class, of all images. */
static int64_t locate(const tw_conv_gather *d, const tw_gather_class *class, int64_t q,
                      int64_t number[2], int64_t *image)
{
    number[1] = q % class->extent[1];
    number[0] = q / class->extent[1] % class->extent[0];
    *image = q / class->extent[1] / class->extent[0];
    return ((*image * d->out[0] + class->first[0] + number[0] * d->step[0]) * d->out[1] +
            class->first[1] + number[1] * d->step[1]) *
           d->outputs;
}

/* What one pixel of the result meets: entries 0, TW_GATHER_PIXELS_MAX, … of `pixel`. */
static void gather(const tw_conv_gather *d, const tw_gather_class *class, const char *x,
                   const char *zeros, const int64_t number[2], int64_t image, const void **pixel)
{
    const int64_t bytes = d->inputs * (int64_t)d->element;
    for (int64_t k = 0; k < class->taps; k++) {
        const int64_t r = number[0] * d->source_step[0] + class->offset[k][0],
                      c = number[1] * d->source_step[1] + class->offset[k][1];
        pixel[k * TW_GATHER_PIXELS_MAX] = r >= 0 && r < d->in[0] && c >= 0 && c < d->in[1]
                                              ? x + ((image * d->in[0] + r) * d->in[1] + c) * bytes
                                              : zeros;
    }
}

/* Pixels [first, last) of a class. */
static void run_block(const tw_conv_gather *d, const tw_gather_class *class, tw_gather_tile tile,
                      const char *x, const char *zeros, char *own, int64_t first, int64_t last)
{
    const int64_t most = d->narrow ? d->kern->narrow_pixels : d->kern->wide_pixels,
                  tiles = pieces(last - first, most), each = class->taps * TW_GATHER_PIXELS_MAX;
    int64_t *at = (int64_t *)(void *)own;
    const void **pixel = (const void **)(void *)(own + (size_t)d->block * sizeof *at);
    const float *w = tile.w, *bias = tile.bias;
    char *y = tile.y;
    const char *summand = tile.summand;
    for (int64_t q = first; q < last; q++) {
        int64_t number[2], image;
        const int64_t k = q - first;
        at[k] = locate(d, class, q, number, &image);
        gather(d, class, x, zeros, number, image, pixel + k / most * each + k % most);
    }
    tile.tap = class->tap;
    tile.taps = class->taps;
    for (int64_t p = 0; p < d->panels; p++) {
        const int64_t channel = p * d->panel;
        tile.w = w + p * d->panel_stride;
        tile.bias = bias ? bias + channel : NULL;
        tile.y = y + channel * (int64_t)d->element;
        tile.summand = summand ? summand + channel * (int64_t)d->element : NULL;
        tile.outputs = (int)least(d->panel, d->outputs - channel);
        for (int64_t k = 0; k < tiles; k++) {
            const int pixels = (int)least(most, last - first - k * most);
            tile.pixel = pixel + k * each;
            tile.at = at + k * most;
            if (d->narrow)
                d->kern->narrow[d->stored](&tile, pixels);
            else
                d->kern->wide(&tile, pixels);
        }
    }
}

void tw_conv_gather_run(const tw_conv_gather *d, const tw_task *t, const float *bias,
                        const void *summand)
{
    const char *zeros = memset(t->scratch, 0, d->zeros);
    const tw_gather_tile tile = {.inputs = d->inputs,
                                 .tap_stride = d->tap_stride,
                                 .w = t->packed,
                                 .bias = bias,
                                 .summand = summand,
                                 .y = t->out[0],
                                 .gain = d->gain};
#pragma omp parallel for schedule(static) num_threads(d->threads)
    for (int64_t b = 0; b < d->blocks; b++) {
        char *own = (char *)t->scratch + d->zeros + (size_t)omp_get_thread_num() * d->own;
        const tw_gather_class *class = d->class;
        int64_t in_class = b;
        while (in_class >= pieces(class->pixels, d->block))
            in_class -= pieces((class ++)->pixels, d->block);
        run_block(d, class, tile, t->in[0], zeros, own, in_class * d->block,
                  least((in_class + 1) * d->block, class->pixels));
    }
}
