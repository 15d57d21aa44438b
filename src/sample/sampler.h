/* What a predictor is, and what it may call. A predictor is one file predictor_NAME.c that defines
 * tw_predictor_NAME; the build finds it.
 *
 * All of today's are linear in Tweedie's estimate of x0 (Efron 2011; for q(xt | x0) = N(α x0, σ²
 * I)):
 *
 *   x0 = (x + σ² s) / α,  clipped where asked;      x ← a x0 + b x + c z,  z ~ N(0, I)
 *
 * so they only fill the five coefficients of each step and let tw_sampler_linear_step do the work.
 * One that needs more (a second evaluation, a step size of its own) writes its own `step`. */
#ifndef SAMPLE_SAMPLER_H
#define SAMPLE_SAMPLER_H

#include "tweedie/rng.h"
#include "tweedie/sample.h"

typedef struct tw_sampler_step {
    double time;       /* on the score's clock */
    int64_t index;     /* names the noise of the step: TW_RNG_SAMPLER_NOISE's `step` */
    double x0_x;       /* 1 / α */
    double x0_score;   /* σ² / α */
    double next_x0;    /* a */
    double next_x;     /* b */
    double next_noise; /* c; 0 draws none */
} tw_sampler_step;

/* One batch on its way: [batch][dims] points, their scores, times and indices. */
typedef struct tw_sampler_batch {
    const tw_score *score;
    int64_t n, dims;
    float *x, *s;
    double *t;
    int64_t *index;
} tw_sampler_batch;

typedef struct tw_predictor {
    const char *name;
    const char *help;
    const char *settings; /* keys of [sample] that not all predictors read: "steps spacing eta" */
    bool discrete; /* follows a discrete schedule: without one it cannot be planned, and `plan` sees
                      the spaced one */
    /* How many steps there are; `schedule` is NULL unless discrete. */
    int64_t (*count)(const tw_sampler_settings *settings, const tw_schedule *schedule);
    /* Fills steps[count], the first to be taken first, and the std of the prior. @return TW_ECONFIG
     * for a setting it refuses */
    tw_status (*plan)(tw_sampler_step *steps, double *prior_std,
                      const tw_sampler_settings *settings, const tw_schedule *schedule);
    /* Takes step k for the whole batch: usually tw_sampler_linear_step. */
    tw_status (*step)(const tw_sampler *sampler, tw_sampler_batch *b, int64_t k);
} tw_predictor;

extern const tw_predictor *const tw_predictor_table[];
extern const int tw_predictor_count;

/* A sampler as planned. */
struct tw_sampler {
    const tw_predictor *predictor;
    int64_t steps, dims, batch;
    double prior_std;
    tw_sampler_step *step;        /* [steps] */
    tw_sampler_settings settings; /* its strings are not kept */
    float *x, *s;                 /* [batch][dims] */
    double *t;                    /* [batch] */
    int64_t *index;               /* [batch] */
};

/* b->s = the score of b->x at one time for all. */
tw_status tw_sampler_eval(tw_sampler_batch *b, double time);

/* The step above with the coefficients of sampler->step[k]. */
tw_status tw_sampler_linear_step(const tw_sampler *sampler, tw_sampler_batch *b, int64_t k);

/* The steps of a discrete schedule, for `count`. */
int64_t tw_sampler_schedule_steps(const tw_sampler_settings *settings, const tw_schedule *schedule);

#endif
