/* The matrices of F(2, 3) belong to the points 0, 1, -1, ∞, those of F(4, 3) to 0, ±1, ±2, ∞:
 *
 *          F(2, 3)          F(4, 3)
 *     Bᵀ   1  0 -1  0       4  0 -5  0  1  0      G    1/4    0     0       Aᵀ   1  1  1  1  1  0
 *          0  1  1  0       0 -4 -4  1  1  0          -1/6  -1/6  -1/6           0  1 -1  2 -2  0
 *          0 -1  1  0       0  4 -4 -1  1  0          -1/6   1/6  -1/6           0  1  1  4  4  0
 *          0  1  0 -1       0 -2 -1  2  1  0          1/24  1/12   1/6           0  1 -1  8 -8  1
 *                           0  2 -1 -2  1  0          1/24 -1/12   1/6
 *     Aᵀ   1  1  1  0       0  4  0 -5  0  1            0     0     1
 *          0  1 -1 -1       and G = (1 0 0; ½ ½ ½; ½ -½ ½; 0 0 1) of F(2, 3)
 *
 * Each function transforms all rows of a tile and then all columns, on vectors of channels. */
#include "ops/kern_winograd.h"

#include "ops/kern_short.h"
#include "ops/simd.h"

enum { K = 3, SIDE_MAX = 6, COLUMNS = TW_PANEL_VECTORS * TW_LANES, LINE = TW_WINOGRAD_CHANNELS };

/* ---- one dimension: from in[0], in[step], … to out[0], out[step], … ---- */

TW_INLINE void data(int m, const tw_vec *in, tw_vec *out, int step)
{
    const tw_vec d0 = in[0], d1 = in[step], d2 = in[2 * step], d3 = in[3 * step];
    if (m == 2) {
        out[0] = d0 - d2;
        out[step] = d1 + d2;
        out[2 * step] = d2 - d1;
        out[3 * step] = d1 - d3;
        return;
    }
    const tw_vec d4 = in[4 * step], d5 = in[5 * step];
    const tw_vec even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1, near = d4 - d2,
                 far = 2.0f * (d3 - d1);
    out[0] = 4.0f * d0 + (d4 - 5.0f * d2);
    out[step] = even + odd;
    out[2 * step] = even - odd;
    out[3 * step] = near + far;
    out[4 * step] = near - far;
    out[5 * step] = 4.0f * d1 + (d5 - 5.0f * d3);
}

TW_INLINE void result(int m, const tw_vec *in, tw_vec *out, int step)
{
    const tw_vec sum = in[step] + in[2 * step], difference = in[step] - in[2 * step];
    if (m == 2) {
        out[0] = in[0] + sum;
        out[step] = difference - in[3 * step];
        return;
    }
    const tw_vec sum2 = in[3 * step] + in[4 * step], difference2 = in[3 * step] - in[4 * step];
    out[0] = in[0] + sum + sum2;
    out[step] = difference + 2.0f * difference2;
    out[2 * step] = sum + 4.0f * sum2;
    out[3 * step] = difference + 8.0f * difference2 + in[5 * step];
}

TW_INLINE void result_gradient(int m, const tw_vec *in, tw_vec *out, int step)
{
    const tw_vec y0 = in[0], y1 = in[step];
    out[0] = y0;
    if (m == 2) {
        out[step] = y0 + y1;
        out[2 * step] = y0 - y1;
        out[3 * step] = -y1;
        return;
    }
    const tw_vec y2 = in[2 * step], y3 = in[3 * step];
    const tw_vec even = y0 + y2, odd = y1 + y3, even2 = y0 + 4.0f * y2,
                 odd2 = 2.0f * y1 + 8.0f * y3;
    out[step] = even + odd;
    out[2 * step] = even - odd;
    out[3 * step] = even2 + odd2;
    out[4 * step] = even2 - odd2;
    out[5 * step] = y3;
}

TW_INLINE void kernel(int m, const tw_vec *in, tw_vec *out, int step)
{
    const tw_vec g0 = in[0], g1 = in[step], g2 = in[2 * step];
    if (m == 2) {
        const tw_vec half = 0.5f * (g0 + g2), middle = 0.5f * g1;
        out[0] = g0;
        out[step] = half + middle;
        out[2 * step] = half - middle;
        out[3 * step] = g2;
        return;
    }
    const tw_vec ends = (-1.0f / 6) * (g0 + g2), middle = (1.0f / 6) * g1,
                 ends2 = (1.0f / 24) * g0 + (1.0f / 6) * g2, middle2 = (1.0f / 12) * g1;
    out[0] = 0.25f * g0;
    out[step] = ends - middle;
    out[2 * step] = ends + middle;
    out[3 * step] = ends2 + middle2;
    out[4 * step] = ends2 - middle2;
    out[5 * step] = g2;
}

TW_INLINE void kernel_gradient(int m, const tw_vec *in, tw_vec *out, int step)
{
    const tw_vec sum = in[step] + in[2 * step], difference = in[step] - in[2 * step];
    if (m == 2) {
        out[0] = in[0] + 0.5f * sum;
        out[step] = 0.5f * difference;
        out[2 * step] = 0.5f * sum + in[3 * step];
        return;
    }
    const tw_vec sum2 = in[3 * step] + in[4 * step], difference2 = in[3 * step] - in[4 * step];
    out[0] = 0.25f * in[0] - (1.0f / 6) * sum + (1.0f / 24) * sum2;
    out[step] = (1.0f / 12) * difference2 - (1.0f / 6) * difference;
    out[2 * step] = (1.0f / 6) * (sum2 - sum) + in[5 * step];
}

/* ---- two dimensions: a square `from` × `from` at the beginning of t becomes `to` × `to` ---- */

typedef void transform(int m, const tw_vec *in, tw_vec *out, int step);

TW_INLINE void both(transform *f, int m, tw_vec t[SIDE_MAX][SIDE_MAX], int from, int to)
{
#pragma GCC unroll 6
    for (int c = 0; c < from; c++) f(m, &t[0][c], &t[0][c], SIDE_MAX);
#pragma GCC unroll 6
    for (int r = 0; r < to; r++) f(m, t[r], t[r], 1);
}

/* ---- whole tiles ---- */

TW_INLINE float *place(const tw_winograd_row *r, int width, int64_t channel)
{
    return r->at + channel / width * r->panel_stride + channel % width;
}

TW_INLINE int lanes_left(int64_t channels, int64_t first)
{
    const int64_t left = channels - first;
    return left >= TW_LANES ? TW_LANES : left > 0 ? (int)left : 0;
}

/* All points of some channels; point 0 is at `to`. */
TW_INLINE void write_points(int side, float *to, int64_t stride, tw_vec t[SIDE_MAX][SIDE_MAX])
{
#pragma GCC unroll 6
    for (int r = 0; r < side; r++)
#pragma GCC unroll 6
        for (int k = 0; k < side; k++, to += stride) tw_vstore_f32(to, t[r][k], TW_LANES);
}

TW_INLINE void read_points(int side, tw_vec t[SIDE_MAX][SIDE_MAX], const float *from,
                           int64_t stride)
{
#pragma GCC unroll 6
    for (int r = 0; r < side; r++)
#pragma GCC unroll 6
        for (int k = 0; k < side; k++, from += stride) t[r][k] = tw_vload_f32(from, TW_LANES);
}

/* The images are larger than a cache, and a tile is a few short pieces of its rows, which no
 * processor foresees: without `ahead` three quarters of the time went into waiting for them. */
TW_INLINE void expand(transform *f, int m, int from, const void *const *pixel,
                      const void *const *ahead, tw_stored k, int64_t c, int n, float *to,
                      int64_t stride)
{
    tw_vec t[SIDE_MAX][SIDE_MAX];
    const int64_t element = k == TW_STORED_F32 ? sizeof(float) : sizeof(tw_bf16);
#pragma GCC unroll 6
    for (int r = 0; r < from; r++)
#pragma GCC unroll 6
        for (int j = 0; j < from; j++) {
            t[r][j] = tw_vload(pixel[r * from + j], c, k, n);
            __builtin_prefetch((const char *)ahead[r * from + j] + c * element);
        }
    both(f, m, t, from, m + 2);
    write_points(m + 2, to, stride, t);
}

TW_INLINE void expand_all(transform *f, int m, int from, const tw_winograd_row *v, int width,
                          const void *const *pixel, const void *const *ahead, tw_stored k,
                          int64_t channels)
{
    const int64_t all = (channels + width - 1) / width * width;
    int64_t c = 0;
    for (; c + TW_LANES <= channels; c += TW_LANES)
        expand(f, m, from, pixel, ahead, k, c, TW_LANES, place(v, width, c), v->point_stride);
    for (; c < all; c += TW_LANES)
        expand(f, m, from, pixel, ahead, k, c, lanes_left(channels, c), place(v, width, c),
               v->point_stride);
}

TW_INLINE void contract(int m, const tw_winograd_row *v, const tw_winograd_output *to,
                        tw_stored stored, int64_t c, int n)
{
    tw_vec t[SIDE_MAX][SIDE_MAX];
    const int side = m + 2;
    const int64_t element = stored == TW_STORED_F32 ? sizeof(float) : sizeof(tw_bf16);
    const tw_vec bias = to->bias ? tw_vload_f32(to->bias + c, n) : tw_vzero();
    read_points(side, t, place(v, COLUMNS, c), v->point_stride);
    both(result, m, t, side, m);
#pragma GCC unroll 4
    for (int r = 0; r < m; r++)
#pragma GCC unroll 4
        for (int k = 0; k < m; k++) {
            const int64_t at = to->at[r * m + k], ahead = to->ahead[r * m + k];
            if (ahead >= 0) __builtin_prefetch((const char *)to->y + (ahead + c) * element);
            if (ahead >= 0 && to->summand)
                __builtin_prefetch((const char *)to->summand + (ahead + c) * element);
            if (at < 0) continue;
            tw_vec y = t[r][k] + bias;
            if (to->summand) y += tw_vload(to->summand, at + c, stored, n);
            tw_vstore(to->y, at + c, y * to->gain, stored, n);
        }
}

TW_INLINE void contract_all(int m, const tw_winograd_row *v, const tw_winograd_output *to,
                            tw_stored stored, int64_t channels)
{
    int64_t c = 0;
    for (; c + TW_LANES <= channels; c += TW_LANES) contract(m, v, to, stored, c, TW_LANES);
    if (c < channels) contract(m, v, to, stored, c, (int)(channels - c));
}

/* One input channel and `outputs` of a line of output channels, to line[point][output]. */
TW_INLINE void transform_line(int m, float line[][LINE], const float *g, int64_t outputs)
{
    for (int64_t o = 0; o < outputs; o += TW_LANES) {
        tw_vec t[SIDE_MAX][SIDE_MAX];
#pragma GCC unroll 9
        for (int k = 0; k < K * K; k++)
            t[k / K][k % K] = tw_vload_f32(g + k * LINE * LINE + o, TW_LANES);
        both(kernel, m, t, K, m + 2);
        write_points(m + 2, &line[0][o], LINE, t);
    }
}

/* Transformed weights are read long after and are four times the weights, so whole lines of 64
 * bytes go past the caches: they need not be read before they are written. */
TW_INLINE void stream_line(int m, const tw_winograd_row *u, int64_t i, float line[][LINE])
{
    for (int p = 0; p < (m + 2) * (m + 2); p++)
#pragma GCC unroll 4
        for (int o = 0; o < LINE; o += TW_LANES)
            tw_vstream_f32(place(u, COLUMNS, o) + i * COLUMNS + p * u->point_stride,
                           tw_vload_f32(&line[p][o], TW_LANES));
}

TW_INLINE void store_line(int m, const tw_winograd_row *u, int64_t i, float line[][LINE],
                          int64_t outputs)
{
    for (int64_t o = 0; o < outputs; o += TW_LANES)
        for (int p = 0; p < (m + 2) * (m + 2); p++)
            tw_vstore_f32(place(u, COLUMNS, o) + i * COLUMNS + p * u->point_stride,
                          tw_vload_f32(&line[p][o], TW_LANES), TW_LANES);
}

TW_INLINE void transform_weights(int m, const tw_winograd_row *u, const tw_winograd_kernel *g,
                                 int64_t inputs, int64_t outputs)
{
    float line[TW_WINOGRAD_POINTS_MAX][LINE] __attribute__((aligned(64)));
    const bool whole = outputs == LINE && COLUMNS >= LINE && (uintptr_t)u->at % 64 == 0 &&
                       u->point_stride % LINE == 0;
    for (int64_t i = 0; i < inputs; i++) {
        transform_line(m, line, (*g)[0][i], outputs);
        if (whole)
            stream_line(m, u, i, line);
        else
            store_line(m, u, i, line, outputs);
    }
    if (whole) tw_vstream_end();
}

/* ---- weights in fixed point ---- */

/* Pairs of kernel positions [first, last) with all from themselves on: so many that their sums stay
 * in AVX-512's registers. */
TW_INLINE void add_gram(tw_winograd_gram *gram, const tw_winograd_kernel *g, int o, int first,
                        int last)
{
    tw_vec sum[TW_WINOGRAD_GRAM];
    const int at = first * (2 * K * K + 1 - first) / 2;
    int count = 0;
#pragma GCC unroll 9
    for (int k = first; k < last; k++) count += K * K - k;
#pragma GCC unroll 45
    for (int n = 0; n < count; n++) sum[n] = tw_vload_f32(&gram->at[at + n][o], TW_LANES);
    for (int i = 0; i < LINE; i++) {
        tw_vec x[K * K];
        int n = 0;
#pragma GCC unroll 9
        for (int k = first; k < K * K; k++)
            x[k] = tw_vload_f32(&(*g)[k][i][o], TW_LANES) * TW_SHORT_UNIT;
#pragma GCC unroll 9
        for (int k = first; k < last; k++)
#pragma GCC unroll 9
            for (int l = k; l < K * K; l++) sum[n++] += x[k] * x[l];
    }
#pragma GCC unroll 45
    for (int n = 0; n < count; n++) tw_vstore_f32(&gram->at[at + n][o], sum[n], TW_LANES);
}

static void gram(tw_winograd_gram *to, const tw_winograd_kernel *g)
{
    for (int o = 0; o < LINE; o += TW_LANES) {
        add_gram(to, g, o, 0, 3);
        add_gram(to, g, o, 3, K * K);
    }
}

/* What each position of a kernel, alone, is at the transform's points. */
TW_INLINE void unit_kernels(int m, float unit[TW_WINOGRAD_POINTS_MAX][K * K])
{
    for (int k = 0; k < K * K; k++) {
        tw_vec t[SIDE_MAX][SIDE_MAX];
        for (int j = 0; j < K * K; j++) t[j / K][j % K] = tw_vset(j == k ? 1 : 0);
        both(kernel, m, t, K, m + 2);
        for (int p = 0; p < (m + 2) * (m + 2); p++) unit[p][k] = t[p / (m + 2)][p % (m + 2)][0];
    }
}

/* Σ_i (Σ_k c_k g_ik)² = Σ_kl c_k c_l Σ_i g_ik g_il. Where terms cancel rounding is of the size of
 * Σ_k c_k² Σ_ik g_ik², of which so much is added that it does not matter. */
TW_INLINE void bound_squares(int m, tw_winograd_columns *squares, const tw_winograd_gram *from)
{
    float unit[TW_WINOGRAD_POINTS_MAX][K * K];
    unit_kernels(m, unit);
    for (int o = 0; o < LINE; o += TW_LANES) {
        tw_vec trace = tw_vzero();
        for (int k = 0, n = 0; k < K * K; n += K * K - k++)
            trace += tw_vload_f32(&from->at[n][o], TW_LANES);
        for (int p = 0; p < (m + 2) * (m + 2); p++) {
            tw_vec sum = tw_vzero();
            float size = 0;
            for (int k = 0, n = 0; k < K * K; k++) {
                size += unit[p][k] * unit[p][k];
                for (int l = k; l < K * K; l++, n++)
                    sum += (l > k ? 2 : 1) * unit[p][k] * unit[p][l] *
                           tw_vload_f32(&from->at[n][o], TW_LANES);
            }
            tw_vstore_f32(&squares->at[p][o], sum + 0x1p-15f * size * trace, TW_LANES);
        }
    }
}

/* Whole numbers of 16 bits, two by two. */
TW_INLINE tw_veci pairs_of(tw_veci even, tw_veci odd)
{
#if defined(TW_SIMD_AVX512)
    return (tw_veci)_mm512_mask_blend_epi16(0xaaaaaaaau, (__m512i)even, (__m512i)(odd << 16));
#elif defined(TW_SIMD_AVX2)
    return (tw_veci)_mm256_blend_epi16((__m256i)even, (__m256i)(odd << 16), 0xaa);
#else
    return (tw_veci)(((tw_vecu)odd << 16) | ((tw_vecu)even & 0xffffu));
#endif
}

/* A pair of input channels and a vector of output channels. */
TW_INLINE void fix_pair(int m, int16_t *u, int64_t point_stride, const float *g, const float *scale)
{
    tw_vec t[2][SIDE_MAX][SIDE_MAX];
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
#pragma GCC unroll 9
        for (int k = 0; k < K * K; k++)
            t[i][k / K][k % K] = tw_vload_f32(g + (k * LINE + i) * LINE, TW_LANES);
#pragma GCC unroll 3
        for (int c = 0; c < K; c++) kernel(m, &t[i][0][c], &t[i][0][c], SIDE_MAX);
    }
#pragma GCC unroll 6
    for (int r = 0; r < m + 2; r++) {
        kernel(m, t[0][r], t[0][r], 1);
        kernel(m, t[1][r], t[1][r], 1);
#pragma GCC unroll 6
        for (int c = 0; c < m + 2; c++, u += point_stride, scale += LINE) {
            const tw_vec s = tw_vload_f32(scale, TW_LANES);
            const tw_veci pairs =
                pairs_of(tw_vto_whole(t[0][r][c] * s), tw_vto_whole(t[1][r][c] * s));
            memcpy(u, &pairs, sizeof pairs);
        }
    }
}

TW_INLINE void fix_weights(int m, int16_t *u, int64_t point_stride, const tw_winograd_kernel *g,
                           const tw_winograd_columns *scale)
{
    for (int i = 0; i < LINE; i += 2, u += 2 * COLUMNS)
        for (int o = 0; o < LINE; o += TW_LANES)
            fix_pair(m, u + 2 * o, point_stride, &(*g)[0][i][o], &scale->at[0][o]);
}

TW_INLINE void gather_weights(int m, tw_winograd_kernel *g, const tw_winograd_row *u,
                              int64_t inputs, int64_t outputs)
{
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t o = 0; o < outputs; o += TW_LANES) {
            tw_vec t[SIDE_MAX][SIDE_MAX];
            read_points(m + 2, t, place(u, COLUMNS, o) + i * COLUMNS, u->point_stride);
            both(kernel_gradient, m, t, m + 2, K);
#pragma GCC unroll 9
            for (int k = 0; k < K * K; k++)
                tw_vstore_f32(&(*g)[k][i][o], t[k / K][k % K], TW_LANES);
        }
}

/* ---- the two sizes and the ways of storing ---- */

#define READ(m, name, stored)                                                                      \
    static void input##m##name(const tw_winograd_row *v, const void *const *pixel,                 \
                               const void *const *ahead, int64_t channels)                         \
    {                                                                                              \
        expand_all(data, m, m + 2, v, TW_PANEL, pixel, ahead, stored, channels);                   \
    }                                                                                              \
    static void gradient##m##name(const tw_winograd_row *z, const void *const *pixel,              \
                                  const void *const *ahead, int64_t channels)                      \
    {                                                                                              \
        expand_all(result_gradient, m, m, z, COLUMNS, pixel, ahead, stored, channels);             \
    }
#define WRITE(m, name, stored)                                                                     \
    static void output##m##name(const tw_winograd_row *v, const tw_winograd_output *to,            \
                                int64_t channels)                                                  \
    {                                                                                              \
        contract_all(m, v, to, stored, channels);                                                  \
    }
#define SIZE(m)                                                                                    \
    READ(m, f32, TW_STORED_F32)                                                                    \
    READ(m, bf16, TW_STORED_BF16)                                                                  \
    WRITE(m, f32, TW_STORED_F32)                                                                   \
    WRITE(m, bf16, TW_STORED_BF16)                                                                 \
    WRITE(m, native, TW_STORED_BF16_NATIVE)                                                        \
    static void weights##m(const tw_winograd_row *u, const tw_winograd_kernel *g, int64_t inputs,  \
                           int64_t outputs)                                                        \
    {                                                                                              \
        transform_weights(m, u, g, inputs, outputs);                                               \
    }                                                                                              \
    static void squares##m(tw_winograd_columns *squares, const tw_winograd_gram *from)             \
    {                                                                                              \
        bound_squares(m, squares, from);                                                           \
    }                                                                                              \
    static void fixed##m(int16_t *u, int64_t point_stride, const tw_winograd_kernel *g,            \
                         const tw_winograd_columns *scale)                                         \
    {                                                                                              \
        fix_weights(m, u, point_stride, g, scale);                                                 \
    }                                                                                              \
    static void weights_gradient##m(tw_winograd_kernel *g, const tw_winograd_row *u,               \
                                    int64_t inputs, int64_t outputs)                               \
    {                                                                                              \
        gather_weights(m, g, u, inputs, outputs);                                                  \
    }
SIZE(2)
SIZE(4)

const tw_kern_winograd TW_KERNEL(tw_kern_winograd) = {
    .input = {{input2f32, input2bf16, input2bf16}, {input4f32, input4bf16, input4bf16}},
    .output = {{output2f32, output2bf16, output2native}, {output4f32, output4bf16, output4native}},
    .gradient = {{gradient2f32, gradient2bf16, gradient2bf16},
                 {gradient4f32, gradient4bf16, gradient4bf16}},
    .weights = {weights2, weights4},
    .gram = gram,
    .squares = {squares2, squares4},
    .fixed = {fixed2, fixed4},
    .weights_gradient = {weights_gradient2, weights_gradient4}};
