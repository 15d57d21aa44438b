/* How far a reconstruction is from its sample, which objectives of autoencoders share. */
#ifndef TW_OBJECTIVE_RECONSTRUCTION_H
#define TW_OBJECTIVE_RECONSTRUCTION_H

#include <stddef.h>

#include "tweedie/objective.h"

typedef struct tw_reconstruction_config {
    int distance; /* 0 l1, 1 l2 */
    double gradient;
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
    {                                                                                              \
        NULL, "gradient_weight", TW_CONFIG_DOUBLE, offsetof(type, member.gradient), "1", 0, 1e6,   \
            .fixed = true, .help = "of the distance between the differences of neighbours"         \
    }

/* d(x, y) + gradient d(∂x, ∂y) of each sample, f32 [n], with d the mean of |a − b| (l1) or of
 * (a − b)² (l2) over a sample's numbers, ∂ the differences of neighbours along each side. */
tw_value *tw_reconstruction(tw_graph *g, const tw_reconstruction_config *c, tw_value *x,
                            tw_value *y);

/* Σ over the numbers of each sample, [n] for [n, …]. */
tw_value *tw_sum_each(tw_graph *g, tw_value *x);

#endif
