/* The velocity of the path, dx_t/dt given the data and the noise: F = E[α' x_0 + σ' z | x_t], which
 * is the right-hand side of the probability-flow ODE. On straight paths E[z − x_0 | x_t] (flow
 * matching: Lipman et al. 2023). */
#include "tweedie/prediction.h"

static tw_status check(const void *config, const tw_process *p)
{
    (void)config;
    if (!tw_process_is_discrete(p)) return TW_OK;
    return tw_error_set(TW_ECONFIG,
                        "prediction.kind: a velocity needs a process in continuous time (flow, vp, "
                        "subvp, ve, edm); process.kind is %s",
                        p->kind->kind.name);
}

static void target(const void *config, const tw_process *p, double t, double *a, double *b)
{
    (void)config;
    tw_process_slope(p, t, a, b);
}

const tw_prediction tw_prediction_velocity = {
    .kind = {"velocity", "the velocity of the path from data to noise"},
    .check = check,
    .target = target};
