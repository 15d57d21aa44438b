/* σ² ‖s − s*‖² = ‖σ s + z‖²: the published weighting of score_sde's continuous objectives, and of
 * NCSN's ladder. With s − s* = c (F − F*) it is σ² c². Of ε-prediction it is 1. */
#include "tweedie/objective.h"

static double weight(const void *config, const tw_model *m, double t, const tw_model_view *view)
{
    const double root = tw_process_sigma(m->process, t) * view->score_f;
    (void)config;
    return root * root;
}

const tw_weighting tw_weighting_score = {
    .kind = {"score", "sigma^2 times the squared error of the score"}, .weight = weight};
