/* σ^p ‖s − s*‖² (Song and Ermon 2019, equation 6; `anneal_power` of the published code, 2 there).
 */
#include <math.h>
#include <stddef.h>

#include "tweedie/objective.h"

typedef struct ncsn_config {
    double power;
} ncsn_config;

static const tw_config_field fields[] = {
    {NULL, "anneal_power", TW_CONFIG_DOUBLE, offsetof(ncsn_config, power), "2", -8, 8,
     .fixed = true, .help = "power of sigma in the weight of the score's squared error"},
};

static double weight(const void *config, const tw_model *m, double t, const tw_model_view *view)
{
    const double p = ((const ncsn_config *)config)->power;
    return pow(tw_process_sigma(m->process, t), p) * view->score_f * view->score_f;
}

const tw_weighting tw_weighting_ncsn = {
    .kind = {"ncsn", "a power of sigma times the squared error of the score", fields,
             sizeof fields / sizeof *fields, sizeof(ncsn_config)},
    .weight = weight,
};
