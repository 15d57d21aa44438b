/* Elementary functions of f32 as branch-free code that the compiler turns into vector code.
 *
 * exp and tanh are those of Moshier's Cephes library (single precision): range reduction by ln 2 in
 * two parts and a polynomial, error below 2 ulp. With `coarse` exp has a relative error below 8e-5,
 * where rounding to bf16 makes 4e-3; it is for results that are stored so. NaN stays NaN. */
#ifndef TW_OPS_VECTOR_MATH_H
#define TW_OPS_VECTOR_MATH_H

#include "ops/element.h"

TW_INLINE float tw_math_from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

TW_INLINE uint32_t tw_math_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* (e^r - 1 - r) / r² for |r| <= ln 2 / 2 */
TW_INLINE float tw_math_exp_tail(float r)
{
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    return p * r + 5.0000001201e-1f;
}

/* e^x; 0 below -87.3, the largest float above 88.7. 1.5 · 2^23 rounds x / ln 2 to an integer in the
 * low bits of a float. */
TW_INLINE float tw_math_exp(float x, bool coarse)
{
    const float magic = 12582912.0f;
    float c = x < -87.3f ? -87.3f : x;
    c = c > 88.7f ? 88.7f : c;
    const float shifted = c * 1.44269504088896341f + magic;
    const float k = shifted - magic;
    const float scale = tw_math_from_bits((tw_math_bits(shifted) << 23) + 0x3f800000u);
    float y;
    if (coarse) { /* 2^f on [-1/2, 1/2], minimax in the relative error */
        const float f = c * 1.44269504088896341f - k;
        y = ((0.0551716691f * f + 0.2426111222f) * f + 0.6932609855f) * f + 0.9999280735f;
    } else {
        const float r = (c - k * 0.693359375f) + k * 2.12194440e-4f;
        y = tw_math_exp_tail(r) * (r * r) + r + 1.0f;
    }
    return x < -87.3f ? 0.0f : y * scale;
}

/* e^x - 1 for x <= 0 */
TW_INLINE float tw_math_expm1_negative(float x, bool coarse)
{
    const float near = tw_math_exp_tail(x) * (x * x) + x, far = tw_math_exp(x, coarse) - 1.0f;
    return x > -0.34f ? near : far;
}

/* ln(1 + e) for 0 <= e <= 1: 2 atanh(z), z = e / (2 + e) <= 1/3, nine terms of its series. */
TW_INLINE float tw_math_log1p_unit(float e)
{
    const float z = e / (2.0f + e), w = z * z;
    float p = 1.0f / 17;
    p = p * w + 1.0f / 15;
    p = p * w + 1.0f / 13;
    p = p * w + 1.0f / 11;
    p = p * w + 1.0f / 9;
    p = p * w + 1.0f / 7;
    p = p * w + 1.0f / 5;
    p = p * w + 1.0f / 3;
    return 2.0f * z * (p * w + 1.0f);
}

TW_INLINE float tw_math_abs(float x)
{
    return tw_math_from_bits(tw_math_bits(x) & 0x7fffffffu);
}

/* The logistic function of x and of -x, each without cancellation. */
typedef struct tw_math_logistic {
    float up, down; /* 1 / (1 + e^-x) and 1 / (1 + e^x) */
} tw_math_logistic;

TW_INLINE tw_math_logistic tw_math_sigmoids(float x, bool coarse)
{
    const float e = tw_math_exp(-tw_math_abs(x), coarse), large = 1.0f / (1.0f + e),
                small = e * large;
    return (tw_math_logistic){.up = x < 0 ? small : large, .down = x < 0 ? large : small};
}

TW_INLINE float tw_math_tanh(float x, bool coarse)
{
    const float z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    const float near = p * z * x + x;
    const float far = 1.0f - 2.0f / (tw_math_exp(2.0f * tw_math_abs(x), coarse) + 1.0f);
    const float magnitude = tw_math_abs(x);
    const float signed_far = x < 0 ? -far : far;
    return magnitude < 0.625f ? near : signed_far;
}

#endif
