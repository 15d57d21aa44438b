/* Linear inverse problems: a measurement y = A x + σ n of a sample x, and samples of p(x | y) from
 * a score of p(x).
 *
 * An operator A is chosen by [task] (siblings: operator_NAME.c), made for one shape of samples, and
 * knows its adjoint and, where that is cheap, the right half of its singular value decomposition
 * A = U S Vᵀ: that is all that methods need, since
 *
 *   Aᵀ (y − A x) = V S² (ȳ − Vᵀ x),   ȳ = S⁻² Vᵀ Aᵀ y  (0 where s = 0).
 *
 * Everything is in double; nothing here is collective. */
#ifndef TWEEDIE_INVERSE_H
#define TWEEDIE_INVERSE_H

#include <stdbool.h>

#include "tweedie/kind.h"
#include "tweedie/process.h"
#include "tweedie/sample.h"
#include "tweedie/score.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- operators ---- */

/* What samples or measurements are: images [H][W][C], or points of C numbers. */
typedef struct tw_extent {
    int64_t height, width, channels; /* points: 1, 1, C */
    bool points;
} tw_extent;

static inline int64_t tw_extent_count(const tw_extent *e)
{
    return e->height * e->width * e->channels;
}

typedef struct tw_operator tw_operator;

/* A kind of operator. Siblings are found by the build: operator_NAME.c defines
 * tw_operator_NAME. */
typedef struct tw_operator_kind {
    tw_kind kind; /* keys of [task] */
    /* Judges the keys for a->in; sets a->out, and a->own for itself; a->singular where there is a
     * basis. @return TW_ECONFIG naming the key */
    tw_status (*setup)(tw_operator *a);
    void (*forward)(const tw_operator *a, const double *x, double *y); /* y = A x */
    void (*adjoint)(const tw_operator *a, const double *y, double *x); /* x = Aᵀ y */
    /* c = Vᵀ x and x = V c, V orthogonal of the samples' dimension; c in the order of a->singular.
     * NULL where that is not cheap. No argument aliases the other. */
    void (*to_basis)(const tw_operator *a, const double *x, double *c);
    void (*from_basis)(const tw_operator *a, const double *c, double *x);
    void (*release)(tw_operator *a); /* NULL: nothing but a->own itself */
    bool channelwise; /* V acts on each channel by itself, and c has the channel last */
} tw_operator_kind;

extern const tw_kinds tw_operator_kinds;

struct tw_operator {
    const tw_operator_kind *kind;
    const void *config; /* of the kind's fields */
    tw_extent in, out;
    int64_t dims, outputs;  /* numbers of a sample and of a measurement */
    uint64_t seed;          /* of what is random in it */
    double *singular;       /* [dims], owned; NULL where there is no basis */
    void *own;              /* of the kind; released with tw_free after `release` */
    const double *measured; /* [outputs]: 0 where a measurement says nothing, whatever stands there;
                               NULL: all of it counts. The kind's */
    tw_text files;          /* digests of files that it was read from, for tw_operator_describe */

    tw_choice choice;
    tw_config *bound; /* of an operator that tw_operator_make made */
    double *unit;     /* [channels]: A applied to x times these; NULL: 1 */
    double *dense;    /* [dims][dims]: V where it was computed; NULL: the kind's */
    double *work;     /* [dims]: one thread at a time applies an operator */
    bool made;
};

/* Binds [task]. Errors are collected in the configuration.
 * @param[out] out  tw_operator_destroy, in any case; before the configuration is destroyed */
tw_status tw_operator_bind(tw_operator **out, tw_config *config);

/* After tw_config_finish: for samples of this extent. Files that keys name are read.
 * @return TW_ECONFIG for keys that do not go together with the samples; TW_ENOINPUT, TW_EDATA for
 * files */
tw_status tw_operator_prepare(tw_operator *a, const tw_extent *in);

/* An operator by itself, for tools and tests: its kind, and keys ("factor=4") where they are not
 * the default. @return TW_ECONFIG */
tw_status tw_operator_make(tw_operator **out, const tw_extent *in, const char *name, int count,
                           const char *const *assignments);
void tw_operator_destroy(tw_operator **a);

/* A becomes A diag(unit): samples in model units whose channels have scales of their own.
 * @param unit  [channels], copied */
tw_status tw_operator_set_units(tw_operator *a, const double *unit);

/* Makes sure that there is a basis: of an operator without a cheap one by an eigenvalue
 * decomposition of AᵀA or AAᵀ, in which singular values below 1e-7 of the largest are 0.
 * @return TW_ECONFIG where that is too large (the smaller side above 2048) */
tw_status tw_operator_need_basis(tw_operator *a);

void tw_operator_forward(const tw_operator *a, const double *x, double *y);
void tw_operator_adjoint(const tw_operator *a, const double *y, double *x);
void tw_operator_to_basis(const tw_operator *a, const double *x, double *c);
void tw_operator_from_basis(const tw_operator *a, const double *c, double *x);

/* "inpaint box=… digest": everything that A depends on. @param[out] out  is added to */
tw_status tw_operator_describe(tw_text *out, const tw_operator *a);

/* y = A x + sigma n for row `row`, n of the stream (seed, TW_RNG_MEASUREMENT, row). */
void tw_operator_simulate(const tw_operator *a, const double *x, double sigma, uint64_t seed,
                          int64_t row, double *y);

/* A differentiable map D between what a score describes, z, and what an operator measures, D(z): a
 * decoder of latents. The measurement is then y = A D(z) + σ n, which no basis knows; methods that
 * need H(z) = A D(z) and its pull-back H'(z)ᵀ v alone do with it. Neither can fail, and nothing
 * here is collective. */
typedef struct tw_map {
    void *self;
    int64_t dims, outputs; /* numbers of z and of D(z) */
    /* @param z [n][dims] @param[out] x [n][outputs] */
    void (*forward)(void *self, int64_t n, const float *z, float *x);
    /* gz = D'(z)ᵀ gx at z. @param gx [n][outputs] @param[out] gz [n][dims] */
    void (*pull_back)(void *self, int64_t n, const float *z, const float *gx, float *gz);
} tw_map;

/* ---- posterior samples ---- */

/* [restore], and what [task] says of the noise. */
typedef struct tw_posterior_config {
    tw_choice method;
    double noise;  /* σ of the measurement, in its own units */
    bool has_task; /* [task] was bound too */
} tw_posterior_config;

/* Binds [restore] and task.noise. Errors are collected in the configuration.
 * @param[out] out  zero-initialised; tw_posterior_config_free, before the configuration */
tw_status tw_posterior_bind(tw_posterior_config *out, tw_config *config);
void tw_posterior_config_free(tw_posterior_config *config);

/* A method that does with a tw_map: what restore.method may be where there is one. Static. */
const char *tw_posterior_method_of_maps(void);

/* sample.kind where nothing is said: the method's own, or NULL. */
const char *tw_posterior_usual_sampler(const tw_posterior_config *config);

typedef struct tw_posterior tw_posterior;

typedef struct tw_posterior_options {
    const tw_posterior_config *config;
    const tw_sampler_config *sampler;
    const tw_process *process;
    const tw_score *prior; /* the score of p(x); its vjp where the method needs one */
    tw_operator *a;        /* a basis is computed where the method needs one */
    const tw_map *map;     /* what the operator measures is D(x) of what the score describes; NULL:
                              that itself */
    double noise;          /* of y as the operator makes it, from samples in model units */
    int64_t per;           /* posterior samples of a measurement, K */
    bool bounded;          /* the data have bounds: what sample.clip = auto looks at */
    int64_t batch, steps;  /* as in tw_sampler_options */
} tw_posterior_options;

/* Plans. All pointers are borrowed as long as the posterior.
 * @return TW_ECONFIG for what does not go together, before anything runs */
tw_status tw_posterior_create(tw_posterior **out, const tw_posterior_options *options);
void tw_posterior_destroy(tw_posterior **p);

/* Sample k of measurement j has the global index j K + k: everything that it depends on beside
 * weights, settings and y_j.
 * @param y       [count][outputs]: measurements first … first + count − 1, borrowed for the call
 * @param[out] x  [count][K][dims], model units
 * @return as tw_sampler_run */
tw_status tw_posterior_run(tw_posterior *p, int64_t first, int64_t count, const double *y,
                           float *x);

/* Method, noise, K, operator and sampler as one line of text. @param[out] out  is added to */
tw_status tw_posterior_describe(tw_text *out, const tw_posterior *p);
/* Borrowed. */
tw_sampler *tw_posterior_sampler(const tw_posterior *p);

/* ---- Gaussian random fields ---- */

/* Periodic, with the same spectrum in each channel: x = mean + F* diag(√power) F n, F the unitary
 * Fourier transform. Its score under any process is exact: x_t is Gaussian with the power
 * α² power + σ². What methods are held against. */
typedef struct tw_grf tw_grf;

/* @param power  [H][W], the variance of each mode (ky, kx), at least 0 and that of (−ky, −kx) */
tw_status tw_grf_create(tw_grf **out, const tw_extent *extent, const double *power, double mean);
void tw_grf_destroy(tw_grf **g);

/* power = variance · c / (1 + (length |k|)²)^(exponent / 2), k = 2π m / size in radians per pixel,
 * c such that pixels have this variance. @param[out] power  [H][W] */
void tw_grf_spectrum(double *power, int64_t height, int64_t width, double variance, double length,
                     double exponent);

/* The exact score and its vjp under a process, which is borrowed. */
tw_score tw_grf_score(tw_grf *g, const tw_process *process);

/* Sample i: of the stream (seed, TW_RNG_DATA, i). @param[out] x  [dims] */
void tw_grf_sample(const tw_grf *g, uint64_t seed, int64_t i, double *x);

/* The exact posterior of y = A x + sigma n, sigma > 0, by a dense solution of A C Aᵀ + σ² I.
 * @param y                [outputs]
 * @param[out] mean        [dims]
 * @param[out] covariance  [dims][dims]
 * @return TW_ECONFIG above 4096 numbers of a sample or a measurement */
tw_status tw_grf_posterior(const tw_grf *g, const tw_operator *a, double sigma, const double *y,
                           double *mean, double *covariance);

#ifdef __cplusplus
}
#endif

#endif
