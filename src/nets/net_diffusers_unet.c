/* The library diffusers' UNet2DModel, in the configurations that its training examples use: blocks
 * DownBlock2D, AttnDownBlock2D, UpBlock2D, AttnUpBlock2D around UNetMidBlock2D, positional
 * embedding, convolutions that resample. Keys are called as in its config.json, but that the blocks
 * with attention are listed by number (down_attention, up_attention; up 0 is the lowest) instead of
 * all blocks by type, and attention_head_dim = 0 stands for null.
 *
 * As DDPM's, but: the order and frequencies of the embedding, the padding of strided convolutions,
 * heads and the normalisations' epsilon are options, and attention on the way down and up is chosen
 * by block. All weights begin as PyTorch's. With resnet_time_scale_shift = scale_shift the middle's
 * attention has no normalisation, unless attn_norm_num_groups gives it one. */
#include <stddef.h>
#include <stdio.h>

#include "nets/unet_blocks.h"

extern const tw_net tw_net_diffusers_unet;

enum { LEVELS_MAX = 8, SKIPS_MAX = LEVELS_MAX * 9 + 1 };

typedef struct diffusers_config {
    tw_config_ints channels, down_attention, up_attention;
    int64_t layers, head_dim, groups, attn_groups, padding;
    double eps, freq_shift, dropout, mid_scale;
    int scale_shift;
    bool cosines_first, add_attention, center;
} diffusers_config;

#define AT(member) offsetof(diffusers_config, member)
static const tw_config_field fields[] = {
    {NULL, "block_out_channels", TW_CONFIG_INTS, AT(channels), "128, 128, 256, 256, 512, 512", 1,
     65536, .fixed = true, .help = "channels of each level"},
    {NULL, "layers_per_block", TW_CONFIG_INT64, AT(layers), "2", 1, 8, .fixed = true,
     .help = "residual blocks of a level"},
    {NULL, "down_attention", TW_CONFIG_INTS, AT(down_attention), "4", 0, 15, .fixed = true,
     .help = "blocks of the way down with attention (AttnDownBlock2D), from 0"},
    {NULL, "up_attention", TW_CONFIG_INTS, AT(up_attention), "1", 0, 15, .fixed = true,
     .help = "blocks of the way up with attention (AttnUpBlock2D), 0 being the lowest"},
    {NULL, "add_attention", TW_CONFIG_BOOL, AT(add_attention), "yes", .fixed = true,
     .help = "attention in the middle"},
    {NULL, "attention_head_dim", TW_CONFIG_INT64, AT(head_dim), "8", 0, 65536, .fixed = true,
     .help = "channels of a head; 0: one head"},
    {NULL, "norm_num_groups", TW_CONFIG_INT64, AT(groups), "32", 1, 1024, .fixed = true,
     .help = "groups of the normalisations"},
    {NULL, "attn_norm_num_groups", TW_CONFIG_INT64, AT(attn_groups), "0", 0, 1024, .fixed = true,
     .help = "groups of the middle's attention; 0: as the others"},
    {NULL, "norm_eps", TW_CONFIG_DOUBLE, AT(eps), "1e-5", TW_CONFIG_ABOVE_ZERO, 1, .fixed = true,
     .help = "epsilon of the normalisations"},
    {NULL, "flip_sin_to_cos", TW_CONFIG_BOOL, AT(cosines_first), "yes", .fixed = true,
     .help = "cosines before sines in the embedding of time"},
    {NULL, "freq_shift", TW_CONFIG_DOUBLE, AT(freq_shift), "0", 0, 1, .fixed = true,
     .help = "frequencies are exp(-ln(10000) i / (half - freq_shift))"},
    {NULL, "downsample_padding", TW_CONFIG_INT64, AT(padding), "1", 0, 1, .fixed = true,
     .help = "of strided convolutions, on all sides; 0: 1 at the right and bottom"},
    {NULL, "resnet_time_scale_shift", TW_CONFIG_CHOICE, AT(scale_shift), "default",
     .choices = "default|scale_shift", .fixed = true,
     .help = "the embedding is added, or scales and shifts normalised features"},
    {NULL, "mid_block_scale_factor", TW_CONFIG_DOUBLE, AT(mid_scale), "1", TW_CONFIG_ABOVE_ZERO,
     1e6, .fixed = true, .help = "the middle's sums are divided by it"},
    {NULL, "center_input_sample", TW_CONFIG_BOOL, AT(center), "no", .fixed = true,
     .help = "the network begins with 2 x - 1"},
    {NULL, "dropout", TW_CONFIG_DOUBLE, AT(dropout), "0", 0, 0.95, .fixed = true,
     .help = "rate in the blocks"},
};

static const tw_unet_names names = {.norm1 = "norm1",
                                    .conv1 = "conv1",
                                    .emb = "time_emb_proj",
                                    .norm2 = "norm2",
                                    .conv2 = "conv2",
                                    .shortcut = "conv_shortcut",
                                    .norm = "group_norm",
                                    .q = "to_q",
                                    .k = "to_k",
                                    .v = "to_v",
                                    .proj = "to_out.0"};

static int64_t heads(const diffusers_config *c, int64_t channels)
{
    return c->head_dim ? channels / c->head_dim : 1;
}

static int64_t multiple(const void *config)
{
    const int64_t levels = ((const diffusers_config *)config)->channels.count;
    return levels >= 1 && levels <= LEVELS_MAX ? INT64_C(1) << (levels - 1) : 1;
}

static tw_status check_attention(const diffusers_config *c, const char *key,
                                 const tw_config_ints *list)
{
    for (int64_t k = 0; k < list->count; k++)
        if (list->values[k] >= c->channels.count)
            return tw_error_set(TW_ECONFIG, "network.%s: there is no block %lld of %lld", key,
                                (long long)list->values[k], (long long)c->channels.count);
    return TW_OK;
}

static bool attends(const diffusers_config *c, int64_t level)
{
    const int64_t last = c->channels.count - 1;
    return tw_unet_listed(&c->down_attention, level) ||
           tw_unet_listed(&c->up_attention, last - level) || (level == last && c->add_attention);
}

static tw_status check(const void *config, tw_shape sample)
{
    tw_status st = TW_OK;
    const diffusers_config *c = config;
    const int64_t levels = c->channels.count;
    TW_CHECK(levels >= 1 && levels <= LEVELS_MAX, TW_ECONFIG,
             "network.block_out_channels: 1 to %d levels, not %lld", LEVELS_MAX, (long long)levels);
    TW_TRY(tw_unet_check(sample, levels, "network.block_out_channels"));
    TW_TRY(check_attention(c, "down_attention", &c->down_attention));
    TW_TRY(check_attention(c, "up_attention", &c->up_attention));
    TW_CHECK(c->channels.values[0] >= 4 && c->channels.values[0] % 2 == 0, TW_ECONFIG,
             "network.block_out_channels: the first must be even and at least 4, is %lld",
             (long long)c->channels.values[0]);
    for (int64_t level = 0; level < levels; level++) {
        const int64_t channels = c->channels.values[level];
        TW_CHECK(channels % c->groups == 0, TW_ECONFIG,
                 "network.norm_num_groups: %lld does not divide %lld channels",
                 (long long)c->groups, (long long)channels);
        TW_CHECK(!attends(c, level) || !c->head_dim || channels % c->head_dim == 0, TW_ECONFIG,
                 "network.attention_head_dim: %lld does not divide %lld channels",
                 (long long)c->head_dim, (long long)channels);
    }
    TW_CHECK(!c->attn_groups || c->channels.values[levels - 1] % c->attn_groups == 0, TW_ECONFIG,
             "network.attn_norm_num_groups: %lld does not divide %lld channels",
             (long long)c->attn_groups, (long long)c->channels.values[levels - 1]);
done:
    return st;
}

/* ---- the network ---- */

typedef struct builder {
    tw_unet u;
    const diffusers_config *c;
    tw_value *skips[SKIPS_MAX];
    int count;
} builder;

static void embed(builder *b, const tw_net_inputs *in)
{
    tw_graph *g = b->u.g;
    const diffusers_config *c = b->c;
    const int64_t first = c->channels.values[0];
    tw_value *e = tw_embed_timestep(g, in->t, first, 10000, c->freq_shift, c->cosines_first);
    e = tw_unet_linear(&b->u, "time.linear1", "time_embedding.linear_1", tw_cast(g, e, TW_ACT),
                       4 * first);
    e = tw_unet_linear(&b->u, "time.linear2", "time_embedding.linear_2", tw_silu(g, e), 4 * first);
    if (in->label) {
        tw_publish(b->u.reference_names, g, "class_embedding.weight", "class.weight",
                   TW_SHAPE(in->classes, 4 * first), 0, false);
        e = tw_add(g, e, tw_cast(g, tw_layer_class(g, "class", in, 4 * first), TW_ACT));
    }
    b->u.emb = tw_silu(g, e);
}

/* Residual block and attention `k` of a level; `block` is its number in the way's own order. */
static tw_value *layer(const builder *b, bool up, int64_t level, int64_t block, int64_t k,
                       tw_value *h)
{
    const diffusers_config *c = b->c;
    const int64_t out = c->channels.values[level];
    const char *way = up ? "up" : "down";
    char path[TW_NAME_MAX], published[TW_NAME_MAX];
    snprintf(path, sizeof path, "%s.%d.res%d", way, (int)level, (int)k);
    snprintf(published, sizeof published, "%s_blocks.%d.resnets.%d", way, (int)block, (int)k);
    h = tw_unet_residual(&b->u, path, published, h, out, TW_UNET_SAME);
    if (!tw_unet_listed(up ? &c->up_attention : &c->down_attention, block)) return h;
    snprintf(path, sizeof path, "%s.%d.attn%d", way, (int)level, (int)k);
    snprintf(published, sizeof published, "%s_blocks.%d.attentions.%d", way, (int)block, (int)k);
    return tw_unet_attention(&b->u, path, published, h, heads(c, out), true);
}

static tw_value *way_down(builder *b, tw_value *h)
{
    char path[TW_NAME_MAX], published[TW_NAME_MAX];
    const diffusers_config *c = b->c;
    b->skips[b->count++] = h;
    for (int64_t level = 0; level < c->channels.count; level++) {
        for (int64_t k = 0; k < c->layers; k++)
            b->skips[b->count++] = h = layer(b, false, level, level, k, h);
        if (level == c->channels.count - 1) break;
        snprintf(path, sizeof path, "down.%d.downsample", (int)level);
        snprintf(published, sizeof published, "down_blocks.%d.downsamplers.0.conv", (int)level);
        h = tw_unet_conv(&b->u, path, published, h, c->channels.values[level], 3, 2,
                         c->padding ? 1 : -1, false);
        b->skips[b->count++] = h;
    }
    return h;
}

static tw_value *middle(const builder *b, tw_value *h)
{
    const diffusers_config *c = b->c;
    const int64_t channels = tw_unet_channels(h);
    tw_unet u = b->u, of_attention;
    u.rescale = c->mid_scale;
    of_attention = u;
    if (c->attn_groups) of_attention.groups = c->attn_groups;
    h = tw_unet_residual(&u, "mid.res0", "mid_block.resnets.0", h, channels, TW_UNET_SAME);
    if (c->add_attention)
        h = tw_unet_attention(&of_attention, "mid.attn", "mid_block.attentions.0", h,
                              heads(c, channels), !c->scale_shift || c->attn_groups);
    return tw_unet_residual(&u, "mid.res1", "mid_block.resnets.1", h, channels, TW_UNET_SAME);
}

static tw_value *way_up(builder *b, tw_value *h)
{
    char path[TW_NAME_MAX], published[TW_NAME_MAX];
    const diffusers_config *c = b->c;
    const int64_t last = c->channels.count - 1;
    for (int64_t level = last; level >= 0; level--) {
        for (int64_t k = 0; k <= c->layers; k++)
            h = layer(b, true, level, last - level, k, tw_concat(b->u.g, h, b->skips[--b->count]));
        if (level == 0) break;
        snprintf(path, sizeof path, "up.%d.upsample", (int)level);
        snprintf(published, sizeof published, "up_blocks.%d.upsamplers.0.conv",
                 (int)(last - level));
        h = tw_unet_conv(&b->u, path, published, tw_upsample_nearest(b->u.g, h, 2),
                         c->channels.values[level], 3, 1, 1, false);
    }
    return h;
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const diffusers_config *c = config;
    builder b = {.c = c,
                 .u = {.g = g,
                       .reference_names = in->reference_names,
                       .names = &names,
                       .groups = c->groups,
                       .eps = c->eps,
                       .dropout = c->dropout,
                       .rescale = 1,
                       .scale_shift = c->scale_shift,
                       .order = TW_QKV_BY_PART}};
    tw_value *x = tw_cast(g, in->x, TW_ACT);
    if (c->center) x = tw_affine(g, x, 2, -1);
    embed(&b, in);
    tw_value *h = tw_unet_conv(&b.u, "in", "conv_in", x, c->channels.values[0], 3, 1, 1, false);
    h = way_up(&b, middle(&b, way_down(&b, h)));
    h = tw_silu(g, tw_unet_norm(&b.u, "out.norm", "conv_norm_out", h));
    h = tw_unet_conv(&b.u, "out.conv", "conv_out", h, in->outputs, 3, 1, 1, false);
    return tw_cast(g, h, TW_F32);
}

const tw_net tw_net_diffusers_unet = {
    .kind = {"diffusers_unet", "diffusers' UNet2DModel", fields, sizeof fields / sizeof *fields,
             sizeof(diffusers_config)},
    .check = check,
    .multiple = multiple,
    .build = build,
};
