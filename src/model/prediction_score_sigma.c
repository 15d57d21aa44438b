/* The score times σ: the network's output is divided by σ, as NCSNv2's (Song and Ermon 2020,
 * technique 3). */
#include "tweedie/prediction.h"

static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    (void)config, (void)p, (void)t;
    *a = 0;
    *b = -1;
}

const tw_prediction tw_prediction_score_sigma = {.kind = {"score_sigma", "the score times sigma"},
                                                 .target = target};
