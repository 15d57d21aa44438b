/* The noise-conditional Wide-ResNet of Song et al. 2021 (appendix I; Zagoruyko and Komodakis 2016):
 * a classifier of images with noise, whose gradient ∇x log p(y | x) guides class-conditional
 * sampling. WideResNet-28-10 as published has 38,913,242 parameters, of which 128 are frozen.
 *
 * The image is normalised by the means and deviations of the data's channels, then by its own mean
 * and deviation over all numbers (a deviation of at least 1 / √D). A convolution to 16 channels,
 * three groups of blocks of 16, 32 and 64 times `widen` channels at strides 1, 2, 2; group
 * normalisation, ReLU, mean over positions, a linear layer. Block, with a(x) = ReLU(GN(x)):
 * conv(a(conv(a(x)) + Dense(silu(time)))) + x, where x is averaged over the stride and gets zeros
 * for the channels that it lacks; the very first block takes a(x) for x also beside the branch. The
 * time is two linear layers after random Fourier features of ln σ. */
#include <math.h>
#include <stdio.h>

#include "tweedie/net.h"

enum { FOURIER = 128, TIME = 512, STEM = 16, GROUPS = 3, GROUPS_MAX = 32 };

typedef struct wide_config {
    int64_t blocks, widen;
    int input; /* 1: 0 to 1 */
    double frequency_scale;
    tw_config_doubles mean, std;
} wide_config;

static const tw_config_field fields[] = {
    {NULL, "blocks", TW_CONFIG_INT64, offsetof(wide_config, blocks), "4", 1, 64, .fixed = true,
     .help = "blocks of each of the three groups; the depth is 6 blocks + 4"},
    {NULL, "widen", TW_CONFIG_INT64, offsetof(wide_config, widen), "10", 1, 256, .fixed = true,
     .help = "factor of the groups' 16, 32 and 64 channels"},
    {NULL, "input", TW_CONFIG_CHOICE, offsetof(wide_config, input), "model",
     .choices = "model|unit", .fixed = true,
     .help = "range of the samples: model units (-1 to 1), or 0 to 1"},
    {NULL, "mean", TW_CONFIG_DOUBLES, offsetof(wide_config, mean),
     "0.49139968, 0.48215841, 0.44653091", -1e6, 1e6, .fixed = true,
     .help = "mean of each channel of the data in 0 to 1 (CIFAR-10's)"},
    {NULL, "std", TW_CONFIG_DOUBLES, offsetof(wide_config, std),
     "0.24703223, 0.24348513, 0.26158784", TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true,
     .help = "deviation of each channel of the data in 0 to 1"},
    {NULL, "frequency_scale", TW_CONFIG_DOUBLE, offsetof(wide_config, frequency_scale), "16",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true,
     .help = "deviation of the frequencies of the embedding of ln sigma"},
};

static const double eps = 1e-5;

/* What the layers of one network share. */
typedef struct builder {
    tw_graph *g;
    const wide_config *c;
    tw_value *time; /* silu(time embedding) [N, TIME] */
} builder;

static int64_t groups_of(int64_t channels)
{
    return channels / 4 < GROUPS_MAX ? channels / 4 : GROUPS_MAX;
}

/* Two of the three groups halve. */
static int64_t multiple(const void *config)
{
    (void)config;
    return 4;
}

static tw_status check(const void *config, tw_shape sample)
{
    tw_status st = TW_OK;
    const wide_config *c = config;
    TW_CHECK(sample.rank == 3, TW_ECONFIG,
             "network.kind: wideresnet wants images [height, width, channels]");
    TW_CHECK(sample.dims[0] % 4 == 0 && sample.dims[1] % 4 == 0, TW_ECONFIG,
             "network.kind: wideresnet halves images twice, and %lld x %lld is no multiple of 4 "
             "(network.pad = reflect or zero pads them)",
             (long long)sample.dims[0], (long long)sample.dims[1]);
    TW_CHECK(c->mean.count == sample.dims[2] && c->std.count == sample.dims[2], TW_ECONFIG,
             "network.mean and network.std: a number for each of %lld channels was expected",
             (long long)sample.dims[2]);
    for (int k = 0; k < GROUPS; k++) {
        const int64_t channels = (STEM << k) * c->widen;
        TW_CHECK(channels % groups_of(channels) == 0, TW_ECONFIG,
                 "network.widen: %d groups of a normalisation do not divide %lld channels; an even "
                 "number was expected",
                 GROUPS_MAX, (long long)channels);
    }
done:
    return st;
}

/* ---- layers ---- */

static int64_t channels(const tw_value *x)
{
    return x ? tw_shape_channels(x->shape) : 1;
}

/* Without bias; variance scaling of 2 over fan_out, normal. An even extent at stride 2 is padded at
 * its end alone. */
static tw_value *conv(const builder *b, const char *path, tw_value *x, int64_t out, int64_t stride)
{
    const tw_init init = {.kind = TW_INIT_NORMAL, .std = sqrt(2.0 / (9.0 * (double)out))};
    const tw_conv_geometry geometry = tw_conv_square(stride, stride == 1, 1);
    char name[TW_NAME_MAX + 8];
    snprintf(name, sizeof name, "%s.weight", path);
    tw_value *w = tw_param(b->g, name, TW_SHAPE(out, channels(x), 3, 3), init);
    return tw_conv(b->g, x, w, NULL, &geometry);
}

static tw_value *linear(const builder *b, const char *path, tw_value *x, int64_t out)
{
    const tw_init init = {.kind = TW_INIT_NORMAL, .std = 1 / sqrt((double)channels(x))};
    return tw_layer_linear(b->g, path, x, out, init, tw_init_zeros);
}

static tw_value *activate(const builder *b, const char *path, tw_value *x)
{
    x = tw_layer_group_norm(b->g, path, x, groups_of(channels(x)), eps);
    return tw_activation(b->g, x, TW_RELU);
}

/* A block's x at the branch's extent and channels. */
static tw_value *shortcut(const builder *b, tw_value *x, int64_t out, int64_t stride)
{
    if (stride > 1) x = tw_average_pool(b->g, x, stride);
    return channels(x) == out ? x : tw_pad_channels(b->g, x, 0, out);
}

static tw_value *block(const builder *b, int group, int k, tw_value *x)
{
    const int64_t out = (STEM << group) * b->c->widen, stride = group > 0 && k == 0 ? 2 : 1;
    static const char *const leaf[5] = {"norm1", "conv1", "time", "norm2", "conv2"};
    char p[5][TW_NAME_MAX];
    tw_graph *g = b->g;
    for (int i = 0; i < 5; i++) snprintf(p[i], sizeof p[i], "group%d.%d.%s", group, k, leaf[i]);
    tw_value *h = activate(b, p[0], x);
    if (group == 0 && k == 0) x = h;
    h = conv(b, p[1], h, out, stride);
    tw_value *e = linear(b, p[2], b->time, out);
    if (e) h = tw_add(g, h, tw_reshape(g, e, TW_SHAPE(e->shape.dims[0], 1, 1, out)));
    h = conv(b, p[4], activate(b, p[3], h), out, 1);
    return tw_add(g, h, shortcut(b, x, out, stride));
}

/* ---- the ends ---- */

/* Each channel by the data's mean and deviation, which are those of 0 to 1. */
static tw_value *normalise(const builder *b, tw_value *x)
{
    const wide_config *c = b->c;
    const double scale = c->input ? 1 : 0.5, shift = c->input ? 0 : 0.5;
    tw_value *y = NULL;
    for (int64_t k = 0; x && k < channels(x); k++) {
        tw_value *one = tw_affine(b->g, tw_slice(b->g, x, k, 1), scale / c->std.values[k],
                                  (shift - c->mean.values[k]) / c->std.values[k]);
        y = y ? tw_concat(b->g, y, one) : one;
    }
    return y;
}

/* Mean 0 and deviation 1 of each image; where it has hardly any, 1 / √D instead. */
static tw_value *standardise(const builder *b, tw_value *x)
{
    tw_graph *g = b->g;
    if (!x) return NULL;
    const int64_t n = x->shape.dims[0];
    const double numbers = (double)(tw_shape_count(x->shape) / n);
    const tw_shape each = TW_SHAPE(n, 1, 1, 1);
    x = tw_sub(g, x, tw_affine(g, tw_sum_to(g, x, each), 1 / numbers, 0));
    tw_value *variance = tw_affine(g, tw_sum_to(g, tw_mul(g, x, x), each), 1 / numbers, 0);
    return tw_mul(g, x, tw_power(g, variance, -0.5, 1 / numbers));
}

static tw_value *embed(const builder *b, tw_value *log_sigma)
{
    const tw_init normal = {.kind = TW_INIT_NORMAL, .std = b->c->frequency_scale};
    tw_value *w = tw_constant(b->g, "time.frequencies", TW_SHAPE(FOURIER), normal);
    tw_value *e = tw_cast(b->g, tw_embed_fourier(b->g, log_sigma, w), TW_ACT);
    e = tw_silu(b->g, linear(b, "time.linear1", e, TIME));
    return tw_silu(b->g, linear(b, "time.linear2", e, TIME));
}

/* Mean over positions, and the logits; weights begin as U(±1/√outputs). */
static tw_value *classify(const builder *b, tw_value *h, const tw_net_inputs *in)
{
    const tw_init init = {.kind = TW_INIT_UNIFORM, .bound = 1 / sqrt((double)in->outputs)};
    h = activate(b, "out.norm", h);
    if (!h) return NULL;
    const int64_t n = h->shape.dims[0], c = channels(h);
    const double pixels = (double)(h->shape.dims[1] * h->shape.dims[2]);
    h = tw_affine(b->g, tw_sum_to(b->g, h, TW_SHAPE(n, 1, 1, c)), 1 / pixels, 0);
    h = tw_reshape(b->g, h, TW_SHAPE(n, c));
    tw_net_features(b->g, in, h);
    h = tw_layer_linear(b->g, "out.linear", h, in->outputs, init, tw_init_zeros);
    return tw_cast(b->g, h, TW_F32);
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    builder b = {.g = g, .c = config};
    b.time = embed(&b, in->log_sigma);
    tw_value *h = tw_cast(g, standardise(&b, normalise(&b, in->x)), TW_ACT);
    h = conv(&b, "in", h, STEM, 1);
    for (int group = 0; group < GROUPS; group++) {
        for (int k = 0; k < b.c->blocks; k++) h = block(&b, group, k, h);
        tw_net_map(in, h);
    }
    return classify(&b, h, in);
}

const tw_net tw_net_wideresnet = {
    .kind = {"wideresnet", "the noise-conditional Wide-ResNet classifier", fields,
             sizeof fields / sizeof *fields, sizeof(wide_config)},
    .check = check,
    .multiple = multiple,
    .build = build,
    .logits = true,
};
