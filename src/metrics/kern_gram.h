/* The inner loop of products in double, one per instruction set. */
#ifndef METRICS_KERN_GRAM_H
#define METRICS_KERN_GRAM_H

#include <stdint.h>

#include "tweedie/processor.h"

/* A register tile of GRAM_M x GRAM_N sums; panels are cut into these widths. */
enum { GRAM_M = 4, GRAM_N = 16 };

typedef struct gram_kernels {
    /* c[i * stride + k] += Σ_r a[r][i] b[r][k]; a [rows][GRAM_M], b [rows][GRAM_N] */
    void (*tile)(double *c, int64_t stride, const double *a, const double *b, int64_t rows);
} gram_kernels;

extern const gram_kernels gram_kernels_baseline, gram_kernels_avx2, gram_kernels_avx512;

#endif
