/* The way down of improved-diffusion's and guided-diffusion's networks. */
#include "nets/adm.h"

#include <math.h>
#include <stdio.h>

static const tw_unet_names names = {.norm1 = "in_layers.0",
                                    .conv1 = "in_layers.2",
                                    .emb = "emb_layers.1",
                                    .norm2 = "out_layers.0",
                                    .conv2 = "out_layers.3",
                                    .shortcut = "skip_connection",
                                    .norm = "norm",
                                    .q = "qkv",
                                    .proj = "proj_out",
                                    .conv1d = true};

int64_t tw_adm_level_channels(const tw_adm_config *c, int64_t level)
{
    return (int64_t)(c->mult.values[level] * (double)c->base);
}

int64_t tw_adm_heads(const tw_adm_config *c, int64_t channels, bool up)
{
    if (c->head_channels) return channels / c->head_channels;
    return up && c->heads_up ? c->heads_up : c->heads;
}

int64_t tw_adm_multiple(const void *config)
{
    const tw_adm_config *c = config;
    return c->mult.count >= 1 && c->mult.count <= TW_ADM_LEVELS_MAX
               ? INT64_C(1) << (c->mult.count - 1)
               : 1;
}

static bool attends(const tw_adm_config *c, int64_t level)
{
    return tw_unet_listed(&c->attention, INT64_C(1) << level);
}

static tw_status check_heads(const tw_adm_config *c, int64_t channels)
{
    if (c->head_channels && channels % c->head_channels)
        return tw_error_set(TW_ECONFIG,
                            "network.head_channels: %lld does not divide the %lld channels of a "
                            "level with attention",
                            (long long)c->head_channels, (long long)channels);
    for (int up = 0; up < 2; up++)
        if (channels % tw_adm_heads(c, channels, up))
            return tw_error_set(TW_ECONFIG,
                                "network.%s: %lld do not divide the %lld channels of a level with "
                                "attention",
                                up && c->heads_up ? "heads_up" : "heads",
                                (long long)tw_adm_heads(c, channels, up), (long long)channels);
    return TW_OK;
}

tw_status tw_adm_check(const tw_adm_config *c, tw_shape sample)
{
    tw_status st = TW_OK;
    const int64_t levels = c->mult.count;
    TW_CHECK(levels >= 1 && levels <= TW_ADM_LEVELS_MAX, TW_ECONFIG,
             "network.mult: 1 to %d levels, not %lld", TW_ADM_LEVELS_MAX, (long long)levels);
    TW_TRY(tw_unet_check(sample, levels, "network.mult"));
    for (int64_t level = 0; level < levels; level++) {
        const int64_t channels = tw_adm_level_channels(c, level);
        TW_CHECK(channels >= 1, TW_ECONFIG, "network.mult: level %lld has no channels",
                 (long long)level);
        TW_TRY(tw_unet_check_groups(c->groups, channels));
        if (attends(c, level) || level == levels - 1) TW_TRY(check_heads(c, channels));
    }
    for (int64_t k = 0; k < c->attention.count; k++) {
        const int64_t factor = c->attention.values[k];
        TW_CHECK((factor & (factor - 1)) == 0 && factor < INT64_C(1) << levels, TW_ECONFIG,
                 "network.attention_downsample: no level of %lld is downsampled by %lld",
                 (long long)levels, (long long)factor);
    }
done:
    return st;
}

/* silu(time_embed(t) [+ label_emb(y)]). */
static void embed(tw_adm *a, const tw_net_inputs *in)
{
    tw_graph *g = a->u.g;
    const int64_t width = 4 * a->c->base;
    tw_value *e = tw_embed_timestep(g, in->t, a->c->base, 10000, 0, true);
    e = tw_unet_linear(&a->u, "time.linear1", "time_embed.0", tw_cast(g, e, TW_ACT), width);
    e = tw_unet_linear(&a->u, "time.linear2", "time_embed.2", tw_silu(g, e), width);
    if (in->label) {
        tw_publish(a->u.reference_names, g, "label_emb.weight", "class.weight",
                   TW_SHAPE(in->classes, width), 0, false);
        e = tw_add(g, e, tw_cast(g, tw_layer_class(g, "class", in, width), TW_ACT));
    }
    a->u.emb = tw_silu(g, e);
}

static tw_value *downsample(const tw_adm *a, int64_t level, tw_value *h)
{
    char path[TW_NAME_MAX], published[TW_NAME_MAX];
    const int64_t channels = tw_unet_channels(h);
    snprintf(path, sizeof path, "down.%d.downsample", (int)level);
    snprintf(published, sizeof published, "input_blocks.%d.0", a->count);
    if (a->c->resblock_updown)
        return tw_unet_residual(&a->u, path, published, h, channels, TW_UNET_DOWN);
    if (!a->c->conv_resample) return tw_average_pool(a->u.g, h, 2);
    snprintf(published, sizeof published, "input_blocks.%d.0.op", a->count);
    return tw_unet_conv(&a->u, path, published, h, channels, 3, 2, 1, false);
}

static tw_value *way_down(tw_adm *a, tw_value *x)
{
    char path[TW_NAME_MAX], published[TW_NAME_MAX];
    const tw_adm_config *c = a->c;
    tw_value *h = tw_unet_conv(&a->u, "in", "input_blocks.0.0", x, tw_adm_level_channels(c, 0), 3,
                               1, 1, false);
    a->skips[a->count++] = h;
    for (int64_t level = 0; level < c->mult.count; level++) {
        const int64_t out = tw_adm_level_channels(c, level);
        for (int64_t k = 0; k < c->blocks; k++) {
            snprintf(path, sizeof path, "down.%d.res%d", (int)level, (int)k);
            snprintf(published, sizeof published, "input_blocks.%d.0", a->count);
            h = tw_unet_residual(&a->u, path, published, h, out, TW_UNET_SAME);
            snprintf(path, sizeof path, "down.%d.attn%d", (int)level, (int)k);
            snprintf(published, sizeof published, "input_blocks.%d.1", a->count);
            if (attends(c, level))
                h = tw_unet_attention(&a->u, path, published, h, tw_adm_heads(c, out, false), true);
            a->skips[a->count++] = h;
        }
        if (level == c->mult.count - 1) break;
        h = downsample(a, level, h);
        a->skips[a->count++] = h;
    }
    return h;
}

tw_value *tw_adm_encode(tw_adm *a, tw_graph *g, const tw_adm_config *c, const tw_net_inputs *in)
{
    *a = (tw_adm){.c = c,
                  .u = {.g = g,
                        .reference_names = in->reference_names,
                        .names = &names,
                        .groups = c->groups,
                        .eps = 1e-5,
                        .dropout = c->dropout,
                        .rescale = 1,
                        .scale_shift = c->scale_shift,
                        .zero = true,
                        .order = c->order ? TW_QKV_BY_HEAD : TW_QKV_BY_PART}};
    embed(a, in);
    tw_value *h = way_down(a, tw_cast(g, in->x, TW_ACT));
    const int64_t channels = tw_unet_channels(h);
    h = tw_unet_residual(&a->u, "mid.res0", "middle_block.0", h, channels, TW_UNET_SAME);
    h = tw_unet_attention(&a->u, "mid.attn", "middle_block.1", h, tw_adm_heads(c, channels, false),
                          true);
    return tw_unet_residual(&a->u, "mid.res1", "middle_block.2", h, channels, TW_UNET_SAME);
}
