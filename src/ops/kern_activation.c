/* Activations and their derivatives: one loop for each kind, order and type. */
#include "ops/kern_activation.h"

#include "ops/activation.h"

TW_INLINE void loop(void *out, const void *x, const void *gy, int64_t n, tw_activation_kind kind,
                    int order, tw_dtype type)
{
    const bool coarse = type == TW_DTYPE_BF16;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float f = tw_activation_order(tw_load(x, i, type), kind, order, coarse);
        tw_store(out, i, type, order == 0 ? f : f * tw_load(gy, i, type));
    }
}

#define LOOP(name, kind, order, type)                                                              \
    static void name(void *out, const void *x, const void *gy, int64_t n)                          \
    {                                                                                              \
        loop(out, x, gy, n, kind, order, type);                                                    \
    }

#define LOOPS(name, kind)                                                                          \
    LOOP(name##_0f, kind, 0, TW_DTYPE_F32)                                                         \
    LOOP(name##_1f, kind, 1, TW_DTYPE_F32)                                                         \
    LOOP(name##_2f, kind, 2, TW_DTYPE_F32)                                                         \
    LOOP(name##_3f, kind, 3, TW_DTYPE_F32)                                                         \
    LOOP(name##_0h, kind, 0, TW_DTYPE_BF16)                                                        \
    LOOP(name##_1h, kind, 1, TW_DTYPE_BF16)                                                        \
    LOOP(name##_2h, kind, 2, TW_DTYPE_BF16)                                                        \
    LOOP(name##_3h, kind, 3, TW_DTYPE_BF16)

LOOPS(silu, TW_SILU)
LOOPS(relu, TW_RELU)
LOOPS(elu, TW_ELU)
LOOPS(softplus, TW_SOFTPLUS)
LOOPS(tanh, TW_TANH)
LOOPS(sigmoid, TW_SIGMOID)
LOOPS(leaky, TW_LEAKY_RELU)

/* clang-format off */
#define ROW(name) {{name##_0f, name##_0h}, {name##_1f, name##_1h}, {name##_2f, name##_2h}, {name##_3f, name##_3h}}
/* clang-format on */

const tw_kern_activation TW_KERNEL(tw_kern_activation) = {.loop = {[TW_SILU] = ROW(silu),
                                                                   [TW_RELU] = ROW(relu),
                                                                   [TW_ELU] = ROW(elu),
                                                                   [TW_SOFTPLUS] = ROW(softplus),
                                                                   [TW_TANH] = ROW(tanh),
                                                                   [TW_SIGMOID] = ROW(sigmoid),
                                                                   [TW_LEAKY_RELU] = ROW(leaky)}};
