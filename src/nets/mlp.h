/* What the multilayer perceptrons share: their keys, and the network. */
#ifndef NETS_MLP_H
#define NETS_MLP_H

#include "tweedie/net.h"

typedef struct mlp_config {
    int64_t width, depth, time_dim;
    int activation;
} mlp_config;

enum { MLP_FIELDS = 4 };
extern const tw_config_field mlp_fields[MLP_FIELDS];

tw_status mlp_check(const void *config, tw_shape sample);
tw_value *mlp_build(tw_graph *g, const void *config, const tw_net_inputs *in);

#endif
