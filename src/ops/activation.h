/* f, f', f'' and f''' of each activation, for vector loops: kind, order and coarse are constants
 * wherever these are called.
 *
 * With s = 1 / (1 + e^-x): s' = s (1 - s), s'' = s' (1 - 2s), s''' = s' (1 - 6s'). SiLU is x s, so
 * its k-th derivative is k s^(k-1) + x s^(k); softplus' is s. tanh' = 1 - t², tanh'' = -2 t t',
 * tanh''' = -2 t' (1 - 3t²); 1 - t² = 4 s'(2x). */
#ifndef TW_OPS_ACTIVATION_H
#define TW_OPS_ACTIVATION_H

#include "ops/vector_math.h"
#include "tweedie/graph.h"

TW_INLINE float tw_sigmoid_order(float x, int order, bool coarse)
{
    const tw_math_logistic s = tw_math_sigmoids(x, coarse);
    const float s1 = s.up * s.down;
    return order == 0   ? s.up
           : order == 1 ? s1
           : order == 2 ? s1 * (s.down - s.up)
                        : s1 * (1.0f - 6.0f * s1);
}

TW_INLINE float tw_silu_order(float x, int order, bool coarse)
{
    const tw_math_logistic s = tw_math_sigmoids(x, coarse);
    const float s1 = s.up * s.down, s2 = s1 * (s.down - s.up);
    if (order == 0) return x * s.up;
    if (order == 1) return s.up + x * s1;
    if (order == 2) return 2.0f * s1 + x * s2;
    return 3.0f * s2 + x * (s1 * (1.0f - 6.0f * s1));
}

TW_INLINE float tw_tanh_order(float x, int order, bool coarse)
{
    const float t = order == 1 ? 0.0f : tw_math_tanh(x, coarse);
    const float t1 = order == 0 ? 0.0f : 4.0f * tw_sigmoid_order(2.0f * x, 1, coarse);
    return order == 0   ? t
           : order == 1 ? t1
           : order == 2 ? -2.0f * t * t1
                        : -2.0f * t1 * (1.0f - 3.0f * (t * t));
}

TW_INLINE float tw_elu_order(float x, int order, bool coarse)
{
    const float negative = x > 0 ? 0.0f : x;
    const float low =
        order == 0 ? tw_math_expm1_negative(negative, coarse) : tw_math_exp(negative, coarse);
    const float high = order == 0 ? x : order == 1 ? 1.0f : 0.0f;
    return x > 0 ? high : low;
}

TW_INLINE float tw_softplus(float x, bool coarse)
{
    return (x > 0 ? x : 0.0f) + tw_math_log1p_unit(tw_math_exp(-tw_math_abs(x), coarse));
}

/* max(x, 0), NaN staying NaN */
TW_INLINE float tw_relu_order(float x, int order)
{
    const float high = order == 0 ? x : order == 1 ? 1.0f : 0.0f;
    return x <= 0 ? 0.0f : high;
}

/* The slope of discriminators (Isola et al. 2017) below zero; NaN stays NaN. */
TW_INLINE float tw_leaky_order(float x, int order)
{
    const float slope = x > 0 ? 1.0f : 0.2f;
    return order == 0 ? slope * x : order == 1 ? slope : 0.0f;
}

TW_INLINE float tw_activation_order(float x, tw_activation_kind kind, int order, bool coarse)
{
    switch (kind) {
    case TW_SILU:
        return tw_silu_order(x, order, coarse);
    case TW_RELU:
        return tw_relu_order(x, order);
    case TW_LEAKY_RELU:
        return tw_leaky_order(x, order);
    case TW_ELU:
        return tw_elu_order(x, order, coarse);
    case TW_SOFTPLUS:
        return order == 0 ? tw_softplus(x, coarse) : tw_sigmoid_order(x, order - 1, coarse);
    case TW_TANH:
        return tw_tanh_order(x, order, coarse);
    default:
        return tw_sigmoid_order(x, order, coarse);
    }
}

#endif
