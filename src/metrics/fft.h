/* Discrete Fourier transforms of any length, in double. */
#ifndef TWEEDIE_METRICS_FFT_H
#define TWEEDIE_METRICS_FFT_H

#include <stdint.h>

#include "tweedie/status.h"

typedef struct fft_number {
    double re, im;
} fft_number;

typedef struct fft fft;

/* Transforms of length n >= 1. */
tw_status fft_create(fft **out, int64_t n);
void fft_destroy(fft **f);

/* Numbers of scratch that a transform needs, each thread its own. */
int64_t fft_scratch(const fft *f);

/* x[k] = Σ_j x[j] exp(−2πi j k / n), in place; element j at x[j stride]. */
void fft_run(const fft *f, fft_number *x, int64_t stride, fft_number *scratch);

#endif
