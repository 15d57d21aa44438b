/* The mean of the posterior q(x_{t−1} | x_t, x_0) of a discrete process: F = E[c1 x_0 + c2 x_t],
 * c1 and c2 as in tw_bridge (Ho et al. 2020, equation 7). */
#include "tweedie/prediction.h"

static tw_status check(const void *config, const tw_process *p)
{
    (void)config;
    if (tw_process_is_discrete(p)) return TW_OK;
    return tw_error_set(TW_ECONFIG,
                        "prediction.kind: the mean of the previous step needs a discrete process "
                        "(ddpm, ladder); process.kind is %s",
                        p->kind->kind.name);
}

static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    const double alpha = tw_process_alpha(p, t), sigma = tw_process_sigma(p, t);
    const tw_bridge q = t > 0 ? tw_bridge_between(tw_process_alpha(p, t - 1),
                                                  tw_process_sigma(p, t - 1), alpha, sigma)
                              : tw_bridge_between(1, 0, alpha, sigma);
    (void)config;
    *a = q.x0 + q.xt * alpha;
    *b = q.xt * sigma;
}

const tw_prediction tw_prediction_mean = {
    .kind = {"mean", "the mean of the previous step"}, .check = check, .target = target};
