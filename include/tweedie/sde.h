/* Forward processes as pure mathematics, in double: the discrete schedules of DDPM and the
 * continuous SDEs. No tensors, no random numbers.
 *
 * Discrete (Ho, Jain, Abbeel 2020): q(x_t | x_0) = N(√ᾱ_t x_0, (1 − ᾱ_t) I), ᾱ_t = Π (1 − β_s), t =
 * 0 … T − 1, so index 0 is the first noisy state and ᾱ before it is 1. With the noise prediction ε̂,
 * the score is s = −ε̂ / √(1 − ᾱ_t). Continuous (Song et al. 2021): dx = f(t) x dt + g(t) dw on t in
 * [0, 1], q(x_t | x_0) = N(mean(t) x_0, std(t)² I). */
#ifndef TWEEDIE_SDE_H
#define TWEEDIE_SDE_H

#include <stdint.h>

#include "tweedie/status.h"

/* A way to choose β. Siblings are found by the build: beta_NAME.c defines tw_beta_NAME. */
typedef struct tw_beta {
    const char *name;
    const char *help;
    /* @param[out] beta [steps], each in (0, 1); endpoints where the kind has them, in units of a
     * schedule of 1000 steps */
    void (*fill)(double *beta, int64_t steps, double beta_min, double beta_max);
} tw_beta;

extern const tw_beta *const tw_beta_table[];
extern const int tw_beta_count;

/* A discrete schedule with every coefficient that objectives and samplers use; all arrays are
 * [steps]. Read-only after creation. */
typedef struct tw_schedule {
    int64_t steps;     /* T, or the number of kept steps of a spaced schedule */
    int64_t *timestep; /* the index on the full schedule, which the network is called with; t itself
                          unless spaced */
    double *beta;      /* β_t */
    double *alpha;     /* 1 − β_t */
    double *alphabar;  /* ᾱ_t */
    double *alphabar_previous;       /* ᾱ_{t−1}; 1 at t = 0 */
    double *sqrt_alphabar;           /* √ᾱ_t, the mean coefficient */
    double *sqrt_one_minus_alphabar; /* √(1 − ᾱ_t), the noise coefficient */
    double *posterior_mean_x0;       /* c1 = β_t √ᾱ_{t−1} / (1 − ᾱ_t) */
    double *posterior_mean_xt;       /* c2 = (1 − ᾱ_{t−1}) √α_t / (1 − ᾱ_t) */
    double *posterior_variance; /* β̃_t = β_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t); 0 at t = 0 */
    double *log_variance_large; /* fixedlarge: log β_t, entry 0 replaced by log β̃_1 */
    double *log_variance_small; /* fixedsmall: log β̃_t, entry 0 replaced by entry 1 */
} tw_schedule;

/* A schedule of `steps` steps. Owned by the caller: tw_schedule_destroy.
 * @param kind      name of a tw_beta: "linear", "cosine"
 * @param beta_min, beta_max  of linear: 1e-4 and 0.02 are published for T = 1000; another T
 * multiplies them by 1000 / T (Nichol and Dhariwal 2021). Not read by cosine.
 * @return TW_ECONFIG for an unknown kind, steps < 1 or a β outside (0, 1) */
tw_status tw_schedule_create(tw_schedule **out, const char *kind, int64_t steps, double beta_min,
                             double beta_max);

/* The same process seen at `count` of its steps alone (Nichol and Dhariwal's SpacedDiffusion): β'_k
 * = 1 − ᾱ_k / ᾱ_{k−1} over the kept.
 * @param timesteps [count], ascending, distinct, indices of `full`
 * @return TW_ECONFIG where they are not */
tw_status tw_schedule_space(tw_schedule **out, const tw_schedule *full, const int64_t *timesteps,
                            int64_t count);

/* Frees and nulls; accepts a pointer to NULL. */
void tw_schedule_destroy(tw_schedule **schedule);

/* OpenAI's space_timesteps: which of T steps are kept. "N": N steps, evenly, first and last
 * included; "a,b,c": the range in three equal sections of a, b and c steps; "ddimN": every (T /
 * N)-th where an integer stride gives exactly N.
 * @param[out] out    [steps] at least; ascending
 * @param[out] count  how many were chosen
 * @return TW_ECONFIG for a text that cannot be met */
tw_status tw_schedule_spacing(int64_t *out, int64_t *count, int64_t steps, const char *text);

/* The constants of the continuous processes; TW_SDE_DEFAULTS are the published ones for CIFAR-10.
 */
typedef struct tw_sde_parameters {
    double beta_min, beta_max;   /* vp, subvp */
    double sigma_min, sigma_max; /* ve */
} tw_sde_parameters;

#define TW_SDE_DEFAULTS                                                                            \
    ((tw_sde_parameters){.beta_min = 0.1, .beta_max = 20.0, .sigma_min = 0.01, .sigma_max = 50.0})

/* A continuous process with linear drift. Siblings are found by the build: sde_NAME.c defines
 * tw_sde_NAME. All functions are smooth in t on [0, 1]. */
typedef struct tw_sde {
    const char *name;
    const char *help;
    double (*drift)(const tw_sde_parameters *p, double t);     /* f(t) of f(x, t) = f(t) x */
    double (*diffusion)(const tw_sde_parameters *p, double t); /* g(t) */
    double (*mean)(const tw_sde_parameters *p, double t);      /* coefficient of x0 */
    double (*std)(const tw_sde_parameters *p, double t);       /* of the noise */
    double (*prior_std)(const tw_sde_parameters
                            *p); /* of the distribution that sampling starts from, N(0, std² I) */
    double train_epsilon;        /* the smallest time of training and likelihood */
    double sample_epsilon;       /* the time at which sampling ends */
} tw_sde;

extern const tw_sde *const tw_sde_table[];
extern const int tw_sde_count;

/* The process of that name. @return TW_ECONFIG with the known names */
tw_status tw_sde_find(const tw_sde **out, const char *name);

#endif
