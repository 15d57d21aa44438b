/* Images are taken in groups whose copies fit a cache: all threads copy a group, then each takes
 * items of sums: two tiles of input channels, some of output channels, one kernel column. */
#include "ops/tile_gradient.h"

#include <omp.h>
#include <string.h>

#include "ops/task.h"

/* Steps of one product: 256 pixels of two tiles each way are 32 KiB, near a first-level cache,
 * where the kernel rows find them again. */
enum { STEPS = 8, OUT_TILES_MAX = 8 };
/* Of a group's copies: some MiB are in a cache that the threads share. */
static const int64_t group_bytes = INT64_C(6) << 20;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t pieces(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

static size_t aligned(int64_t elements, size_t size)
{
    return ((size_t)elements * size + TW_ALIGNMENT - 1) / TW_ALIGNMENT * TW_ALIGNMENT;
}

/* ---- plan ---- */

static tw_tile_gradient describe(const tw_conv_shapes *s, const tw_attr *a)
{
    tw_tile_gradient d = {.images = s->x.dims[0],
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
    d.in_tiles = pieces(d.in_channels, TW_TILE_SIDE);
    d.out_tiles = pieces(d.out_channels, TW_TILE_SIDE);
    return d;
}

/* Rows of a turned copy between an output row and what kernel row kh meets. */
static int64_t row_offset(const tw_tile_gradient *d, int64_t kh)
{
    return kh * d->dilation[0] / d->stride[0];
}

/* k of n images of gy, in whole steps. */
static int64_t inner_of(const tw_tile_gradient *d, int64_t n)
{
    return pieces(n * d->y_pitch, TW_TILE_STEP) * TW_TILE_STEP;
}

/* Pixels of n images in a turned copy, with all that products read, in whole blocks. */
static int64_t turned_of(const tw_tile_gradient *d, int64_t n)
{
    const int64_t reach = row_offset(d, d->kernel[0] - 1) * d->out_width;
    return pieces(n * d->rows * d->out_width + reach + TW_TILE_STEP, TW_TURN_PIXELS) *
           TW_TURN_PIXELS;
}

/* Images follow each other in a row of k, or each begins with a step of its own, whichever takes
 * fewer steps: rows between the images against the rest of the last step. */
static void lay_out(tw_tile_gradient *d)
{
    const int64_t pixels = d->out_height * d->out_width;
    const int64_t reach = (d->kernel[0] - 1) * d->dilation[0];
    d->remainders = least(d->stride[0], reach + 1);
    d->rows = d->out_height + row_offset(d, d->kernel[0] - 1);
    const int64_t steps = pieces(pixels, TW_TILE_STEP);
    d->apart = d->images * steps <= pieces(d->images * d->rows * d->out_width, TW_TILE_STEP);
    d->y_pitch = d->apart ? steps * TW_TILE_STEP : d->rows * d->out_width;
}

static int64_t copies_bytes(const tw_tile_gradient *d, int64_t n)
{
    return (d->kernel[1] * d->remainders * d->in_tiles * turned_of(d, n) +
            d->out_tiles * inner_of(d, n)) *
           TW_TILE_SIDE * (int64_t)sizeof(tw_bf16);
}

static void cut(tw_tile_gradient *d)
{
    d->group = group_bytes / copies_bytes(d, 1);
    d->group = d->group < 1 ? 1 : least(d->group, d->images);
    d->group = pieces(d->images, pieces(d->images, d->group));
    /* rows of a copy lie an odd number of cache lines apart, or all would want the same few */
    d->x_row = (turned_of(d, d->group) / TW_TURN_PIXELS | 1) * TW_TURN_PIXELS;
    d->x_copy = d->in_tiles * TW_TILE_SIDE * d->x_row;
    d->y_panel = inner_of(d, d->group) * TW_TILE_SIDE;
    d->out_group = OUT_TILES_MAX;
    while (d->out_group > 2 &&
           pieces(d->in_tiles, 2) * pieces(d->out_tiles, d->out_group) * d->kernel[1] <
               4 * d->threads)
        d->out_group -= 2;
}

/* [o / 16][i / 16][kernel row][kernel column][16 i][16 o], as blocked parameters are stored. */
static tw_md_blocking sums_layout(const tw_tile_gradient *d)
{
    const int64_t tile = TW_TILE_SIDE * TW_TILE_SIDE, taps = d->kernel[0] * d->kernel[1];
    return (tw_md_blocking){
        .rank = 4,
        .stride = {d->in_tiles * taps * tile, taps * tile, d->kernel[1] * tile, tile},
        .inner_count = 2,
        .inner_size = {TW_TILE_SIDE, TW_TILE_SIDE},
        .inner_dim = {1, 0}};
}

tw_status tw_tile_gradient_create(tw_tile_gradient *out, tw_task *t, const tw_conv_shapes *s,
                                  const tw_attr *a, const tw_tile_form *form)
{
    tw_status st = TW_OK;
    const tw_value *gw = &t->node->out[0];
    tw_tile_gradient d = describe(s, a);
    d.form = form;
    d.kern = TW_KERNEL_SELECT(tw_kern_turn);
    d.threads = omp_get_max_threads();
    lay_out(&d);
    cut(&d);
    d.direct = gw->layout == TW_BLOCKED;
    const int64_t channels = d.in_tiles > d.out_tiles ? d.in_tiles : d.out_tiles;
    const tw_md_blocking layout = sums_layout(&d);
    d.zeros = aligned((channels + 1) * TW_TILE_SIDE, sizeof(tw_bf16));
    d.x_offset = d.zeros;
    d.y_offset = d.x_offset + aligned(d.kernel[1] * d.remainders * d.x_copy, sizeof(tw_bf16));
    d.sums_offset = d.y_offset + aligned(d.out_tiles * d.y_panel, sizeof(tw_bf16));
    t->scratch_bytes = d.sums_offset;
    if (!d.direct) t->scratch_bytes += aligned(d.out_tiles * layout.stride[0], sizeof(float));
    t->flops = tw_conv_flops(s);
    TW_TRY(tw_format(t->implementation, sizeof t->implementation, "tiles:%s", form->name));
    if (!d.direct)
        TW_TRY(tw_weights_copy_unpack_blocked(&d.weights, gw->shape, gw->layout, &layout));
    *out = d;
done:
    return st;
}

void tw_tile_gradient_destroy(tw_tile_gradient *d)
{
    tw_weights_copy_destroy(&d->weights);
}

/* ---- copies ---- */

/* Block `block` of the copy of one kernel column and remainder. */
static void turn_block(const tw_tile_gradient *d, tw_bf16 *copy, const tw_bf16 *x,
                       const tw_bf16 *zeros, int64_t images, int64_t column, int64_t remainder,
                       int64_t block)
{
    const tw_bf16 *pixel[TW_TURN_PIXELS];
    const int64_t first = block * TW_TURN_PIXELS, above = remainder - d->before[0],
                  left = column * d->dilation[1] - d->before[1];
    int64_t q = first % d->out_width, row = first / d->out_width % d->rows,
            image = first / d->out_width / d->rows;
    for (int64_t j = 0; j < TW_TURN_PIXELS; j++) {
        const int64_t r = row * d->stride[0] + above, c = q * d->stride[1] + left;
        const bool there =
            image < images && r >= 0 && r < d->in_height && c >= 0 && c < d->in_width;
        pixel[j] =
            there ? x + ((image * d->in_height + r) * d->in_width + c) * d->in_channels : zeros;
        if (++q < d->out_width) continue;
        q = 0;
        if (++row < d->rows) continue;
        row = 0;
        image++;
    }
    d->kern->turn(copy + first, d->x_row, pixel, d->in_channels);
}

static void turn(const tw_tile_gradient *d, tw_bf16 *copies, const tw_bf16 *x, const tw_bf16 *zeros,
                 int64_t images)
{
    const int64_t blocks = turned_of(d, images) / TW_TURN_PIXELS,
                  count = d->kernel[1] * d->remainders;
#pragma omp for schedule(static) nowait
    for (int64_t k = 0; k < count * blocks; k++)
        turn_block(d, copies + k % count * d->x_copy, x, zeros, images, k % count / d->remainders,
                   k % count % d->remainders, k / count);
}

static const tw_bf16 *gradient_at(const tw_tile_gradient *d, const tw_bf16 *gy,
                                  const tw_bf16 *zeros, int64_t images, int64_t q)
{
    const int64_t image = q / d->y_pitch, at = q % d->y_pitch,
                  pixels = d->out_height * d->out_width;
    return image < images && at < pixels ? gy + (image * pixels + at) * d->out_channels : zeros;
}

static void pair(const tw_tile_gradient *d, tw_bf16 *panels, const tw_bf16 *gy,
                 const tw_bf16 *zeros, int64_t images)
{
    const int64_t count = inner_of(d, images) / 2;
#pragma omp for schedule(static)
    for (int64_t k = 0; k < count; k++)
        d->kern->pair(panels + k * 2 * TW_TILE_SIDE, d->y_panel,
                      gradient_at(d, gy, zeros, images, 2 * k),
                      gradient_at(d, gy, zeros, images, 2 * k + 1), d->out_channels);
}

/* ---- products ---- */

typedef struct work {
    const tw_bf16 *x, *y; /* copies */
    float *sums;
    int64_t images;
    bool add; /* to the sums of groups before */
} work;

/* All kernel rows of some steps of some segments. */
static void multiply_rows(const tw_tile_gradient *d, const tw_bf16 *x, tw_tile_product p)
{
    float *c = p.c;
    for (int64_t kh = 0; kh < d->kernel[0]; kh++) {
        p.a = x + kh * d->dilation[0] % d->stride[0] * d->x_copy + row_offset(d, kh) * d->out_width;
        p.c = c + kh * d->kernel[1] * TW_TILE_SIDE * TW_TILE_SIDE;
        d->form->multiply(&p);
    }
}

/* Two tiles of input channels from `in`, output tiles [out, last), one kernel column. */
static void multiply_item(const tw_tile_gradient *d, const work *w, int64_t in, int64_t out,
                          int64_t last, int64_t column)
{
    const int64_t tile = TW_TILE_SIDE * TW_TILE_SIDE, taps = d->kernel[0] * d->kernel[1];
    const int64_t inner = d->apart ? d->y_pitch : inner_of(d, w->images),
                  segments = d->apart ? w->images : 1, steps = inner / TW_TILE_STEP,
                  run = steps < STEPS ? STEPS / steps : 1;
    const tw_bf16 *x = w->x + column * d->remainders * d->x_copy + in * TW_TILE_SIDE * d->x_row;
    tw_tile_product p = {.a_stride = d->x_row,
                         .b_tile = d->y_panel,
                         .c_row = taps * tile,
                         .c_column = d->in_tiles * taps * tile,
                         .a_segment = d->rows * d->out_width,
                         .b_segment = d->y_pitch * TW_TILE_SIDE,
                         .rows = (int)least(2, d->in_tiles - in)};
    for (int64_t s = 0; s < segments; s += run)
        for (int64_t k = 0; k < steps; k += STEPS)
            for (int64_t o = out; o < last; o += 2) {
                p.segments = least(run, segments - s);
                p.steps = least(STEPS, steps - k);
                p.columns = (int)least(2, last - o);
                p.add = w->add || s > 0 || k > 0;
                p.b = w->y + o * d->y_panel + s * p.b_segment + k * TW_TILE_STEP * TW_TILE_SIDE;
                p.c = w->sums + (o * d->in_tiles + in) * taps * tile + column * tile;
                multiply_rows(d, x + s * p.a_segment + k * TW_TILE_STEP, p);
            }
}

static void multiply(const tw_tile_gradient *d, const work *w)
{
    const int64_t ins = pieces(d->in_tiles, 2), outs = pieces(d->out_tiles, d->out_group);
#pragma omp for collapse(3) schedule(static)
    for (int64_t i = 0; i < ins; i++)
        for (int64_t o = 0; o < outs; o++)
            for (int64_t column = 0; column < d->kernel[1]; column++)
                multiply_item(d, w, 2 * i, o * d->out_group,
                              least((o + 1) * d->out_group, d->out_tiles), column);
}

void tw_tile_gradient_run(const tw_tile_gradient *d, const tw_task *t)
{
    char *scratch = t->scratch;
    const tw_bf16 *zeros = memset(scratch, 0, d->zeros), *x = t->in[0], *gy = t->in[1];
    tw_bf16 *copies = (tw_bf16 *)(void *)(scratch + d->x_offset),
            *panels = (tw_bf16 *)(void *)(scratch + d->y_offset);
    const int64_t x_image = d->in_height * d->in_width * d->in_channels,
                  y_image = d->out_height * d->out_width * d->out_channels;
    float *sums = d->direct ? t->out[0] : (void *)(scratch + d->sums_offset);
#pragma omp parallel num_threads(d->threads)
    {
        d->form->begin();
        for (int64_t first = 0; first < d->images; first += d->group) {
            const work w = {copies, panels, sums, least(d->group, d->images - first), first > 0};
            turn(d, copies, x + first * x_image, zeros, w.images);
            pair(d, panels, gy + first * y_image, zeros, w.images);
            multiply(d, &w);
        }
        d->form->end();
    }
    if (!d->direct) tw_weights_copy_run(&d->weights, t->out[0], sums);
}
