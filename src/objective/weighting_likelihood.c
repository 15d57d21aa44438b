/* g(t)² ‖s − s*‖²: the weighting under which the loss bounds the negative log-likelihood (Song,
 * Durkan, Murray, Ermon 2021, equation 7). Times that are sampled as g² / σ² take most of its
 * variance away (objective.times = likelihood). */
#include "tweedie/objective.h"

static tw_status check(const void *config, const tw_model *m)
{
    (void)config;
    if (!tw_process_is_discrete(m->process)) return TW_OK;
    return tw_error_set(TW_ECONFIG,
                        "objective.weighting: likelihood is g(t)^2 of a process in continuous time "
                        "(vp, subvp, ve, edm); process.kind is %s, whose bound is "
                        "objective.kind = variational",
                        m->process->kind->kind.name);
}

static double weight(const void *config, const tw_model *m, double t, const tw_model_view *view)
{
    const double root = m->process->kind->diffusion(m->process, t) * view->score_f;
    (void)config;
    return root * root;
}

const tw_weighting tw_weighting_likelihood = {
    .kind = {"likelihood", "g(t)^2 times the squared error of the score"},
    .check = check,
    .weight = weight,
};
