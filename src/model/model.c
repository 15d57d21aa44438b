/* Binding a network to samples and to a forward process. */
#include "tweedie/model.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/memory.h"

typedef struct network_kind {
    const char *kind;
} network_kind;

static const tw_config_field kind_fields[] = {
    {"network", "kind", TW_CONFIG_STRING, offsetof(network_kind, kind), NULL, .fixed = true,
     .help = "mlp, unet"},
};

#define FIELD(key, type, member) "objective", key, type, offsetof(tw_objective_config, member)

static const tw_config_field objective_fields[] = {
    {FIELD("kind", TW_CONFIG_CHOICE, kind), "ddpm", .choices = "ddpm|onestep", .fixed = true,
     .help = "what is learned"},
    {FIELD("schedule", TW_CONFIG_STRING, schedule), "linear", .fixed = true,
     .help = "ddpm: how beta goes, linear or cosine"},
    {FIELD("timesteps", TW_CONFIG_INT64, timesteps), "1000", 2, 1000000, .fixed = true,
     .help = "ddpm: T"},
    {FIELD("beta_min", TW_CONFIG_DOUBLE, beta_min), "0.0001", TW_CONFIG_ABOVE_ZERO, 0.999,
     .fixed = true, .help = "ddpm: beta at T = 1000's begin"},
    {FIELD("beta_max", TW_CONFIG_DOUBLE, beta_max), "0.02", TW_CONFIG_ABOVE_ZERO, 0.999,
     .fixed = true, .help = "ddpm: and at its end"},
    {FIELD("scale", TW_CONFIG_DOUBLE, scale), "0.01", TW_CONFIG_ABOVE_ZERO, 1, .fixed = true,
     .help = "onestep: a of x_t = a x_0 + sigma z"},
    {FIELD("sigma", TW_CONFIG_DOUBLE, sigma), "1", TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true,
     .help = "onestep: sigma of the same"},
};

static tw_status configure_network(tw_model *m, tw_config *config)
{
    tw_status st = TW_OK;
    network_kind k = {0};
    TW_TRY(tw_config_bind(config, kind_fields, 1, &k));
    if (!k.kind) return TW_OK; /* missing: tw_config_finish says so */
    if (tw_net_find(&m->net, k.kind) != TW_OK) {
        const char *message = strstr(tw_error_message(), ": ");
        return tw_config_error(config, "network", "kind", "%s",
                               message ? message + 2 : tw_error_message());
    }
    TW_TRY(tw_alloc(&m->net_config, 1, m->net->config_size, "a network's configuration"));
    TW_TRY(tw_config_bind(config, m->net->fields, m->net->field_count, m->net_config));
done:
    return st;
}

tw_status tw_model_configure(tw_model **out, tw_config *config)
{
    tw_status st = TW_OK;
    tw_model *m = NULL;
    TW_TRY(tw_alloc(&m, 1, sizeof *m, "a model"));
    TW_TRY(configure_network(m, config));
    TW_TRY(tw_config_bind(config, objective_fields,
                          sizeof objective_fields / sizeof *objective_fields, &m->objective));
    *out = m;
    m = NULL;
done:
    tw_model_destroy(&m);
    return st;
}

void tw_model_destroy(tw_model **model)
{
    if (!*model) return;
    tw_params_destroy(&(*model)->params);
    tw_schedule_destroy(&(*model)->schedule);
    tw_free(&(*model)->net_config);
    tw_free(model);
}

tw_value *tw_model_build(tw_graph *g, const tw_model *m, int64_t n,
                         tw_reference_names *reference_names)
{
    tw_shape x = {.rank = m->sample.rank + 1, .dims = {n}};
    memcpy(x.dims + 1, m->sample.dims, (size_t)m->sample.rank * sizeof *x.dims);
    const tw_net_inputs in = {.x = tw_input(g, "x", TW_F32, x),
                              .t = tw_input(g, "t", TW_F32, TW_SHAPE(n)),
                              .sample = m->sample,
                              .reference_names = reference_names};
    return m->net->build(g, m->net_config, &in);
}

tw_status tw_model_create(tw_model *m, tw_shape sample, uint64_t seed)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    const tw_objective_config *o = &m->objective;
    TW_TRY(m->net->check(m->net_config, sample));
    m->sample = sample;
    m->dims = tw_shape_count(sample);
    if (o->kind == TW_OBJECTIVE_DDPM)
        st = tw_schedule_create(&m->schedule, o->schedule, o->timesteps, o->beta_min, o->beta_max);
    if (st == TW_ECONFIG) tw_error_prefix("[objective] ");
    TW_TRY(st);
    TW_TRY(tw_graph_create(&g));
    tw_model_build(g, m, 1, NULL);
    TW_TRY(tw_graph_status(g));
    TW_TRY(tw_params_create(&m->params, g));
    TW_TRY(tw_params_initialise(m->params, seed));
done:
    tw_graph_destroy(&g);
    return st;
}

tw_moment tw_model_moment(const tw_model *m, int64_t t)
{
    if (!m->schedule) return (tw_moment){m->objective.scale, m->objective.sigma, 0};
    return (tw_moment){m->schedule->sqrt_alphabar[t], m->schedule->sqrt_one_minus_alphabar[t],
                       (double)t};
}

int64_t tw_model_timesteps(const tw_model *m)
{
    return m->schedule ? m->schedule->steps : 1;
}

tw_status tw_model_reference_names(tw_reference_names *out, const tw_model *m)
{
    tw_status st = TW_OK;
    tw_graph *g = NULL;
    TW_TRY(tw_graph_create(&g));
    tw_model_build(g, m, 1, out);
    TW_TRY(tw_graph_status(g));
done:
    tw_graph_destroy(&g);
    return st;
}
