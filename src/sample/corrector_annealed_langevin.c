/* The annealed-Langevin corrector of score_sde, which emulates NCSN among the predictors: Langevin
 * steps in proportion to the noise's variance (rule_sigma.c). */
#include "sample/langevin.h"

const tw_corrector tw_corrector_annealed_langevin = {
    .kind = {"annealed_langevin", "Langevin steps in proportion to the noise's variance"},
    .scratch = 1,
    .rule = true,
    .usual_rule = "sigma",
    .correct = langevin_correct,
};
