/* [objective]: its keys, and whether what they choose goes together. */
#include <stddef.h>
#include <string.h>

#include "tweedie/objective.h"

static const tw_config_field fields[] = {
    {NULL, "reduce", TW_CONFIG_CHOICE, offsetof(tw_objective_config, reduce), "mean",
     .choices = "mean|half_sum|sum", .fixed = true,
     .help = "over the dimensions of a sample: score_sde's VE and NCSN take half the sum"},
    {NULL, "stratified", TW_CONFIG_BOOL, offsetof(tw_objective_config, stratified), "no",
     .fixed = true,
     .help = "spread the times of a global batch evenly: the same mean, less variance"},
};

/* What the kind itself has bound. */
static void release_kind(const tw_choice *c)
{
    const tw_objective_kind *k = (const tw_objective_kind *)c->kind;
    if (k && k->release && c->config) k->release(c->config);
}

tw_status tw_objective_bind(tw_objective_config *out, tw_config *config)
{
    tw_status st = TW_OK;
    const tw_choice_rule kind = {"objective",        "kind",       "denoising", "what is minimised",
                                 tw_objective_kinds, .fixed = true},
                         weighting = {"objective",        "weighting",
                                      "simple",           "weight of a squared error by time",
                                      tw_weighting_kinds, .fixed = true},
                         times = {"objective",    "times",      "uniform", "distribution of times",
                                  tw_times_kinds, .fixed = true};
    release_kind(&out->kind); /* that of a binding before */
    TW_TRY(tw_choice_bind(&out->kind, config, &kind));
    const tw_objective_kind *k = (const tw_objective_kind *)out->kind.kind;
    if (k && k->bind) TW_TRY(k->bind(out->kind.config, config));
    TW_TRY(tw_choice_bind(&out->weighting, config, &weighting));
    TW_TRY(tw_choice_bind(&out->times, config, &times));
    TW_TRY(tw_config_bind_in(config, "objective", fields, sizeof fields / sizeof *fields, out));
done:
    return st;
}

void tw_objective_config_free(tw_objective_config *config)
{
    release_kind(&config->kind);
    tw_choice_free(&config->kind);
    tw_choice_free(&config->weighting);
    tw_choice_free(&config->times);
}

void tw_objective_prepare(const tw_objective_config *c, tw_model *m)
{
    const tw_objective_kind *k = (const tw_objective_kind *)c->kind.kind;
    if (k && k->prepare && c->kind.config) k->prepare(c->kind.config, m);
}

const tw_objective_features *tw_objective_features_of(const tw_objective_config *c)
{
    const tw_objective_kind *k = (const tw_objective_kind *)c->kind.kind;
    const tw_objective_features *f = k && k->features ? k->features(c->kind.config) : NULL;
    return f && f->weight > 0 ? f : NULL;
}

tw_status tw_objective_check(const tw_objective_config *c, const tw_model *m)
{
    tw_status st = TW_OK;
    const tw_objective_kind *k = (const tw_objective_kind *)c->kind.kind;
    const tw_weighting *w = (const tw_weighting *)c->weighting.kind;
    const tw_times *times = (const tw_times *)c->times.kind;
    TW_CHECK(k->classifies || !m->net->logits, TW_ECONFIG,
             "objective.kind: %s learns a score, and network.kind = %s is a classifier; "
             "objective.kind = classify trains it",
             k->kind.name, m->net->kind.name);
    TW_CHECK(!k->classifies || m->net->logits, TW_ECONFIG,
             "objective.kind: %s trains a classifier, and network.kind = %s is none; take "
             "wideresnet, adm_classifier, or of points mlp_classifier",
             k->kind.name, m->net->kind.name);
    TW_CHECK(k->reconstructs || !tw_model_is_autoencoder(m), TW_ECONFIG,
             "objective.kind: %s learns a score, and network.kind = %s is an autoencoder; "
             "objective.kind = autoencoder trains it",
             k->kind.name, m->net->kind.name);
    TW_CHECK(!k->reconstructs || tw_model_is_autoencoder(m), TW_ECONFIG,
             "objective.kind: %s trains an autoencoder, and network.kind = %s is none; take "
             "network.kind = autoencoder",
             k->kind.name, m->net->kind.name);
    if (k->check) TW_TRY(k->check(c->kind.config, m));
    TW_CHECK(k->weighted || k->of_score || strcmp(w->kind.name, "simple") == 0, TW_ECONFIG,
             "objective.weighting: objective.kind = %s has its own weights; leave %s out, or take "
             "objective.kind = denoising",
             k->kind.name, w->kind.name);
    TW_CHECK(k->weighted || c->reduce == TW_REDUCE_MEAN, TW_ECONFIG,
             "objective.reduce: objective.kind = %s is a sum of its own; leave it out, or take "
             "objective.kind = denoising",
             k->kind.name);
    TW_CHECK(k->learns_variance || m->variance == TW_VARIANCE_FIXED, TW_ECONFIG,
             "prediction.variance: objective.kind = %s does not train a learned variance; take "
             "objective.kind = hybrid or variational",
             k->kind.name);
    if (w->check) TW_TRY(w->check(c->weighting.config, m));
    if (times->check) TW_TRY(times->check(c->times.config, m->process));
done:
    return st;
}
