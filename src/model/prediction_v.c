/* v = α z − σ x_0 (Salimans and Ho 2022). */
#include "tweedie/prediction.h"

static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    (void)config;
    *a = -tw_process_sigma(p, t);
    *b = tw_process_alpha(p, t);
}

const tw_prediction tw_prediction_v = {.kind = {"v", "v = alpha z - sigma x0"}, .target = target};
