/* A tile of a product, its sums in registers. */
#include "metrics/kern_gram.h"

#define NAME_(isa) gram_kernels_##isa
#define NAME(isa) NAME_(isa)

static void tile(double *c, int64_t stride, const double *restrict a, const double *restrict b,
                 int64_t rows)
{
    double sum[GRAM_M][GRAM_N] = {{0}};
    for (int64_t r = 0; r < rows; r++) {
        const double *x = a + r * GRAM_M, *y = b + r * GRAM_N;
        for (int i = 0; i < GRAM_M; i++) {
#pragma omp simd
            for (int k = 0; k < GRAM_N; k++) sum[i][k] += x[i] * y[k];
        }
    }
    for (int i = 0; i < GRAM_M; i++)
        for (int k = 0; k < GRAM_N; k++) c[i * stride + k] += sum[i][k];
}

const gram_kernels NAME(TW_ISA) = {tile};
