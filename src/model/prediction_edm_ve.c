/* The VE network in EDM's terms (Karras et al. 2022, table 1): F is minus the noise, and with r = σ
 * / α and y = x_t / α
 *
 *   D(y; r) = y + r F(y; c_noise),   c_noise = ln(r / 2).
 *
 * It is the prediction score_sigma, but for what the network is told of the noise level. */
#include <math.h>

#include "tweedie/prediction.h"

static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    (void)config, (void)p, (void)t;
    *a = 0;
    *b = -1;
}

static double input(const void *config, const tw_process *p, double t)
{
    (void)config;
    return 1 / tw_process_alpha(p, t);
}

static double condition(const void *config, const tw_process *p, double t)
{
    (void)config;
    return log(tw_process_sigma(p, t) / tw_process_alpha(p, t) / 2);
}

const tw_prediction tw_prediction_edm_ve = {
    .kind = {"edm_ve", "minus the noise, as EDM's VE preconditioning has it"},
    .target = target,
    .input = input,
    .condition = condition,
};
