/* A network's fingerprint: filled by a rule that needs the published parameter names alone, it must
 * give the numbers that any other implementation of the same network gives.
 *
 * The rule: for each published key, phase = 2π (FNV1a-32(key) mod 1000) / 1000 and s_i = sin(phase
 * + 0.7 i), i the flat index in C order. Arrays of two or more dimensions: s_i / √(elements / first
 * dimension); tables of conditional normalisations ("…embed.weight"): 0.1 s_i, plus 1 in the first
 * two thirds of each row. One dimension: 1 + 0.1 s_i where the key ends in "weight", "alpha" or
 * "gamma", else 0.1 s_i; 4 s_i where
 * it is not trained (Fourier frequencies). Input x_i = sin(0.3 + 0.11 i) over the whole batch in
 * channels-first order, a condition likewise sin(0.7 + 0.13 i); L = Σ y_i sin(1 + 0.23 i). */
#ifndef TWEEDIE_FINGERPRINT_H
#define TWEEDIE_FINGERPRINT_H

#include "tweedie/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_fingerprint {
    int64_t params; /* with the frozen ones that the published network counts as parameters */
    double first8[8];
    double sum, sumsq;       /* of the output */
    double loss;             /* L */
    double input_grad_sumsq; /* Σ (∂L/∂x)² */
    double param_grad_norm;  /* √Σ (∂L/∂θ)² over trainable parameters */
} tw_fingerprint;

typedef struct tw_fingerprint_inputs {
    int64_t n; /* the batch */
    /* [n]: what the network is told of time: `t` as the embedding receives it; a Fourier embedding
     * of the noise level takes its logarithm, a table its integer, and what is divided by the noise
     * level its entry of that index where the process is a table of noise levels */
    const double *times;
    const int64_t *labels; /* [n] of a model with classes, else NULL */
    bool keep;             /* measure the parameters that the model has */
} tw_fingerprint_inputs;

/* Fills the model's parameters by the rule (they are lost) unless told to keep them, and measures.
 * Not collective.
 * @param options  of the plans that compute it
 * @return TW_EUNSUPPORTED for a network without published names */
tw_status tw_fingerprint_measure(tw_fingerprint *out, tw_model *m,
                                 const tw_fingerprint_inputs *inputs,
                                 const tw_plan_options *options);

#ifdef __cplusplus
}
#endif

#endif
