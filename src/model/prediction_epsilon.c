/* The noise: F = E[z | x_t] (Ho et al. 2020). */
#include "tweedie/prediction.h"

static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    (void)config, (void)p, (void)t;
    *a = 0;
    *b = 1;
}

const tw_prediction tw_prediction_epsilon = {.kind = {"epsilon", "the noise"}, .target = target};
