/* The norm of the gradients and the factor that clips it. */
#include <math.h>

#include "optim/kern_optim.h"
#include "tweedie/optim.h"
#include "tweedie/processor.h"

const optim_kernels *optim_kernels_find(void)
{
    return TW_ISA_SELECT(optim_kernels);
}

enum { PARTS = 256, LEAST = 4096 };

/* The array is cut into at most 256 parts whose size depends on n alone; each part has one sum, and
 * the sums are added in their order. So the result is the same at any number of threads. */
double tw_optim_sum_squares(const float *x, int64_t n)
{
    const optim_kernels *kernels = optim_kernels_find();
    double sums[PARTS] = {0}, sum = 0;
    int64_t size = (n + PARTS - 1) / PARTS;
    if (size < LEAST) size = LEAST;
    const int64_t parts = (n + size - 1) / size;
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < parts; k++) {
        const int64_t start = k * size;
        sums[k] = kernels->sum_squares(x + start, n - start < size ? n - start : size);
    }
    for (int64_t k = 0; k < parts; k++) sum += sums[k];
    return sum;
}

void tw_optim_block_squares(const float *x, int64_t n, int64_t block, double *sums)
{
    const optim_kernels *kernels = optim_kernels_find();
#pragma omp parallel for schedule(static) if (n > block)
    for (int64_t i = 0; i < n; i += block)
        sums[i / block] = kernels->sum_squares(x + i, n - i < block ? n - i : block);
}

double tw_optim_clip_scale(double norm, double clip)
{
    if (clip <= 0) return 1;
    const double scale = clip / (norm + 1e-6);
    return scale > 1 ? 1 : scale; /* not fmin, which would hide a NaN */
}
