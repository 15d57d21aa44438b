/* L_vlb: the variational bound itself, in bits for each dimension (variational.h), one term for
 * each sample. With objective.rescaled a term is multiplied by the number of steps, so that with
 * uniform times the mean is Σ_t L_t (RESCALED_KL of improved-diffusion); without, that divided by T
 * (KL). Its terms differ by orders of magnitude: objective.times = second_moment is what Nichol and
 * Dhariwal (2021, section 3.3) train it with. */
#include <stddef.h>

#include "objective/variational.h"

typedef struct variational_config {
    tw_variational_config terms;
    bool rescaled;
} variational_config;

static const tw_config_field fields[] = {
    TW_DECODER_FIELD,
    {NULL, "fixed_variance", TW_CONFIG_CHOICE, offsetof(tw_variational_config, fixed), "small",
     .choices = "small|large", .fixed = true,
     .help = "of the steps, where it is not learned: of the posterior, or of the forward step"},
    {NULL, "rescaled", TW_CONFIG_BOOL, offsetof(variational_config, rescaled), "yes", .fixed = true,
     .help = "terms times the number of steps: their mean is the bound"},
};

static tw_status check(const void *config, const tw_model *m)
{
    return tw_variational_check(config, "variational", m);
}

static tw_value *build(tw_graph *g, const void *config, const tw_model *m, int64_t n)
{
    const variational_config *c = config;
    const tw_model_values v = tw_model_build(g, m, n, NULL);
    if (!v.output) return NULL;
    tw_value *target = tw_input(g, "target", TW_F32, v.output->shape);
    tw_value *term = tw_variational_build(g, &c->terms, m, &v, target, false);
    term = tw_affine(g, term, c->rescaled ? (double)m->process->steps : 1, 0);
    return tw_mul(g, term, tw_input(g, "weight", TW_F32, TW_SHAPE(n)));
}

static void fill(const void *config, const tw_model *m, float *const *own,
                 const tw_objective_sample *s)
{
    tw_variational_fill(config, m, own, s);
}

const tw_objective_kind tw_objective_variational = {
    .kind = {"variational", "the variational bound of a discrete process", fields,
             sizeof fields / sizeof *fields, sizeof(variational_config)},
    .check = check,
    .build = build,
    .fill = fill,
    .inputs = tw_variational_inputs,
    .learns_variance = true,
};
