/* Tiles of pixels × two vectors of outputs, or pixels × outputs of vectors of inputs. */
#include "ops/kern_gather.h"

#include "ops/simd.h"

enum {
    V = TW_GATHER_VECTORS,
    PANEL = TW_GATHER_VECTORS * TW_LANES,
    STRIDE = TW_GATHER_PIXELS_MAX,
    WIDE = 6, /* 12 of 16 registers are sums; more pixels than six want more pointers than there are
                 registers for */
    NARROW = 4 /* the same 12 */
};

TW_INLINE void add_tap(tw_vec sum[WIDE][V], const void *const *pixel, const float *w,
                       int64_t inputs, int pixels)
{
    const float *x[WIDE];
#pragma GCC unroll 6
    for (int p = 0; p < pixels; p++) x[p] = pixel[p];
#pragma GCC unroll 2
    for (int64_t i = 0; i < inputs; i++, w += PANEL) {
        const tw_vec w0 = tw_vload_f32(w, TW_LANES), w1 = tw_vload_f32(w + TW_LANES, TW_LANES);
#pragma GCC unroll 6
        for (int p = 0; p < pixels; p++) {
            const tw_vec a = tw_vset(x[p][i]);
            sum[p][0] += a * w0;
            sum[p][1] += a * w1;
        }
    }
}

TW_INLINE void wide_tile(const tw_gather_tile *t, int pixels)
{
    tw_vec sum[WIDE][V];
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < V; v++) sum[p][v] = tw_vzero();
    for (int64_t k = 0; k < t->taps; k++)
        add_tap(sum, t->pixel + k * STRIDE, t->w + t->tap[k] * t->tap_stride, t->inputs, pixels);
    for (int v = 0; v < V; v++) {
        const int left = t->outputs - v * TW_LANES, n = left < TW_LANES ? left : TW_LANES;
        if (n <= 0) break;
        const tw_vec bias = t->bias ? tw_vload_f32(t->bias + v * TW_LANES, n) : tw_vzero();
        for (int p = 0; p < pixels; p++) {
            const int64_t at = t->at[p] + v * TW_LANES;
            tw_vec s = sum[p][v] + bias;
            if (t->summand) s += tw_vload_f32((const float *)t->summand + at, n);
            tw_vstore_f32((float *)t->y + at, s * t->gain, n);
        }
    }
}

static void wide(const tw_gather_tile *t, int pixels)
{
    switch (pixels) {
    case 1:
        wide_tile(t, 1);
        break;
    case 2:
        wide_tile(t, 2);
        break;
    case 3:
        wide_tile(t, 3);
        break;
    case 4:
        wide_tile(t, 4);
        break;
    case 5:
        wide_tile(t, 5);
        break;
    case 6:
        wide_tile(t, 6);
        break;
    }
}

TW_INLINE void add_inputs(tw_vec sum[NARROW][TW_GATHER_NARROW], const void *const *pixel,
                          const float *w, int64_t row, int64_t i, int n, int pixels, int outputs,
                          tw_stored stored)
{
    tw_vec x[NARROW];
#pragma GCC unroll 4
    for (int p = 0; p < pixels; p++) x[p] = tw_vload(pixel[p], i, stored, n);
#pragma GCC unroll 3
    for (int o = 0; o < outputs; o++) {
        const tw_vec wo = tw_vload_f32(w + o * row + i, TW_LANES);
#pragma GCC unroll 4
        for (int p = 0; p < pixels; p++) sum[p][o] += x[p] * wo;
    }
}

TW_INLINE void narrow_tile(const tw_gather_tile *t, int pixels, int outputs, tw_stored stored)
{
    tw_vec sum[NARROW][TW_GATHER_NARROW];
    const int64_t row = t->tap_stride / TW_GATHER_NARROW;
    for (int p = 0; p < pixels; p++)
        for (int o = 0; o < outputs; o++) sum[p][o] = tw_vzero();
    for (int64_t k = 0; k < t->taps; k++) {
        const void *const *pixel = t->pixel + k * STRIDE;
        const float *w = t->w + t->tap[k] * t->tap_stride;
        int64_t i = 0;
        for (; i + TW_LANES <= t->inputs; i += TW_LANES)
            add_inputs(sum, pixel, w, row, i, TW_LANES, pixels, outputs, stored);
        if (i < t->inputs)
            add_inputs(sum, pixel, w, row, i, (int)(t->inputs - i), pixels, outputs, stored);
    }
    for (int p = 0; p < pixels; p++)
        for (int o = 0; o < outputs; o++) {
            const tw_dtype type = stored == TW_STORED_F32 ? TW_DTYPE_F32 : TW_DTYPE_BF16;
            float y = tw_vsum(sum[p][o]) + (t->bias ? t->bias[o] : 0);
            if (t->summand) y += tw_load(t->summand, t->at[p] + o, type);
            tw_store(t->y, t->at[p] + o, type, y * t->gain);
        }
}

TW_INLINE void narrow_outputs(const tw_gather_tile *t, int outputs, tw_stored stored, int pixels)
{
    int p = 0;
    tw_gather_tile one = *t;
    if (pixels == NARROW) {
        narrow_tile(t, NARROW, outputs, stored);
        return;
    }
    for (; p < pixels; p++, one.pixel++, one.at++) narrow_tile(&one, 1, outputs, stored);
}

TW_INLINE void narrow(const tw_gather_tile *t, tw_stored stored, int pixels)
{
    if (t->outputs == 1)
        narrow_outputs(t, 1, stored, pixels);
    else if (t->outputs == 2)
        narrow_outputs(t, 2, stored, pixels);
    else
        narrow_outputs(t, 3, stored, pixels);
}

static void narrow_f32(const tw_gather_tile *t, int pixels)
{
    narrow(t, TW_STORED_F32, pixels);
}

static void narrow_bf16(const tw_gather_tile *t, int pixels)
{
    narrow(t, TW_STORED_BF16, pixels);
}

const tw_kern_gather TW_KERNEL(tw_kern_gather) = {.lanes = TW_LANES,
                                                  .wide_pixels = WIDE,
                                                  .narrow_pixels = NARROW,
                                                  .wide = wide,
                                                  .narrow = {narrow_f32, narrow_bf16, narrow_bf16}};
