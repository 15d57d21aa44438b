/* The step of the published annealed-Langevin corrector (Song et al. 2021; score_sde), in
 * proportion to the noise's variance:
 *
 *   ε = 2 a (snr σ_t)²,   a of step_scale.h.
 *
 * NCSN is snr = 0.316 (ε of its ladder / σ_L² = 0.2); NCSNv2's configurations are 0.176, 0.128 and
 * 0.095. */
#include <stddef.h>

#include "sample/step_scale.h"

typedef struct sigma_config {
    double snr;
} sigma_config;

static const tw_config_field fields[] = {
    {NULL, "snr", TW_CONFIG_DOUBLE, offsetof(sigma_config, snr), "0.16", TW_CONFIG_ABOVE_ZERO, 100,
     .help = "signal-to-noise ratio of a Langevin step"},
};

static void size(const void *config, const tw_batch *b, const tw_point *at, const float *z,
                 double *step)
{
    const double r = ((const sigma_config *)config)->snr * at->sigma,
                 all = 2 * step_scale(b->process, at) * r * r;
    (void)z;
    for (int64_t i = 0; i < b->n; i++) step[i] = all;
}

const tw_rule tw_rule_sigma = {
    .kind = {"sigma", "in proportion to the noise's variance", fields,
             sizeof fields / sizeof *fields, sizeof(sigma_config)},
    .size = size,
};
