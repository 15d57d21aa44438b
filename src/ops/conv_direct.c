/* Copies images with their padding and cuts the work of our own convolution into tiles.
 *
 * Images are taken in groups of as many as there are threads: all threads copy the group, then each
 * computes an equal share of its output rows, block of channels by block of channels, so that a
 * block's weights stay in its cache. An output is computed in the same way whoever does it. */
#include "ops/conv_direct.h"

#include <omp.h>
#include <string.h>

#include "ops/task.h"

/* At 500 Gflop/s the first is 0.13 ms, of which 15 % are 0.02 ms; the whole of a small network with
 * a batch of a few images stays below it, and few convolutions of 16 channels and more in a batch
 * worth training with do. Pointwise ones take twice oneDNN's time. */
static const double flops_max = 0x1p26, pointwise_flops_max = 0x1p23;

/* Rows or columns of the padded copy that outputs reach. */
static int64_t reach(int64_t out, int64_t stride, int64_t kernel, int64_t dilation)
{
    return (out - 1) * stride + (kernel - 1) * dilation + 1;
}

static tw_conv_direct describe(const tw_conv_shapes *s, const tw_attr *a)
{
    tw_conv_direct d = {.images = s->x.dims[0],
                        .in_height = s->x.dims[1],
                        .in_width = s->x.dims[2],
                        .in_channels = s->x.dims[3],
                        .out_height = s->y.dims[1],
                        .out_width = s->y.dims[2],
                        .out_channels = s->y.dims[3]};
    for (int i = 0; i < 2; i++) {
        d.kernel[i] = s->w.dims[2 + i];
        d.stride[i] = a->i[CONV_STRIDE + i];
        d.dilation[i] = a->i[CONV_DILATION + i];
        d.before[i] = a->i[CONV_BEFORE + i];
    }
    d.gain = a->f[1] != 0 ? (float)a->f[1] : 1;
    d.rows = reach(d.out_height, d.stride[0], d.kernel[0], d.dilation[0]);
    d.columns = reach(d.out_width, d.stride[1], d.kernel[1], d.dilation[1]);
    d.chunks = (d.in_channels + TW_CONV_CHUNK - 1) / TW_CONV_CHUNK;
    return d;
}

/* One padded image. */
static int64_t copy_count(const tw_conv_direct *d)
{
    return d->chunks * d->rows * d->columns * TW_CONV_CHUNK;
}

bool tw_conv_direct_suits(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act)
{
    const double most = tw_conv_is_pointwise(s, a) ? pointwise_flops_max : flops_max;
    return act == TW_DTYPE_F32 && s->x.rank == 4 && a->i[CONV_STRIDE + 1] <= 2 &&
           s->w.dims[0] >= TW_CONV_CHUNK && s->w.dims[1] >= TW_CONV_CHUNK &&
           tw_conv_flops(s) <= most;
}

/* [block][chunk][kernel row][kernel column][channel of the chunk][channel of the block], as oneDNN
 * would describe it. */
static tw_md_blocking packed_layout(const tw_conv_direct *d)
{
    const int64_t tap = TW_CONV_CHUNK * d->lanes, taps = d->kernel[0] * d->kernel[1];
    return (tw_md_blocking){.rank = 4,
                            .stride = {d->chunks * taps * tap, taps * tap, d->kernel[1] * tap, tap},
                            .inner_count = 2,
                            .inner_size = {TW_CONV_CHUNK, d->lanes},
                            .inner_dim = {1, 0}};
}

tw_status tw_conv_direct_create(tw_conv_direct *out, tw_task *t, const tw_conv_shapes *s,
                                const tw_attr *a, bool flip)
{
    tw_status st = TW_OK;
    const tw_value *w = t->node->in[1];
    tw_conv_direct d = describe(s, a);
    d.kern = TW_KERNEL_SELECT(tw_kern_conv);
    d.kind = tw_conv_is_pointwise(s, a)   ? TW_CONV_POINTWISE
             : a->i[CONV_STRIDE + 1] == 2 ? TW_CONV_STRIDE2
                                          : TW_CONV_STRIDE1;
    d.threads = omp_get_max_threads();
    d.lanes = d.kern->lanes * TW_CONV_VECTORS;
    d.blocks = (d.out_channels + d.lanes - 1) / d.lanes;
    d.at_once = d.images < d.threads ? d.images : d.threads;
    const tw_md_blocking layout = packed_layout(&d);
    TW_TRY(tw_task_plan_c(t, tw_conv_flops(s)));
    TW_TRY(
        tw_weights_copy_pack_blocked(&d.weights, w->shape, w->layout, flip, &layout, TW_DTYPE_F32));
    t->packed_bytes = (size_t)(d.blocks * layout.stride[0]) * sizeof(float);
    t->packs_whole = tw_weights_copy_fills(&d.weights, t->packed_bytes);
    t->pack_unit[1] = tw_weights_unit(w->shape, w->layout);
    t->scratch_bytes = (size_t)(d.at_once * copy_count(&d)) * sizeof(float);
    *out = d;
done:
    return st;
}

void tw_conv_direct_destroy(tw_conv_direct *d)
{
    tw_weights_copy_destroy(&d->weights);
}

/* One row of the padded copy, all chunks of it. x is the image, or NULL where the row is padding.
 */
static void copy_row(const tw_conv_direct *d, float *copy, const float *x)
{
    const int64_t left = d->before[1] < d->columns ? d->before[1] : d->columns,
                  room = d->columns - left;
    const int64_t inside = x ? (d->in_width < room ? d->in_width : room) : 0;
    for (int64_t chunk = 0; chunk < d->chunks;
         chunk++, copy += d->rows * d->columns * TW_CONV_CHUNK) {
        const int64_t first = chunk * TW_CONV_CHUNK, rest = d->in_channels - first;
        const size_t n = (size_t)(rest < TW_CONV_CHUNK ? rest : TW_CONV_CHUNK) * sizeof(float);
        float *to = copy + left * TW_CONV_CHUNK;
        if (!x) {
            memset(copy, 0, (size_t)(d->columns * TW_CONV_CHUNK) * sizeof(float));
            continue;
        }
        memset(copy, 0, (size_t)(left * TW_CONV_CHUNK) * sizeof(float));
        if (n == TW_CONV_CHUNK * sizeof(float)) /* of a size that the compiler knows */
            for (int64_t c = 0; c < inside; c++)
                memcpy(to + c * TW_CONV_CHUNK, x + c * d->in_channels + first, 4 * TW_CONV_CHUNK);
        else
            for (int64_t c = 0; c < inside; c++)
                memcpy(to + c * TW_CONV_CHUNK, x + c * d->in_channels + first, n);
        memset(to + inside * TW_CONV_CHUNK, 0,
               (size_t)((room - inside) * TW_CONV_CHUNK) * sizeof(float));
    }
}

static void copy_rows(const tw_conv_direct *d, float *copies, const float *x, int64_t images)
{
#pragma omp for schedule(static)
    for (int64_t i = 0; i < images * d->rows; i++) {
        const int64_t image = i / d->rows, row = i % d->rows, from = row - d->before[0];
        const float *source =
            from < 0 || from >= d->in_height
                ? NULL
                : x + (image * d->in_height + from) * d->in_width * d->in_channels;
        copy_row(d, copies + image * copy_count(d) + row * d->columns * TW_CONV_CHUNK, source);
    }
}

/* One row of the output in one block of channels, in tiles of nearly the same width. */
static void run_row(const tw_conv_direct *d, tw_conv_tile *t, int64_t y_offset,
                    const float *summand, float *y)
{
    const int64_t most = d->kern->pixels_max[d->kind], tiles = (d->out_width + most - 1) / most;
    const float *x = t->x;
    for (int64_t k = 0, pixel = 0, next; k < tiles; k++, pixel = next) {
        next = (k + 1) * d->out_width / tiles;
        t->x = x + pixel * d->stride[1] * TW_CONV_CHUNK;
        t->y = y + y_offset + pixel * d->out_channels;
        t->summand = summand ? summand + y_offset + pixel * d->out_channels : NULL;
        d->kern->tile[d->kind](t, (int)(next - pixel));
    }
}

/* Rows [first, last) of one image. */
static void run_rows(const tw_conv_direct *d, const float *copy, const float *w, const float *bias,
                     const float *summand, float *y, int64_t first, int64_t last)
{
    const int64_t block_weights =
        d->chunks * d->kernel[0] * d->kernel[1] * TW_CONV_CHUNK * d->lanes;
    for (int64_t b = 0; b < d->blocks; b++)
        for (int64_t row = first; row < last; row++) {
            const int64_t channel = b * d->lanes, left = d->out_channels - channel;
            tw_conv_tile t = {.x = copy + row * d->stride[0] * d->columns * TW_CONV_CHUNK,
                              .w = w + b * block_weights,
                              .bias = bias ? bias + channel : NULL,
                              .y_stride = d->out_channels,
                              .chunk_stride = d->rows * d->columns * TW_CONV_CHUNK,
                              .row_stride = d->dilation[0] * d->columns * TW_CONV_CHUNK,
                              .column_stride = d->dilation[1] * TW_CONV_CHUNK,
                              .gain = d->gain,
                              .chunks = d->chunks,
                              .rows = d->kernel[0],
                              .columns = d->kernel[1],
                              .last_channels = d->in_channels - (d->chunks - 1) * TW_CONV_CHUNK,
                              .channels = (int)(left < d->lanes ? left : d->lanes)};
            run_row(d, &t, row * d->out_width * d->out_channels + channel, summand, y);
        }
}

/* The calling thread's share of the rows of some images. */
static void run_share(const tw_conv_direct *d, const float *copies, const float *w,
                      const float *bias, const float *summand, float *y, int64_t images)
{
    const int64_t rows = images * d->out_height, me = omp_get_thread_num(),
                  all = omp_get_num_threads();
    const int64_t end = (me + 1) * rows / all,
                  size = d->out_height * d->out_width * d->out_channels;
    for (int64_t i = me * rows / all; i < end;) {
        const int64_t image = i / d->out_height, first = i % d->out_height;
        const int64_t last = first + (end - i) < d->out_height ? first + (end - i) : d->out_height;
        run_rows(d, copies + image * copy_count(d), w, bias,
                 summand ? summand + image * size : NULL, y + image * size, first, last);
        i += last - first;
    }
}

void tw_conv_direct_run(const tw_conv_direct *d, const tw_task *t, const float *bias,
                        const float *summand)
{
    const float *x = t->in[0], *w = t->packed;
    const int64_t in = d->in_height * d->in_width * d->in_channels,
                  out = d->out_height * d->out_width * d->out_channels;
#pragma omp parallel num_threads(d->threads)
    for (int64_t image = 0; image < d->images; image += d->at_once) {
        const int64_t left = d->images - image, n = left < d->at_once ? left : d->at_once;
        copy_rows(d, t->scratch, x + image * in, n);
        run_share(d, t->scratch, w, bias, summand ? summand + image * out : NULL,
                  (float *)t->out[0] + image * out, n);
#pragma omp barrier
    }
}
