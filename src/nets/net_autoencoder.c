/* The autoencoder of latent diffusion (Rombach et al. 2022: their KL-f4, KL-f8 …), as diffusers'
 * AutoencoderKL, whose keys it has. f = 2^(levels − 1) is by how much sides shrink.
 *
 * Encoder: a 3x3 convolution; levels of residual blocks, between which a strided one, padded at the
 * end alone, halves the sides; two blocks around one attention; normalisation, SiLU, a convolution
 * to the moments, and a 1x1 convolution. Decoder: the same backwards, each level with one block
 * more, between levels nearest upsampling and a convolution. Nothing is told a time or a class.
 *
 * With codes (van den Oord et al. 2017; their VQ-f4 …) the encoder gives vectors, and the decoder
 * is given the nearest of `codes` learned ones, which begin as U(±1/codes). */
#include <stddef.h>
#include <stdio.h>

#include "nets/unet_blocks.h"

extern const tw_net tw_net_autoencoder;

enum { LEVELS_MAX = 8 };

typedef struct autoencoder_config {
    tw_config_ints channels;
    int64_t layers, latent, groups, codes;
    bool attention;
} autoencoder_config;

#define AT(member) offsetof(autoencoder_config, member)
static const tw_config_field fields[] = {
    {NULL, "block_out_channels", TW_CONFIG_INTS, AT(channels), "128, 256, 512", 1, 65536,
     .fixed = true, .help = "channels of each level; sides are halved between levels"},
    {NULL, "layers_per_block", TW_CONFIG_INT64, AT(layers), "2", 1, 8, .fixed = true,
     .help = "residual blocks of a level; of the decoder one more"},
    {NULL, "latent_channels", TW_CONFIG_INT64, AT(latent), "4", 1, 4096, .fixed = true,
     .help = "channels of a latent"},
    {NULL, "codes", TW_CONFIG_INT64, AT(codes), "0", 0, 1 << 20, .fixed = true,
     .help = "vectors of latent_channels numbers that a latent is made of (VQ); 0: it is any (KL)"},
    {NULL, "norm_num_groups", TW_CONFIG_INT64, AT(groups), "32", 1, 1024, .fixed = true,
     .help = "groups of the normalisations"},
    {NULL, "mid_block_add_attention", TW_CONFIG_BOOL, AT(attention), "yes", .fixed = true,
     .help = "attention in the middle of both halves"},
};

static const tw_unet_names names = {.norm1 = "norm1",
                                    .conv1 = "conv1",
                                    .norm2 = "norm2",
                                    .conv2 = "conv2",
                                    .shortcut = "conv_shortcut",
                                    .norm = "group_norm",
                                    .q = "to_q",
                                    .k = "to_k",
                                    .v = "to_v",
                                    .proj = "to_out.0"};

static int64_t multiple(const void *config)
{
    const int64_t levels = ((const autoencoder_config *)config)->channels.count;
    return levels >= 1 && levels <= LEVELS_MAX ? INT64_C(1) << (levels - 1) : 1;
}

static tw_status check(const void *config, tw_shape sample)
{
    tw_status st = TW_OK;
    const autoencoder_config *c = config;
    const int64_t levels = c->channels.count;
    TW_CHECK(levels >= 1 && levels <= LEVELS_MAX, TW_ECONFIG,
             "network.block_out_channels: 1 to %d levels, not %lld", LEVELS_MAX, (long long)levels);
    TW_TRY(tw_unet_check(sample, levels, "network.block_out_channels"));
    for (int64_t level = 0; level < levels; level++)
        TW_CHECK(c->channels.values[level] % c->groups == 0, TW_ECONFIG,
                 "network.norm_num_groups: %lld does not divide %lld channels",
                 (long long)c->groups, (long long)c->channels.values[level]);
done:
    return st;
}

/* ---- the network ---- */

typedef struct builder {
    tw_unet u;
    const autoencoder_config *c;
    const char *half; /* "encoder" or "decoder" */
} builder;

static builder begin(tw_graph *g, const autoencoder_config *c, const tw_net_inputs *in,
                     const char *half)
{
    return (builder){.c = c,
                     .half = half,
                     .u = {.g = g,
                           .reference_names = in->reference_names,
                           .names = &names,
                           .groups = c->groups,
                           .eps = 1e-6,
                           .rescale = 1,
                           .timeless = true,
                           .order = TW_QKV_BY_PART}};
}

/* "HALF.NAME" twice: as ours and as published. */
typedef struct paths {
    char ours[TW_NAME_MAX], published[TW_NAME_MAX];
} paths;

static paths named(const builder *b, const char *ours, const char *published)
{
    paths p;
    snprintf(p.ours, sizeof p.ours, "%s.%s", b->half, ours);
    snprintf(p.published, sizeof p.published, "%s.%s", b->half, published);
    return p;
}

static tw_value *conv(const builder *b, const char *ours, const char *published, tw_value *x,
                      int64_t out, int64_t stride)
{
    const paths p = named(b, ours, published);
    return tw_unet_conv(&b->u, p.ours, p.published, x, out, 3, stride, stride == 1 ? 1 : -1, false);
}

/* @param block  the level's number in the half's own order */
static tw_value *residual(const builder *b, const char *way, int64_t level, int64_t block,
                          int64_t k, tw_value *h)
{
    char ours[TW_NAME_MAX / 2], published[TW_NAME_MAX / 2];
    snprintf(ours, sizeof ours, "%s.%d.res%d", way, (int)level, (int)k);
    snprintf(published, sizeof published, "%s_blocks.%d.resnets.%d", way, (int)block, (int)k);
    const paths p = named(b, ours, published);
    return tw_unet_residual(&b->u, p.ours, p.published, h, b->c->channels.values[level],
                            TW_UNET_SAME);
}

static tw_value *middle(const builder *b, tw_value *h)
{
    const int64_t channels = tw_unet_channels(h);
    const paths before = named(b, "mid.res0", "mid_block.resnets.0"),
                attention = named(b, "mid.attn", "mid_block.attentions.0"),
                after = named(b, "mid.res1", "mid_block.resnets.1");
    h = tw_unet_residual(&b->u, before.ours, before.published, h, channels, TW_UNET_SAME);
    if (b->c->attention)
        h = tw_unet_attention(&b->u, attention.ours, attention.published, h, 1, true);
    return tw_unet_residual(&b->u, after.ours, after.published, h, channels, TW_UNET_SAME);
}

static tw_value *way_down(const builder *b, tw_value *h)
{
    const autoencoder_config *c = b->c;
    char ours[TW_NAME_MAX / 2], published[TW_NAME_MAX / 2];
    for (int64_t level = 0; level < c->channels.count; level++) {
        for (int64_t k = 0; k < c->layers; k++) h = residual(b, "down", level, level, k, h);
        if (level == c->channels.count - 1) break;
        snprintf(ours, sizeof ours, "down.%d.downsample", (int)level);
        snprintf(published, sizeof published, "down_blocks.%d.downsamplers.0.conv", (int)level);
        h = conv(b, ours, published, h, c->channels.values[level], 2);
    }
    return h;
}

static tw_value *way_up(const builder *b, tw_value *h)
{
    const autoencoder_config *c = b->c;
    const int64_t last = c->channels.count - 1;
    char ours[TW_NAME_MAX / 2], published[TW_NAME_MAX / 2];
    for (int64_t level = last; level >= 0; level--) {
        for (int64_t k = 0; k <= c->layers; k++) h = residual(b, "up", level, last - level, k, h);
        if (level == 0) break;
        snprintf(ours, sizeof ours, "up.%d.upsample", (int)level);
        snprintf(published, sizeof published, "up_blocks.%d.upsamplers.0.conv",
                 (int)(last - level));
        h = conv(b, ours, published, tw_upsample_nearest(b->u.g, h, 2), c->channels.values[level],
                 1);
    }
    return h;
}

static tw_value *finish(const builder *b, tw_value *h, int64_t out)
{
    const paths p = named(b, "out.norm", "conv_norm_out");
    h = tw_silu(b->u.g, tw_unet_norm(&b->u, p.ours, p.published, h));
    return conv(b, "out.conv", "conv_out", h, out, 1);
}

static tw_shape latent(const void *config, tw_shape sample)
{
    const int64_t f = multiple(config);
    for (int d = 0; d < sample.rank - 1; d++) sample.dims[d] /= f;
    sample.dims[sample.rank - 1] = ((const autoencoder_config *)config)->latent;
    return sample;
}

static tw_value *encode(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const autoencoder_config *c = config;
    const builder b = begin(g, c, in, "encoder");
    tw_value *h = conv(&b, "in", "conv_in", tw_cast(g, in->x, TW_ACT), c->channels.values[0], 1);
    const int64_t out = c->codes ? c->latent : 2 * c->latent;
    h = finish(&b, middle(&b, way_down(&b, h)), out);
    h = tw_unet_conv(&b.u, "moments", "quant_conv", h, out, 1, 1, 0, false);
    return tw_cast(g, h, TW_F32);
}

static tw_value *decode(tw_graph *g, const void *config, const tw_net_inputs *in, tw_value *z)
{
    const autoencoder_config *c = config;
    const builder b = begin(g, c, in, "decoder");
    tw_value *h = tw_unet_conv(&b.u, "latent", "post_quant_conv", tw_cast(g, z, TW_ACT), c->latent,
                               1, 1, 0, false);
    h = conv(&b, "in", "conv_in", h, c->channels.values[c->channels.count - 1], 1);
    h = finish(&b, way_up(&b, middle(&b, h)), in->outputs);
    return tw_cast(g, h, TW_F32);
}

static int64_t codes(const void *config)
{
    return ((const autoencoder_config *)config)->codes;
}

static tw_value *quantise(tw_graph *g, const void *config, const tw_net_inputs *in, tw_value *z,
                          tw_value **index)
{
    const autoencoder_config *c = config;
    if (!z) return NULL;
    const tw_init init = {.kind = TW_INIT_UNIFORM, .bound = 1 / (double)c->codes};
    const tw_shape shape = TW_SHAPE(c->codes, c->latent);
    tw_value *table = in->code_state ? tw_state_param(g, "codes.weight", shape, init)
                                     : tw_param(g, "codes.weight", shape, init);
    *index = tw_nearest_row(g, z, table);
    return tw_reshape(g, tw_embed_table(g, table, *index), z->shape);
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const autoencoder_config *c = config;
    tw_value *index, *z = encode(g, config, in);
    return decode(g, config, in,
                  c->codes ? quantise(g, c, in, z, &index) : tw_slice(g, z, 0, c->latent));
}

static const tw_net_halves halves = {.latent = latent,
                                     .codes = codes,
                                     .encode = encode,
                                     .quantise = quantise,
                                     .decode = decode,
                                     .last = "decoder.out.conv.weight"};

const tw_net tw_net_autoencoder = {
    .kind = {"autoencoder", "an encoder to a smaller space and its decoder (AutoencoderKL)", fields,
             sizeof fields / sizeof *fields, sizeof(autoencoder_config)},
    .check = check,
    .multiple = multiple,
    .build = build,
    .halves = &halves,
};
