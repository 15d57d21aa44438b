/* What a network's output means. Every prediction here says of which combination of data and noise
 * the output is the conditional mean,
 *
 *   F(c_in x_t, t) = E[a x_0 + b z | x_t],   x_t = α x_0 + σ z,
 *
 * and the rest is linear algebra: with d = α b − σ a,
 *
 *   x̂_0 = (b x_t − σ F) / d,   ẑ = (α F − a x_t) / d,   score = −ẑ / σ   (Tweedie's formula).
 *
 * So ε is (0, 1), x_0 is (1, 0), v is (−σ, α), the score is (0, −1/σ). Siblings are found by the
 * build: prediction_NAME.c defines tw_prediction_NAME. Nothing here is collective. */
#ifndef TWEEDIE_PREDICTION_H
#define TWEEDIE_PREDICTION_H

#include "tweedie/graph.h"
#include "tweedie/process.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_prediction {
    tw_kind kind; /* keys of [prediction] */

    /* Does it go with this process? NULL: with each. @return TW_ECONFIG saying what does */
    tw_status (*check)(const void *config, const tw_process *p);

    /* a and b at time t. */
    void (*target)(const void *config, const tw_process *p, double t, double *a, double *b);

    double (*input)(const void *config, const tw_process *p, double t); /* c_in; NULL: 1 */

    /* What the network is told of the time. NULL: what the process says. */
    double (*condition)(const void *config, const tw_process *p, double t);

    int64_t outputs; /* channels of the network's output; 0: those of a sample */

    /* From the network's output to F, in the graph: an energy's gradient, say. NULL: they are one.
     * @param x    the input, f32 [N, …]; c_in is 1
     * @param net  the network's output, f32
     * @param[out] energy_out  [N] where the network is one, else untouched */
    tw_value *(*build)(tw_graph *g, const void *config, tw_value *x, tw_value *net,
                       tw_value **energy_out);
} tw_prediction;

extern const tw_kinds tw_prediction_kinds;

#ifdef __cplusplus
}
#endif

#endif
