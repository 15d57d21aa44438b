/* Binding a whole configuration. */
#include "run/run_config.h"

#include <stddef.h>
#include <string.h>

static const tw_config_field given_fields[] = {
    {NULL, "class", TW_CONFIG_STRING, offsetof(tw_run_config, sample_class), "all",
     .help = "models with classes, and classifier guidance: a class, all classes in turn, none (of "
             "a model with network.label_dropout), or a text file of one class for each sample, "
             "repeated"},
    {NULL, "condition", TW_CONFIG_PATH, offsetof(tw_run_config, sample_condition), "",
     .help = "conditional models: a dataset with the conditions, sample i is given row i modulo "
             "their number: its /condition, or where it has none its samples themselves; previews "
             "of training take those of the validation split"},
    {NULL, "decode", TW_CONFIG_PATH, offsetof(tw_run_config, sample_decode), "",
     .help = "models of latents: the run, checkpoint or weights of the autoencoder, which decodes "
             "samples and previews; empty: they stay latents"},
    {NULL, "condition_split", TW_CONFIG_STRING, offsetof(tw_run_config, sample_condition_split), "",
     .help = "the split of sample.condition; empty: all of it"},
};

tw_status tw_run_check_condition(const tw_train_config *c, const tw_dataset_spec *data)
{
    tw_status st = TW_OK;
    if (!c->condition) return TW_OK;
    TW_CHECK(data->condition, TW_ECONFIG,
             "data.condition: %s has no conditions; tweedie import --condition IN or "
             "--condition-coarse K gives a dataset some",
             c->data_path);
    TW_CHECK(!c->condition_channels || c->condition_channels == data->condition->channels,
             TW_ECONFIG, "data.condition_channels: %lld, and the conditions of %s have %lld",
             (long long)c->condition_channels, c->data_path, (long long)data->condition->channels);
done:
    return st;
}

static const char *usual_sampler(const tw_run_config *c, const char *usual)
{
    if (usual) return usual;
    return c->model && c->model->process->kind ? c->model->process->kind->sampler : "ancestral";
}

static tw_status bind_optimizer(tw_choice *out, tw_config *config)
{
    tw_status st = TW_OK;
    const tw_choice_rule rule = {
        "optimizer",        "kind",       "adam", "how parameters follow gradients",
        tw_optimizer_kinds, .fixed = true};
    TW_TRY(tw_choice_bind(out, config, &rule));
    const tw_optimizer *o = (const tw_optimizer *)out->kind;
    if (o && o->check && o->check(out->config) != TW_OK)
        TW_TRY(tw_config_error(config, "optimizer", "kind", "%s", tw_error_message()));
done:
    return st;
}

static tw_status bind_augment(tw_choice *out, tw_config *config)
{
    const tw_choice_rule rule = {.section = "data",
                                 .key = "augment",
                                 .default_name = "none",
                                 .help = "what is done to images of training beside flips",
                                 .kinds = tw_augment_kinds,
                                 .fixed = true};
    return tw_choice_bind(out, config, &rule);
}

/* There once the classifier has been found: tw_run_find_features. */
static tw_status bind_features(tw_run_config *c, tw_config *config)
{
    static const tw_model_sections sections = {"features_network", "features_process",
                                               "features_prediction"};
    tw_status st = TW_OK;
    tw_model_destroy(&c->features);
    if (tw_config_find(config, sections.network, "kind"))
        TW_TRY(tw_model_configure_in(&c->features, config, &sections));
    if (!c->model) return TW_OK;
    c->model->features = c->features;
    tw_objective_prepare(&c->objective, c->model);
done:
    return st;
}

tw_status tw_run_config_bind(tw_run_config *c, tw_config *config, int parts, const char *usual)
{
    tw_status st = TW_OK;
    TW_TRY(tw_run_modernise(config));
    if (parts & TW_RUN_TRAIN) {
        TW_TRY(tw_train_config_bind(&c->train, config));
        TW_TRY(bind_optimizer(&c->optimizer, config));
        TW_TRY(bind_augment(&c->augment, config));
    }
    if (parts & TW_RUN_COMPUTE) TW_TRY(tw_compute_config_bind(&c->compute, config));
    if (parts & TW_RUN_MODEL) {
        tw_model_destroy(&c->model);
        TW_TRY(tw_model_configure(&c->model, config));
    }
    if (parts & TW_RUN_OBJECTIVE) {
        TW_TRY(tw_objective_bind(&c->objective, config));
        TW_TRY(bind_features(c, config));
    }
    if (parts & TW_RUN_SAMPLE) TW_TRY(tw_sampler_bind(&c->sample, config, usual_sampler(c, usual)));
    if (parts & TW_RUN_SAMPLE)
        TW_TRY(tw_config_bind_in(config, "sample", given_fields,
                                 sizeof given_fields / sizeof *given_fields, c));
    if (parts & TW_RUN_SAMPLE) TW_TRY(tw_guidance_bind(&c->guidance, config, "guidance"));
    if (parts & TW_RUN_LIKELIHOOD) TW_TRY(tw_likelihood_bind(&c->likelihood, config));
done:
    return st;
}

void tw_run_config_free(tw_run_config *c)
{
    tw_model_destroy(&c->model);
    tw_model_destroy(&c->features);
    tw_choice_free(&c->optimizer);
    tw_choice_free(&c->augment);
    tw_objective_config_free(&c->objective);
    tw_sampler_config_free(&c->sample);
    tw_guidance_config_free(&c->guidance);
    tw_likelihood_config_free(&c->likelihood);
}
