/* The learning rate of a step. */
#include <math.h>
#include <string.h>

#include "tweedie/optim.h"

tw_status tw_decay_find(tw_decay *out, const char *name)
{
    tw_status st = TW_OK;
    static const char *const names[] = {"constant", "linear", "cosine"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (tw_decay)i;
            return TW_OK;
        }
    TW_FAIL(TW_ECONFIG, "unknown learning-rate decay \"%s\": it is constant, linear or cosine",
            name);
done:
    return st;
}

double tw_learning_rate_at(const tw_learning_rate *rate, int64_t k)
{
    if (k < rate->warmup) return rate->base * (double)k / (double)rate->warmup;
    if (rate->decay == TW_DECAY_CONSTANT) return rate->base;
    const int64_t length = rate->steps - rate->warmup;
    const double u = length > 0 ? fmin((double)(k - rate->warmup) / (double)length, 1) : 1;
    return rate->base * (rate->decay == TW_DECAY_LINEAR ? 1 - u : 0.5 * (1 + cos(M_PI * u)));
}
