/* Exact score matching (Hyvärinen 2005, theorem 1):
 *
 *   J = E[ tr ∂s/∂x + ½ ‖s‖² ] = ½ E ‖s − ∇ log p‖² − ½ E ‖∇ log p‖²,
 *
 * so that the score is learned from samples of p alone: of p_t, the data with noise, or with
 * clean = yes of the data themselves, at the one time of a process with one noise level. The trace
 * takes D gradients of the symbolic graph, entry i of the i-th being ∂s_i/∂x_i; the parameters'
 * gradient differentiates them again (an energy's network three times in all). */
#include <stddef.h>

#include "objective/sample_sum.h"
#include "tweedie/objective.h"

/* D passes cost D steps, and their graph is planned: 32 take a second to plan with a small MLP. */
enum { DIMS_MAX = 32 };

typedef struct exact_config {
    bool clean;
} exact_config;

static const tw_config_field fields[] = {
    {NULL, "clean", TW_CONFIG_BOOL, offsetof(exact_config, clean), "no", .fixed = true,
     .help = "the score of the data themselves, without noise (process.kind = single)"},
};

static tw_status check(const void *config, const tw_model *m)
{
    tw_status st = TW_OK;
    TW_TRY(tw_score_matching_check("exact", ((const exact_config *)config)->clean, m));
    TW_CHECK(m->dims <= DIMS_MAX, TW_ECONFIG,
             "objective.kind: exact takes a gradient for each of a sample's %lld dimensions, at "
             "most %d; take objective.kind = sliced",
             (long long)m->dims, (int)DIMS_MAX);
done:
    return st;
}

/* [n, 1]: the trace of ∂s/∂x of each sample; samples do not depend on each other, so the gradient
 * of Σ_n s_i is each sample's own. */
static tw_value *trace(tw_graph *g, tw_value *x, tw_value *s, int64_t n, int64_t dims)
{
    tw_value *flat = tw_reshape(g, s, TW_SHAPE(n, dims)), *sum = NULL, *row;
    for (int64_t i = 0; i < dims && flat; i++) {
        tw_graph_gradient(g, tw_slice(g, flat, i, 1), NULL, &x, 1, &row);
        if (!row) continue; /* s_i does not depend on x */
        row = tw_slice(g, tw_reshape(g, tw_cast(g, row, TW_F32), flat->shape), i, 1);
        sum = sum ? tw_add(g, sum, row) : row;
    }
    return sum;
}

static tw_value *build(tw_graph *g, const void *config, const tw_model *m, int64_t n)
{
    const tw_model_values v = tw_model_build(g, m, n, NULL);
    tw_value *s = tw_model_build_score(g, m, &v);
    (void)config;
    if (!s) return NULL;
    tw_value *loss = tw_affine(g, tw_sample_sum(g, tw_mul(g, s, s)), 0.5, 0);
    tw_value *tr = trace(g, v.x, s, n, m->dims);
    if (tr) loss = tw_add(g, loss, tw_reshape(g, tr, TW_SHAPE(n)));
    return tw_mul(g, loss, tw_input(g, "weight", TW_F32, TW_SHAPE(n)));
}

static bool clean(const void *config)
{
    return ((const exact_config *)config)->clean;
}

const tw_objective_kind tw_objective_exact = {
    .kind = {"exact", "exact score matching, with the trace of the score's derivative", fields,
             sizeof fields / sizeof *fields, sizeof(exact_config)},
    .check = check,
    .build = build,
    .clean = clean,
    .of_score = true,
};
