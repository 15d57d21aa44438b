/* The training objective: perturb, predict, compare. Not collective.
 *
 * Of DDPM (Ho et al. 2020, L_simple): t uniform on 0 … T - 1, z ~ N(0, I), x_t = √ᾱ_t x_0 + √(1 -
 * ᾱ_t) z, loss = mean over dimensions of (ε(x_t, t) - z)². Of the one-step denoiser the same at its
 * one noise level. t and z of a sample are functions of (seed, its position in the global batch,
 * step), whoever computes them. */
#ifndef TWEEDIE_LOSS_H
#define TWEEDIE_LOSS_H

#include "tweedie/model.h"
#include "tweedie/rng.h"

typedef struct tw_loss tw_loss;

typedef struct tw_loss_options {
    int64_t batch;          /* samples of one run: a microbatch */
    tw_precision precision; /* resolved */
    bool gradients;         /* else the loss alone (validation) */
    bool accumulate;        /* several microbatches add up */
    bool profile;
} tw_loss_options;

/* Plans the objective over the model's parameters; with gradients their buffer must exist. */
tw_status tw_loss_create(tw_loss **out, tw_model *m, const tw_loss_options *options);
void tw_loss_destroy(tw_loss **loss);

typedef struct tw_loss_step {
    uint64_t seed;
    int64_t step;
    int64_t position; /* of the first sample in the global batch */
    int64_t count;    /* samples that count, 1 … batch; the rest is padding with weight zero */
    double weight;    /* of each sample in the sum: 1 / global batch makes gradients add up to the
                         mean's */
    bool validation;  /* no dropout; times and noise from the validation's stream */
    bool add_gradients;
    tw_gradient_ready *ready;
    void (*between)(void *self); /* after each operation; or NULL */
    void *self;
} tw_loss_step;

/* To be called after each change of the parameters. */
void tw_loss_refresh(tw_loss *loss);

/* Perturbs and runs; allocates nothing.
 * @param x0  [count][dims], model units
 * @return Σ over the samples of weight · loss; NaN or infinite where the network's output is */
double tw_loss_run(tw_loss *loss, const tw_loss_step *step, const float *x0);

/* Its plan, for printing and profiling. */
tw_plan *tw_loss_plan(tw_loss *loss);

/* Seconds spent in perturbing since creation: noise, times, x_t. */
double tw_loss_perturb_seconds(const tw_loss *loss);

/* The forward process alone: t [n] from the step's stream, z and x_t [n][dims]. What tw_loss_run
 * does first. */
void tw_loss_perturb(const tw_model *m, const tw_loss_step *step, int64_t n, const float *x0,
                     int64_t *t, float *z, float *xt);

#endif
