/* The U-Net of DDPM (Ho, Jain, Abbeel 2020), in both published attention placements: Ho's, after
 * every block of the way up at an attention resolution, and score_sde's (Song et al. 2021), after
 * the last one alone.
 *
 * Residual block: h = conv1(silu(GN(x))) + linear(silu(time)); h = conv2(dropout(silu(GN(h)))); x
 * (through a 1x1 convolution where channels differ) + h. Attention: one head over all positions,
 * softmax(q·k / √C). Way down: per level `blocks` blocks, then a convolution of stride 2, padded at
 * the right and bottom alone; way up: per level blocks + 1 blocks over the concatenation with the
 * way down, then nearest upsampling and a convolution. Initial weights: variance scaling; the last
 * convolution of a block, of an attention and of the network begin at (nearly) zero. Signals and
 * volumes are treated as images are. score_sde's VE variant takes data in [0, 1] and divides the
 * output by the noise level. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nets/unet_blocks.h"

enum { LEVELS_MAX = 8, SKIPS_MAX = LEVELS_MAX * 10 + 1 };

typedef enum placement { PLACEMENT_HO, PLACEMENT_SCORE_SDE } placement;

typedef struct unet_config {
    int64_t base, blocks, groups;
    tw_config_ints mult, attention;
    double dropout;
    int placement;
    bool resamp_with_conv, scale_by_sigma, centered;
} unet_config;

static const tw_config_field fields[] = {
    {NULL, "base", TW_CONFIG_INT64, offsetof(unet_config, base), "128", 2, 4096, .fixed = true,
     .help = "channels of the first level"},
    {NULL, "mult", TW_CONFIG_INTS, offsetof(unet_config, mult), "1, 2, 2, 2", 1, 64, .fixed = true,
     .help = "channels of each level, in units of base"},
    {NULL, "blocks", TW_CONFIG_INT64, offsetof(unet_config, blocks), "2", 1, 8, .fixed = true,
     .help = "residual blocks of a level"},
    {NULL, "attention", TW_CONFIG_INTS, offsetof(unet_config, attention), "16", 1, 4096,
     .fixed = true,
     .help = "first sides (heights, lengths) at which blocks are followed by attention; the middle "
             "always has it"},
    {NULL, "attention_placement", TW_CONFIG_CHOICE, offsetof(unet_config, placement), "ho",
     .choices = "ho|score_sde", .fixed = true,
     .help = "on the way up: after every block (Ho), or after a level's last (score_sde)"},
    {NULL, "dropout", TW_CONFIG_DOUBLE, offsetof(unet_config, dropout), "0.1", 0, 0.95,
     .fixed = true, .help = "rate in the blocks"},
    {NULL, "groups", TW_CONFIG_INT64, offsetof(unet_config, groups), "32", 1, 1024, .fixed = true,
     .help = "groups of the normalisations"},
    {NULL, "resamp_with_conv", TW_CONFIG_BOOL, offsetof(unet_config, resamp_with_conv), "yes",
     .fixed = true, .help = "a 3x3 convolution where the resolution changes; else means of 2x2"},
    {NULL, "scale_by_sigma", TW_CONFIG_BOOL, offsetof(unet_config, scale_by_sigma), "no",
     .fixed = true, .help = "divide the output by the noise level"},
    {NULL, "centered", TW_CONFIG_BOOL, offsetof(unet_config, centered), "yes", .fixed = true,
     .help = "the data lie in [-1, 1]; else in [0, 1], and the network takes 2 x - 1"},
};

static const double eps = 1e-6;

/* What the layers of one network share. */
typedef struct builder {
    tw_graph *g;
    const unet_config *c;
    tw_value *time; /* silu(time embedding) [N, 4 base] */
    tw_reference_names *reference_names;
    double nin_scale; /* of 1x1 convolutions: 1 in Ho's, 0.1 in score_sde's */
} builder;

static int64_t multiple(const void *config)
{
    const int64_t levels = ((const unet_config *)config)->mult.count;
    return levels >= 1 && levels <= LEVELS_MAX ? INT64_C(1) << (levels - 1) : 1;
}

static tw_status check(const void *config, tw_shape sample)
{
    tw_status st = TW_OK;
    const unet_config *c = config;
    TW_CHECK(c->mult.count >= 1 && c->mult.count <= LEVELS_MAX, TW_ECONFIG,
             "network.mult: 1 to %d levels, not %lld", LEVELS_MAX, (long long)c->mult.count);
    TW_TRY(tw_unet_check(sample, c->mult.count, "network.mult"));
    TW_CHECK(c->base % 2 == 0, TW_ECONFIG, "network.base: must be even, is %lld",
             (long long)c->base);
    for (int64_t l = 0; l < c->mult.count; l++)
        TW_TRY(tw_unet_check_groups(c->groups, c->base * c->mult.values[l]));
done:
    return st;
}

/* ---- published names: score_sde's flat list of modules ---- */

/* "all_modules.MODULE.INNER" for our parameter PATH.LEAF. */
static void publish(const builder *b, const char *inner, const char *path, const char *leaf,
                    tw_shape shape, int64_t first, bool transposed)
{
    char name[TW_NAME_MAX + 32], ours[TW_NAME_MAX + 32];
    if (!b->reference_names) return;
    snprintf(name, sizeof name, "all_modules.%d.%s", b->reference_names->module, inner);
    snprintf(ours, sizeof ours, "%s.%s", path, leaf);
    tw_publish(b->reference_names, b->g, name, ours, shape, first, transposed);
}

/* A layer's weight and bias under PREFIXweight and PREFIXbias. */
static void publish_pair(const builder *b, const char *prefix, const char *path, tw_shape weight)
{
    char inner[TW_NAME_MAX];
    snprintf(inner, sizeof inner, "%sweight", prefix);
    publish(b, inner, path, "weight", weight, 0, false);
    snprintf(inner, sizeof inner, "%sbias", prefix);
    publish(b, inner, path, "bias", TW_SHAPE(weight.dims[0]), 0, false);
}

/* A 1x1 convolution is a NIN with W [in, out]; `first` is the row of ours where it begins. */
static void publish_nin(const builder *b, int k, const char *path, int64_t in, int64_t out,
                        int64_t first)
{
    char inner[TW_NAME_MAX];
    snprintf(inner, sizeof inner, "NIN_%d.W", k);
    publish(b, inner, path, "weight", TW_SHAPE(in, out), first, true);
    snprintf(inner, sizeof inner, "NIN_%d.b", k);
    publish(b, inner, path, "bias", TW_SHAPE(out), first, false);
}

static void next_module(const builder *b)
{
    if (b->reference_names) b->reference_names->module++;
}

/* ---- layers ---- */

static int64_t channels(const tw_value *x)
{
    return tw_unet_channels(x);
}

/* The variance of weights [out, in, k…] is that of fan_in = in k…, fan_out = out k…. */
static tw_init scaled(double scale, tw_shape w)
{
    const int64_t taps = tw_shape_count(w) / (w.dims[0] * w.dims[1]);
    return tw_init_variance_scaling(scale, w.dims[1] * taps, w.dims[0] * taps);
}

static tw_value *conv(const builder *b, const char *path, const char *published, tw_value *x,
                      int64_t out, int64_t kernel, double scale)
{
    if (!x) return NULL;
    const tw_shape w = tw_layer_kernel(x, out, kernel);
    if (published) publish_pair(b, published, path, w);
    return tw_layer_conv(b->g, path, x, out, kernel, scaled(scale, w));
}

static tw_value *linear(const builder *b, const char *path, const char *published, tw_value *x,
                        int64_t out)
{
    publish_pair(b, published, path, TW_SHAPE(out, channels(x)));
    return tw_layer_linear(b->g, path, x, out, tw_init_variance_scaling(1, channels(x), out),
                           tw_init_zeros);
}

static tw_value *norm(const builder *b, const char *path, const char *published, tw_value *x)
{
    publish_pair(b, published, path, TW_SHAPE(channels(x)));
    return tw_layer_group_norm(b->g, path, x, b->c->groups, eps);
}

/* h + e, e [N, C] at every position. */
static tw_value *add_everywhere(tw_graph *g, tw_value *h, tw_value *e)
{
    if (!h || !e) return NULL;
    tw_shape s = {.rank = h->shape.rank, .dims = {e->shape.dims[0], 1, 1, 1, 1}};
    s.dims[s.rank - 1] = channels(e);
    return tw_add(g, h, tw_reshape(g, e, s));
}

static tw_value *residual_block(const builder *b, const char *path, tw_value *x, int64_t out)
{
    tw_graph *g = b->g;
    char p[5][TW_NAME_MAX];
    static const char *const leaf[5] = {"norm1", "conv1", "time", "norm2", "conv2"};
    for (int k = 0; k < 5; k++) snprintf(p[k], sizeof p[k], "%s.%s", path, leaf[k]);
    tw_value *h = conv(b, p[1], NULL, tw_silu(g, norm(b, p[0], "GroupNorm_0.", x)), out, 3, 1);
    if (x) publish_pair(b, "Conv_0.", p[1], tw_layer_kernel(x, out, 3));
    h = add_everywhere(g, h, linear(b, p[2], "Dense_0.", b->time, out));
    h = tw_dropout(g, tw_silu(g, norm(b, p[3], "GroupNorm_1.", h)), b->c->dropout);
    h = conv(b, p[4], "Conv_1.", h, out, 3, 0);
    if (channels(x) != out) {
        snprintf(p[0], sizeof p[0], "%s.shortcut", path);
        publish_nin(b, 0, p[0], channels(x), out, 0);
        x = conv(b, p[0], NULL, x, out, 1, b->nin_scale);
    }
    next_module(b);
    return tw_add(g, h, x);
}

/* q, k and v are one 1x1 convolution of 3C channels. */
static tw_value *attention_block(const builder *b, const char *path, tw_value *x)
{
    tw_graph *g = b->g;
    char p[3][TW_NAME_MAX];
    static const char *const leaf[3] = {"norm", "qkv", "proj"};
    for (int k = 0; k < 3; k++) snprintf(p[k], sizeof p[k], "%s.%s", path, leaf[k]);
    if (!x) return NULL;
    const int64_t c = channels(x);
    const tw_conv_geometry pointwise = tw_conv_square(1, 0, 0);
    char name[TW_NAME_MAX + 8];
    tw_value *h = norm(b, p[0], "GroupNorm_0.", x);
    for (int k = 0; k < 3; k++) publish_nin(b, k, p[1], c, c, k * c);
    snprintf(name, sizeof name, "%s.weight", p[1]);
    tw_value *w = tw_param(g, name, tw_layer_kernel(x, 3 * c, 1),
                           tw_init_variance_scaling(b->nin_scale, c, c));
    snprintf(name, sizeof name, "%s.bias", p[1]);
    h = tw_conv(g, h, w, tw_param(g, name, TW_SHAPE(3 * c), tw_init_zeros), &pointwise);
    h = tw_attention(g, h, 1, 1 / sqrt((double)c));
    publish_nin(b, 3, p[2], c, c, 0);
    h = conv(b, p[2], NULL, h, c, 1, 0);
    next_module(b);
    return tw_add(g, h, x);
}

/* Padded at the end alone, as TensorFlow's SAME does for even extents. */
static tw_value *downsample(const builder *b, const char *path, tw_value *x)
{
    if (!x) return NULL;
    const int64_t c = channels(x);
    if (!b->c->resamp_with_conv) {
        next_module(b);
        return tw_average_pool(b->g, x, 2);
    }
    const tw_shape shape = tw_layer_kernel(x, c, 3);
    const tw_conv_geometry halve = tw_conv_square(2, 0, 1);
    char name[TW_NAME_MAX + 8];
    publish_pair(b, "Conv_0.", path, shape);
    next_module(b);
    snprintf(name, sizeof name, "%s.weight", path);
    tw_value *w = tw_param(b->g, name, shape, scaled(1, shape));
    snprintf(name, sizeof name, "%s.bias", path);
    return tw_conv(b->g, x, w, tw_param(b->g, name, TW_SHAPE(c), tw_init_zeros), &halve);
}

static tw_value *upsample(const builder *b, const char *path, tw_value *x)
{
    tw_value *y = tw_upsample_nearest(b->g, x, 2);
    if (b->c->resamp_with_conv) y = conv(b, path, "Conv_0.", y, channels(x), 3, 1);
    next_module(b);
    return y;
}

static bool attends(const unet_config *c, const tw_value *x)
{
    return x && tw_unet_listed(&c->attention, x->shape.dims[1]);
}

/* ---- the network ---- */

static void embed_time(builder *b, const tw_net_inputs *in)
{
    const int64_t width = 4 * b->c->base;
    tw_value *e = tw_cast(b->g, tw_embed_sinusoidal(b->g, in->t, b->c->base, 10000), TW_ACT);
    e = tw_silu(b->g, linear(b, "time.linear1", "", e, width));
    next_module(b);
    e = linear(b, "time.linear2", "", e, width);
    if (in->label) {
        e = tw_add(b->g, e, tw_cast(b->g, tw_layer_class(b->g, "class", in, width), TW_ACT));
        tw_publish(b->reference_names, b->g, "class_embedding.weight", "class.weight",
                   TW_SHAPE(in->classes, width), 0, false);
    }
    b->time = tw_silu(b->g, e);
    next_module(b);
}

static tw_value *way_down(const builder *b, tw_value *h, tw_value **skips, int *n)
{
    char path[TW_NAME_MAX];
    skips[(*n)++] = h;
    for (int64_t level = 0; level < b->c->mult.count; level++) {
        const int64_t out = b->c->base * b->c->mult.values[level];
        for (int64_t k = 0; k < b->c->blocks; k++) {
            snprintf(path, sizeof path, "down.%d.res%d", (int)level, (int)k);
            h = residual_block(b, path, h, out);
            snprintf(path, sizeof path, "down.%d.attn%d", (int)level, (int)k);
            if (attends(b->c, h)) h = attention_block(b, path, h);
            skips[(*n)++] = h;
        }
        if (level == b->c->mult.count - 1) break;
        snprintf(path, sizeof path, "down.%d.downsample", (int)level);
        h = downsample(b, path, h);
        skips[(*n)++] = h;
    }
    return h;
}

static tw_value *way_up(const builder *b, tw_value *h, tw_value **skips, int n)
{
    char path[TW_NAME_MAX];
    for (int64_t level = b->c->mult.count - 1; level >= 0; level--) {
        const int64_t out = b->c->base * b->c->mult.values[level];
        for (int64_t k = 0; k <= b->c->blocks; k++) {
            const bool place = b->c->placement == PLACEMENT_HO || k == b->c->blocks;
            snprintf(path, sizeof path, "up.%d.res%d", (int)level, (int)k);
            h = residual_block(b, path, tw_concat(b->g, h, skips[--n]), out);
            snprintf(path, sizeof path, "up.%d.attn%d", (int)level, (int)k);
            if (place && attends(b->c, h)) h = attention_block(b, path, h);
        }
        snprintf(path, sizeof path, "up.%d.upsample", (int)level);
        if (level > 0) h = upsample(b, path, h);
    }
    return h;
}

/* y / σ, a number for each sample. */
static tw_value *over_sigma(tw_graph *g, tw_value *y, tw_value *log_sigma)
{
    if (!y) return NULL;
    const tw_shape each = {.rank = y->shape.rank, .dims = {y->shape.dims[0], 1, 1, 1, 1}};
    tw_value *factor = tw_exp(g, tw_affine(g, log_sigma, -1, 0));
    return tw_mul(g, y, tw_reshape(g, factor, each));
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const unet_config *c = config;
    builder b = {.g = g,
                 .c = c,
                 .reference_names = in->reference_names,
                 .nin_scale = c->placement == PLACEMENT_HO ? 1 : 0.1};
    tw_value *skips[SKIPS_MAX] = {0}, *h;
    int n = 0;
    embed_time(&b, in);
    h = c->centered ? in->x : tw_affine(g, in->x, 2, -1);
    h = conv(&b, "in", "", tw_cast(g, h, TW_ACT), c->base, 3, 1);
    next_module(&b);
    h = way_down(&b, h, skips, &n);
    h = residual_block(&b, "mid.res0", h, channels(h));
    h = attention_block(&b, "mid.attn", h);
    h = residual_block(&b, "mid.res1", h, channels(h));
    h = way_up(&b, h, skips, n);
    h = tw_silu(g, norm(&b, "out.norm", "", h));
    next_module(&b);
    h = tw_cast(g, conv(&b, "out.conv", "", h, in->outputs, 3, 0), TW_F32);
    return c->scale_by_sigma ? over_sigma(g, h, in->log_sigma) : h;
}

const tw_net tw_net_unet = {
    .kind = {"unet", "the U-Net of DDPM", fields, sizeof fields / sizeof *fields,
             sizeof(unet_config)},
    .check = check,
    .multiple = multiple,
    .build = build,
};
