/* L_simple + λ L_vlb (Nichol and Dhariwal 2021, equation 16): the mean is learned by the first,
 * whose gradient it has alone, the variance by the second, where the mean is detached. λ T L_t is
 * added to each sample's squared error, L_t in bits, so that the mean over uniform times is λ Σ_t
 * L_t; the published λ is 1/1000 (RESCALED_MSE: T / 1000). */
#include <stddef.h>

#include "objective/variational.h"

typedef struct hybrid_config {
    tw_variational_config terms;
    double weight;
} hybrid_config;

static const tw_config_field fields[] = {
    TW_DECODER_FIELD,
    {NULL, "vlb_weight", TW_CONFIG_DOUBLE, offsetof(hybrid_config, weight), "0.001",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true, .help = "lambda of L_simple + lambda L_vlb"},
};

static tw_status check(const void *config, const tw_model *m)
{
    tw_status st = TW_OK;
    TW_CHECK(m->variance == TW_VARIANCE_LEARNED_RANGE, TW_ECONFIG,
             "objective.kind: hybrid is for a learned variance; take prediction.variance = "
             "learned_range, or objective.kind = denoising");
    TW_TRY(tw_variational_check(config, "hybrid", m));
done:
    return st;
}

static tw_value *build(tw_graph *g, const void *config, const tw_model *m, int64_t n)
{
    const hybrid_config *c = config;
    const tw_model_values v = tw_model_build(g, m, n, NULL);
    if (!v.output) return NULL;
    tw_value *target = tw_input(g, "target", TW_F32, v.output->shape),
             *weight = tw_input(g, "weight", TW_F32, TW_SHAPE(n));
    tw_value *simple = tw_squared_error(g, v.output, target, weight);
    tw_value *term = tw_variational_build(g, &c->terms, m, &v, target, true);
    term = tw_affine(g, term, c->weight * (double)m->process->steps, 0);
    return tw_add(g, simple, tw_mul(g, term, weight));
}

static void fill(const void *config, const tw_model *m, float *const *own,
                 const tw_objective_sample *s)
{
    tw_variational_fill(config, m, own, s);
}

const tw_objective_kind tw_objective_hybrid = {
    .kind = {"hybrid", "squared error for the mean, variational bound for the variance", fields,
             sizeof fields / sizeof *fields, sizeof(hybrid_config)},
    .check = check,
    .build = build,
    .fill = fill,
    .inputs = tw_variational_inputs,
    .learns_variance = true,
};
