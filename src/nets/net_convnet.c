/* A small classifier of images: a convolution, then levels that halve the image and double the
 * channels, each a strided and a plain 3 x 3 convolution; normalisation over all numbers of an
 * image's channel groups and ReLU behind each; the mean over positions, and a linear layer. It is
 * not told the noise level: for processes of one level, or as a network of features. */
#include <math.h>
#include <stdio.h>

#include "tweedie/net.h"

extern const tw_net tw_net_convnet;

typedef struct conv_config {
    int64_t base, levels, groups;
} conv_config;

static const tw_config_field fields[] = {
    {NULL, "base", TW_CONFIG_INT64, offsetof(conv_config, base), "16", 1, 4096, .fixed = true,
     .help = "channels of the first level"},
    {NULL, "levels", TW_CONFIG_INT64, offsetof(conv_config, levels), "3", 1, 8, .fixed = true,
     .help = "levels, each of half the extent and twice the channels"},
    {NULL, "groups", TW_CONFIG_INT64, offsetof(conv_config, groups), "4", 1, 1024, .fixed = true,
     .help = "groups of the normalisations"},
};

static int64_t multiple(const void *config)
{
    const conv_config *c = config;
    return (int64_t)1 << (c->levels - 1);
}

static tw_status check(const void *config, tw_shape sample)
{
    tw_status st = TW_OK;
    const conv_config *c = config;
    const int64_t m = multiple(config);
    TW_CHECK(sample.rank == 3, TW_ECONFIG,
             "network.kind: convnet wants images [height, width, channels]");
    TW_CHECK(sample.dims[0] % m == 0 && sample.dims[1] % m == 0, TW_ECONFIG,
             "network.levels: %lld levels halve images %lld times, and %lld x %lld is no multiple "
             "of %lld (network.pad = reflect or zero pads them)",
             (long long)c->levels, (long long)c->levels - 1, (long long)sample.dims[0],
             (long long)sample.dims[1], (long long)m);
    TW_CHECK(c->base % c->groups == 0, TW_ECONFIG,
             "network.groups: %lld does not divide network.base, %lld", (long long)c->groups,
             (long long)c->base);
done:
    return st;
}

/* ReLU(GN(conv(x))); an even extent at stride 2 is padded at its end alone. */
static tw_value *layer(tw_graph *g, const conv_config *c, const char *path, tw_value *x,
                       int64_t out, int64_t stride)
{
    char name[TW_NAME_MAX];
    if (!x) return NULL;
    const int64_t in = tw_shape_channels(x->shape);
    const tw_init init = {.kind = TW_INIT_NORMAL, .std = sqrt(2.0 / (9.0 * (double)in))};
    const tw_conv_geometry geometry = tw_conv_square(stride, stride == 1, 1);
    snprintf(name, sizeof name, "%s.conv.weight", path);
    tw_value *w = tw_param(g, name, TW_SHAPE(out, in, 3, 3), init);
    x = tw_conv(g, x, w, NULL, &geometry);
    snprintf(name, sizeof name, "%s.norm", path);
    return tw_activation(g, tw_layer_group_norm(g, name, x, c->groups, 1e-5), TW_RELU);
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const conv_config *c = config;
    char path[TW_NAME_MAX];
    tw_value *h = layer(g, c, "in", tw_cast(g, in->x, TW_ACT), c->base, 1);
    tw_net_map(in, h);
    for (int64_t k = 1; k < c->levels; k++) {
        snprintf(path, sizeof path, "level%lld.down", (long long)k);
        h = layer(g, c, path, h, c->base << k, 2);
        snprintf(path, sizeof path, "level%lld.same", (long long)k);
        h = layer(g, c, path, h, c->base << k, 1);
        tw_net_map(in, h);
    }
    if (!h) return NULL;
    const int64_t n = h->shape.dims[0], width = tw_shape_channels(h->shape);
    const double pixels = (double)(h->shape.dims[1] * h->shape.dims[2]);
    h = tw_affine(g, tw_sum_to(g, h, TW_SHAPE(n, 1, 1, width)), 1 / pixels, 0);
    h = tw_reshape(g, h, TW_SHAPE(n, width));
    tw_net_features(g, in, h);
    const tw_init init = tw_init_fan_in(width);
    return tw_cast(g, tw_layer_linear(g, "out", h, in->outputs, init, init), TW_F32);
}

const tw_net tw_net_convnet = {
    .kind = {"convnet", "a small classifier of images, not told the noise level", fields,
             sizeof fields / sizeof *fields, sizeof(conv_config)},
    .check = check,
    .multiple = multiple,
    .build = build,
    .logits = true,
};
