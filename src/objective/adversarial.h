/* The adversarial term of autoencoders (Esser et al. 2021, VQGAN), which their objectives share: a
 * discriminator D as the second network of the run, and with x̂ the reconstruction of x
 *
 *   generator:      λ w (−mean D(x̂)),   λ = |∇ L_rec| / (|∇ (−mean D(x̂))| + 1e-4), at most 1e4
 *   discriminator:  ½ mean max(0, 1 − D(x)) + ½ mean max(0, 1 + D(sg x̂)),
 *
 * ∇ by the weights of the decoder's last layer, over the global batch. Means are over patches and
 * samples. λ is that of the step before, of all ranks: state, which a checkpoint has, and 0 in the
 * first step. Neither network knows the other's loss: x̂ is detached before D sees it, and the
 * generator is given the gradient of D by x̂ as a constant. One step updates both, from one pass
 * through either, as the published code does with every batch. */
#ifndef TW_OBJECTIVE_ADVERSARIAL_H
#define TW_OBJECTIVE_ADVERSARIAL_H

#include <stddef.h>

#include "tweedie/objective.h"

typedef struct tw_adversarial_config {
    double weight; /* 0: no term, no second network */
    int64_t start;
    tw_choice discriminator;
} tw_adversarial_config;

/* Entries of an objective's table, whose struct `type` has a member of that name. */
#define TW_ADVERSARIAL_FIELDS(type, member)                                                        \
    {NULL,                                                                                         \
     "adversarial_weight",                                                                         \
     TW_CONFIG_DOUBLE,                                                                             \
     offsetof(type, member.weight),                                                                \
     "0",                                                                                          \
     0,                                                                                            \
     1e6,                                                                                          \
     .fixed = true,                                                                                \
     .help = "of what a discriminator, [discriminator], says of reconstructions, against their "   \
             "distance by the gradients of the decoder's last layer; 0: there is none"},           \
    {                                                                                              \
        NULL, "adversarial_start", TW_CONFIG_INT64, offsetof(type, member.start), "0", 0, 1e12,    \
            .fixed = true, .help = "step from which on the discriminator learns and counts"        \
    }

/* [discriminator]. Errors are collected in the configuration. */
tw_status tw_adversarial_bind(tw_adversarial_config *c, tw_config *config);
void tw_adversarial_free(tw_adversarial_config *c);

/* @return TW_ECONFIG where the discriminator cannot see the model's samples */
tw_status tw_adversarial_check(const tw_adversarial_config *c, const tw_model *m);

/* Adds both losses beside the graph's, and what λ is measured by. Does nothing where the weight is
 * 0. The graph's input "weight" must be there; adds the input TW_ADVERSARIAL_INPUT [n].
 * @param x,y   samples and reconstructions, f32 [n, …]
 * @param loss  of the reconstruction, f32 [n] */
void tw_adversarial(tw_graph *g, const tw_adversarial_config *c, const tw_model *m, tw_value *x,
                    tw_value *y, tw_value *loss);

#define TW_ADVERSARIAL_INPUT "adversarial_on"
/* What the input holds of a sample at a step. */
float tw_adversarial_on(const tw_adversarial_config *c, int64_t step);

/* The state, as tw_objective_kind.states, and what becomes of it; TW_ADVERSARIAL_STATES many. */
#define TW_ADVERSARIAL_STATE TW_NAME_OBJECTIVE "adversarial."
#define TW_ADVERSARIAL_STATE_NAMES                                                                 \
    TW_ADVERSARIAL_STATE "scale", TW_ADVERSARIAL_STATE "reconstruction_gradient",                  \
        TW_ADVERSARIAL_STATE "generator_gradient", TW_ADVERSARIAL_STATE "generator_loss",          \
        TW_ADVERSARIAL_STATE "discriminator_loss"
enum { TW_ADVERSARIAL_STATES = 5 };
void tw_adversarial_advance(const tw_objective_state state[TW_ADVERSARIAL_STATES]);

#endif
