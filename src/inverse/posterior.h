/* What methods of posterior sampling are made of. */
#ifndef INVERSE_POSTERIOR_H
#define INVERSE_POSTERIOR_H

#include "sample/sampler.h"
#include "tweedie/inverse.h"

/* A method. Siblings are found by the build: posterior_NAME.c defines tw_posterior_NAME. It adds to
 * the score, acts after each step of the sampler, or has a loop of its own; or several of these. */
typedef struct tw_posterior_method {
    tw_kind kind;        /* keys of [restore] */
    const char *sampler; /* usual sample.kind; NULL: ancestral */
    bool basis, vjp;     /* needs the operator's basis; the prior score's vjp */
    bool maps;           /* measures by posterior_measure and posterior_measure_back alone */
    int scratch;         /* [batch][dims] arrays in p->scratch */
    tw_status (*check)(const void *config, const tw_posterior *p); /* NULL: goes with everything */
    /* points of a grid of its own: p->grid; NULL: none */
    int64_t (*points)(const void *config);
    /* @param[in,out] score  [n][dims]: of p(x_t), becomes that of p(x_t | y). n is at most the
     * batch
     */
    tw_status (*add)(const void *config, tw_posterior *p, int64_t n, const float *x,
                     const double *t, const int64_t *index, float *score);
    /* As tw_sampler_hook. */
    tw_status (*after)(const void *config, tw_posterior *p, tw_batch *b, const tw_point *at,
                       int64_t name);
    tw_status (*run)(const void *config, tw_posterior *p, tw_sampler *s, tw_batch *b);
} tw_posterior_method;

extern const tw_kinds tw_posterior_kinds;

struct tw_posterior {
    tw_posterior_options o;
    const tw_posterior_method *method;
    const void *config; /* of the method */
    const tw_operator *a;
    const tw_score *prior;
    tw_score score; /* p(x_t | y), what the sampler sees */
    tw_sampler_hook hook;
    tw_sampler *sampler;
    int64_t dims, batch, per;
    double noise;
    float *mapped[3];  /* of a map, a batch: x, a gradient by it [dims], and D(x) [a->dims] */
    double *measured;  /* [a->dims]: one D(x) */
    double *x0, *back; /* [batch][dims]: denoised samples, and gradients by them */

    int64_t first, rows; /* measurements that are at hand … */
    const double *y;     /* … [rows][outputs] */
    double *ybar;        /* … [rows][dims]: S⁻² Vᵀ Aᵀ y; NULL where there is no basis */
    int64_t room;        /* rows of ybar */

    float *arrays, **scratch; /* [batch][dims] of the method, then two of this layer */
    float *vjp;
    double *work[4]; /* [dims] each */
    double *outputs; /* [batch][outputs] */
    double *number;  /* [batch]: of the method, within a call */
    float *noise_row;
    tw_times_grid grid;
};

/* Of the measurement that a sample is of: y [outputs] and ȳ [dims]. */
const double *posterior_y(const tw_posterior *p, int64_t index);
const double *posterior_ybar(const tw_posterior *p, int64_t index);

/* x̂_0 = (x + σ² s) / α of one sample. */
void posterior_denoised(const tw_posterior *p, double t, const float *x, const float *s,
                        double *x0);

/* out = Jᵀ v, J = ∂x̂_0 / ∂x_t. @param v, out  [n][dims], out may be v */
tw_status posterior_pull_back(tw_posterior *p, int64_t n, const float *x, const double *t,
                              const int64_t *index, const float *v, float *out);

/* What is measured of x̂_0, H(x) = A x, or A D(x) through a map, and out = H'(x)ᵀ v at that x. n is
 * at most the batch. @param x, out  [n][dims] @param y, v  [n][outputs] */
void posterior_measure(tw_posterior *p, int64_t n, const double *x, double *y);
void posterior_measure_back(tw_posterior *p, int64_t n, const double *x, const double *v,
                            double *out);

/* Standard normal numbers of sample `index`, named among a sample's own by `name`. @param[out] z
 * [dims] */
void posterior_noise(const tw_posterior *p, int64_t index, int64_t name, double *z);

/* The name of a time: streams of a score, which knows no steps. */
int64_t posterior_name_of(const tw_posterior *p, double t);

/* What is measured takes its place: c ← α ȳ + √(σ² − α² σ_y² / s²) ζ in the basis, where the root
 * is real. posterior_replacement.c; others do so too. */
void posterior_replace(const tw_posterior *p, tw_batch *b, const tw_point *at, int64_t name);

/* The step of size `weight` along −∇ ‖y − A x̂_0‖, into p->scratch[0]. posterior_dps.c */
tw_status posterior_gradient(tw_posterior *p, double weight, int64_t n, const float *x,
                             const double *t, const int64_t *index, const float *score);
/* Adds p->scratch[0] once after each step of the predictor. */
void posterior_step_along(const tw_posterior *p, tw_batch *b, int64_t name);

/* One step in the basis, of one sample: from c_t and the denoised c_0 to the next point.
 * @param z  [dims], standard normal @param[out] c  [dims], may be ct */
typedef void posterior_spectral_step(const void *config, const tw_posterior *p, const double *ybar,
                                     const tw_point *from, const tw_point *to, const double *ct,
                                     const double *c0, const double *z, double *c);
/* The loop of the spectral methods (spectral_loop.c). `begin` has c_0 = ct = 0. */
tw_status posterior_spectral_loop(const void *config, tw_posterior *p, tw_sampler *s, tw_batch *b,
                                  posterior_spectral_step *begin, posterior_spectral_step *step);

#endif
