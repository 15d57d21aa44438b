/* Times of a discrete process as the root mean square of their losses (Nichol and Dhariwal 2021,
 * equation 18), which gives the importance-weighted loss the least variance:
 *
 *   p_t = (1 − u) √(mean of the last 10 losses²) / Σ + u / T,   importance weight 1 / (T p_t)
 *
 * with u = 0.001; uniform until each t has its 10 losses. Every rank keeps the losses of the global
 * batch in the order of its positions, so all sample alike, however many there are.
 *
 * The history: [T][10] losses, the newest last, rounded to f32; [T] how many there are; derived
 * from them [T + 1] the cumulative distribution, of which the inverse gives the times. */
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "tweedie/objective.h"

enum { KEPT = 10 };

typedef struct second_moment_config {
    double uniform;
} second_moment_config;

static const tw_config_field fields[] = {
    {NULL, "uniform_probability", TW_CONFIG_DOUBLE, offsetof(second_moment_config, uniform),
     "0.001", TW_CONFIG_ABOVE_ZERO, 1, .fixed = true,
     .help = "part of the times that are uniform, so that each may come"},
};

static tw_status check(const void *config, const tw_process *p)
{
    (void)config;
    if (tw_process_is_discrete(p) && p->steps > 1) return TW_OK;
    return tw_error_set(TW_ECONFIG,
                        "objective.times: second_moment remembers losses by step of a discrete "
                        "process (ddpm, ladder); process.kind is %s; for continuous ones there are "
                        "likelihood and lognormal",
                        p->kind->kind.name);
}

static int64_t remembers(const void *config, const tw_process *p, int64_t *derived)
{
    (void)config;
    *derived = p->steps + 1;
    return (KEPT + 1) * p->steps;
}

static void remember(double *losses, double *count, double loss)
{
    if (*count < KEPT) {
        losses[(int64_t)*count] = loss;
        *count += 1;
    } else {
        memmove(losses, losses + 1, (KEPT - 1) * sizeof *losses);
        losses[KEPT - 1] = loss;
    }
}

/* The cumulative distribution, from the losses. */
static void distribute(double uniform, const double *history, double *cumulative, int64_t steps)
{
    const double *count = history + KEPT * steps;
    bool full = true;
    double sum = 0;
    cumulative[0] = 0;
    for (int64_t t = 0; t < steps; t++) {
        double square = 0;
        for (int k = 0; k < KEPT; k++)
            square += history[KEPT * t + k] * history[KEPT * t + k] / KEPT;
        full = full && count[t] >= KEPT;
        sum += sqrt(square);
        cumulative[t + 1] = sum;
    }
    full = full && sum > 0 && isfinite(sum);
    for (int64_t t = 1; t <= steps; t++) {
        const double even = (double)t / (double)steps;
        cumulative[t] = full ? (1 - uniform) * cumulative[t] / sum + uniform * even : even;
    }
}

static void observe(const void *config, const tw_process *p, double *history, int64_t n,
                    const double *t, const double *loss)
{
    double *count = history + KEPT * p->steps, *cumulative = count + p->steps;
    for (int64_t i = 0; i < n; i++)
        remember(history + KEPT * (int64_t)t[i], &count[(int64_t)t[i]],
                 (double)(float)fmin(loss[i], FLT_MAX));
    distribute(((const second_moment_config *)config)->uniform, history, cumulative, p->steps);
}

/* The last t with cumulative[t] <= u. */
static double at(const void *config, const tw_process *p, const double *history, double u,
                 double *weight)
{
    const double *cumulative = history + (KEPT + 1) * p->steps;
    int64_t low = 0, high = p->steps;
    (void)config;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (cumulative[middle] <= u)
            low = middle;
        else
            high = middle;
    }
    *weight = 1 / ((double)p->steps * (cumulative[low + 1] - cumulative[low]));
    return (double)low;
}

const tw_times tw_times_second_moment = {
    .kind = {"second_moment", "as the root mean square of their last losses", fields,
             sizeof fields / sizeof *fields, sizeof(second_moment_config)},
    .check = check,
    .at = at,
    .remembers = remembers,
    .observe = observe,
};
