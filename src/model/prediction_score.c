/* The score itself: F = −E[z | x_t] / σ. Its size is that of 1 / σ: at small σ a network has to
 * produce large numbers, which score_sigma spares it. */
#include "tweedie/prediction.h"

static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    (void)config;
    *a = 0;
    *b = -1 / tw_process_sigma(p, t);
}

const tw_prediction tw_prediction_score = {.kind = {"score", "the score"}, .target = target};
