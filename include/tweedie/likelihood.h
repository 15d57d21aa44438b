/* Exact likelihoods and latent codes by the probability-flow ODE (Song et al. 2021, section 4.3;
 * Chen et al. 2018):
 *
 *   dx/dt = f(t) x − ½ g(t)² s(x, t),   log p_0(x_0) = log p_T(x_T) + ∫ ∇·(dx/dt) dt
 *
 * The divergence is exact, by D vector–Jacobian products, or Hutchinson's estimate vᵀ J v with
 * probes v that a sample keeps along its path. Over a tw_score: no network is seen. Sample i is a
 * function of (score, settings, seed, i) alone, bitwise the same however a range is cut. Not
 * collective. */
#ifndef TWEEDIE_LIKELIHOOD_H
#define TWEEDIE_LIKELIHOOD_H

#include "tweedie/process.h"
#include "tweedie/score.h"
#include "tweedie/solver.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tw_trace { TW_TRACE_AUTO, TW_TRACE_EXACT, TW_TRACE_HUTCHINSON } tw_trace;
typedef enum tw_probe { TW_PROBE_OF_SIGNS, TW_PROBE_OF_NORMALS } tw_probe;

/* What is computed: by the flow of a continuous process, or the variational bound of a discrete one
 * (likelihood_bound.h). */
typedef enum tw_likelihood_kind {
    TW_LIKELIHOOD_AUTO,
    TW_LIKELIHOOD_ODE,
    TW_LIKELIHOOD_BOUND
} tw_likelihood_kind;
/* Of the bound: the variance of a step, the estimate of x_0, the cumulative distribution of L_0. */
typedef enum tw_bound_variance {
    TW_BOUND_AUTO, /* learned where it is, else fixedlarge */
    TW_BOUND_FIXED_LARGE,
    TW_BOUND_FIXED_SMALL,
    TW_BOUND_LEARNED
} tw_bound_variance;
typedef enum tw_bound_clip {
    TW_BOUND_CLIP_AUTO,
    TW_BOUND_CLIP_YES,
    TW_BOUND_CLIP_NO
} tw_bound_clip;
typedef enum tw_bound_cdf { TW_BOUND_EXACT, TW_BOUND_PUBLISHED } tw_bound_cdf;

/* [likelihood] */
typedef struct tw_likelihood_config {
    tw_choice solver;
    int trace;       /* tw_trace; auto: exact up to TW_TRACE_EXACT_MOST dimensions */
    int probe;       /* tw_probe */
    int64_t probes;  /* of Hutchinson's estimate, per sample and repeat */
    int64_t repeats; /* of dequantisation, where data are bytes */
    double epsilon;  /* where the data are taken to be; 0: the process's start */
    int64_t batch;   /* samples that the score is asked for at once */
    int64_t seed;
    int kind;           /* tw_likelihood_kind */
    int variance;       /* tw_bound_variance */
    int clip;           /* tw_bound_clip, to [−1, 1]; auto: where data are bytes */
    int cdf;            /* tw_bound_cdf */
    const char *which;  /* bound, DDIM: which steps are kept ("250", "ddim50"); "": all */
    int64_t inversions; /* DDIM inversion: fixed-point iterations of a step */
} tw_likelihood_config;

enum { TW_TRACE_EXACT_MOST = 16, TW_LIKELIHOOD_PROBES = 64 };

/* Binds [likelihood]. Errors are collected in the configuration. @param[out] out  zero-initialised;
 * tw_likelihood_config_free, before the configuration */
tw_status tw_likelihood_bind(tw_likelihood_config *out, tw_config *config);
void tw_likelihood_config_free(tw_likelihood_config *config);

/* The kind that is meant for a process: TW_LIKELIHOOD_ODE or TW_LIKELIHOOD_BOUND. */
int tw_likelihood_kind_for(const tw_likelihood_config *config, const tw_process *process);

typedef struct tw_likelihood tw_likelihood;

/* @param config, process, score  must outlive it
 * @return TW_ECONFIG for a process without an ODE, or a score without vector–Jacobian products */
tw_status tw_likelihood_create(tw_likelihood **out, const tw_likelihood_config *config,
                               const tw_process *process, const tw_score *score);
void tw_likelihood_destroy(tw_likelihood **likelihood);

typedef struct tw_likelihood_result {
    double logp;  /* nats, of a density in model units */
    double error; /* its standard error over the probes; 0 where exact, NaN of a single one */
    double prior; /* the part log p_T(x_T) */
    int64_t evaluations; /* of the right-hand side */
} tw_likelihood_result;

/* log p(x) of the points first … first + n − 1.
 * @param repeat        distinguishes the probes of repeated runs over one sample
 * @param[in] x         [n][dims], model units
 * @param[out] results  [n]
 * @param[out] code     [n][dims]: x_T, or NULL */
tw_status tw_likelihood_run(tw_likelihood *l, int64_t first, int64_t n, int64_t repeat,
                            const float *x, tw_likelihood_result *results, float *code);

/* The flow alone, without a likelihood: from data to code, or back. @param[in,out] x  [n][dims]
 * @param[out] evaluations  [n], or NULL */
tw_status tw_likelihood_encode(tw_likelihood *l, int64_t first, int64_t n, float *x,
                               int64_t *evaluations);
tw_status tw_likelihood_decode(tw_likelihood *l, int64_t first, int64_t n, float *x,
                               int64_t *evaluations);

/* Uniform dequantisation of bytes in model units (v / 127.5 − 1): x ← 2 (v + u) / 256 − 1, u
 * uniform in [0, 1) of (seed, index, repeat). */
void tw_dequantise(uint64_t seed, int64_t repeat, int64_t first, int64_t n, int64_t dims, float *x);

/* Bits per dimension of bytes from log p of dequantised model units: a bin is 2 / 256 wide, so
 * −log p / (D ln 2) + 7. */
double tw_bits_per_dimension(double logp, int64_t dims);

/* Everything that a result depends on beside weights and data, as one line of text. */
tw_status tw_likelihood_describe(tw_text *out, const tw_likelihood *l);

#ifdef __cplusplus
}
#endif

#endif
