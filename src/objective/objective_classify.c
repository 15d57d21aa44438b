/* A classifier of samples with noise, for classifier guidance (Song et al. 2021, appendix I;
 * Dhariwal and Nichol 2021): the cross-entropy of the labels and the logits of x_t, at the
 * process's times,
 *
 *   loss = −log softmax(z(c_in x_t, t))[y].
 *
 * At the end of the process it can only be that of the classes' frequencies. */
#include "tweedie/objective.h"

static tw_status check(const void *config, const tw_model *m)
{
    tw_status st = TW_OK;
    (void)config;
    TW_CHECK(m->label_dropout == 0, TW_ECONFIG,
             "network.label_dropout: a classifier is not told labels, so none can be dropped; 0 "
             "was expected");
done:
    return st;
}

static tw_value *build(tw_graph *g, const void *config, const tw_model *m, int64_t n)
{
    const tw_model_values v = tw_model_build(g, m, n, NULL);
    (void)config;
    if (!v.net) return NULL;
    tw_graph_output(g, "logits", v.net);
    return tw_cross_entropy(g, v.net, tw_input(g, "label", TW_I32, TW_SHAPE(n)),
                            tw_input(g, "weight", TW_F32, TW_SHAPE(n)));
}

const tw_objective_kind tw_objective_classify = {
    .kind = {"classify", "a classifier of samples with noise: cross-entropy"},
    .check = check,
    .build = build,
    .classifies = true,
};
