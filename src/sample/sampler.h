/* What the parts of a sampler share: the times, the batch, and what each kind of sibling is. */
#ifndef SAMPLE_SAMPLER_H
#define SAMPLE_SAMPLER_H

#include "tweedie/rng.h"
#include "tweedie/sample.h"
#include "tweedie/solver.h"

/* A time of the process with its moments. The last point of a grid may be the data themselves:
 * t = 0 where continuous, −1 where discrete, α = 1, σ = 0. */
typedef struct tw_point {
    double t, alpha, sigma;
    bool data;
    int64_t name; /* names the noise of the step that leaves it: the `step` of its streams */
} tw_point;

/* point[0] is where sampling starts, point[steps] where it ends; step k goes from k to k + 1. */
typedef struct tw_times_grid {
    int64_t steps;
    tw_point *point;
} tw_times_grid;

/* Bounds of x̂_0 that a number beyond takes, and that a NaN passes: it must be seen. Infinite where
 * nothing is clipped. */
typedef struct tw_bounds {
    float low, high;
} tw_bounds;

/* One batch on its way. */
typedef struct tw_batch {
    const tw_score *score;
    const tw_process *process;
    int64_t n, dims;
    uint64_t seed;
    tw_bounds clip;
    float *x;              /* [n][dims] */
    float *s;              /* [n][dims]: the score that was evaluated last */
    float *const *scratch; /* of the part that is called: as many [n][dims] as it asked for */
    double *t;             /* [n] */
    int64_t *index;        /* [n], global sample indices */
    double *number; /* [n][TW_BATCH_NUMBERS] of the part that is called, kept from step to step */
    int64_t *evaluations;        /* of the score, per sample, over all runs */
    tw_sampler_numbers *numbers; /* what is reported */
    int64_t columns;             /* 0, or of rows whose noise is mixed: tw_batch_noise */
    bool unchanged;              /* of a corrector: x and the time are as its last step left them */
} tw_batch;

enum { TW_BATCH_NUMBERS = 4 };

typedef struct tw_rule tw_rule;

/* Whether a part can be used. */
typedef struct tw_part_use {
    const tw_process *process;
    const tw_score *score;     /* what it can do: vjp, eval_variance, eval_energy may be NULL */
    const tw_times_grid *grid; /* NULL where the loop has none */
    const tw_rule *rule;       /* NULL where no part asks for one */
} tw_part_use;

/* One step of the reverse process: predictor_NAME.c defines tw_predictor_NAME. */
typedef struct tw_predictor {
    tw_kind kind;
    /* NULL: goes with everything. @return TW_ECONFIG saying what would */
    tw_status (*check)(const void *config, const tw_part_use *use);
    int scratch;         /* [n][dims] arrays of its own, kept from step to step */
    int64_t steps;       /* usual number of times of a continuous process; 0: 1000 */
    const char *spacing; /* usual spacing; NULL: uniform */
    void (*begin)(const void *config, tw_batch *b); /* a new batch: forget; NULL: nothing to */
    /* Moves b->x from point k to k + 1. A step to the data adds no noise. */
    tw_status (*step)(const void *config, const tw_times_grid *grid, int64_t k, tw_batch *b);
} tw_predictor;
extern const tw_kinds tw_predictor_kinds;

/* How far a Langevin corrector goes: rule_NAME.c defines tw_rule_NAME. */
struct tw_rule {
    tw_kind kind;
    bool of_state; /* the step depends on x: no Metropolis test corrects that */
    tw_status (*check)(const void *config, const tw_part_use *use);
    /* The step ε of x ← x + ε s + √(2 ε) z for each sample.
     * @param[in] s, z  [n][dims]
     * @param[out] step [n] */
    void (*size)(const void *config, const tw_batch *b, const tw_point *at, const float *z,
                 double *step);
};
extern const tw_kinds tw_rule_kinds;

/* Steps at one time that leave its distribution alone: corrector_NAME.c defines
 * tw_corrector_NAME. */
typedef struct tw_corrector {
    tw_kind kind;
    tw_status (*check)(const void *config, const tw_part_use *use);
    int scratch;
    bool rule;              /* asks for a step rule */
    const char *usual_rule; /* NULL: the loop's */
    /* One step; sample.corrector_steps are made at each time. at->name is the step's own: its noise
     * has the names 2 at->name and 2 at->name + 1. NULL: does nothing. */
    tw_status (*correct)(const void *config, const tw_rule *rule, const void *rule_config,
                         const tw_point *at, tw_batch *b);
} tw_corrector;
extern const tw_kinds tw_corrector_kinds;

/* Which times: spacing_NAME.c defines tw_spacing_NAME. */
typedef struct tw_spacing {
    tw_kind kind;
    /* @param[out] t  [n], falling from the process's end to `epsilon`, both included; of a discrete
     *                process any numbers, which are rounded to its indices */
    tw_status (*fill)(const void *config, const tw_process *p, double epsilon, int64_t n,
                      double *t);
} tw_spacing;
extern const tw_kinds tw_spacing_kinds;

/* What is done in which order: loop_NAME.c defines tw_loop_NAME. */
typedef struct tw_loop {
    tw_kind kind;
    bool predictor, corrector, rule, solver, grid; /* the parts that it is made of */
    const char *usual_predictor, *usual_corrector, *usual_rule, *usual_solver;
    const char *only_corrector;        /* the one that it is made of: no key chooses it */
    const char *usual_corrector_steps; /* NULL: 1 */
    int64_t usual_steps;               /* times of a continuous process; 0: as the predictor says */
    tw_status (*check)(const void *config, const tw_part_use *use);
    int scratch;
    bool known; /* keeps what is given of the samples (tw_sampler_known) */
    int64_t (*steps)(const void *config,
                     const tw_sampler *s); /* for the watcher; NULL: the grid's */
    /* A whole batch: b->index is set, b->x the prior. Calls tw_sampler_step_done after each step.
     */
    tw_status (*run)(const void *config, tw_sampler *s, tw_batch *b);
    /* Instead: a whole range, of which each sample takes a slot of the batch when one is free. */
    tw_status (*stream)(const void *config, tw_sampler *s, int64_t first, int64_t n, float *x);
} tw_loop;
extern const tw_kinds tw_loop_kinds;

/* What happens around the steps of whatever loop: measurements that samples are held to. */
typedef struct tw_sampler_hook {
    void *self;
    /* After the prior, each step of the predictor and each of the corrector: x is at this point.
     * `name` is the step's own among those of a batch. NULL: nothing */
    tw_status (*after)(void *self, tw_batch *b, const tw_point *at, int64_t name);
    /* In the place of the loop's own run, for loops with a predictor. NULL: the loop's */
    tw_status (*run)(void *self, tw_sampler *s, tw_batch *b);
} tw_sampler_hook;

/* A sampler as planned. */
struct tw_sampler {
    const tw_sampler_config *config;
    const tw_process *process;
    const tw_score *score;
    const tw_loop *loop;
    const tw_predictor *predictor; /* NULL where the loop has none, and so on */
    const tw_corrector *corrector;
    const tw_rule *rule;
    tw_solver *solver;
    const tw_sampler_known *known; /* NULL: nothing is given */
    const tw_sampler_hook *hook;   /* NULL: none */
    tw_times_grid grid;
    tw_bounds clip;
    int64_t dims, batch, total_steps;
    int64_t asked_steps; /* sample.steps, or the options'; 0: as usual */
    tw_batch b;
    float *arrays;   /* all [batch][dims] there are */
    float **scratch; /* views of it */
    float **predictor_scratch, **corrector_scratch, **loop_scratch;
    double *predictor_number, *corrector_number;
    int64_t samples; /* that evaluations were counted over */
    int64_t evaluations;
    tw_sampler_numbers numbers;
    tw_sampler_watcher *watch;
    void *watch_self;
    int64_t first, wanted; /* of the batch that runs */
};

/* ---- for loops ---- */

/* One step of the predictor, or one visit of the corrector at point k. */
tw_status tw_sampler_predict(tw_sampler *s, tw_batch *b, int64_t k);
tw_status tw_sampler_correct(tw_sampler *s, tw_batch *b, const tw_point *at);
/* Step j of `count` of the corrector at one time; j > 0 promises that nothing but what is given
 * of the samples moved x since step j − 1. */
tw_status tw_sampler_correct_once(tw_sampler *s, tw_batch *b, const tw_point *at, int64_t j,
                                  int64_t count);
/* x ~ the prior, for the indices in b->index, in rows where b->columns is set. */
void tw_sampler_prior(const tw_sampler *s, tw_batch *b);
/* Step `done` of total_steps is done: tells the watcher. */
tw_status tw_sampler_step_done(tw_sampler *s, const tw_batch *b, int64_t done);

/* ---- for predictors and correctors ---- */

/* b->s = the score of x at one time for all. */
tw_status tw_batch_score(tw_batch *b, const float *x, double t);
/* The same, with x̂_0 clipped: s = (α clip((x + σ² s) / α) − x) / σ². */
tw_status tw_batch_clipped_score(tw_batch *b, const float *x, const tw_point *at);
/* b->s and the energy [n] of x; of scores that have one. */
tw_status tw_batch_energy(tw_batch *b, const float *x, double t, double *energy);
/* Adds to the mean that tw_sampler_report gives under this name, a literal. */
void tw_batch_report(tw_batch *b, const char *name, double sum, double count);

/* x̂_0 = (x + σ² s) / α, clipped: Tweedie's formula.  x ← a x̂_0 + b x + c z, z ~ N(0, I) of the
 * stream (seed, TW_RNG_SAMPLER_NOISE, index, name); c = 0 generates none. */
typedef struct tw_linear_step {
    double x0, x, noise;
} tw_linear_step;
void tw_batch_linear(tw_batch *b, const tw_point *at, const tw_linear_step *step);
/* x ← a x + b s + c z in these terms: s = (α x̂_0 − x) / σ². */
static inline tw_linear_step tw_linear_of_score(const tw_point *at, double x, double s, double z)
{
    const double v = at->sigma * at->sigma;
    return (tw_linear_step){.x0 = s * at->alpha / v, .x = x - s / v, .noise = z};
}

/* z [n][dims] of a stream of each sample. `name` may be any number below 2^44. Where b->columns is
 * set, samples stand in rows of as many, which share two streams: column c has cos θ of one and
 * sin θ of the other, θ = π/2 · c / (columns − 1). */
void tw_batch_noise(const tw_batch *b, float *z, tw_rng_purpose purpose, int64_t name);

/* ---- times ---- */

/* The point of a time of the process, or the data. */
tw_point tw_point_at(const tw_process *p, double t);
tw_point tw_point_data(const tw_process *p);

/* The grid that a configuration asks for. */
tw_status tw_times_grid_create(tw_times_grid *out, const tw_sampler_config *c, const tw_process *p,
                               int64_t steps);
void tw_times_grid_free(tw_times_grid *grid);

#endif
