/* The learning rate of a step. */
#include <math.h>

#include "tweedie/optim.h"

double tw_learning_rate_at(const tw_learning_rate *rate, int64_t k)
{
    if (k < rate->warmup) return rate->base * (double)k / (double)rate->warmup;
    if (rate->decay == TW_DECAY_CONSTANT) return rate->base;
    const int64_t length = rate->steps - rate->warmup;
    const double u = length > 0 ? fmin((double)(k - rate->warmup) / (double)length, 1) : 1;
    return rate->base * (rate->decay == TW_DECAY_LINEAR ? 1 - u : 0.5 * (1 + cos(M_PI * u)));
}
