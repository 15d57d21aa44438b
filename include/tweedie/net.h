/* Networks. Each is one file src/nets/net_NAME.c that defines `const tw_net tw_net_NAME` and is
 * found by the build: its configuration keys, the check of what it can be built for, and a builder
 * that reads like the paper. Nothing here is collective. */
#ifndef TWEEDIE_NET_H
#define TWEEDIE_NET_H

#include "tweedie/graph.h"
#include "tweedie/kind.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a classifier makes of its samples on its way, from first to last: [N, spatial…, C], one of
 * each resolution or more. */
enum { TW_NET_MAPS_MAX = 16 };
typedef struct tw_net_maps {
    int count;
    tw_value *map[TW_NET_MAPS_MAX];
} tw_net_maps;

/* What a network is given: samples of one shape, and what is known of each. A network takes what it
 * is conditioned on; inputs that nothing reads cost nothing. */
typedef struct tw_net_inputs {
    tw_value *x; /* f32 [N, spatial…, C] or [N, D], as the prediction scales it; of a conditional
                    model with the condition's channels behind: as many as its shape says */
    tw_value *t; /* f32 [N]: the time as published (tw_process_condition, or the prediction's) */
    tw_value *log_sigma; /* f32 [N]: ln σ(t), for Fourier embeddings of the noise level */
    tw_value *index;     /* i32 [N]: index of the noise level of a discrete process, for tables */
    int64_t levels;      /* of a discrete process, of which index is one; 0: continuous */
    tw_value *label;     /* i32 [N]: the class of each sample, below `classes`; NULL: no classes */
    int64_t classes;     /* rows of a table by class */
    bool unlabelled;     /* the last row of them means "of no class" */
    tw_value *augment;   /* f32 [N, tw_net.augment_labels]: how each sample was augmented, zeros
                            where it was not; NULL where that is 0 */
    tw_shape sample;     /* the shape of x without N, and without the condition's channels */
    int64_t outputs;     /* channels of the output (points: its numbers) */
    bool code_state;     /* an autoencoder's codes are state (tw_state_param), not trained */
    tw_value **features; /* set by classifiers to what their last layer reads, f32 [N, width];
                            NULL: not asked for */
    tw_net_maps *maps;   /* classifiers of images add theirs (tw_net_map); NULL: not asked for */
    struct tw_reference_names
        *reference_names; /* collects published parameter names where not NULL */
} tw_net_inputs;

/* The halves of an autoencoder. A latent is what the decoder takes, f32 [N, spatial…, C2]. */
typedef struct tw_net_halves {
    tw_shape (*latent)(const void *config, tw_shape sample); /* its shape, without N */
    int64_t (*codes)(const void *config); /* vectors that latents are made of; 0: any */
    /* The distribution of the latents of in->x, as mean ‖ ln variance along the channels, f32 [N,
     * spatial…, 2 C2]; where there are codes, the vectors before they are replaced, [.., C2]. */
    tw_value *(*encode)(tw_graph *g, const void *config, const tw_net_inputs *in);
    /* The nearest code of each vector of z, through which no gradient comes to z, and which codes
     * they are, i32 [vectors]; where there are codes. */
    tw_value *(*quantise)(tw_graph *g, const void *config, const tw_net_inputs *in, tw_value *z,
                          tw_value **index);
    /* The samples of latents z, which are codes already where there are some: the shape of in->x,
     * which it does not read. */
    tw_value *(*decode)(tw_graph *g, const void *config, const tw_net_inputs *in, tw_value *z);
    const char *last; /* the weights of the decoder's last layer, whose gradients adversarial terms
                         are scaled by */
} tw_net_halves;

typedef struct tw_net {
    tw_kind kind; /* its keys belong to the section that it is chosen in: [network], … */

    /* Can this configuration be built for samples of this shape? @return TW_ECONFIG naming the key
     */
    tw_status (*check)(const void *config, tw_shape sample);

    /* What each side of a sample must be a multiple of: 2^k where sides are halved k times. NULL:
     * 1. After an error of the configuration any number may be returned. */
    int64_t (*multiple)(const void *config);

    /* Builds the network: f32, the shape of x with in->outputs channels, or logits. Errors stay
     * with the graph. */
    tw_value *(*build)(tw_graph *g, const void *config, const tw_net_inputs *in);

    /* Numbers that say how a sample was augmented (tweedie/augment.h), of which it takes this many.
     * NULL: 0. */
    int64_t (*augment_labels)(const void *config);

    bool logits; /* a classifier: the output is f32 [N, in->outputs] */
    bool judges; /* a discriminator: the output is f32 [N, spatial…, 1], how real each patch is;
                    no [network], but what an adversarial term chooses */
    bool any_extent; /* its parameters are the same for images of any height and width, and of one
                        channel as of several: it brings them to its own shape */

    /* An autoencoder, which `build` builds as a whole: the decoder of the latents' means. NULL: it
     * is none. */
    const tw_net_halves *halves;
} tw_net;

extern const tw_kinds tw_net_kinds;

/* What becomes of samples whose sides are no multiples of the network's (tw_net.multiple): they are
 * refused, or padded on both sides and the output cropped. */
typedef enum tw_net_padding { TW_NET_PAD_NO, TW_NET_PAD_ZERO, TW_NET_PAD_REFLECT } tw_net_padding;

/* The shape that the network sees. */
tw_shape tw_net_padded(const tw_net *net, const void *config, tw_net_padding pad, tw_shape sample);

/* net->check and net->build between padding and cropping; in->sample is the samples' own shape.
 * Logits are not cropped. */
tw_status tw_net_check(const tw_net *net, const void *config, tw_net_padding pad, tw_shape sample);
tw_value *tw_net_build(const tw_net *net, const void *config, tw_net_padding pad, tw_graph *g,
                       const tw_net_inputs *in);

/* For a classifier's builder: x is what its last layer reads. */
void tw_net_features(tw_graph *g, const tw_net_inputs *in, tw_value *x);

/* The same: h is one of its feature maps. Those beyond TW_NET_MAPS_MAX are left out. */
void tw_net_map(const tw_net_inputs *in, tw_value *h);

/* A parameter as the published implementation knows it: a slice of one of ours, perhaps transposed
 * or with its rows in another order. */
typedef struct tw_published {
    char name[TW_NAME_MAX];  /* the published state's key */
    char param[TW_NAME_MAX]; /* our name */
    tw_shape shape;          /* published */
    int64_t first;           /* first row (output channel) of ours */
    bool transposed;         /* published as [in, out] */
    /* Rows that lie as [rows / (parts · block)][parts][block] there and as [parts][…][block] here:
     * q, k and v of a channel (block 1) or of a head (its channels) one after the other. 0: as
     * here. */
    int64_t parts, block;
    bool buffer; /* a buffer there, which is none of the parameters */
} tw_published;

/* Which element of our parameter, in plain layout, is element i of the published array. */
int64_t tw_published_index(const tw_published *e, int64_t i);

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
/* The same with all that an entry can say. */
void tw_publish_entry(tw_reference_names *p, tw_graph *g, const tw_published *entry);
void tw_reference_names_free(tw_reference_names *p);

/* ---- layers that networks share ---- */

/* A linear layer [.., in] -> [.., out] with parameters PATH.weight [out, in] and PATH.bias. */
tw_value *tw_layer_linear(tw_graph *g, const char *path, tw_value *x, int64_t out, tw_init weight,
                          tw_init bias);

/* The shape of a convolution's weights, [out, in, extent…] for as many dimensions as x has (not
 * NULL): signals, images, volumes. */
tw_shape tw_layer_kernel(const tw_value *x, int64_t out, int64_t extent);

/* A convolution with parameters PATH.weight [out, in, k…] and PATH.bias; padding keeps the extent
 * at stride 1. */
tw_value *tw_layer_conv(tw_graph *g, const char *path, tw_value *x, int64_t out, int64_t kernel,
                        tw_init weight);

/* What is known of a sample's class, f32 [N, width]: rows of the table PATH.weight [classes,
 * width], from N(0, 1). `in->label` must not be NULL. */
tw_value *tw_layer_class(tw_graph *g, const char *path, const tw_net_inputs *in, int64_t width);

/* Group normalisation with parameters PATH.weight (ones) and PATH.bias (zeros). */
tw_value *tw_layer_group_norm(tw_graph *g, const char *path, tw_value *x, int64_t groups,
                              double eps);

#ifdef __cplusplus
}
#endif

#endif
