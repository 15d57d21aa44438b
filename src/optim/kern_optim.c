/* Optimisers, EMA and sums of squares over a range of flat arrays. Memory bounds these loops, so
 * the build forbids contraction to fused multiply-add here at no cost, and vector body, scalar rest
 * and every instruction set give the same bits. */
#include <math.h>

#include "optim/kern_optim.h"

#define NAME_(isa) optim_kernels_##isa
#define NAME(isa) NAME_(isa)

static void adam(const adam_constants *constants, int64_t n, float *restrict theta,
                 float *restrict m, float *restrict v, const float *restrict gradient)
{
    const adam_constants c = *constants;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float g = c.scale * gradient[i];
        const float m1 = m[i] + c.one_minus_beta1 * (g - m[i]);
        const float v1 = c.beta2 * v[i] + c.one_minus_beta2 * g * g;
        m[i] = m1;
        v[i] = v1;
        theta[i] = c.keep * theta[i] - c.step * m1 / (sqrtf(v1) * c.root + c.epsilon);
    }
}

static void sgd(const sgd_constants *constants, int64_t n, float *restrict theta, float *restrict b,
                const float *restrict gradient)
{
    const sgd_constants c = *constants;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float g = c.scale * gradient[i] + c.penalty * theta[i];
        const float b1 = c.momentum * b[i] + g;
        b[i] = b1;
        theta[i] -= c.step * (c.direct * g + c.buffered * b1);
    }
}

static void ema(float rate, int64_t n, float *restrict mean, const float *restrict theta)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) mean[i] += rate * (theta[i] - mean[i]);
}

enum { LANES = 32 };

/* 32 sums side by side, so that the additions do not wait for each other; then folded in halves. */
static double sum_squares(const float *x, int64_t n)
{
    double sum[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
#pragma omp simd
        for (int l = 0; l < LANES; l++) sum[l] += (double)x[i + l] * (double)x[i + l];
    }
    for (int l = 0; i < n; i++, l++) sum[l] += (double)x[i] * (double)x[i];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) sum[l] += sum[l + half];
    return sum[0];
}

const optim_kernels NAME(TW_ISA) = {
    .adam = adam, .sgd = sgd, .ema = ema, .sum_squares = sum_squares};
