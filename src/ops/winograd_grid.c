/* Which convolutions Winograd's are, and how they are cut into tiles. */
#include <stdio.h>

#include "ops/conv_direct.h"
#include "ops/task.h"
#include "ops/winograd.h"

extern const tw_op tw_op_upsample_nearest;

static int64_t pieces(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

static int64_t clamp(int64_t k, int64_t most)
{
    return k < 0 ? 0 : k > most ? most : k;
}

/* Multiplications of one pair of channels in one image. */
static int64_t multiplications(const tw_conv_shapes *s, int m)
{
    return pieces(s->y.dims[1], m) * pieces(s->y.dims[2], m) * (m + 2) * (m + 2);
}

static int tile_of(const tw_conv_shapes *s)
{
    return multiplications(s, 2) < multiplications(s, 4) ? 2 : 4;
}

static bool possible(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act)
{
    if (act == TW_DTYPE_I32 || s->x.rank != 4) return false;
    for (int d = 0; d < 2; d++)
        if (s->w.dims[2 + d] != 3 || a->i[CONV_STRIDE + d] != 1 || a->i[CONV_DILATION + d] != 1)
            return false;
    return true;
}

/* Transforms touch each channel of input and output once for each tile, products once for each
 * pair: below 16 channels they are not worth it. */
enum { CHANNELS_MIN = 16 };

/* Of images in bf16 products are in fixed point, at the rate of direct ones' dot products. Measured
 * on one core of Zen 4, N = 8 to 64, against oneDNN 2.6: 2.3 to 2.7 times as fast from 128 channels
 * and 8 x 8 pixels on, 1.6 at 64 -> 32 channels of 28 x 28, 1.4 at 64 channels of 14 x 14 and 7 x
 * 7, which whole tiles cover badly; with the 4 x 4 images of the CIFAR-10 network (16 of them, two
 * cores) its evaluation takes 206 instead of 214 ms, its step 818 instead of 866. Backward-weights
 * 2.3 to 2.6 times from 128 channels and 16 x 16 pixels on, 1.9 to 2.1 at 8 x 8, 1.5 to 2.3 at 32
 * and 64 channels. Where they must be f32, at half of the rate, 1.06 to 1.4 times from 7 x 7 on;
 * half as fast at 4 x 4. AMX is faster than either. Without a bf16 unit the direct ones are f32
 * too, as below. */
static bool suits_bf16(const tw_conv_shapes *s, tw_conv_direction direction, bool fixed)
{
    const double saved = (double)multiplications(s, tile_of(s)) /
                         (9.0 * (double)s->y.dims[1] * (double)s->y.dims[2]);
    const int64_t pixels = s->y.dims[1] * s->y.dims[2], pairs = s->w.dims[0] * s->w.dims[1];
    const bool weights = direction == TW_CONV_BACKWARD_WEIGHTS;
    if (tw_dnnl_bf16_unit() > TW_DNNL_BF16_DOTS) return false;
    if (weights && !fixed) return pixels >= 7 * 7 && pairs >= 32 * 32;
    return saved < 0.34 && pixels >= 4 * 4 && pairs >= (weights ? 32 * 32 : 64 * 32);
}

/* Transformed weights are 4 times those that direct convolutions read in f32 and 8 times those in
 * bf16, and in a network they come from memory: of few tiles that is the cost. Measured so on one
 * core of Zen 4, 256 and 512 channels, N = 1 to 8 (bench_conv with $COLD), as times as fast as
 * direct: f32, 0.55 with 1 tile, 0.9 to 1 with 2, 1.3 to 1.6 with 4, 2.3 to 2.5 with 8;
 * backward-weights 0.6 to 0.9 with 4, 1.06 to 1.2 with 8. bf16, 0.8 to 1 with 4 tiles, 1.1 with 8
 * (which packing would use up), 1 to 1.3 with 16, 1.5 with 32; backward-weights in fixed point 0.6
 * with 8, 0.92 to 1 with 16, 1.3 to 1.4 with 32, 1.6 with 48; in f32 0.7 to 0.85 with 16, 0.95 to
 * 1.06 with 32, 1.15 to 1.3 with 64. */
static int64_t tiles_least(tw_conv_direction direction, bool halves, bool fixed)
{
    if (direction == TW_CONV_BACKWARD_WEIGHTS) return !halves ? 8 : fixed ? 24 : 48;
    return halves ? 16 : 4;
}

static bool suits_tiles(const tw_conv_shapes *s, const tw_attr *a, tw_conv_direction direction,
                        tw_dtype act)
{
    const tw_winograd_grid g = tw_winograd_grid_of(s, a, act);
    const bool halves = act == TW_DTYPE_BF16 && tw_dnnl_bf16_unit() >= TW_DNNL_BF16_DOTS,
               fixed = tw_winograd_fixed_suits(&g);
    return g.tiles >= tiles_least(direction, halves, fixed) &&
           (!halves || suits_bf16(s, direction, fixed));
}

bool tw_winograd_suits(const tw_conv_shapes *s, const tw_attr *a, tw_conv_direction direction,
                       tw_dtype act, tw_convolution wish)
{
    if (wish == TW_CONVOLUTION_DIRECT || !possible(s, a, act)) return false;
    if (wish == TW_CONVOLUTION_WINOGRAD) return true;
    const double direct = 9.0 * (double)s->y.dims[1] * (double)s->y.dims[2];
    return s->w.dims[0] >= CHANNELS_MIN && s->w.dims[1] >= CHANNELS_MIN &&
           !tw_conv_direct_suits(s, a, act) &&
           (double)multiplications(s, tile_of(s)) <= 0.5 * direct &&
           suits_tiles(s, a, direction, act);
}

tw_winograd_grid tw_winograd_grid_of(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act)
{
    const int m = tile_of(s);
    tw_winograd_grid g = {.in_height = s->x.dims[1],
                          .in_width = s->x.dims[2],
                          .in_channels = s->x.dims[3],
                          .out_height = s->y.dims[1],
                          .out_width = s->y.dims[2],
                          .out_channels = s->y.dims[3],
                          .before = {a->i[CONV_BEFORE], a->i[CONV_BEFORE + 1]},
                          .rows = pieces(s->y.dims[1], m),
                          .columns = pieces(s->y.dims[2], m),
                          .m = m,
                          .size = m == 4,
                          .points = (m + 2) * (m + 2),
                          .stored = tw_stored_of(act),
                          .element = tw_dtype_size(act)};
    g.tiles = s->x.dims[0] * g.rows * g.columns;
    return g;
}

bool tw_winograd_is_paired(const tw_winograd_grid *g, const tw_value *x)
{
    return x->role == TW_ROLE_NODE && x->node->op == &tw_op_upsample_nearest &&
           x->node->attr.i[0] % 2 == 0 && g->before[0] % 2 == 1 && g->before[1] % 2 == 1;
}

void tw_winograd_inputs(const tw_winograd_grid *g, int64_t tile, const void *x, const void *zeros,
                        const void **pixel)
{
    const int64_t per = g->rows * g->columns, in_image = tile % per;
    const int64_t top = in_image / g->columns * g->m - g->before[0],
                  left = in_image % g->columns * g->m - g->before[1];
    const int64_t pixel_bytes = g->in_channels * (int64_t)g->element;
    const char *image = (const char *)x + tile / per * g->in_height * g->in_width * pixel_bytes;
    for (int64_t r = top; r < top + g->m + 2; r++)
        for (int64_t c = left; c < left + g->m + 2; c++)
            *pixel++ = r >= 0 && r < g->in_height && c >= 0 && c < g->in_width
                           ? image + (r * g->in_width + c) * pixel_bytes
                           : (const char *)zeros;
}

void tw_winograd_outputs(const tw_winograd_grid *g, int64_t tile, int64_t *at)
{
    const int64_t per = g->rows * g->columns, in_image = tile % per;
    const int64_t top = in_image / g->columns * g->m, left = in_image % g->columns * g->m;
    const int64_t image = tile / per * g->out_height * g->out_width * g->out_channels;
    for (int64_t r = top; r < top + g->m; r++)
        for (int64_t c = left; c < left + g->m; c++)
            *at++ = r < g->out_height && c < g->out_width
                        ? image + (r * g->out_width + c) * g->out_channels
                        : -1;
}

/* Rows [top, bottom) of the images of a tensor, which are numbered through. */
static tw_winograd_reach rows_of(const void *x, int64_t top, int64_t bottom, int64_t row_bytes)
{
    return (tw_winograd_reach){(const char *)x + top * row_bytes,
                               (const char *)x + bottom * row_bytes};
}

tw_winograd_reach tw_winograd_input_reach(const tw_winograd_grid *g, const void *x, int64_t first,
                                          int64_t count)
{
    const int64_t per = g->rows * g->columns, last = first + count - 1;
    const int64_t top = first % per / g->columns * g->m - g->before[0],
                  bottom = last % per / g->columns * g->m - g->before[0] + g->m + 2;
    return rows_of(x, first / per * g->in_height + clamp(top, g->in_height),
                   last / per * g->in_height + clamp(bottom, g->in_height),
                   g->in_width * g->in_channels * (int64_t)g->element);
}

tw_winograd_reach tw_winograd_output_reach(const tw_winograd_grid *g, const void *y, int64_t first,
                                           int64_t count)
{
    const int64_t per = g->rows * g->columns, last = first + count - 1;
    const int64_t top = first % per / g->columns * g->m,
                  bottom = last % per / g->columns * g->m + g->m;
    return rows_of(y, first / per * g->out_height + clamp(top, g->out_height),
                   last / per * g->out_height + clamp(bottom, g->out_height),
                   g->out_width * g->out_channels * (int64_t)g->element);
}

void tw_winograd_fetch(const tw_winograd_reach *r, int64_t k, int64_t all)
{
    enum { LINE = 64, SECOND_LEVEL = 2 };
    const int64_t lines = (r->end - r->first + LINE - 1) / LINE, end = (k + 1) * lines / all;
    for (int64_t line = k * lines / all; line < end; line++)
        __builtin_prefetch(r->first + line * LINE, 0, SECOND_LEVEL);
}

tw_md_blocking tw_winograd_kernel_layout(void)
{
    const int64_t n = TW_WINOGRAD_CHANNELS;
    return (tw_md_blocking){.rank = 4,
                            .stride = {0, 0, 3 * n * n, n * n},
                            .inner_count = 2,
                            .inner_size = {n, n},
                            .inner_dim = {1, 0}};
}

tw_status tw_winograd_name(tw_task *t, const tw_winograd_grid *g, bool fixed)
{
    static const char *const isa[] = {"baseline", "avx2", "avx512"};
    return tw_format(t->implementation, sizeof t->implementation, "winograd%d:%s", g->m,
                     fixed ? "avx512_vnni" : isa[tw_isa_get()]);
}
