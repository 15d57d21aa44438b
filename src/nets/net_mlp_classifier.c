/* The multilayer perceptron of net_mlp.c as a classifier of points with noise: its outputs are
 * logits.
 */
#include "nets/mlp.h"

extern const tw_net tw_net_mlp_classifier;
const tw_net tw_net_mlp_classifier = {
    .kind = {"mlp_classifier", "multilayer perceptron for points: logits of points with noise",
             mlp_fields, MLP_FIELDS, sizeof(mlp_config)},
    .check = mlp_check,
    .build = mlp_build,
    .logits = true,
};
