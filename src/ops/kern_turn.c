/* Transposes of 32 pixels × 32 channels in registers, and pairs of pixels. */
#include "ops/kern_turn.h"

#include "ops/simd.h"

enum { P = TW_TURN_PIXELS, C = TW_TURN_CHANNELS };

/* Channels [first, last) as far as they exist, zeros as far as they do not. */
static void turn_some(tw_bf16 *to, int64_t stride, const tw_bf16 *const *pixel, int64_t first,
                      int64_t last, int64_t channels)
{
    for (int64_t c = first; c < last; c++)
        for (int j = 0; j < P; j++) to[c * stride + j] = c < channels ? pixel[j][c] : 0;
}

#ifdef TW_SIMD_AVX512
/* Rows 2i and 2i + 1 of r become columns by steps: elements of 16, 32 and 64 bits are interleaved
 * within 128 bits, then these are exchanged. */
TW_INLINE void turn_block(tw_bf16 *to, int64_t stride, const tw_bf16 *const *pixel, int64_t c)
{
    __m512i r[P], t[P];
#pragma GCC unroll 32
    for (int j = 0; j < P; j++) r[j] = _mm512_loadu_si512(pixel[j] + c);
        /* within each 128 bits, 8 channels: an 8 × 8 transpose of 8 pixels */
#pragma GCC unroll 4
    for (int g = 0; g < P; g += 8) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) { /* pixels 2j, 2j + 1 */
            t[g + j] = _mm512_unpacklo_epi16(r[g + 2 * j], r[g + 2 * j + 1]);     /* c 0 … 3 */
            t[g + 4 + j] = _mm512_unpackhi_epi16(r[g + 2 * j], r[g + 2 * j + 1]); /* c 4 … 7 */
        }
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) { /* j: c half · 2 + pixel quad */
            const __m512i a = t[g + j / 2 * 4 + j % 2 * 2], b = t[g + j / 2 * 4 + j % 2 * 2 + 1];
            r[g + j * 2] = _mm512_unpacklo_epi32(a, b);
            r[g + j * 2 + 1] = _mm512_unpackhi_epi32(a, b);
        }
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) { /* j: pair of channels */
            const int at = g + j / 2 * 4 + j % 2;
            t[g + 2 * j] = _mm512_unpacklo_epi64(r[at], r[at + 2]);
            t[g + 2 * j + 1] = _mm512_unpackhi_epi64(r[at], r[at + 2]);
        }
    }
    /* t[g + i] holds channels i, i + 8, i + 16, i + 24 of pixels g … g + 7 */
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        const __m512i a = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88),
                      b = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd),
                      d = _mm512_shuffle_i32x4(t[16 + i], t[24 + i], 0x88),
                      e = _mm512_shuffle_i32x4(t[16 + i], t[24 + i], 0xdd);
        _mm512_storeu_si512(to + (c + i) * stride, _mm512_shuffle_i32x4(a, d, 0x88));
        _mm512_storeu_si512(to + (c + i + 16) * stride, _mm512_shuffle_i32x4(a, d, 0xdd));
        _mm512_storeu_si512(to + (c + i + 8) * stride, _mm512_shuffle_i32x4(b, e, 0x88));
        _mm512_storeu_si512(to + (c + i + 24) * stride, _mm512_shuffle_i32x4(b, e, 0xdd));
    }
}
#endif

static void turn(tw_bf16 *to, int64_t stride, const tw_bf16 *const *pixel, int64_t channels)
{
    int64_t c = 0;
#ifdef TW_SIMD_AVX512
    for (; c + 32 <= channels; c += 32) turn_block(to, stride, pixel, c);
#endif
    turn_some(to, stride, pixel, c, (channels + C - 1) / C * C, channels);
}

static void pair(tw_bf16 *to, int64_t panel, const tw_bf16 *a, const tw_bf16 *b, int64_t channels)
{
    int64_t c = 0;
    for (; c + C <= channels; c += C, to += panel) {
#ifdef TW_SIMD_AVX512
        const __m512i x = _mm512_cvtepu16_epi32(
                          _mm256_loadu_si256((const __m256i *)(const void *)(a + c))),
                      y = _mm512_cvtepu16_epi32(
                          _mm256_loadu_si256((const __m256i *)(const void *)(b + c)));
        _mm512_storeu_si512(to, _mm512_or_si512(x, _mm512_slli_epi32(y, 16)));
#else
        for (int l = 0; l < C; l++) {
            to[2 * l] = a[c + l];
            to[2 * l + 1] = b[c + l];
        }
#endif
    }
    for (int l = 0; c < channels && l < C; l++) {
        to[2 * l] = c + l < channels ? a[c + l] : 0;
        to[2 * l + 1] = c + l < channels ? b[c + l] : 0;
    }
}

const tw_kern_turn TW_KERNEL(tw_kern_turn) = {turn, pair};
