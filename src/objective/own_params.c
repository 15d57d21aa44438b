/* What an objective has of its own in the parameter store, and the state that it advances. */
#include "tweedie/objective.h"

tw_status tw_objective_add_params(const tw_objective_config *config, tw_model *m, uint64_t seed)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    const tw_objective_kind *kind = (const tw_objective_kind *)config->kind.kind;
    TW_TRY(tw_objective_check(config, m));
    if (!kind->owns || !kind->owns(config->kind.config)) return TW_OK;
    TW_TRY(tw_graph_create(&g));
    kind->build(g, config->kind.config, m, 1);
    TW_TRY(tw_graph_status(g));
    TW_TRY(tw_params_extend(m->params, g));
    TW_TRY(tw_params_initialise(m->params, seed));
done:
    tw_graph_destroy(&g);
    return st;
}

void tw_objective_advance_init(tw_objective_advance *out, const tw_objective_config *config,
                               const tw_model *m, const float *sums)
{
    const tw_objective_kind *kind = (const tw_objective_kind *)config->kind.kind;
    *out = (tw_objective_advance){.config = config, .model = m};
    for (int k = 0; kind->states && kind->states[k] && k < TW_OBJECTIVE_STATES; k++) {
        const tw_param_view *v = tw_params_find(m->params, kind->states[k]);
        if (v && v->role == TW_ROLE_STATE)
            out->state[k] = (tw_objective_state){.value = m->params->value + v->offset,
                                                 .sum = sums + (v->offset - m->params->trainable),
                                                 .count = v->count};
    }
}

void tw_objective_advance_run(const tw_objective_advance *a)
{
    const tw_objective_kind *kind = (const tw_objective_kind *)a->config->kind.kind;
    if (kind->advance) kind->advance(a->config->kind.config, a->model, a->state);
}
