/* The noisy classifier of guided-diffusion (Dhariwal and Nichol 2021, EncoderUNetModel): the way
 * down and the middle of ADM's U-Net, then one of four poolings to logits.
 *
 * adaptive: mean over positions of silu(GN(h)), a linear layer that begins at zero. attention: one
 * attention over the positions of silu(GN(h)) with their mean in front of them, learned embeddings
 * of positions, and the logits are what the mean attends to (as CLIP's). spatial: the means over
 * positions of every block's output, joined, through a layer of 2048 (ReLU; spatial_v2: GN and
 * SiLU). */
#include <math.h>
#include <stdio.h>

#include "nets/adm.h"

extern const tw_net tw_net_adm_classifier;

enum { HIDDEN = 2048 };
typedef enum pool { POOL_ADAPTIVE, POOL_ATTENTION, POOL_SPATIAL, POOL_SPATIAL_V2 } pool;

typedef struct classifier_config {
    tw_adm_config adm;
    int pool;
} classifier_config;

static const tw_config_field fields[] = {
    TW_ADM_FIELDS,
    {NULL, "pool", TW_CONFIG_CHOICE, offsetof(classifier_config, pool), "attention",
     .choices = "adaptive|attention|spatial|spatial_v2", .fixed = true,
     .help = "how positions become logits"},
};

static tw_status check(const void *config, tw_shape sample)
{
    tw_status st = TW_OK;
    const classifier_config *c = config;
    TW_TRY(tw_adm_check(&c->adm, sample));
    TW_CHECK(c->pool != POOL_ATTENTION || c->adm.head_channels, TW_ECONFIG,
             "network.pool: attention wants network.head_channels above 0 (64 as published)");
    TW_CHECK(c->pool != POOL_SPATIAL_V2 || HIDDEN % c->adm.groups == 0, TW_ECONFIG,
             "network.groups: %lld does not divide the %d channels of pool = spatial_v2",
             (long long)c->adm.groups, HIDDEN);
done:
    return st;
}

/* [N, spatial…, C] -> [N, C] */
static tw_value *mean(tw_graph *g, tw_value *h)
{
    if (!h) return NULL;
    const int64_t n = h->shape.dims[0], c = tw_unet_channels(h);
    const int64_t positions = tw_shape_count(h->shape) / (n * c);
    h = tw_sum_to(g, tw_reshape(g, h, TW_SHAPE(n, positions, c)), TW_SHAPE(n, 1, c));
    return tw_affine(g, tw_reshape(g, h, TW_SHAPE(n, c)), 1 / (double)positions, 0);
}

/* A layer [N, C] -> [N, out] that is published as a convolution over a line of positions (or over
 * an image) of extent 1. */
static tw_value *layer(const tw_unet *u, const char *path, const char *published, int spatial,
                       tw_value *x, int64_t out, tw_init init)
{
    char name[TW_NAME_MAX], ours[TW_NAME_MAX];
    tw_shape w = {.rank = 2 + spatial, .dims = {out, tw_unet_channels(x), 1, 1, 1}};
    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "%s.%s", published, k ? "bias" : "weight");
        snprintf(ours, sizeof ours, "%s.%s", path, k ? "bias" : "weight");
        tw_publish(u->reference_names, u->g, name, ours, k ? TW_SHAPE(out) : w, 0, false);
    }
    return tw_layer_linear(u->g, path, x, out, init, init);
}

static tw_value *pool_adaptive(const tw_adm *a, tw_value *h, const tw_net_inputs *in)
{
    h = mean(a->u.g, tw_silu(a->u.g, tw_unet_norm(&a->u, "out.norm", "out.0", h)));
    tw_net_features(a->u.g, in, h);
    return layer(&a->u, "out.linear", "out.3", in->sample.rank - 1, h, in->outputs, tw_init_zeros);
}

static tw_value *pool_attention(const tw_adm *a, tw_value *h, const tw_net_inputs *in)
{
    tw_graph *g = a->u.g;
    h = tw_silu(g, tw_unet_norm(&a->u, "out.norm", "out.0", h));
    if (!h) return NULL;
    const int64_t n = h->shape.dims[0], c = tw_unet_channels(h),
                  tokens = tw_shape_count(h->shape) / (n * c) + 1;
    const tw_init normal = {.kind = TW_INIT_NORMAL, .std = 1 / sqrt((double)c)};
    tw_value *where = tw_param(g, "out.pool.position", TW_SHAPE(tokens, c), normal);
    tw_publish(a->u.reference_names, g, "out.2.positional_embedding", "out.pool.position",
               TW_SHAPE(c, tokens), 0, true);
    h = tw_concat(g, mean(g, h), tw_reshape(g, h, TW_SHAPE(n, (tokens - 1) * c)));
    h = tw_add(g, tw_reshape(g, h, TW_SHAPE(n, tokens, c)), where);
    const tw_init init = tw_init_fan_in(c);
    h = layer(&a->u, "out.pool.qkv", "out.2.qkv_proj", 1, h, 3 * c, init);
    const int64_t heads = tw_adm_heads(a->c, c, false);
    h = tw_attention(g, h, heads, 1 / sqrt((double)(c / heads)));
    h = tw_slice(g, tw_reshape(g, h, TW_SHAPE(n, tokens * c)), 0, c);
    tw_net_features(g, in, h);
    return layer(&a->u, "out.pool.proj", "out.2.c_proj", 1, h, in->outputs, init);
}

static tw_value *pool_spatial(const tw_adm *a, tw_value *h, bool v2, const tw_net_inputs *in)
{
    tw_graph *g = a->u.g;
    tw_value *f = mean(g, a->skips[0]);
    for (int k = 1; k < a->count; k++) f = tw_concat(g, f, mean(g, a->skips[k]));
    f = tw_unet_linear(&a->u, "out.linear1", "out.0", tw_concat(g, f, mean(g, h)), HIDDEN);
    if (v2) f = tw_unet_norm(&a->u, "out.norm", "out.1", f);
    f = tw_activation(g, f, v2 ? TW_SILU : TW_RELU);
    tw_net_features(g, in, f);
    return tw_unet_linear(&a->u, "out.linear2", v2 ? "out.3" : "out.2", f, in->outputs);
}

/* The last block of each resolution, and the middle. */
static void name_maps(const tw_adm *a, tw_value *h, const tw_net_inputs *in)
{
    for (int k = 0; k < a->count; k++)
        if (a->skips[k] &&
            (k + 1 == a->count ||
             (a->skips[k + 1] && a->skips[k + 1]->shape.dims[1] != a->skips[k]->shape.dims[1])))
            tw_net_map(in, a->skips[k]);
    tw_net_map(in, h);
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const classifier_config *c = config;
    tw_adm a;
    tw_value *h = tw_adm_encode(&a, g, &c->adm, in);
    name_maps(&a, h, in);
    if (c->pool == POOL_ADAPTIVE)
        h = pool_adaptive(&a, h, in);
    else if (c->pool == POOL_ATTENTION)
        h = pool_attention(&a, h, in);
    else
        h = pool_spatial(&a, h, c->pool == POOL_SPATIAL_V2, in);
    return tw_cast(g, h, TW_F32);
}

const tw_net tw_net_adm_classifier = {
    .kind = {"adm_classifier", "the noisy classifier of ADM: logits of images with noise", fields,
             sizeof fields / sizeof *fields, sizeof(classifier_config)},
    .check = check,
    .multiple = tw_adm_multiple,
    .build = build,
    .logits = true,
};
