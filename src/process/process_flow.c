/* Straight paths from data to noise (flow matching: Lipman et al. 2023; rectified flow: Liu et al.
 * 2023; stochastic interpolants: Albergo and Vanden-Eijnden 2023):
 *
 *   x_t = (1 − t) x_0 + t z:   α = 1 − t,   σ = t,   f = −1 / (1 − t),   g² = 2 t / (1 − t)
 *
 * At t = 1 the score says nothing of x_0 and f has a pole, so the clock ends just before. */
#include <math.h>

#include "tweedie/process.h"

static tw_status setup(tw_process *p)
{
    p->start = 1e-5;
    p->epsilon = 1e-3;
    p->end = 0.999;
    p->prior_std = 0.999; /* σ(end) */
    return TW_OK;
}

static double drift(const tw_process *p, double t)
{
    (void)p;
    return -1 / (1 - t);
}

static double diffusion(const tw_process *p, double t)
{
    (void)p;
    return sqrt(2 * t / (1 - t));
}

static double alpha(const tw_process *p, double t)
{
    (void)p;
    return 1 - t;
}

static double sigma(const tw_process *p, double t)
{
    (void)p;
    return t;
}

static double condition(const tw_process *p, double t)
{
    (void)p;
    return 999 * t;
}

const tw_process_kind tw_process_flow = {
    .kind = {"flow", "straight paths from data to noise (flow matching)"},
    .setup = setup,
    .alpha = alpha,
    .sigma = sigma,
    .drift = drift,
    .diffusion = diffusion,
    .condition = condition,
    .prediction = "velocity",
    .sampler = "ode",
};
