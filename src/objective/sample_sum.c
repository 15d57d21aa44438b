/* What the graphs of several objectives share. */
#include "objective/sample_sum.h"

tw_value *tw_sample_sum(tw_graph *g, tw_value *x)
{
    if (!x) return NULL;
    const int64_t n = x->shape.dims[0], dims = tw_shape_count(x->shape) / n;
    tw_value *flat = tw_reshape(g, x, TW_SHAPE(n, dims));
    return tw_reshape(g, tw_sum_to(g, flat, TW_SHAPE(n, 1)), TW_SHAPE(n));
}

tw_value *tw_sample_factor(tw_graph *g, tw_value *x, const tw_value *like)
{
    if (!x || !like) return NULL;
    const tw_shape each = {.rank = like->shape.rank, .dims = {like->shape.dims[0], 1, 1, 1, 1}};
    return tw_reshape(g, x, each);
}

tw_status tw_score_matching_check(const char *objective, bool clean, const tw_model *m)
{
    tw_status st = TW_OK;
    TW_CHECK(!m->prediction->input, TW_ECONFIG,
             "objective.kind: %s differentiates the score by what the network is given, and "
             "prediction.kind = %s scales that; take prediction.kind = score, epsilon, v or energy",
             objective, m->prediction->kind.name);
    TW_CHECK(!clean || m->process->steps == 1, TW_ECONFIG,
             "objective.clean: clean data have one score, not one for each time; take "
             "process.kind = single, or clean = no");
done:
    return st;
}
