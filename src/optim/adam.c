/* Adam and exponential moving averages: threads take blocks of the arrays, which are small enough
 * that an average reads the new parameters from the first-level cache. */
#include <assert.h>
#include <math.h>
#include <stddef.h>

#include "optim/kern_optim.h"
#include "tweedie/optim.h"

enum { BLOCK = 2048 }; /* parameters; five arrays of them are 40 KiB */

/* What is derived from k alone is worked out in double, as PyTorch does. */
static adam_constants constants_of(const tw_adam *a, int64_t k, double learning_rate,
                                   double gradient_scale)
{
    return (adam_constants){.scale = (float)gradient_scale,
                            .beta2 = (float)a->beta2,
                            .one_minus_beta1 = (float)(1 - a->beta1),
                            .one_minus_beta2 = (float)(1 - a->beta2),
                            .keep = (float)(1 - learning_rate * a->weight_decay),
                            .step = (float)(learning_rate / (1 - pow(a->beta1, (double)k))),
                            .root = (float)(1 / sqrt(1 - pow(a->beta2, (double)k))),
                            .epsilon = (float)a->epsilon};
}

void tw_adam_update_ema(const tw_adam *adam, int64_t k, double learning_rate, double gradient_scale,
                        int64_t n, float *theta, float *m, float *v, const float *gradient,
                        int rates, const double *decay, float *const *ema)
{
    assert(k >= 1 && rates >= 0 && rates <= TW_EMA_MAX);
    const optim_kernels *kernels = optim_kernels_find();
    const adam_constants c = constants_of(adam, k, learning_rate, gradient_scale);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += BLOCK) {
        const int64_t count = n - i < BLOCK ? n - i : BLOCK;
        kernels->adam(&c, count, theta + i, m + i, v + i, gradient + i);
        for (int r = 0; r < rates; r++)
            kernels->ema((float)(1 - decay[r]), count, ema[r] + i, theta + i);
    }
}

void tw_adam_update(const tw_adam *adam, int64_t k, double learning_rate, double gradient_scale,
                    int64_t n, float *theta, float *m, float *v, const float *gradient)
{
    tw_adam_update_ema(adam, k, learning_rate, gradient_scale, n, theta, m, v, gradient, 0, NULL,
                       NULL);
}

void tw_ema_update(int64_t n, float *ema, const float *theta, double decay)
{
    const optim_kernels *kernels = optim_kernels_find();
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += BLOCK) {
        const int64_t count = n - i < BLOCK ? n - i : BLOCK;
        kernels->ema((float)(1 - decay), count, ema + i, theta + i);
    }
}

double tw_ema_decay(double decay, bool warmup, int64_t k)
{
    return warmup ? fmin(decay, (1.0 + (double)k) / (10.0 + (double)k)) : decay;
}
