/* The row-wise loops between the matrix products of attention. A row is read three times, from the
 * first-level cache where it fits. */
#include "ops/kern_attention.h"

#include "ops/simd.h"

static float largest(const float *s, int64_t n)
{
    tw_vec m = tw_vset(s[0]);
    int64_t i = 0;
    for (; i + TW_LANES <= n; i += TW_LANES) m = tw_vmax(m, tw_vload_f32(s + i, TW_LANES));
    if (i && i < n)
        m = tw_vmax(
            m, tw_vload_f32(s + n - TW_LANES, TW_LANES)); /* the last ones, some of them again */
    float most = tw_vlargest(m);
    for (; i < n && n < TW_LANES; i++) most = most > s[i] ? most : s[i];
    return most;
}

TW_INLINE tw_vec exponential(float *s, tw_vec top, float scale, bool fine, int n)
{
    const tw_vec e = tw_vexp_negative((top - tw_vload_f32(s, n)) * scale, fine);
    tw_vstore_f32(s, e, n);
    return n == TW_LANES ? e : tw_vload_f32(s, n); /* lanes beyond n count for nothing */
}

/* What is stored in fewer bytes than it is read from may lie in the same memory: it is written
 * behind what is still to be read. */
TW_INLINE void softmax(void *p, float *s, float *top, float *inverse, int64_t rows, int64_t n,
                       float scale, tw_stored k)
{
    const int64_t whole = n / TW_LANES * TW_LANES;
    const int rest = (int)(n - whole);
    for (int64_t r = 0; r < rows; r++, s += n) {
        const float most = largest(s, n);
        const tw_vec from = tw_vset(most);
        tw_vec sum = tw_vzero();
        for (int64_t i = 0; i < whole; i += TW_LANES)
            sum += exponential(s + i, from, scale, k == TW_STORED_F32, TW_LANES);
        if (rest) sum += exponential(s + whole, from, scale, k == TW_STORED_F32, rest);
        const float factor = 1.0f / tw_vsum(sum);
        for (int64_t i = 0; i < whole; i += TW_LANES)
            tw_vstore(p, r * n + i, tw_vload_f32(s + i, TW_LANES) * factor, k, TW_LANES);
        if (rest) tw_vstore(p, r * n + whole, tw_vload_f32(s + whole, rest) * factor, k, rest);
        if (!top) continue;
        top[r] = most;
        inverse[r] = factor;
    }
}

TW_INLINE void again(void *p, const float *s, const float *top, const float *inverse, int64_t rows,
                     int64_t n, float scale, tw_stored k)
{
    const int64_t whole = n / TW_LANES * TW_LANES;
    const int rest = (int)(n - whole);
    const bool fine = k == TW_STORED_F32;
    for (int64_t r = 0; r < rows; r++, s += n) {
        const tw_vec from = tw_vset(top[r]);
        for (int64_t i = 0; i < whole; i += TW_LANES) {
            const tw_vec e = tw_vexp_negative((from - tw_vload_f32(s + i, TW_LANES)) * scale, fine);
            tw_vstore(p, r * n + i, e * inverse[r], k, TW_LANES);
        }
        if (!rest) continue;
        const tw_vec e = tw_vexp_negative((from - tw_vload_f32(s + whole, rest)) * scale, fine);
        tw_vstore(p, r * n + whole, e * inverse[r], k, rest);
    }
}

TW_INLINE void softmax_grad(void *gs, const void *p, const float *gp, int64_t rows, int64_t n,
                            float scale, tw_stored k)
{
    const int64_t whole = n / TW_LANES * TW_LANES;
    const int rest = (int)(n - whole);
    for (int64_t r = 0; r < rows; r++, gp += n) {
        tw_vec sum = tw_vzero();
        for (int64_t i = 0; i < whole; i += TW_LANES)
            sum += tw_vload(p, r * n + i, k, TW_LANES) * tw_vload_f32(gp + i, TW_LANES);
        if (rest) sum += tw_vload(p, r * n + whole, k, rest) * tw_vload_f32(gp + whole, rest);
        const tw_vec dot = tw_vset(tw_vsum(sum));
        for (int64_t i = 0; i < whole; i += TW_LANES) {
            const tw_vec g = tw_vload(p, r * n + i, k, TW_LANES) * scale *
                             (tw_vload_f32(gp + i, TW_LANES) - dot);
            tw_vstore(gs, r * n + i, g, k, TW_LANES);
        }
        if (rest)
            tw_vstore(gs, r * n + whole,
                      tw_vload(p, r * n + whole, k, rest) * scale *
                          (tw_vload_f32(gp + whole, rest) - dot),
                      k, rest);
    }
}

#define FOR_ONE_STORAGE(suffix, stored)                                                            \
    static void softmax_##suffix(void *p, float *s, float *top, float *inverse, int64_t rows,      \
                                 int64_t n, float scale)                                           \
    {                                                                                              \
        softmax(p, s, top, inverse, rows, n, scale, stored);                                       \
    }                                                                                              \
    static void again_##suffix(void *p, const float *s, const float *top, const float *inverse,    \
                               int64_t rows, int64_t n, float scale)                               \
    {                                                                                              \
        again(p, s, top, inverse, rows, n, scale, stored);                                         \
    }                                                                                              \
    static void softmax_grad_##suffix(void *gs, const void *p, const float *gp, int64_t rows,      \
                                      int64_t n, float scale)                                      \
    {                                                                                              \
        softmax_grad(gs, p, gp, rows, n, scale, stored);                                           \
    }

FOR_ONE_STORAGE(f32, TW_STORED_F32)
FOR_ONE_STORAGE(bf16, TW_STORED_BF16)
FOR_ONE_STORAGE(native, TW_STORED_BF16_NATIVE)

const tw_kern_attention TW_KERNEL(tw_kern_attention) = {
    .softmax = {softmax_f32, softmax_bf16, softmax_native},
    .again = {again_f32, again_bf16, again_native},
    .softmax_grad = {softmax_grad_f32, softmax_grad_bf16, softmax_grad_native},
};
