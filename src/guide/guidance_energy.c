/* Guidance by an energy: s = s(x_t) − w ∇x E(x_t, t), w = guidance.scale, of any network whose
 * prediction is an energy: samples of p(x) e^(−w E(x)), at each noise level. */
#include <stddef.h>

#include "guide/factor.h"

extern const tw_guidance tw_guidance_energy;

typedef struct energy_config {
    double scale;
    guide_interval interval;
} energy_config;

static const tw_config_field fields[] = {
    {NULL, "scale", TW_CONFIG_DOUBLE, offsetof(energy_config, scale), "1", -1e6, 1e6,
     .help = "factor of the energy"},
    GUIDE_INTERVAL_FIELDS(energy_config, interval),
};

static tw_status check(const void *config, const tw_guidance_use *use)
{
    tw_status st = TW_OK;
    const energy_config *c = config;
    TW_TRY(guide_interval_check(&c->interval));
    TW_TRY(tw_guidance_check_factor(use, false));
    TW_CHECK(!use->factor->classes || !tw_labels_none(&use->labels), TW_ECONFIG,
             "guidance.kind: the energy is one by class; sample.class = none names none");
done:
    return st;
}

static tw_status eval(const void *config, tw_guided *g, const tw_guided_points *p, float *score,
                      float *variance, double *energy)
{
    const energy_config *c = config;
    return guide_by_factor(g, &c->interval, c->scale, 1, p, score, variance, energy);
}

const tw_guidance tw_guidance_energy = {
    .kind = {"energy", "by the gradient of an energy model", fields, sizeof fields / sizeof *fields,
             sizeof(energy_config)},
    .network = true,
    .energy = true,
    .check = check,
    .scratch = GUIDE_FACTOR_SCRATCH,
    .eval = eval,
};
