/* The blocks of U-Nets that begin as PyTorch's layers do (improved-diffusion, guided-diffusion,
 * diffusers), for signals, images and volumes alike.
 *
 * Residual block: h = conv1(R(silu(GN1(x)))) with R nothing, nearest upsampling or the mean over
 * windows of two; e = linear(emb). Plain: h = GN2(h + e); scale-shift: h = GN2(h) (1 + scale) +
 * shift, [scale ‖ shift] = e. Then conv2(dropout(silu(h))) + R(x), R(x) through a 1x1 convolution
 * where channels differ, all divided by `rescale`. Attention: softmax(q·k / √width) v of GN(x) in
 * each head, a last 1x1 convolution, + x, divided by `rescale`. */
#ifndef TW_NETS_UNET_BLOCKS_H
#define TW_NETS_UNET_BLOCKS_H

#include "tweedie/net.h"

/* What a published implementation calls the parts of its blocks. */
typedef struct tw_unet_names {
    const char *norm1, *conv1, *emb, *norm2, *conv2, *shortcut; /* of a residual block */
    const char *norm, *q, *k, *v, *proj; /* of an attention; k NULL: q names all three in one */
    bool conv1d; /* an attention's weights are [out, in, 1], else [out, in] */
} tw_unet_names;

/* What the layers of one network share. */
typedef struct tw_unet {
    tw_graph *g;
    tw_reference_names *reference_names;
    const tw_unet_names *names;
    tw_value *emb; /* silu(embedding of time and class) [N, E] */
    int64_t groups;
    double eps, dropout, rescale;
    bool scale_shift;
    bool zero;     /* the last layers of blocks begin at zero */
    bool timeless; /* blocks without e: h = GN2(h) */
    tw_qkv_order order;
} tw_unet;

typedef enum tw_unet_resample { TW_UNET_DOWN = -1, TW_UNET_SAME, TW_UNET_UP } tw_unet_resample;

/* Channels of x, 1 after an error. */
int64_t tw_unet_channels(const tw_value *x);

/* Layers with parameters PATH.weight and PATH.bias, published as PUBLISHED.weight and .bias.
 * `padding` is on both sides, but at the end alone where it is negative. */
tw_value *tw_unet_conv(const tw_unet *u, const char *path, const char *published, tw_value *x,
                       int64_t out, int64_t kernel, int64_t stride, int64_t padding, bool zero);
tw_value *tw_unet_linear(const tw_unet *u, const char *path, const char *published, tw_value *x,
                         int64_t out);
tw_value *tw_unet_norm(const tw_unet *u, const char *path, const char *published, tw_value *x);

tw_value *tw_unet_residual(const tw_unet *u, const char *path, const char *published, tw_value *x,
                           int64_t out, tw_unet_resample resample);
/* @param normalised  without it the block begins with q, k and v */
tw_value *tw_unet_attention(const tw_unet *u, const char *path, const char *published, tw_value *x,
                            int64_t heads, bool normalised);

/* Does a list hold a number? */
bool tw_unet_listed(const tw_config_ints *list, int64_t value);

/* Is the sample a signal, an image or a volume whose sides are multiples of `factor`, and do
 * groups divide each level's channels? Messages name network.kind, network.mult, network.groups.
 * @return TW_ECONFIG */
tw_status tw_unet_check(tw_shape sample, int64_t levels, const char *levels_key);
tw_status tw_unet_check_groups(int64_t groups, int64_t channels);

#endif
