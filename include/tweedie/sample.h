/* Sampling from a tw_score. A sampler is configured by [sample], planned once for a process, a
 * score and a batch, and then samples any range of global sample indices; it sees no network.
 *
 *     TW_TRY(tw_sampler_bind(&settings, config, "ancestral"));
 *     TW_TRY(tw_sampler_create(&sampler, &settings, process, score, &options));
 *     TW_TRY(tw_sampler_run(sampler, first, n, x));
 *     tw_sampler_destroy(&sampler);
 *
 * It is put together from siblings, each one file with keys of its own: a loop (what is done in
 * which order), a spacing of the times, and what the loop asks for of predictor (one step of the
 * reverse process), corrector (steps at one time), step rule (how far a corrector goes) and solver
 * (of the probability-flow ODE).
 *
 * Sample i is a function of (score, settings, seed, i) alone. The score is always asked for `batch`
 * points, the last batch filled with the indices that follow, so the result is bitwise the same
 * however a range is cut into calls, jobs and ranks. */
#ifndef TWEEDIE_SAMPLE_H
#define TWEEDIE_SAMPLE_H

#include "tweedie/kind.h"
#include "tweedie/process.h"
#include "tweedie/score.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tw_clip { TW_CLIP_AUTO, TW_CLIP_YES, TW_CLIP_NO } tw_clip;

/* [sample] */
typedef struct tw_sampler_config {
    tw_choice loop, spacing, predictor, corrector, rule, solver; /* NULL where not asked for */
    const char *kind; /* as given: a loop, or a predictor, which stands for the loop pc with it */
    int64_t corrector_steps; /* at each time */
    int64_t steps;           /* times; 0: as the predictor says */
    const char
        *which;     /* of a discrete process: which steps are kept ("250", "ddim50", "10,10,30") */
    double epsilon; /* where sampling of a continuous process ends; 0: as the process says */
    bool denoise;   /* the last step goes to the data, without noise */
    int clip;       /* tw_clip: of the estimate of x_0 */
    double clip_min, clip_max;
    int64_t batch; /* samples that the score is asked for at once: part of what a sample is */
    int64_t seed;
    const char *known, *mask; /* files of what is given of the samples; "": nothing. Read by whoever
                                 makes a sampler, who passes what they hold as options */
} tw_sampler_config;

/* Binds [sample]. Errors are collected in the configuration.
 * @param usual     sample.kind where nothing, or "auto", is given: of the process
 * @param[out] out  zero-initialised; tw_sampler_config_free, before the configuration */
tw_status tw_sampler_bind(tw_sampler_config *out, tw_config *config, const char *usual);
void tw_sampler_config_free(tw_sampler_config *config);

typedef struct tw_sampler tw_sampler;

/* What is given of the samples, for inpainting: sample i keeps the numbers of row i mod count where
 * the mask is not zero. */
typedef struct tw_sampler_known {
    int64_t count;
    const float *x;      /* [count][dims], model units */
    const uint8_t *mask; /* [count][dims] */
    const char *text;    /* names both, for tw_sampler_describe: digests */
} tw_sampler_known;

/* What samples are conditioned on beside their score (src/sample/sampler.h). */
struct tw_sampler_hook;

typedef struct tw_sampler_options {
    int64_t batch; /* points that the score is asked for at once; 0: the configuration's */
    bool bounded;  /* the data have bounds: what clip = auto looks at */
    int64_t steps; /* in place of the configuration's: for previews; 0: the configuration's */
    const tw_sampler_known *known; /* borrowed as long as the sampler; NULL: nothing is given */
    const struct tw_sampler_hook *hook; /* likewise; NULL: none */
} tw_sampler_options;

/* Plans a sampler and allocates all that its runs need. Not collective.
 * @param config, process, score  must outlive the sampler
 * @return TW_ECONFIG for settings that are out of range or do not go together, with what would */
tw_status tw_sampler_create(tw_sampler **out, const tw_sampler_config *config,
                            const tw_process *process, const tw_score *score,
                            const tw_sampler_options *options);

/* Frees and nulls; accepts a pointer to NULL. */
void tw_sampler_destroy(tw_sampler **sampler);

/* How many samples to ask for at once: the batch, or several where the sampler keeps a batch full
 * by itself. Part of what a sample set's parts are, not of the samples. */
int64_t tw_sampler_block(const tw_sampler *sampler);

/* How often the score is evaluated per sample: of adaptive solvers, what they used so far. */
double tw_sampler_evaluations(const tw_sampler *sampler);

/* Named numbers that a sampler reports of its runs, each a mean: the acceptance rate of MALA. */
typedef struct tw_sampler_number {
    const char *name;  /* a literal */
    double sum, count; /* the number is sum / count */
} tw_sampler_number;
enum { TW_SAMPLER_NUMBERS = 4 };
typedef struct tw_sampler_numbers {
    int found;
    tw_sampler_number number[TW_SAMPLER_NUMBERS];
} tw_sampler_numbers;

/* What was reported since the sampler was created, or since the last tw_sampler_forget: of whole
 * batches, so that it is the same whoever asked for how many of their samples. */
tw_sampler_numbers tw_sampler_report(const tw_sampler *sampler);
void tw_sampler_forget(tw_sampler *sampler);

/* Everything that a sample depends on beside weights and index, as one line of text: what parts of
 * a sample set are compared by. @param[out] out  is added to */
tw_status tw_sampler_describe(tw_text *out, const tw_sampler *sampler);

/* Called after every step of every batch; x is [n][dims] of the samples first … first + n − 1
 * (padding left out). Another answer than TW_OK ends the run with it: a way to stop, to show
 * progress, to keep a trajectory. */
typedef tw_status tw_sampler_watcher(void *self, int64_t step, int64_t steps, int64_t first,
                                     int64_t n, const float *x);
void tw_sampler_watch(tw_sampler *sampler, tw_sampler_watcher *watch, void *self);

/* Samples first … first + n − 1. Allocates nothing. Not collective, unless the score is.
 * @param[out] x  [n][dims], model units; its contents are undefined after a failure
 * @return what the score or the watcher returned */
tw_status tw_sampler_run(tw_sampler *sampler, int64_t first, int64_t n, float *x);

#ifdef __cplusplus
}
#endif

#endif
