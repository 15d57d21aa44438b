/* The inner loops of our own f32 convolution.
 *
 * A tile's sums are taken in registers over one kernel row of one chunk of input channels, 48 terms
 * for 3 x 3, and then added to the tile's totals: rounding errors grow with the length of a chain
 * of sums, and oneDNN's chains are as long as all of I · kernel. Chunks of 16 channels are as fast
 * as ones of 32 (AVX-512, AVX2).
 *
 * Kernels of one pixel are summed in f64: cutting their chains, which are short, brings little, and
 * their share of the time is small. */
#include "ops/kern_conv.h"

#include "ops/simd.h"

#if defined(TW_SIMD_AVX512)
enum { PIXELS_MAX = 12, POINTWISE_MAX = 6 }; /* 24 of 32 registers are sums */
#else
enum { PIXELS_MAX = 6, POINTWISE_MAX = 2 }; /* 12 and 8 of 16 */
#endif

enum { V = TW_CONV_VECTORS, BLOCK = TW_CONV_VECTORS * TW_LANES };

TW_INLINE void kernel_row(const tw_conv_tile *t, const float *x, const float *w, int64_t channels,
                          tw_vec total[PIXELS_MAX][V], int pixels, int stride)
{
    tw_vec sum[PIXELS_MAX][V];
#pragma GCC unroll 12
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < V; v++) sum[p][v] = tw_vzero();
    for (int64_t k = 0; k < t->columns; k++, x += t->column_stride, w += TW_CONV_CHUNK * BLOCK) {
        const float *wc = w;
#pragma GCC unroll 2
        for (int64_t c = 0; c < channels; c++, wc += BLOCK) {
            const tw_vec w0 = tw_vload_f32(wc, TW_LANES),
                         w1 = tw_vload_f32(wc + TW_LANES, TW_LANES);
#pragma GCC unroll 12
            for (int p = 0; p < pixels; p++) {
                const tw_vec a = tw_vset(x[p * stride * TW_CONV_CHUNK + c]);
                sum[p][0] += a * w0;
                sum[p][1] += a * w1;
            }
        }
    }
#pragma GCC unroll 12
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < V; v++) total[p][v] += sum[p][v];
}

TW_INLINE void finish(const tw_conv_tile *t, tw_vec total[PIXELS_MAX][V], int pixels)
{
    for (int v = 0; v < V; v++) {
        const int left = t->channels - v * TW_LANES, n = left < TW_LANES ? left : TW_LANES;
        if (n <= 0) break;
        const tw_vec bias = t->bias ? tw_vload_f32(t->bias + v * TW_LANES, n) : tw_vzero();
        for (int p = 0; p < pixels; p++) {
            const int64_t at = p * t->y_stride + v * TW_LANES;
            tw_vec s = total[p][v] + bias;
            if (t->summand) s += tw_vload_f32(t->summand + at, n);
            tw_vstore_f32(t->y + at, s * t->gain, n);
        }
    }
}

TW_INLINE void tile(const tw_conv_tile *t, int pixels, int stride)
{
    tw_vec total[PIXELS_MAX][V];
    const float *w = t->w;
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < V; v++) total[p][v] = tw_vzero();
    for (int64_t chunk = 0; chunk < t->chunks; chunk++)
        for (int64_t r = 0; r < t->rows; r++, w += t->columns * TW_CONV_CHUNK * BLOCK)
            kernel_row(t, t->x + chunk * t->chunk_stride + r * t->row_stride, w,
                       chunk == t->chunks - 1 ? t->last_channels : TW_CONV_CHUNK, total, pixels,
                       stride);
    finish(t, total, pixels);
}

/* Result, bias and summand are rounded together. */
TW_INLINE void finish_pointwise(const tw_conv_tile *t, tw_vecd sum[POINTWISE_MAX][2 * V],
                                int pixels)
{
    for (int p = 0; p < pixels; p++) {
        double exact[BLOCK];
        for (int h = 0; h < 2 * V; h++) tw_vstore_f64(exact + h * (TW_LANES / 2), sum[p][h]);
        float *y = t->y + p * t->y_stride;
        const float *summand = t->summand ? t->summand + p * t->y_stride : NULL;
        for (int c = 0; c < t->channels; c++)
            y[c] = (float)((exact[c] + (t->bias ? (double)t->bias[c] : 0.0) +
                            (summand ? (double)summand[c] : 0.0)) *
                           (double)t->gain);
    }
}

TW_INLINE void pointwise_tile(const tw_conv_tile *t, int pixels)
{
    tw_vecd sum[POINTWISE_MAX][2 * V];
    const float *w = t->w;
    for (int p = 0; p < pixels; p++)
        for (int h = 0; h < 2 * V; h++) sum[p][h] = (tw_vecd){0};
    for (int64_t chunk = 0; chunk < t->chunks; chunk++, w += TW_CONV_CHUNK * BLOCK) {
        const float *x = t->x + chunk * t->chunk_stride;
        const int64_t channels = chunk == t->chunks - 1 ? t->last_channels : TW_CONV_CHUNK;
        for (int64_t c = 0; c < channels; c++) {
            tw_vecd wide[2 * V];
            for (int h = 0; h < 2 * V; h++)
                wide[h] =
                    tw_vto_double(tw_vload_f32(w + c * BLOCK + h / 2 * TW_LANES, TW_LANES), h % 2);
#pragma GCC unroll 6
            for (int p = 0; p < pixels; p++) {
                const double a = (double)x[p * TW_CONV_CHUNK + c];
                for (int h = 0; h < 2 * V; h++) sum[p][h] += a * wide[h];
            }
        }
    }
    finish_pointwise(t, sum, pixels);
}

/* clang-format off */
#define EACH(call) call(1) call(2) call(3) call(4) call(5) call(6)
#ifdef TW_SIMD_AVX512
#define EACH_MORE(call) call(7) call(8) call(9) call(10) call(11) call(12)
#else
#define EACH_MORE(call)
#endif
#define ONE(n) case n: tile(t, n, 1); break;
#define TWO(n) case n: tile(t, n, 2); break;
#define POINTWISE(n) case n: pointwise_tile(t, n); break;
/* clang-format on */

static void stride1(const tw_conv_tile *t, int pixels)
{
    switch (pixels) {
        EACH(ONE)
        EACH_MORE(ONE)
    }
}

static void stride2(const tw_conv_tile *t, int pixels)
{
    switch (pixels) {
        EACH(TWO)
        EACH_MORE(TWO)
    }
}

static void pointwise(const tw_conv_tile *t, int pixels)
{
    switch (pixels) {
        POINTWISE(1)
        POINTWISE(2)
#ifdef TW_SIMD_AVX512
        POINTWISE(3)
        POINTWISE(4)
        POINTWISE(5)
        POINTWISE(6)
#endif
    }
}

const tw_kern_conv TW_KERNEL(tw_kern_conv) = {.lanes = TW_LANES,
                                              .pixels_max = {PIXELS_MAX, PIXELS_MAX, POINTWISE_MAX},
                                              .tile = {stride1, stride2, pointwise}};
