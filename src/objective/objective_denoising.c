/* Denoising score matching (Vincent 2011), whatever is predicted, at one noise level, a ladder of
 * them (Song and Ermon 2019), DDPM's steps (Ho et al. 2020, L_simple) or continuous times (Song et
 * al. 2021, equation 7):
 *
 *   loss = λ(t) · reduce over the dimensions of (F(x_t, t) − (a x_0 + b z))²
 *
 * λ is objective.weighting; reduce the mean, the sum or half of it. */
#include "tweedie/objective.h"

static tw_value *build(tw_graph *g, const void *config, const tw_model *m, int64_t n)
{
    const tw_model_values v = tw_model_build(g, m, n, NULL);
    (void)config;
    if (!v.output) return NULL;
    return tw_squared_error(g, v.output, tw_input(g, "target", TW_F32, v.output->shape),
                            tw_input(g, "weight", TW_F32, TW_SHAPE(n)));
}

const tw_objective_kind tw_objective_denoising = {
    .kind = {"denoising", "denoising score matching, of any process and prediction"},
    .build = build,
    .weighted = true,
};
