/* Networks. Each is one file src/nets/net_NAME.c that defines `const tw_net tw_net_NAME` and is
 * found by the build: its configuration keys, the check of what it can be built for, and a builder
 * that reads like the paper. Nothing here is collective. */
#ifndef TWEEDIE_NET_H
#define TWEEDIE_NET_H

#include "tweedie/config.h"
#include "tweedie/graph.h"

/* What a network maps: samples of one shape, with a time each. */
typedef struct tw_net_inputs {
    tw_value *x;     /* f32 [N, spatial…, C] or [N, D], model units */
    tw_value *t;     /* f32 [N], as the embedding receives it */
    tw_shape sample; /* the shape of x without N */
    struct tw_reference_names
        *reference_names; /* collects published parameter names where not NULL */
} tw_net_inputs;

typedef struct tw_net {
    const char *name; /* of network.kind */
    const char *summary;
    const tw_config_field *fields; /* keys of [network] beside kind */
    int field_count;
    size_t config_size; /* of the struct that the fields fill */

    /* Can this configuration be built for samples of this shape? @return TW_ECONFIG naming the key
     */
    tw_status (*check)(const void *config, tw_shape sample);

    /* Builds the network: f32, the shape of x. Errors stay with the graph. */
    tw_value *(*build)(tw_graph *g, const void *config, const tw_net_inputs *in);
} tw_net;

extern const tw_net *const tw_net_table[];
extern const int tw_net_count;

/* The network of that name. @return TW_ECONFIG with the known names */
tw_status tw_net_find(const tw_net **out, const char *name);

/* A parameter as the published implementation knows it: a slice of one of ours, perhaps transposed.
 */
typedef struct tw_published {
    char name[TW_NAME_MAX];  /* the published state's key */
    char param[TW_NAME_MAX]; /* our name */
    tw_shape shape;          /* published */
    int64_t first;           /* first row (output channel) of ours */
    bool transposed;         /* published as [in, out] */
} tw_published;

/* The list of a network's published parameters, in the published order. Zero-initialise; release
 * with tw_reference_names_free. */
typedef struct tw_reference_names {
    tw_published *items;
    int count, capacity;
    int module; /* next number in a flat list of modules */
} tw_reference_names;

/* Adds an entry; does nothing where p is NULL. Failure of memory fails the graph. */
void tw_publish(tw_reference_names *p, tw_graph *g, const char *name, const char *param,
                tw_shape shape, int64_t first, bool transposed);
void tw_reference_names_free(tw_reference_names *p);

/* ---- layers that networks share ---- */

/* A linear layer [.., in] -> [.., out] with parameters PATH.weight [out, in] and PATH.bias. */
tw_value *tw_layer_linear(tw_graph *g, const char *path, tw_value *x, int64_t out, tw_init weight,
                          tw_init bias);

/* A convolution with parameters PATH.weight [out, in, k, k] and PATH.bias; padding keeps the extent
 * at stride 1. */
tw_value *tw_layer_conv(tw_graph *g, const char *path, tw_value *x, int64_t out, int64_t kernel,
                        tw_init weight);

/* Group normalisation with parameters PATH.weight (ones) and PATH.bias (zeros). */
tw_value *tw_layer_group_norm(tw_graph *g, const char *path, tw_value *x, int64_t groups,
                              double eps);

#endif
