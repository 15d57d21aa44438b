/* Adam's update; the kernel has the formula. */
#include <math.h>

#include "optim/kern_optim.h"
#include "optim/pass.h"

/* What is derived from k alone is worked out in double, as PyTorch does. */
static adam_constants constants_of(const tw_adam *a, const tw_update *u)
{
    const double k = (double)u->k;
    return (adam_constants){.scale = (float)u->gradient_scale,
                            .beta2 = (float)a->beta2,
                            .one_minus_beta1 = (float)(1 - a->beta1),
                            .one_minus_beta2 = (float)(1 - a->beta2),
                            .keep = (float)(1 - u->learning_rate * a->weight_decay),
                            .step = (float)(u->learning_rate / (1 - pow(a->beta1, k))),
                            .root = (float)(1 / sqrt(1 - pow(a->beta2, k))),
                            .epsilon = (float)a->epsilon};
}

static void block(const void *constants, const tw_update *u, int64_t at, int64_t count)
{
    optim_kernels_find()->adam(constants, count, u->theta + at, u->array[0] + at, u->array[1] + at,
                               u->gradient + at);
}

void tw_adam_update(const tw_adam *adam, const tw_update *u)
{
    const adam_constants c = constants_of(adam, u);
    optim_pass(u, block, &c);
}
