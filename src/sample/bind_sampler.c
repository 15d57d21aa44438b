/* [sample]: its keys, and which siblings they choose. */
#include <stddef.h>
#include <string.h>

#include "sample/sampler.h"

#define FIELD(key, type, member) NULL, key, type, offsetof(tw_sampler_config, member)

/* batch: a sample takes as long in any, so what cache holds need not decide: 53.8, 51.8, 51.0 and
 * 52.7 ms of one core of Zen 4 in batches of 4, 8, 16 and 32 (CIFAR-10 network, f32). */
static const tw_config_field fields[] = {
    {FIELD("steps", TW_CONFIG_INT64, steps), "0", 0, 1e7,
     .help = "times of sampling; 0: all of a discrete process, else as the sampler says"},
    {FIELD("timesteps", TW_CONFIG_STRING, which), "",
     .help = "discrete: which steps, as \"250\", \"ddim50\" or \"10,10,30\"; wins over steps"},
    {FIELD("epsilon", TW_CONFIG_DOUBLE, epsilon), "0", 0, 1e6,
     .help = "continuous: the time at which sampling ends; 0: as the process says"},
    {FIELD("denoise", TW_CONFIG_BOOL, denoise), "yes",
     .help = "the last step goes to the data, without noise"},
    {FIELD("clip", TW_CONFIG_CHOICE, clip), "auto", .choices = "auto|yes|no",
     .help = "clip the estimate of x0; auto: where the training data were bytes"},
    {FIELD("clip_min", TW_CONFIG_DOUBLE, clip_min), "-1", -1e30, 1e30,
     .help = "lower bound of x0, in model units"},
    {FIELD("clip_max", TW_CONFIG_DOUBLE, clip_max), "1", -1e30, 1e30, .help = "upper bound of x0"},
    {FIELD("batch", TW_CONFIG_INT64, batch), "32", 1, 1048576,
     .help = "samples that a rank makes at once: a part of a sample set"},
    {FIELD("seed", TW_CONFIG_INT64, seed), "0", 0, 9e18, .help = "of the samples' random numbers"},
    {FIELD("known", TW_CONFIG_PATH, known), "",
     .help = "inpainting: a dataset whose samples are given in part, in turn; previews of training "
             "leave it out"},
    {FIELD("mask", TW_CONFIG_PATH, mask), "",
     .help = "inpainting: a dataset of one sample, or as many as known has: above 0 in model units "
             "(white) where known is given"},
};

static const tw_config_field kind_field = {FIELD("kind", TW_CONFIG_STRING, kind), "auto",
                                           .help = "the sampler"};

static tw_status add_nearest(tw_text *out, const char *name)
{
    const char *names[64];
    int64_t count = 0;
    for (int i = 0; i < tw_loop_kinds.count && count < 64; i++)
        names[count++] = tw_loop_kinds.table[i]->name;
    for (int i = 0; i < tw_predictor_kinds.count && count < 64; i++)
        names[count++] = tw_predictor_kinds.table[i]->name;
    return tw_text_add_nearest(out, name, names, count);
}

/* sample.kind names a loop, or a predictor, which then is the predictor of the loop pc. */
static tw_status bind_loop(tw_sampler_config *c, tw_config *config, const char *usual,
                           const tw_predictor **predictor)
{
    tw_status st = TW_OK;
    tw_text names = {0};
    TW_TRY(tw_config_bind_in(config, "sample", &kind_field, 1, c));
    const char *name = !c->kind || strcmp(c->kind, "auto") == 0 ? usual : c->kind;
    const tw_kind *loop = tw_kind_named(tw_loop_kinds, name),
                  *p = tw_kind_named(tw_predictor_kinds, name);
    *predictor = loop ? NULL : (const tw_predictor *)p;
    if (!loop && p) loop = tw_kind_named(tw_loop_kinds, "pc");
    if (!loop) {
        TW_TRY(tw_text_add(&names, "there is no sampler \"%s\"; there are ", name));
        TW_TRY(tw_kind_names(&names, tw_loop_kinds));
        TW_TRY(tw_text_add(&names, ", and the predictors "));
        TW_TRY(tw_kind_names(&names, tw_predictor_kinds));
        TW_TRY(add_nearest(&names, name));
        TW_TRY(tw_config_error(config, "sample", "kind", "%s", names.data));
        goto done;
    }
    TW_TRY(tw_choice_adopt(&c->loop, config, "sample", loop));
done:
    tw_text_free(&names);
    return st;
}

/* A part that the loop is made of; else its keys are known and not used. */
static tw_status bind_part(tw_choice *out, tw_config *config, bool asked, const char *key,
                           const char *usual, const char *help, tw_kinds kinds, const char *owner)
{
    tw_status st = TW_OK;
    const tw_choice_rule rule = {"sample", key, usual, help, kinds, .shared = true};
    const tw_config_field field = {NULL, key, TW_CONFIG_STRING, 0, "", .help = help};
    if (asked) return tw_choice_bind(out, config, &rule);
    TW_TRY(tw_config_know(config, "sample", &field, 1, owner, true));
    for (int i = 0; i < kinds.count; i++)
        TW_TRY(tw_config_know(config, "sample", kinds.table[i]->fields, kinds.table[i]->field_count,
                              owner, true));
done:
    return st;
}

/* Where sample.kind names the predictor, no other key does. */
static tw_status bind_predictor(tw_sampler_config *c, tw_config *config, const tw_predictor *named)
{
    tw_status st = TW_OK;
    const tw_loop *l = (const tw_loop *)c->loop.kind;
    const char *owner = "samplers with a predictor of their choice (sample.kind = pc)";
    TW_TRY(bind_part(&c->predictor, config, l->predictor && !named, "predictor", l->usual_predictor,
                     "one step of the reverse process", tw_predictor_kinds, owner));
    if (named) TW_TRY(tw_choice_adopt(&c->predictor, config, "sample", &named->kind));
done:
    return st;
}

static tw_status bind_corrector(tw_sampler_config *c, tw_config *config, const tw_loop *l,
                                bool named)
{
    tw_status st = TW_OK;
    const char *usual = named || !l->usual_corrector ? "none" : l->usual_corrector;
    const char *owner = "samplers with a corrector of their choice (sample.kind = pc)";
    const char *steps = l->usual_corrector_steps ? l->usual_corrector_steps : "1";
    const tw_config_field times = {FIELD("corrector_steps", TW_CONFIG_INT64, corrector_steps),
                                   steps, 1, 100000, .help = "corrector's steps at each time"};
    TW_TRY(bind_part(&c->corrector, config, l->corrector && !l->only_corrector, "corrector", usual,
                     "steps at one time", tw_corrector_kinds, owner));
    if (l->only_corrector)
        TW_TRY(tw_choice_adopt(&c->corrector, config, "sample",
                               tw_kind_named(tw_corrector_kinds, l->only_corrector)));
    const tw_corrector *k = (const tw_corrector *)c->corrector.kind;
    if (l->grid && k && k->correct)
        TW_TRY(tw_config_bind_in(config, "sample", &times, 1, c));
    else
        TW_TRY(tw_config_know(config, "sample", &times, 1, "samplers with a corrector", true));
done:
    return st;
}

static tw_status bind_parts(tw_sampler_config *c, tw_config *config, const tw_predictor *named)
{
    tw_status st = TW_OK;
    const tw_loop *l = (const tw_loop *)c->loop.kind;
    TW_TRY(bind_predictor(c, config, named));
    TW_TRY(bind_corrector(c, config, l, named != NULL));
    TW_TRY(bind_part(&c->solver, config, l->solver, "solver",
                     l->usual_solver ? l->usual_solver : "dopri5", "solver of the ODE",
                     tw_solver_kinds, "samplers with an ODE (sample.kind = ode)"));
    const tw_corrector *k = (const tw_corrector *)c->corrector.kind;
    const char *rule = l->usual_rule ? l->usual_rule : k && k->usual_rule ? k->usual_rule : "snr";
    TW_TRY(bind_part(&c->rule, config, l->rule || (k && k->rule), "step_rule", rule,
                     "step size of Langevin dynamics", tw_rule_kinds, "Langevin dynamics"));
    const tw_predictor *p = (const tw_predictor *)c->predictor.kind;
    TW_TRY(bind_part(&c->spacing, config, l->grid, "spacing",
                     p && p->spacing ? p->spacing : "uniform", "spacing of the times",
                     tw_spacing_kinds, "samplers with a grid of times"));
done:
    return st;
}

tw_status tw_sampler_bind(tw_sampler_config *c, tw_config *config, const char *usual)
{
    tw_status st = TW_OK;
    const tw_predictor *named = NULL;
    tw_sampler_config_free(c);
    TW_TRY(tw_config_bind_in(config, "sample", fields, sizeof fields / sizeof *fields, c));
    TW_TRY(bind_loop(c, config, usual, &named));
    if (c->loop.kind) TW_TRY(bind_parts(c, config, named));
done:
    return st;
}

void tw_sampler_config_free(tw_sampler_config *c)
{
    tw_choice_free(&c->loop);
    tw_choice_free(&c->spacing);
    tw_choice_free(&c->predictor);
    tw_choice_free(&c->corrector);
    tw_choice_free(&c->rule);
    tw_choice_free(&c->solver);
}
