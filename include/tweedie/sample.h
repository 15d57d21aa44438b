/* Sampling from a tw_score. A sampler is planned once for a kind, a schedule and a batch, and then
 * draws any range of global sample indices; it sees no network.
 *
 *     tw_sampler *sampler = NULL;
 *     tw_sampler_settings settings = TW_SAMPLER_DEFAULTS;
 *     TW_TRY(tw_sampler_create(&sampler, &settings, schedule, dims, batch));
 *     TW_TRY(tw_sampler_run(sampler, &score, first, n, x));
 *     tw_sampler_destroy(&sampler);
 *
 * Sample i is a function of (score, settings, seed, i) alone. The score is always asked for `batch`
 * points, the last batch filled with the indices that follow, so the result is bitwise the same
 * however a range is cut into calls, jobs and ranks. */
#ifndef TWEEDIE_SAMPLE_H
#define TWEEDIE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tweedie/score.h"
#include "tweedie/sde.h"
#include "tweedie/status.h"

typedef struct tw_sampler_settings {
    const char *kind;     /* a predictor: "ancestral", "ddim", "onestep" */
    const char *variance; /* ancestral: "fixedlarge" or "fixedsmall" */
    int64_t steps;        /* steps kept of the schedule, evenly spaced; 0 for all */
    const char
        *spacing; /* or tw_schedule_spacing's text, which wins over `steps`; NULL or "" for none */
    bool clip;    /* clip the estimate of x0 */
    double clip_min, clip_max;
    double eta;           /* ddim: 0 deterministic, 1 the ancestral variance */
    double onestep_scale; /* onestep: α of xt = α x0 + σ z … */
    double onestep_sigma; /* … and σ */
    uint64_t seed;

    /* Called after every step of every batch where not NULL; x is [n][dims] of the samples first …
     * first + n − 1 (padding left out). Another answer than TW_OK ends the run with it: a way to
     * stop, to show progress, to keep a trajectory. */
    tw_status (*watch)(void *self, int64_t step, int64_t steps, int64_t first, int64_t n,
                       const float *x);
    void *watch_self;
} tw_sampler_settings;

#define TW_SAMPLER_DEFAULTS                                                                        \
    ((tw_sampler_settings){.kind = "ancestral",                                                    \
                           .variance = "fixedlarge",                                               \
                           .clip = true,                                                           \
                           .clip_min = -1.0,                                                       \
                           .clip_max = 1.0,                                                        \
                           .onestep_scale = 0.01,                                                  \
                           .onestep_sigma = 1.0})

typedef struct tw_sampler tw_sampler;

/* Plans a sampler and allocates all that its runs need, 2 · batch · dims floats. Not collective.
 * @param schedule  the full discrete schedule; read during creation alone. NULL for onestep, which
 * has none
 * @param dims      D of one sample
 * @param batch     points that the score is asked for at once
 * @return TW_ECONFIG for a setting that is unknown or out of range, with the known ones */
tw_status tw_sampler_create(tw_sampler **out, const tw_sampler_settings *settings,
                            const tw_schedule *schedule, int64_t dims, int64_t batch);

/* Whether the sampler of that kind reads a key of [sample], where not all of them do.
 * @return TW_EUSAGE naming those that do; TW_ECONFIG for a kind that there is not */
tw_status tw_sampler_check_setting(const char *kind, const char *key);

/* Frees and nulls; accepts a pointer to NULL. */
void tw_sampler_destroy(tw_sampler **sampler);

/* How often the score is evaluated per sample. */
int64_t tw_sampler_evaluations(const tw_sampler *sampler);

/* Draws the samples first … first + n − 1. Allocates nothing. Not collective, unless the score is.
 * @param[out] x  [n][dims], model units; its contents are undefined after a failure
 * @return what the score or the watcher returned; TW_ESHAPE if the score's dims are others */
tw_status tw_sampler_run(tw_sampler *sampler, const tw_score *score, int64_t first, int64_t n,
                         float *x);

#endif
