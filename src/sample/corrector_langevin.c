/* The Langevin corrector (Song et al. 2021, algorithms 4 and 5): by default with the published step
 * of a signal-to-noise ratio (rule_snr.c). */
#include "sample/langevin.h"

const tw_corrector tw_corrector_langevin = {
    .kind = {"langevin", "unadjusted Langevin steps"},
    .scratch = 1,
    .rule = true,
    .usual_rule = "snr",
    .correct = langevin_correct,
};
