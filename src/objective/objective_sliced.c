/* Sliced score matching (Song, Garg, Shi, Ermon 2019): the trace of exact score matching by random
 * directions v with E v vᵀ = I, one gradient for each,
 *
 *   SSM      E_v[ vᵀ ∂s/∂x v + ½ (vᵀ s)² ]     (equation 7)
 *   SSM-VR   E_v[ vᵀ ∂s/∂x v ] + ½ ‖s‖²        (equation 8),
 *
 * the mean over objective.projections of them, which share the network's forward pass. Both have
 * the expectation of exact score matching. The published code of SSM normalises v to length 1,
 * which divides the loss by D and changes nothing else; here the sphere's length is √D. */
#include <stddef.h>
#include <stdio.h>

#include "objective/sample_sum.h"
#include "tweedie/objective.h"

typedef struct sliced_config {
    bool variance_reduced, clean;
    int probe;
    int64_t projections;
} sliced_config;

static const tw_config_field fields[] = {
    {NULL, "variance_reduced", TW_CONFIG_BOOL, offsetof(sliced_config, variance_reduced), "yes",
     .fixed = true, .help = "the norm of the score itself, not of its projection"},
    {NULL, "probe", TW_CONFIG_CHOICE, offsetof(sliced_config, probe), "rademacher",
     .choices = "rademacher|gaussian|sphere", .fixed = true, .help = "random directions"},
    {NULL, "projections", TW_CONFIG_INT64, offsetof(sliced_config, projections), "1", 1,
     TW_OBJECTIVE_PROBES, .fixed = true, .help = "directions for each sample"},
    {NULL, "clean", TW_CONFIG_BOOL, offsetof(sliced_config, clean), "no", .fixed = true,
     .help = "the score of the data themselves, without noise (process.kind = single)"},
};

static tw_status check(const void *config, const tw_model *m)
{
    return tw_score_matching_check("sliced", ((const sliced_config *)config)->clean, m);
}

/* vᵀ ∂s/∂x v, and for SSM ½ (vᵀ s)² too, of each sample: [n]. */
static tw_value *slice(tw_graph *g, const sliced_config *c, tw_value *x, tw_value *s, int64_t k)
{
    char name[32];
    tw_value *gx = NULL, *sum = NULL;
    snprintf(name, sizeof name, "probe.%lld", (long long)k);
    tw_value *v = tw_input(g, name, TW_F32, s->shape);
    tw_graph_gradient(g, s, v, &x, 1, &gx);
    if (gx) sum = tw_sample_sum(g, tw_mul(g, tw_cast(g, gx, TW_F32), v));
    if (c->variance_reduced) return sum;
    tw_value *along = tw_sample_sum(g, tw_mul(g, s, v));
    along = tw_affine(g, tw_mul(g, along, along), 0.5, 0);
    return sum ? tw_add(g, sum, along) : along;
}

static tw_value *build(tw_graph *g, const void *config, const tw_model *m, int64_t n)
{
    const sliced_config *c = config;
    const tw_model_values v = tw_model_build(g, m, n, NULL);
    tw_value *s = tw_model_build_score(g, m, &v), *loss = NULL;
    if (!s) return NULL;
    for (int64_t k = 0; k < c->projections; k++) {
        tw_value *one = slice(g, c, v.x, s, k);
        if (one) loss = loss ? tw_add(g, loss, one) : one;
    }
    if (loss) loss = tw_affine(g, loss, 1.0 / (double)c->projections, 0);
    if (c->variance_reduced) {
        tw_value *norm = tw_affine(g, tw_sample_sum(g, tw_mul(g, s, s)), 0.5, 0);
        loss = loss ? tw_add(g, loss, norm) : norm;
    }
    return tw_mul(g, loss, tw_input(g, "weight", TW_F32, TW_SHAPE(n)));
}

static int probe(const void *config)
{
    return TW_PROBE_RADEMACHER + ((const sliced_config *)config)->probe;
}

static bool clean(const void *config)
{
    return ((const sliced_config *)config)->clean;
}

const tw_objective_kind tw_objective_sliced = {
    .kind = {"sliced", "sliced score matching, with or without reduced variance", fields,
             sizeof fields / sizeof *fields, sizeof(sliced_config)},
    .check = check,
    .build = build,
    .clean = clean,
    .probe = probe,
    .of_score = true,
};
