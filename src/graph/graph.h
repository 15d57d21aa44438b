/* The inside of a graph, for the plan and its passes. */
#ifndef TW_GRAPH_GRAPH_H
#define TW_GRAPH_GRAPH_H

#include "ops/op.h"

/* Inputs, parameters and constants: what stands at the graph's edge. */
typedef struct tw_leaf {
    tw_value value;
    char name[TW_NAME_MAX];
    tw_init init;
    tw_value *gradient; /* of a parameter, where one was asked for; of state its statistic then */
    tw_value *statistic;
    struct tw_leaf *next;
} tw_leaf;

typedef struct tw_named_output {
    char name[TW_NAME_MAX];
    tw_value *value;
} tw_named_output;

enum { TW_GRAPH_OUTPUTS_MAX = 16, TW_GRAPH_SCOPES_MAX = 4 };

struct tw_graph {
    tw_node *first, *last; /* in order of creation */
    int node_count;
    tw_leaf *leaves, *last_leaf;
    int value_count;
    int dropout_count;
    tw_padding padding; /* tw_graph_set_padding */
    bool padded;
    tw_named_output outputs[TW_GRAPH_OUTPUTS_MAX];
    int output_count;
    tw_graph_scope scopes[TW_GRAPH_SCOPES_MAX]; /* prefixes are borrowed until the pop */
    int scope_count;
    tw_value *further_loss; /* sum of what tw_graph_add_loss was given; NULL: nothing */
    tw_status status;
    char message[1024];
};

/* The leaf that holds a value whose role is not TW_ROLE_NODE. */
static inline tw_leaf *tw_leaf_of(tw_value *v)
{
    return (tw_leaf *)(void *)((char *)v - offsetof(tw_leaf, value));
}

#endif
