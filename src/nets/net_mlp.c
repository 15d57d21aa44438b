/* A multilayer perceptron for points: x [N, D] → D numbers.
 *
 * depth hidden layers of `width`; where it is conditioned on time, each adds a projection of
 * activation(Linear(sinusoidal embedding of t)), to which the row of the sample's class is added
 * where it is conditioned on classes. Weights and biases begin as U(±1/√fan_in). */
#include <stdio.h>

#include "nets/mlp.h"

const tw_config_field mlp_fields[MLP_FIELDS] = {
    {NULL, "width", TW_CONFIG_INT64, offsetof(mlp_config, width), "128", 1, 65536, .fixed = true,
     .help = "units of a hidden layer"},
    {NULL, "depth", TW_CONFIG_INT64, offsetof(mlp_config, depth), "3", 1, 64, .fixed = true,
     .help = "hidden layers"},
    {NULL, "activation", TW_CONFIG_CHOICE, offsetof(mlp_config, activation), "silu",
     .choices = "silu|relu|elu|softplus|tanh", .fixed = true,
     .help = "activation of the hidden layers"},
    {NULL, "time_dim", TW_CONFIG_INT64, offsetof(mlp_config, time_dim), "64", 0, 65536,
     .fixed = true, .help = "numbers of the time embedding; 0: not conditioned on time"},
};

tw_status mlp_check(const void *config, tw_shape sample)
{
    const mlp_config *c = config;
    if (sample.rank != 1)
        return tw_error_set(TW_ECONFIG, "network.kind: mlp wants points, and the data are images");
    if (c->time_dim % 2)
        return tw_error_set(TW_ECONFIG, "network.time_dim: must be even, is %lld",
                            (long long)c->time_dim);
    return TW_OK;
}

static tw_value *layer(tw_graph *g, const char *path, tw_value *x, int64_t out)
{
    const tw_init init = tw_init_fan_in(x ? tw_shape_channels(x->shape) : 1);
    return tw_layer_linear(g, path, x, out, init, init);
}

tw_value *mlp_build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const mlp_config *c = config;
    const tw_activation_kind kind = (tw_activation_kind)c->activation;
    char path[TW_NAME_MAX];
    tw_value *h = tw_cast(g, in->x, TW_ACT), *time = NULL;
    if (c->time_dim) {
        time = tw_cast(g, tw_embed_sinusoidal(g, in->t, c->time_dim, 10000), TW_ACT);
        time = tw_activation(g, layer(g, "time.linear", time, c->width), kind);
    }
    if (in->label) {
        tw_value *known = tw_cast(g, tw_layer_class(g, "class", in, c->width), TW_ACT);
        time = time ? tw_add(g, time, known) : known;
    }
    for (int64_t k = 0; k < c->depth; k++) {
        snprintf(path, sizeof path, "hidden.%lld.linear", (long long)k);
        h = layer(g, path, h, c->width);
        snprintf(path, sizeof path, "hidden.%lld.time", (long long)k);
        if (time) h = tw_add(g, h, layer(g, path, time, c->width));
        h = tw_activation(g, h, kind);
    }
    tw_net_features(g, in, h);
    return tw_cast(g, layer(g, "out", h, in->outputs), TW_F32);
}

const tw_net tw_net_mlp = {
    .kind = {"mlp", "multilayer perceptron for points, with or without time", mlp_fields,
             MLP_FIELDS, sizeof(mlp_config)},
    .check = mlp_check,
    .build = mlp_build,
};
