/* Which gradients are products of tiles: a table over shape, processor and library, from
 * measurements. */
#include "ops/tile_gradient.h"

/* AMX, two cores, N = 16, against oneDNN 2.6's (prototype of these loops): 3 x 3 of 128 to 512
 * channels 1.07 to 1.64 times as fast, from 32 x 32 to 8 x 8 pixels, where oneDNN reaches 0.8 to
 * 1.7 Tflop/s; at 4 x 4 and at stride 2 it reaches 0.2 to 0.6, and these loops do not depend on the
 * stride. 1 x 1: the speed of the matrix product, which stays. */
static bool suits_amx(const tw_conv_shapes *s, const tw_attr *a)
{
    (void)a;
    return s->w.dims[2] == 3 && s->w.dims[3] == 3 && s->w.dims[0] >= 64 && s->w.dims[1] >= 64;
}

/* AVX512_BF16, one core of Zen 4, N = 16: 3 x 3 at stride 2 of 256 channels 1.16 times as fast as
 * oneDNN 2.6 from 16 x 16 to 8 x 8 pixels, 1.37 times from 8 x 8 to 4 x 4; from 32 x 32 as fast. At
 * stride 1 it is 0.9 times as fast, and Winograd's is faster than both. */
static bool suits_dots(const tw_conv_shapes *s, const tw_attr *a)
{
    return s->w.dims[2] == 3 && s->w.dims[3] == 3 && a->i[CONV_STRIDE] == 2 &&
           a->i[CONV_STRIDE + 1] == 2 && s->w.dims[0] >= 128 && s->w.dims[1] >= 128 &&
           s->y.dims[1] * s->y.dims[2] <= 64;
}

const tw_tile_form *tw_tile_gradient_form(const tw_conv_shapes *s, const tw_attr *a, tw_dtype act)
{
    if (act != TW_DTYPE_BF16 || s->x.rank != 4) return NULL;
    const tw_tile_form *amx = tw_tile_form_amx();
    if (amx) return suits_amx(s, a) ? amx : NULL;
    const tw_tile_form *dots = tw_tile_form_dots();
    return dots && suits_dots(s, a) ? dots : NULL;
}
