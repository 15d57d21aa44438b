/* Classifier guidance (Song et al. 2021, equation 14; Dhariwal and Nichol 2021):
 *
 *   s = s(x_t) + w ∇x log p(y | x_t),   w = guidance.scale,
 *
 * the gradient of a second network that tells the classes of samples with noise; its logits may be
 * divided by a temperature. s(x_t) may be that of the class itself, s(x_t | y). Where an ancestral
 * step moves by its variance times s this is μ + w Σ ∇x log p(y | x_t), with the gradient at x_t,
 * as published. */
#include <stddef.h>

#include "guide/factor.h"

extern const tw_guidance tw_guidance_classifier;

typedef struct classifier_config {
    double scale, temperature;
    guide_interval interval;
} classifier_config;

static const tw_config_field fields[] = {
    {NULL, "scale", TW_CONFIG_DOUBLE, offsetof(classifier_config, scale), "1", -1e6, 1e6,
     .help = "factor of the gradient of log p(y | x)"},
    {NULL, "temperature", TW_CONFIG_DOUBLE, offsetof(classifier_config, temperature), "1",
     TW_CONFIG_ABOVE_ZERO, 1e6, .help = "the classifier's logits are divided by it"},
    GUIDE_INTERVAL_FIELDS(classifier_config, interval),
};

static tw_status check(const void *config, const tw_guidance_use *use)
{
    tw_status st = TW_OK;
    const classifier_config *c = config;
    TW_TRY(guide_interval_check(&c->interval));
    TW_TRY(tw_guidance_check_factor(use, true));
    TW_CHECK(!tw_labels_none(&use->labels), TW_ECONFIG,
             "guidance.kind: classifier needs a class to guide to; sample.class = none names none");
done:
    return st;
}

static tw_status eval(const void *config, tw_guided *g, const tw_guided_points *p, float *score,
                      float *variance, double *energy)
{
    const classifier_config *c = config;
    return guide_by_factor(g, &c->interval, c->scale, c->temperature, p, score, variance, energy);
}

const tw_guidance tw_guidance_classifier = {
    .kind = {"classifier", "towards a sample's class, by the gradient of a classifier", fields,
             sizeof fields / sizeof *fields, sizeof(classifier_config)},
    .network = true,
    .energy = true,
    .check = check,
    .scratch = GUIDE_FACTOR_SCRATCH,
    .eval = eval,
};
