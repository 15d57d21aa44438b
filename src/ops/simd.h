/* Vectors of f32 for the kernels, as wide as the instruction set that kern_*.c is being compiled
 * for: GCC's vector types where they say it, intrinsics where they do not. Storage may be f32 or
 * bf16; arithmetic is f32. Everything is inline, and arguments called `bf16` and `n` are constants
 * at every place of use, so that no branch on them is left. */
#ifndef TW_OPS_SIMD_H
#define TW_OPS_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "ops/element.h"
#include "ops/stored.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define TW_SIMD_AVX512 1
enum { TW_LANES = 16 };
typedef float tw_vec __attribute__((vector_size(64)));
typedef double tw_vecd __attribute__((vector_size(64))); /* half as many lanes */
typedef int32_t tw_veci __attribute__((vector_size(64)));
typedef uint32_t tw_vecu __attribute__((vector_size(64)));
typedef uint16_t tw_vech __attribute__((vector_size(32)));
typedef uint8_t tw_vecb __attribute__((vector_size(16)));
#elif defined(__AVX2__) && defined(__FMA__)
#define TW_SIMD_AVX2 1
enum { TW_LANES = 8 };
typedef float tw_vec __attribute__((vector_size(32)));
typedef double tw_vecd __attribute__((vector_size(32))); /* half as many lanes */
typedef int32_t tw_veci __attribute__((vector_size(32)));
typedef uint32_t tw_vecu __attribute__((vector_size(32)));
typedef uint16_t tw_vech __attribute__((vector_size(16)));
typedef uint8_t tw_vecb __attribute__((vector_size(8)));
#else
enum { TW_LANES = 4 };
typedef float tw_vec __attribute__((vector_size(16)));
typedef double tw_vecd __attribute__((vector_size(16))); /* half as many lanes */
typedef int32_t tw_veci __attribute__((vector_size(16)));
typedef uint32_t tw_vecu __attribute__((vector_size(16)));
typedef uint16_t tw_vech __attribute__((vector_size(8)));
typedef uint8_t tw_vecb __attribute__((vector_size(4)));
#endif

TW_INLINE tw_vec tw_vset(float x)
{
    return x - (tw_vec){0};
}

TW_INLINE tw_vec tw_vzero(void)
{
    return (tw_vec){0};
}

TW_INLINE tw_vecu tw_vbits(tw_vec v)
{
    return (tw_vecu)v;
}

/* n floats of p, 0 behind them. */
TW_INLINE tw_vec tw_vload_f32(const float *p, int n)
{
    tw_vec v = {0};
    if (n == TW_LANES) {
        memcpy(&v, p, sizeof v);
        return v;
    }
#ifdef TW_SIMD_AVX512
    return (tw_vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    float t[TW_LANES] = {0};
    for (int l = 0; l < n; l++) t[l] = p[l];
    memcpy(&v, t, sizeof v);
    return v;
#endif
}

TW_INLINE tw_vec tw_vload_bf16(const tw_bf16 *p, int n)
{
    tw_vech h = {0};
    if (n == TW_LANES) {
        memcpy(&h, p, sizeof h);
    } else {
#ifdef TW_SIMD_AVX512
        h = (tw_vech)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p);
#else
        tw_bf16 t[TW_LANES] = {0};
        for (int l = 0; l < n; l++) t[l] = p[l];
        memcpy(&h, t, sizeof h);
#endif
    }
#if defined(TW_SIMD_AVX512)
    return (tw_vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)h), 16);
#elif defined(TW_SIMD_AVX2)
    return (tw_vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)h), 16);
#else
    return (tw_vec)(__builtin_convertvector(h, tw_vecu) << 16);
#endif
}

/* n elements of a tensor, beginning with element i. */
TW_INLINE tw_vec tw_vload(const void *p, int64_t i, tw_stored k, int n)
{
    return k != TW_STORED_F32 ? tw_vload_bf16((const tw_bf16 *)p + i, n)
                              : tw_vload_f32((const float *)p + i, n);
}

/* As tw_to_bf16, lane by lane. */
TW_INLINE tw_vech tw_vto_bf16(tw_vec v, bool native)
{
#if defined(TW_SIMD_AVX512)
    if (native) { /* not an intrinsic: those want the whole file compiled for it */
        tw_vech h;
        __asm__("vcvtneps2bf16 %1, %0" : "=v"(h) : "v"(v));
        return h;
    }
    const tw_vecu u = tw_vbits(v);
    const __m512i bits = (__m512i)u, high = _mm512_srli_epi32(bits, 16);
    const __m512i lsb = _mm512_and_si512(high, _mm512_set1_epi32(1));
    __m512i r = _mm512_srli_epi32(
        _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), lsb), 16);
    r = _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q), high,
                             _mm512_set1_epi32(0x40));
    return (tw_vech)_mm512_cvtepi32_epi16(r);
#else
    (void)native;
    const tw_vecu u = tw_vbits(v);
    const tw_vecu nan =
        (tw_vecu)(v != v); /* NOLINT(misc-redundant-expression): NaN alone differs from itself */
    const tw_vecu rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, quiet = (u >> 16) | 0x40u;
    const tw_vecu r = (rounded & ~nan) | (quiet & nan);
#if defined(TW_SIMD_AVX2)
    const __m256i packed =
        _mm256_permute4x64_epi64(_mm256_packus_epi32((__m256i)r, (__m256i)r), 0xd8);
    return (tw_vech)_mm256_castsi256_si128(packed);
#else
    return __builtin_convertvector(r, tw_vech);
#endif
#endif
}

TW_INLINE void tw_vstore_f32(float *p, tw_vec v, int n)
{
    if (n == TW_LANES) {
        memcpy(p, &v, sizeof v);
        return;
    }
#ifdef TW_SIMD_AVX512
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    float t[TW_LANES];
    memcpy(t, &v, sizeof t);
    for (int l = 0; l < n; l++) p[l] = t[l];
#endif
}

/* Past the caches, for what is read long after; p is aligned to the vector. These stores are in no
 * order with others until tw_vstream_end(). */
TW_INLINE void tw_vstream_f32(float *p, tw_vec v)
{
#if defined(TW_SIMD_AVX512)
    _mm512_stream_ps(p, (__m512)v);
#elif defined(TW_SIMD_AVX2)
    _mm256_stream_ps(p, (__m256)v);
#elif defined(__SSE2__)
    _mm_stream_ps(p, (__m128)v);
#else
    memcpy(p, &v, sizeof v);
#endif
}

TW_INLINE void tw_vstream_end(void)
{
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

TW_INLINE void tw_vstore_bf16(tw_bf16 *p, tw_vec v, bool native, int n)
{
    const tw_vech h = tw_vto_bf16(v, native);
    if (n == TW_LANES) {
        memcpy(p, &h, sizeof h);
        return;
    }
#ifdef TW_SIMD_AVX512
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), (__m256i)h);
#else
    tw_bf16 t[TW_LANES];
    memcpy(t, &h, sizeof t);
    for (int l = 0; l < n; l++) p[l] = t[l];
#endif
}

TW_INLINE void tw_vstore(void *p, int64_t i, tw_vec v, tw_stored k, int n)
{
    if (k != TW_STORED_F32)
        tw_vstore_bf16((tw_bf16 *)p + i, v, k == TW_STORED_BF16_NATIVE, n);
    else
        tw_vstore_f32((float *)p + i, v, n);
}

/* min and max give their second argument where one of the two is NaN. */
TW_INLINE tw_vec tw_vmin(tw_vec a, tw_vec b)
{
#if defined(TW_SIMD_AVX512)
    return (tw_vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(TW_SIMD_AVX2)
    return (tw_vec)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (tw_vec)_mm_min_ps((__m128)a, (__m128)b);
#else
    const tw_veci less = a < b;
    return (tw_vec)(((tw_veci)a & less) | ((tw_veci)b & ~less));
#endif
}

TW_INLINE tw_vec tw_vmax(tw_vec a, tw_vec b)
{
#if defined(TW_SIMD_AVX512)
    return (tw_vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(TW_SIMD_AVX2)
    return (tw_vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (tw_vec)_mm_max_ps((__m128)a, (__m128)b);
#else
    const tw_veci more = a > b;
    return (tw_vec)(((tw_veci)a & more) | ((tw_veci)b & ~more));
#endif
}

/* v where the byte is at least `threshold` (1 … 255), else 0. */
TW_INLINE tw_vec tw_vkeep(tw_vec v, const uint8_t *bytes, uint8_t threshold, int n)
{
#if defined(TW_SIMD_AVX512)
    const __mmask16 valid = (__mmask16)(n == TW_LANES ? 0xffffu : (1u << n) - 1);
    const __m128i b = n == TW_LANES ? _mm_loadu_si128((const __m128i *)(const void *)bytes)
                                    : _mm_maskz_loadu_epi8(valid, bytes);
    return (tw_vec)_mm512_maskz_mov_ps(_mm_cmpge_epu8_mask(b, _mm_set1_epi8((char)threshold)),
                                       (__m512)v);
#else
    tw_vecb b = {0};
    if (n == TW_LANES)
        memcpy(&b, bytes, sizeof b);
    else
        for (int l = 0; l < n; l++) b[l] = bytes[l];
#if defined(TW_SIMD_AVX2)
    const tw_veci wide =
        (tw_veci)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)&b));
#else
    const tw_veci wide = __builtin_convertvector(b, tw_veci);
#endif
    return (tw_vec)((tw_veci)v & (wide >= (int32_t)threshold));
#endif
}

/* 1 / v. Good to 2^-23 where `fine`; else to 2^-11, which bf16 storage cannot see. v is positive
 * and finite. */
TW_INLINE tw_vec tw_vreciprocal(tw_vec v, bool fine)
{
#if defined(TW_SIMD_AVX512)
    const tw_vec r = (tw_vec)_mm512_rcp14_ps((__m512)v);
    return fine ? r + r * (1.0f - v * r) : r;
#elif defined(TW_SIMD_AVX2)
    const tw_vec r = (tw_vec)_mm256_rcp_ps((__m256)v);
    return fine ? r + r * (1.0f - v * r) : r;
#else
    (void)fine;
    return 1.0f / v;
#endif
}

/* To the nearest whole numbers, of two the even one. */
TW_INLINE tw_veci tw_vto_whole(tw_vec x)
{
#if defined(TW_SIMD_AVX512)
    return (tw_veci)_mm512_cvtps_epi32((__m512)x);
#elif defined(TW_SIMD_AVX2)
    return (tw_veci)_mm256_cvtps_epi32((__m256)x);
#elif defined(__SSE2__)
    return (tw_veci)_mm_cvtps_epi32((__m128)x);
#else
    const float magic = 12582912.0f; /* 1.5 · 2^23: adding it leaves no bits behind the point */
    return __builtin_convertvector((x + magic) - magic, tw_veci);
#endif
}

/* The sum of all lanes, and the largest: of neighbours at half, a quarter, … of the width. */
TW_INLINE float tw_vsum(tw_vec v)
{
#if defined(TW_SIMD_AVX512)
    return _mm512_reduce_add_ps((__m512)v);
#else
    float t[TW_LANES];
    memcpy(t, &v, sizeof t);
    for (int h = TW_LANES / 2; h; h /= 2)
        for (int l = 0; l < h; l++) t[l] += t[l + h];
    return t[0];
#endif
}

TW_INLINE float tw_vlargest(tw_vec v)
{
#if defined(TW_SIMD_AVX512)
    return _mm512_reduce_max_ps((__m512)v);
#else
    float t[TW_LANES];
    memcpy(t, &v, sizeof t);
    for (int h = TW_LANES / 2; h; h /= 2)
        for (int l = 0; l < h; l++) t[l] = t[l] > t[l + h] ? t[l] : t[l + h];
    return t[0];
#endif
}

/* Half (0: the lower, 1: the upper) of the lanes as f64. */
TW_INLINE tw_vecd tw_vto_double(tw_vec v, int half)
{
#if defined(TW_SIMD_AVX512)
    return (tw_vecd)_mm512_cvtps_pd(half ? _mm512_extractf32x8_ps((__m512)v, 1)
                                         : _mm512_castps512_ps256((__m512)v));
#elif defined(TW_SIMD_AVX2)
    return (tw_vecd)_mm256_cvtps_pd(half ? _mm256_extractf128_ps((__m256)v, 1)
                                         : _mm256_castps256_ps128((__m256)v));
#elif defined(__SSE2__)
    return (tw_vecd)_mm_cvtps_pd(half ? _mm_movehl_ps((__m128)v, (__m128)v) : (__m128)v);
#else
    tw_vecd d;
    for (int l = 0; l < TW_LANES / 2; l++) d[l] = (double)v[half * TW_LANES / 2 + l];
    return d;
#endif
}

TW_INLINE tw_vecd tw_vload_f64(const double *p)
{
    tw_vecd v;
    memcpy(&v, p, sizeof v);
    return v;
}

TW_INLINE void tw_vstore_f64(double *p, tw_vecd v)
{
    memcpy(p, &v, sizeof v);
}

/* 2^r for |r| <= 1/2, relative error 8e-5: minimax of degree 3. */
TW_INLINE tw_vec tw_vexp2_coarse(tw_vec r)
{
    tw_vec p = 5.517166906e-02f * r + 2.426111222e-01f;
    p = p * r + 6.932609855e-01f;
    return p * r + 9.999280735e-01f;
}

/* exp(r) for |r| <= ln(2) / 2, relative error 8e-8: minimax of degree 5. */
TW_INLINE tw_vec tw_vexp_fine(tw_vec r)
{
    tw_vec p = 8.297655087e-03f * r + 4.191538199e-02f;
    p = p * r + 1.666757473e-01f;
    p = p * r + 4.999889484e-01f;
    p = p * r + 9.999996920e-01f;
    return p * r + 1.000000072e+00f;
}

/* exp(-u): relative error about 1e-7 where `fine`, else 8e-5, which bf16 storage cannot see. Beyond
 * |u| = 87 it may stay at its value there. exp(-u) = 2^n exp(r), n whole. NaN stays NaN. */
TW_INLINE tw_vec tw_vexp_negative(tw_vec u, bool fine)
{
    const float
        log2e = 1.44269504f,
        high = 0.693145752f,
        low = 1.42860677e-6f; /* ln 2 in two parts, the first of 15 bits: n times it is exact */
    const tw_vec x = tw_vmax(tw_vset(-87.0f), tw_vmin(tw_vset(87.0f), u)); /* a NaN passes both */
#ifdef TW_SIMD_AVX512
    const __m512 t = (__m512)((fine ? x : u) * -log2e),
                 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const tw_vec p = fine ? tw_vexp_fine((-x - (tw_vec)n * high) - (tw_vec)n * low)
                          : tw_vexp2_coarse((tw_vec)_mm512_sub_ps(t, n));
    return (tw_vec)_mm512_scalef_ps((__m512)p, n);
#else
    const tw_vec magic = tw_vset(12582912.0f); /* 1.5 · 2^23: adding it rounds to a whole number,
                                                  which is then in the low bits */
    const tw_vec m = x * -log2e + magic, n = m - magic;
    const tw_vec p =
        fine ? tw_vexp_fine((-x - n * high) - n * low) : tw_vexp2_coarse(x * -log2e - n);
    return p * (tw_vec)(((tw_veci)m << 23) + 0x3f800000);
#endif
}

/* 1 / (1 + exp(-u)): relative error about 2e-7 where `fine`, else 2e-4. */
TW_INLINE tw_vec tw_vsigmoid(tw_vec u, bool fine)
{
    return tw_vreciprocal(1.0f + tw_vexp_negative(u, fine), fine);
}

#endif
