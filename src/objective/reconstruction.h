/* How far a reconstruction is from its sample, which objectives of autoencoders share. */
#ifndef TW_OBJECTIVE_RECONSTRUCTION_H
#define TW_OBJECTIVE_RECONSTRUCTION_H

#include <stddef.h>

#include "tweedie/objective.h"

typedef struct tw_reconstruction_config {
    int distance; /* 0 l1, 1 l2 */
    double gradient;
    tw_objective_features features;
} tw_reconstruction_config;

/* Entries of an objective's table, whose struct `type` has a member of that name. */
#define TW_RECONSTRUCTION_FIELDS(type, member)                                                     \
    {                                                                                              \
        NULL,                                                                                      \
        "distance",                                                                                \
        TW_CONFIG_CHOICE,                                                                          \
        offsetof(type, member.distance),                                                           \
        "l1",                                                                                      \
        .choices = "l1|l2",                                                                        \
        .fixed = true,                                                                             \
        .help = "between a sample and its reconstruction"},                                        \
        {NULL,                                                                                     \
         "gradient_weight",                                                                        \
         TW_CONFIG_DOUBLE,                                                                         \
         offsetof(type, member.gradient),                                                          \
         "1",                                                                                      \
         0,                                                                                        \
         1e6,                                                                                      \
         .fixed = true,                                                                            \
         .help = "of the distance between the differences of neighbours"},                         \
        {NULL,                                                                                     \
         "feature_weight",                                                                         \
         TW_CONFIG_DOUBLE,                                                                         \
         offsetof(type, member.features.weight),                                                   \
         "0",                                                                                      \
         0,                                                                                        \
         1e6,                                                                                      \
         .fixed = true,                                                                            \
         .help = "of the distance between the feature maps of a classifier; 0: none"},             \
        {NULL,                                                                                     \
         "features",                                                                               \
         TW_CONFIG_PATH,                                                                           \
         offsetof(type, member.features.path),                                                     \
         "",                                                                                       \
         .help = "the run, checkpoint or weights of the classifier: tweedie train, "               \
                 "objective.kind = classify"},                                                     \
    {                                                                                              \
        NULL, "features_digest", TW_CONFIG_STRING, offsetof(type, member.features.digest), "",     \
            .fixed = true, .help = "of its weights; filled in when a run begins"                   \
    }

/* Whether the term of features, where there is one, goes with the model. */
tw_status tw_reconstruction_check(const tw_reconstruction_config *c, const tw_model *m);

/* d(x, y) + gradient d(∂x, ∂y) + feature f(x, y) of each sample, f32 [n], with d the mean of
 * |a − b| (l1) or of (a − b)² (l2) over a sample's numbers, ∂ the differences of neighbours along
 * each side, and f the distance of the feature maps of m->features, whose parameters are frozen
 * ones of the objective's own, named TW_NAME_OBJECTIVE "features.…". */
tw_value *tw_reconstruction(tw_graph *g, const tw_reconstruction_config *c, const tw_model *m,
                            tw_value *x, tw_value *y);

/* How far feature maps of two batches are apart, f32 [n], as LPIPS compares them (Zhang et al.
 * 2018) but without learned weights: the channels of each position at unit length, the squared
 * distance, the mean over positions, the sum over maps. Each map contributes 0 … 4, whatever its
 * size. NULL where there are no maps. */
tw_value *tw_feature_distance(tw_graph *g, const tw_net_maps *a, const tw_net_maps *b);

/* Σ over the numbers of each sample, [n] for [n, …]. */
tw_value *tw_sum_each(tw_graph *g, tw_value *x);

#endif
