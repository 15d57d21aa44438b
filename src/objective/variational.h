/* The terms of the variational bound of a discrete process (Ho et al. 2020, equation 5; Nichol and
 * Dhariwal 2021, equations 4 to 7 and 15), in bits, the mean over the dimensions of a sample:
 *
 *   t > 0   L_t = KL( q(x_{t−1} | x_t, x_0) ‖ p(x_{t−1} | x_t) )
 *   t = 0   L_0 = −log p(x_0 | x_1)
 *
 * so that Σ_t L_t and the prior's KL, which nothing is learned by, bound −log p(x_0).
 *
 * q is N(c1 x_0 + c2 x_t, β̃) and p is N(c1 x̂_0 + c2 x_t, σ²), with c1, c2 and β̃ of tw_bridge. The
 * difference of their means is c1 (x̂_0 − x_0) = c1 (∂x̂_0/∂F) (F − F*), F* = a x_0 + b z: exact in
 * f32 where two means would cancel. With Δ = log σ² − log β̃ the divergence of a dimension is
 *
 *   KL = ½ ( −1 + Δ + e^−Δ (1 + κ (F − F*)²) ),   κ = (c1 ∂x̂_0/∂F)² / β̃.
 *
 * Learned variance: Δ = (v + 1)/2 · (log β − log β̃). Fixed: Δ = 0 (small), or log β − log β̃
 * (large). At t = 0 q is a point, and log β̃ counts as that of t = 1, also the fixed large one's (as
 * published). p is there a Gaussian, cut into the 256 levels of an image or as it is. */
#ifndef OBJECTIVE_VARIATIONAL_H
#define OBJECTIVE_VARIATIONAL_H

#include "tweedie/objective.h"

typedef struct tw_variational_config {
    int decoder; /* tw_decoder */
    int fixed;   /* tw_fixed_variance, where it is not learned */
} tw_variational_config;

typedef enum tw_decoder { TW_DECODER_DISCRETISED, TW_DECODER_GAUSSIAN } tw_decoder;
typedef enum tw_fixed_variance { TW_FIXED_SMALL, TW_FIXED_LARGE } tw_fixed_variance;

/* The key of `decoder`, for the table of an objective whose configuration begins with the above. */
#define TW_DECODER_FIELD                                                                           \
    {                                                                                              \
        NULL, "decoder", TW_CONFIG_CHOICE, offsetof(tw_variational_config, decoder),               \
            "discretised",                                                                         \
            .choices = "discretised|gaussian", .fixed = true,                                      \
            .help = "p(x_0 | x_1): of the 256 levels of an image, or of float32 data a density"    \
    }

/* @return TW_ECONFIG naming the key */
tw_status tw_variational_check(const tw_variational_config *c, const char *objective,
                               const tw_model *m);

/* The term of each sample, f32 [n]. The mean's part is a constant of gradients where `detached`. */
tw_value *tw_variational_build(tw_graph *g, const tw_variational_config *c, const tw_model *m,
                               const tw_model_values *v, tw_value *target, bool detached);

/* The inputs that tw_variational_build adds, as tw_objective_kind asks for them. */
extern const char *const tw_variational_inputs[];
void tw_variational_fill(const tw_variational_config *c, const tw_model *m, float *const *own,
                         const tw_objective_sample *s);

#endif
