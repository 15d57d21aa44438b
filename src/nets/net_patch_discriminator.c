/* The discriminator of patches (Isola et al. 2017, pix2pix's PatchGAN; VQGAN's and latent
 * diffusion's): convolutions of 4 at stride 2, `layers` many, one more at stride 1, whose channels
 * double from the first on, eight times at most, and one to a single channel: how real the patch
 * around each position is. Leaky ReLU behind all but the last.
 *
 * Theirs normalise over the batch behind all but the first and the last. Ours normalise over groups
 * of channels: what is said of an image must not depend on which others a rank has, or on the size
 * of a microbatch. Weights begin as N(0, 0.02²), as theirs. */
#include <stddef.h>
#include <stdio.h>

#include "tweedie/net.h"

extern const tw_net tw_net_patch_discriminator;

enum { KERNEL = 4, WIDEST = 8 };

typedef struct patch_config {
    int64_t channels, layers, groups;
} patch_config;

#define AT(member) offsetof(patch_config, member)
static const tw_config_field fields[] = {
    {NULL, "channels", TW_CONFIG_INT64, AT(channels), "64", 1, 4096, .fixed = true,
     .help = "of the first layer; they double from layer to layer, eight times at most"},
    {NULL, "layers", TW_CONFIG_INT64, AT(layers), "3", 1, 6, .fixed = true,
     .help = "that halve the sides"},
    {NULL, "groups", TW_CONFIG_INT64, AT(groups), "32", 0, 4096, .fixed = true,
     .help = "of the normalisations (the published one normalises over the batch); 0: none"},
};

static int64_t width(const patch_config *c, int64_t layer)
{
    const int64_t factor = INT64_C(1) << layer;
    return c->channels * (factor < WIDEST ? factor : WIDEST);
}

static tw_status check(const void *config, tw_shape sample)
{
    tw_status st = TW_OK;
    const patch_config *c = config;
    const int64_t least = 3 * (INT64_C(1) << c->layers);
    TW_CHECK(sample.rank > 1, TW_ECONFIG,
             "discriminator.kind: patch_discriminator is for signals, images and volumes, not for "
             "points");
    for (int d = 0; d < sample.rank - 1; d++)
        TW_CHECK(sample.dims[d] >= least, TW_ECONFIG,
                 "discriminator.layers: %lld layers see sides of %lld and more, and the samples "
                 "have one of %lld; fewer were expected",
                 (long long)c->layers, (long long)least, (long long)sample.dims[d]);
    for (int64_t k = 1; c->groups && k <= c->layers; k++)
        TW_CHECK(width(c, k) % c->groups == 0, TW_ECONFIG,
                 "discriminator.groups: %lld does not divide %lld channels", (long long)c->groups,
                 (long long)width(c, k));
done:
    return st;
}

static tw_value *conv(tw_graph *g, const char *path, tw_value *x, int64_t out, int64_t stride)
{
    char name[TW_NAME_MAX];
    if (!x) return NULL;
    const tw_conv_geometry geometry = tw_conv_square(stride, 1, 1);
    const tw_init init = {.kind = TW_INIT_NORMAL, .std = 0.02};
    snprintf(name, sizeof name, "%s.weight", path);
    tw_value *w = tw_param(g, name, tw_layer_kernel(x, out, KERNEL), init);
    snprintf(name, sizeof name, "%s.bias", path);
    return tw_conv(g, x, w, tw_param(g, name, TW_SHAPE(out), tw_init_zeros), &geometry);
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const patch_config *c = config;
    char path[TW_NAME_MAX];
    tw_value *h = conv(g, "conv.0", tw_cast(g, in->x, TW_ACT), c->channels, 2);
    h = tw_activation(g, h, TW_LEAKY_RELU);
    for (int64_t k = 1; k <= c->layers; k++) {
        snprintf(path, sizeof path, "conv.%d", (int)k);
        h = conv(g, path, h, width(c, k), k < c->layers ? 2 : 1);
        snprintf(path, sizeof path, "norm.%d", (int)k);
        if (c->groups) h = tw_layer_group_norm(g, path, h, c->groups, 1e-5);
        h = tw_activation(g, h, TW_LEAKY_RELU);
    }
    return tw_cast(g, conv(g, "out", h, 1, 1), TW_F32);
}

const tw_net tw_net_patch_discriminator = {
    .kind = {"patch_discriminator", "how real the patches of a sample are (PatchGAN)", fields,
             sizeof fields / sizeof *fields, sizeof(patch_config)},
    .check = check,
    .build = build,
    .judges = true,
};
