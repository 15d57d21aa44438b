/* Softmax over rows, and its gradient.
 *
 * The exponentials of a row are kept in f32 until their sum is known: in y itself where that is
 * f32, else on the stack, and where a bf16 row is too long for that they are computed twice. */
#include "ops/kern_softmax.h"

#include "ops/vector_math.h"

enum { STRETCH = 256, KEPT = 4096 };

TW_INLINE float largest(const void *x, int64_t n, float scale, tw_dtype type)
{
    float m = scale * tw_load(x, 0, type);
#pragma omp simd reduction(max : m)
    for (int64_t i = 1; i < n; i++) {
        const float v = scale * tw_load(x, i, type);
        m = m > v ? m : v;
    }
    return m;
}

/* Sum of exponentials, written to `kept` where that is not NULL. */
TW_INLINE double exponentials(float *kept, const void *x, int64_t n, float scale, float m,
                              tw_dtype type, bool keep)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t end = n - at < STRETCH ? n : at + STRETCH;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = at; i < end; i++) {
            const float e = tw_math_exp(scale * tw_load(x, i, type) - m, type == TW_DTYPE_BF16);
            if (keep) kept[i] = e;
            sum += e;
        }
        total += (double)sum;
    }
    return total;
}

static void forward_f(void *y, const void *x, int64_t rows, int64_t n, float scale)
{
    for (int64_t r = 0; r < rows; r++) {
        float *yr = (float *)y + r * n;
        const float *xr = (const float *)x + r * n;
        const float m = largest(xr, n, scale, TW_DTYPE_F32);
        const float inverse = (float)(1 / exponentials(yr, xr, n, scale, m, TW_DTYPE_F32, true));
#pragma omp simd
        for (int64_t i = 0; i < n; i++) yr[i] *= inverse;
    }
}

static void forward_h(void *y, const void *x, int64_t rows, int64_t n, float scale)
{
    float kept[KEPT];
    for (int64_t r = 0; r < rows; r++) {
        tw_bf16 *yr = (tw_bf16 *)y + r * n;
        const tw_bf16 *xr = (const tw_bf16 *)x + r * n;
        const float m = largest(xr, n, scale, TW_DTYPE_BF16);
        if (n <= KEPT) {
            const float inverse =
                (float)(1 / exponentials(kept, xr, n, scale, m, TW_DTYPE_BF16, true));
#pragma omp simd
            for (int64_t i = 0; i < n; i++) tw_store(yr, i, TW_DTYPE_BF16, kept[i] * inverse);
        } else {
            const float inverse =
                (float)(1 / exponentials(NULL, xr, n, scale, m, TW_DTYPE_BF16, false));
#pragma omp simd
            for (int64_t i = 0; i < n; i++)
                tw_store(yr, i, TW_DTYPE_BF16,
                         tw_math_exp(scale * tw_load(xr, i, TW_DTYPE_BF16) - m, true) * inverse);
        }
    }
}

TW_INLINE double dot(const void *a, const void *b, int64_t n, tw_dtype type)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t end = n - at < STRETCH ? n : at + STRETCH;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = at; i < end; i++) sum += tw_load(a, i, type) * tw_load(b, i, type);
        total += (double)sum;
    }
    return total;
}

TW_INLINE void backward(void *gx, const void *y, const void *gy, int64_t rows, int64_t n,
                        float scale, tw_dtype type)
{
    for (int64_t r = 0; r < rows; r++) {
        const void *yr = tw_at_const(y, r * n, type), *gr = tw_at_const(gy, r * n, type);
        void *out = tw_at(gx, r * n, type);
        const float mean = (float)dot(yr, gr, n, type);
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            tw_store(out, i, type, scale * tw_load(yr, i, type) * (tw_load(gr, i, type) - mean));
    }
}

static void backward_f(void *gx, const void *y, const void *gy, int64_t rows, int64_t n,
                       float scale)
{
    backward(gx, y, gy, rows, n, scale, TW_DTYPE_F32);
}

static void backward_h(void *gx, const void *y, const void *gy, int64_t rows, int64_t n,
                       float scale)
{
    backward(gx, y, gy, rows, n, scale, TW_DTYPE_BF16);
}

const tw_kern_softmax TW_KERNEL(tw_kern_softmax) = {.forward = {forward_f, forward_h},
                                                    .backward = {backward_f, backward_h}};
