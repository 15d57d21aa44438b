/* The U-Net of improved-diffusion (Nichol and Dhariwal 2021) and of ADM (Dhariwal and Nichol 2021,
 * guided-diffusion).
 *
 * As DDPM's, but: the embedding scales and shifts normalised features, [cos ‖ sin] with frequencies
 * over the half itself; attention of several heads follows every block, on both ways, at the given
 * factors of downsampling; strided convolutions are padded on all sides; residual blocks may change
 * the resolution (resblock_updown); a class is added to the embedding of time where the data have
 * them. Weights begin as PyTorch's, the last layers of blocks at zero. With a learned variance the
 * mean's channels come first. */
#include <stdio.h>

#include "nets/adm.h"

extern const tw_net tw_net_adm;

static const tw_config_field fields[] = {TW_ADM_FIELDS};

static tw_status check(const void *config, tw_shape sample)
{
    return tw_adm_check(config, sample);
}

/* Behind `parts` other members of a block of the way up. */
static tw_value *upsample(const tw_adm *a, int64_t level, int block, int parts, tw_value *h)
{
    char path[TW_NAME_MAX], published[TW_NAME_MAX];
    const int64_t channels = tw_unet_channels(h);
    snprintf(path, sizeof path, "up.%d.upsample", (int)level);
    snprintf(published, sizeof published, "output_blocks.%d.%d", block, parts);
    if (a->c->resblock_updown)
        return tw_unet_residual(&a->u, path, published, h, channels, TW_UNET_UP);
    h = tw_upsample_nearest(a->u.g, h, 2);
    if (!a->c->conv_resample) return h;
    snprintf(published, sizeof published, "output_blocks.%d.%d.conv", block, parts);
    return tw_unet_conv(&a->u, path, published, h, channels, 3, 1, 1, false);
}

static tw_value *way_up(tw_adm *a, tw_value *h)
{
    char path[TW_NAME_MAX], published[TW_NAME_MAX];
    const tw_adm_config *c = a->c;
    int block = 0;
    for (int64_t level = c->mult.count - 1; level >= 0; level--) {
        const int64_t out = tw_adm_level_channels(c, level);
        const bool attends = tw_unet_listed(&c->attention, INT64_C(1) << level);
        for (int64_t k = 0; k <= c->blocks; k++, block++) {
            snprintf(path, sizeof path, "up.%d.res%d", (int)level, (int)k);
            snprintf(published, sizeof published, "output_blocks.%d.0", block);
            h = tw_concat(a->u.g, h, a->skips[--a->count]);
            h = tw_unet_residual(&a->u, path, published, h, out, TW_UNET_SAME);
            snprintf(path, sizeof path, "up.%d.attn%d", (int)level, (int)k);
            snprintf(published, sizeof published, "output_blocks.%d.1", block);
            if (attends)
                h = tw_unet_attention(&a->u, path, published, h, tw_adm_heads(c, out, true), true);
            if (level > 0 && k == c->blocks) h = upsample(a, level, block, attends ? 2 : 1, h);
        }
    }
    return h;
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    tw_adm a;
    tw_value *h = tw_adm_encode(&a, g, config, in);
    h = way_up(&a, h);
    h = tw_silu(g, tw_unet_norm(&a.u, "out.norm", "out.0", h));
    h = tw_unet_conv(&a.u, "out.conv", "out.2", h, in->outputs, 3, 1, 1, true);
    return tw_cast(g, h, TW_F32);
}

const tw_net tw_net_adm = {
    .kind = {"adm", "the U-Net of improved-diffusion and ADM", fields,
             sizeof fields / sizeof *fields, sizeof(tw_adm_config)},
    .check = check,
    .multiple = tw_adm_multiple,
    .build = build,
};
