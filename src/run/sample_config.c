/* The keys of [sample]. */
#include "run/sample_config.h"

#include <stddef.h>
#include <string.h>

#include "tweedie/memory.h"
#include "tweedie/text.h"

#define FIELD(key, type, member) "sample", key, type, offsetof(tw_sample_config, member)

static const tw_config_field fields[] = {
    {FIELD("kind", TW_CONFIG_STRING, kind), "auto",
     .help = "ancestral, ddim, onestep; auto: as the objective asks"},
    {FIELD("steps", TW_CONFIG_INT64, steps), "0", 0, 1e6,
     .help = "time steps, evenly spaced; 0: all of the schedule"},
    {FIELD("spacing", TW_CONFIG_STRING, spacing), "",
     .help = "which time steps, as \"250\", \"ddim50\" or \"10,10,30\"; wins over steps"},
    {FIELD("variance", TW_CONFIG_STRING, variance), "fixedlarge",
     .help = "ancestral: fixedlarge or fixedsmall"},
    {FIELD("clip", TW_CONFIG_CHOICE, clip), "auto", .choices = "auto|yes|no",
     .help = "clip the estimate of x0; auto: where the training data were bytes"},
    {FIELD("clip_min", TW_CONFIG_DOUBLE, clip_min), "-1", -1e30, 1e30,
     .help = "to this, in model units"},
    {FIELD("clip_max", TW_CONFIG_DOUBLE, clip_max), "1", -1e30, 1e30, .help = "and this"},
    {FIELD("eta", TW_CONFIG_DOUBLE, eta), "0", 0, 1,
     .help = "ddim: 0 is deterministic, 1 has the ancestral variance"},
    {FIELD("batch", TW_CONFIG_INT64, batch), "32", 1, 1048576,
     .help = "samples that a rank draws at once: a part of a sample set"},
    {FIELD("seed", TW_CONFIG_INT64, seed), "0", 0, 9e18, .help = "of the samples' random numbers"},
};

tw_status tw_sample_config_bind(tw_sample_config *out, tw_config *config)
{
    return tw_config_bind(config, fields, sizeof fields / sizeof *fields, out);
}

void tw_sample_config_settings(tw_sampler_settings *out, const tw_sample_config *c,
                               const tw_model *m, const tw_dataset_spec *spec)
{
    const bool onestep = m->objective.kind == TW_OBJECTIVE_ONESTEP,
               automatic = strcmp(c->kind, "auto") == 0;
    *out = (tw_sampler_settings){
        .kind = !automatic ? c->kind
                : onestep  ? "onestep"
                           : "ancestral",
        .variance = c->variance,
        .steps = c->steps,
        .spacing = c->spacing,
        .clip = c->clip == TW_SAMPLE_CLIP_YES ||
                (c->clip == TW_SAMPLE_CLIP_AUTO && spec->kind == TW_DATASET_UINT8),
        .clip_min = c->clip_min,
        .clip_max = c->clip_max,
        .eta = c->eta,
        .onestep_scale = m->objective.scale,
        .onestep_sigma = m->objective.sigma,
        .seed = (uint64_t)c->seed,
    };
}

tw_status tw_sample_config_describe(char *out, size_t size, const tw_sampler_settings *s,
                                    int64_t steps, int64_t batch, tw_precision precision)
{
    char low[TW_TEXT_DOUBLE_MAX], high[TW_TEXT_DOUBLE_MAX], eta[TW_TEXT_DOUBLE_MAX];
    tw_text_from_double(low, s->clip_min);
    tw_text_from_double(high, s->clip_max);
    tw_text_from_double(eta, s->eta);
    return tw_format(out, size,
                     "kind=%s steps=%lld spacing=%s variance=%s clip=%s%s%s eta=%s seed=%llu "
                     "batch=%lld precision=%s",
                     s->kind, (long long)steps, s->spacing && *s->spacing ? s->spacing : "even",
                     s->variance, s->clip ? low : "no", s->clip ? ":" : "", s->clip ? high : "",
                     eta, (unsigned long long)s->seed, (long long)batch,
                     tw_precision_name(precision));
}
