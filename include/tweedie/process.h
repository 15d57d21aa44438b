/* Forward processes: how data are blurred with noise, as mathematics in double. No tensors, no
 * random numbers, no network. Not collective.
 *
 * Every process here is linear and Gaussian: q(x_t | x_0) = N(α(t) x_0, σ(t)² I), and the ratio
 * σ / α grows with t. It has one of two clocks:
 *
 *   discrete    t = 0, 1, … steps − 1: DDPM (Ho et al. 2020), the ladder of NCSN (Song and Ermon
 *               2019), a single noise level
 *   continuous  t in [start, end]: the SDEs dx = f(t) x dt + g(t) dw (Song et al. 2021) and
 *               their kin
 *
 * Time is a double everywhere. Between two times s < t of one process the noise is Gaussian too,
 *
 *   x_t = α_ts x_s + σ_ts z,   α_ts = α_t / α_s,   σ_ts² = σ_t² − α_ts² σ_s²,
 *
 * which is all that ancestral sampling needs, at any spacing of the times. */
#ifndef TWEEDIE_PROCESS_H
#define TWEEDIE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/kind.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_process tw_process;

/* A process. Siblings are found by the build: process_NAME.c defines tw_process_NAME. */
typedef struct tw_process_kind {
    tw_kind kind; /* keys of [process] */
    /* Judges the configuration and sets the members of p below, all zero before.
     * @return TW_ECONFIG naming the key */
    tw_status (*setup)(tw_process *p);
    double (*alpha)(const tw_process *p, double t); /* coefficient of x_0 */
    double (*sigma)(const tw_process *p, double t); /* standard deviation of the noise */
    /* f(t) and g(t) of the SDE; NULL where the process is discrete. Smooth in t. */
    double (*drift)(const tw_process *p, double t);
    double (*diffusion)(const tw_process *p, double t);
    /* What a network is told of the time, as published: t of DDPM, 999 t of VP. NULL: t. */
    double (*condition)(const tw_process *p, double t);
    const char *prediction; /* what a network's output means where nothing is said */
    const char *sampler;    /* sample.kind where nothing is said */
} tw_process_kind;

struct tw_process {
    const tw_process_kind *kind;
    const void *config; /* of the kind's fields */
    int64_t steps;      /* discrete: times are 0 … steps − 1; 0: continuous */
    double start;       /* the smallest time of training and likelihood; 0 where discrete */
    double end;         /* the time of the prior; steps − 1 where discrete */
    double epsilon;     /* continuous: where sampling ends; start <= epsilon < end */
    double limit;       /* continuous: the largest time that has a meaning; 0: end */
    double prior_std;   /* sampling starts from N(0, prior_std² I) … */
    double prior_low, prior_high; /* … or, where low < high, from the uniform distribution there */
    double *table;                /* what setup computed; owned */

    tw_choice choice;
    tw_config *own; /* of a process that tw_process_make made */
};

extern const tw_kinds tw_process_kinds;

/* Binds [process] of a configuration. Errors are collected in the configuration; the process may be
 * used after tw_process_prepare.
 * @param[out] out  tw_process_destroy, in any case; before the configuration is destroyed */
tw_status tw_process_bind(tw_process **out, tw_config *config);
/* The same of another section, which must outlive the configuration. */
tw_status tw_process_bind_in(tw_process **out, tw_config *config, const char *section);

/* After tw_config_finish: computes what follows from the keys.
 * @return TW_ECONFIG for keys that do not go together */
tw_status tw_process_prepare(tw_process *p);

/* A process by itself: its kind, and keys ("beta_min=0.1") where they are not the default. For
 * tools and tests. @return TW_ECONFIG */
tw_status tw_process_make(tw_process **out, const char *name, int count,
                          const char *const *assignments);

/* Frees and nulls; accepts a pointer to NULL. */
void tw_process_destroy(tw_process **process);

static inline bool tw_process_is_discrete(const tw_process *p)
{
    return p->steps > 0;
}

/* Whether t is a time of the process: an integer in range, or 0 < t <= limit. */
bool tw_process_has_time(const tw_process *p, double t);

static inline double tw_process_alpha(const tw_process *p, double t)
{
    return p->kind->alpha(p, t);
}

static inline double tw_process_sigma(const tw_process *p, double t)
{
    return p->kind->sigma(p, t);
}

/* What a network is told of the time. */
double tw_process_condition(const tw_process *p, double t);

/* The time at which σ / α is `ratio`: by bisection in log(σ / α), to rounding; the nearest index
 * where discrete. Ratios beyond the clock give its first or last time. */
double tw_process_time_at(const tw_process *p, double ratio);

/* dα/dt and dσ/dt of a continuous process, from f and g: α' = f α, σ' = (g² + 2 f σ²) / (2 σ). */
void tw_process_slope(const tw_process *p, double t, double *alpha, double *sigma);

/* x_t given x_s, s before t; and x_s given x_t and x_0, which is Gaussian too:
 *
 *   mean c1 x_0 + c2 x_t,   c1 = α_s σ_ts² / σ_t²,   c2 = α_ts σ_s² / σ_t²,   std = σ_ts σ_s / σ_t
 *
 * Where `from` is the data themselves, α_s = 1 and σ_s = 0. */
typedef struct tw_bridge {
    double alpha, sigma; /* α_ts, σ_ts */
    double x0, xt, std;  /* c1, c2 and the posterior's standard deviation */
} tw_bridge;
tw_bridge tw_bridge_between(double alpha_s, double sigma_s, double alpha_t, double sigma_t);

/* A way to choose β of a discrete process. Siblings are found by the build: beta_NAME.c defines
 * tw_beta_NAME. */
typedef struct tw_beta {
    tw_kind kind;
    /* @param[out] beta [steps], each in (0, 1); endpoints where the kind has them, in units of a
     * schedule of 1000 steps */
    void (*fill)(double *beta, int64_t steps, double beta_min, double beta_max);
} tw_beta;

extern const tw_kinds tw_beta_kinds;

/* OpenAI's space_timesteps: which of T steps are kept. "N": N steps, evenly, first and last
 * included; "a,b,c": the range in three equal sections of a, b and c steps; "ddimN": every
 * (T / N)-th where an integer stride gives exactly N.
 * @param[out] out    [steps] at least; ascending
 * @param[out] count  how many were chosen
 * @return TW_ECONFIG for a text that cannot be met */
tw_status tw_spacing_of_steps(int64_t *out, int64_t *count, int64_t steps, const char *text);

#ifdef __cplusplus
}
#endif

#endif
