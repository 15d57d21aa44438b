/* Inception-v3 (Szegedy et al. 2016) as the Fréchet inception distance knows it: the network of
 * 2015-12-05 with 1008 outputs, in which pytorch-fid's port differs from torchvision's network:
 * average pooling counts the positions that exist alone, and the last block has max pooling beside
 * its branches. Its features are the 2048 means over positions in front of the last layer.
 *
 * Samples of any extent, and of one channel as of three, are resized to `extent` without a
 * smoothing filter:
 *
 *   pytorch     as pytorch-fid does: PyTorch's bilinear, then 2 v / 255 − 1
 *   tensorflow  as the original graph does: TensorFlow 1's bilinear, then (v − 128) / 128
 *
 * A unit is ReLU(BN(conv(x))) with fixed statistics, eps = 0.001: a scale γ / √(var + eps) and a
 * shift of each channel. Nothing of it is trained. Names are the published ones. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tweedie/net.h"

extern const tw_net tw_net_inception;

enum { PYTORCH, TENSORFLOW };
enum { FEATURES = 2048, EXTENT_LEAST = 75 }; /* 75: one position is left */

typedef struct inception_config {
    int64_t extent;
    int preprocess;
} inception_config;

static const tw_config_field fields[] = {
    {NULL, "extent", TW_CONFIG_INT64, offsetof(inception_config, extent), "299", EXTENT_LEAST, 4096,
     .fixed = true, .help = "height and width that images are resized to"},
    {NULL, "preprocess", TW_CONFIG_CHOICE, offsetof(inception_config, preprocess), "pytorch",
     .choices = "pytorch|tensorflow", .fixed = true,
     .help = "resizing and scaling of images: pytorch-fid's, or the original graph's"},
};

typedef struct builder {
    tw_graph *g;
    tw_reference_names *names;
    const char *block; /* "Mixed_5b." or "" */
} builder;

static tw_status check(const void *config, tw_shape sample)
{
    tw_status st = TW_OK;
    (void)config;
    TW_CHECK(sample.rank == 3 && (sample.dims[2] == 3 || sample.dims[2] == 1), TW_ECONFIG,
             "network.kind: inception wants images of 3 channels, or of 1");
done:
    return st;
}

/* ---- units ---- */

/* A frozen array under its published name, kept as `shape`. */
static tw_value *array(const builder *b, const char *unit, const char *leaf, tw_shape published,
                       tw_shape shape, tw_init init)
{
    char name[TW_NAME_MAX];
    snprintf(name, sizeof name, "%s%s.%s", b->block, unit, leaf);
    tw_publish(b->names, b->g, name, name, published, 0, false);
    return tw_constant(b->g, name, shape, init);
}

/* Kernels of h x w; `same` keeps the extent at stride 1. */
typedef struct kernel {
    int64_t h, w, stride;
    bool same;
} kernel;

static const kernel one = {1, 1, 1, true}, three = {3, 3, 1, true}, five = {5, 5, 1, true},
                    valid = {3, 3, 1, false}, half = {3, 3, 2, false}, row7 = {1, 7, 1, true},
                    column7 = {7, 1, 1, true}, row3 = {1, 3, 1, true}, column3 = {3, 1, 1, true};

static tw_value *unit(const builder *b, const char *name, tw_value *x, int64_t out, kernel k)
{
    tw_graph *g = b->g;
    if (!x) return NULL;
    const int64_t in = tw_shape_channels(x->shape), taps = in * k.h * k.w;
    const tw_shape c = TW_SHAPE(out), plain = TW_SHAPE(out, in, k.h, k.w);
    const tw_init init = {.kind = TW_INIT_NORMAL, .std = sqrt(2.0 / (double)taps)};
    const tw_conv_geometry geometry = {.stride = {k.stride, k.stride, 1},
                                       .dilation = {1, 1, 1},
                                       .before = {k.same ? k.h / 2 : 0, k.same ? k.w / 2 : 0, 0},
                                       .after = {k.same ? k.h / 2 : 0, k.same ? k.w / 2 : 0, 0}};
    tw_value *w = array(b, name, "conv.weight", plain, plain, init);
    tw_value *gamma = array(b, name, "bn.weight", c, c, tw_init_ones),
             *beta = array(b, name, "bn.bias", c, c, tw_init_zeros),
             *mean = array(b, name, "bn.running_mean", c, c, tw_init_zeros),
             *variance = array(b, name, "bn.running_var", c, c, tw_init_ones);
    tw_value *scale = tw_mul(g, gamma, tw_power(g, tw_affine(g, variance, 1, 1e-3), -0.5, 1e-12));
    tw_value *shift = tw_sub(g, beta, tw_mul(g, mean, scale));
    x = tw_mul(g, tw_conv(g, x, w, NULL, &geometry), tw_cast(g, scale, TW_ACT));
    return tw_activation(g, tw_add(g, x, tw_cast(g, shift, TW_ACT)), TW_RELU);
}

/* Windows of 3 x 3 at stride 2, within the image. */
static tw_value *max_pool_half(tw_graph *g, tw_value *x)
{
    const tw_fir_geometry every_second = {
        .up = 1, .down = 2, .before = -1, .after = -1, .taps = 1, .tap = {1}};
    return tw_fir(g, tw_max_pool_same(g, x, 3), &every_second);
}

static tw_value *join(const builder *b, tw_value *p, tw_value *q, tw_value *r, tw_value *s)
{
    tw_value *y = tw_concat(b->g, tw_concat(b->g, p, q), r);
    return s ? tw_concat(b->g, y, s) : y;
}

/* ---- blocks ---- */

static tw_value *block_a(builder b, const char *name, tw_value *x, int64_t pool)
{
    b.block = name;
    tw_value *p = unit(&b, "branch1x1", x, 64, one);
    tw_value *q = unit(&b, "branch5x5_2", unit(&b, "branch5x5_1", x, 48, one), 64, five);
    tw_value *r = unit(&b, "branch3x3dbl_2", unit(&b, "branch3x3dbl_1", x, 64, one), 96, three);
    r = unit(&b, "branch3x3dbl_3", r, 96, three);
    return join(&b, p, q, r, unit(&b, "branch_pool", tw_average_pool_inside(b.g, x, 3), pool, one));
}

static tw_value *block_b(builder b, const char *name, tw_value *x)
{
    b.block = name;
    tw_value *p = unit(&b, "branch3x3", x, 384, half);
    tw_value *q = unit(&b, "branch3x3dbl_2", unit(&b, "branch3x3dbl_1", x, 64, one), 96, three);
    q = unit(&b, "branch3x3dbl_3", q, 96, half);
    return join(&b, p, q, max_pool_half(b.g, x), NULL);
}

static tw_value *block_c(builder b, const char *name, tw_value *x, int64_t c)
{
    b.block = name;
    tw_value *p = unit(&b, "branch1x1", x, 192, one);
    tw_value *q = unit(&b, "branch7x7_2", unit(&b, "branch7x7_1", x, c, one), c, row7);
    q = unit(&b, "branch7x7_3", q, 192, column7);
    tw_value *r = unit(&b, "branch7x7dbl_2", unit(&b, "branch7x7dbl_1", x, c, one), c, column7);
    r = unit(&b, "branch7x7dbl_4", unit(&b, "branch7x7dbl_3", r, c, row7), c, column7);
    r = unit(&b, "branch7x7dbl_5", r, 192, row7);
    return join(&b, p, q, r, unit(&b, "branch_pool", tw_average_pool_inside(b.g, x, 3), 192, one));
}

static tw_value *block_d(builder b, const char *name, tw_value *x)
{
    b.block = name;
    tw_value *p = unit(&b, "branch3x3_2", unit(&b, "branch3x3_1", x, 192, one), 320, half);
    tw_value *q = unit(&b, "branch7x7x3_2", unit(&b, "branch7x7x3_1", x, 192, one), 192, row7);
    q = unit(&b, "branch7x7x3_3", q, 192, column7);
    q = unit(&b, "branch7x7x3_4", q, 192, half);
    return join(&b, p, q, max_pool_half(b.g, x), NULL);
}

static tw_value *block_e(builder b, const char *name, tw_value *x, bool last)
{
    b.block = name;
    tw_value *p = unit(&b, "branch1x1", x, 320, one);
    tw_value *q = unit(&b, "branch3x3_1", x, 384, one);
    tw_value *qa = unit(&b, "branch3x3_2a", q, 384, row3),
             *qb = unit(&b, "branch3x3_2b", q, 384, column3);
    tw_value *r = unit(&b, "branch3x3dbl_2", unit(&b, "branch3x3dbl_1", x, 448, one), 384, three);
    tw_value *ra = unit(&b, "branch3x3dbl_3a", r, 384, row3),
             *rb = unit(&b, "branch3x3dbl_3b", r, 384, column3);
    tw_value *pooled = last ? tw_max_pool_same(b.g, x, 3) : tw_average_pool_inside(b.g, x, 3);
    return join(&b, p, tw_concat(b.g, qa, qb), tw_concat(b.g, ra, rb),
                unit(&b, "branch_pool", pooled, 192, one));
}

/* ---- the ends ---- */

static tw_value *preprocess(tw_graph *g, const inception_config *c, tw_value *x)
{
    const int64_t extent[2] = {c->extent, c->extent};
    const bool original = c->preprocess == TENSORFLOW;
    if (!x) return NULL;
    x = tw_resize_picture(g, x, extent, original ? TW_RESIZE_STARTS : TW_RESIZE_CENTRES);
    if (x && tw_shape_channels(x->shape) == 1) x = tw_concat(g, tw_concat(g, x, x), x);
    /* model units are v / 127.5 − 1 */
    return original ? tw_affine(g, x, 127.5 / 128, -0.5 / 128) : x;
}

static tw_value *encode(const builder *b, const tw_net_inputs *in, tw_value *x)
{
    x = unit(b, "Conv2d_1a_3x3", x, 32, half);
    x = unit(b, "Conv2d_2a_3x3", x, 32, valid);
    x = max_pool_half(b->g, unit(b, "Conv2d_2b_3x3", x, 64, three));
    tw_net_map(in, x);
    x = unit(b, "Conv2d_3b_1x1", x, 80, one);
    x = max_pool_half(b->g, unit(b, "Conv2d_4a_3x3", x, 192, valid));
    tw_net_map(in, x);
    x = block_a(*b, "Mixed_5b.", x, 32);
    x = block_a(*b, "Mixed_5c.", x, 64);
    x = block_a(*b, "Mixed_5d.", x, 64);
    tw_net_map(in, x);
    x = block_b(*b, "Mixed_6a.", x);
    x = block_c(*b, "Mixed_6b.", x, 128);
    x = block_c(*b, "Mixed_6c.", x, 160);
    x = block_c(*b, "Mixed_6d.", x, 160);
    x = block_c(*b, "Mixed_6e.", x, 192);
    tw_net_map(in, x);
    x = block_d(*b, "Mixed_7a.", x);
    x = block_e(*b, "Mixed_7b.", x, false);
    x = block_e(*b, "Mixed_7c.", x, true);
    tw_net_map(in, x);
    return x;
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const builder b = {.g = g, .names = in->reference_names, .block = ""};
    const int64_t outputs = in->outputs;
    tw_value *h = encode(&b, in, tw_cast(g, preprocess(g, config, in->x), TW_ACT));
    if (!h) return NULL;
    const int64_t n = h->shape.dims[0];
    const double positions = (double)(h->shape.dims[1] * h->shape.dims[2]);
    h = tw_affine(g, tw_sum_to(g, h, TW_SHAPE(n, 1, 1, FEATURES)), 1 / positions, 0);
    h = tw_reshape(g, h, TW_SHAPE(n, FEATURES));
    tw_net_features(g, in, h);
    const tw_shape shape = TW_SHAPE(outputs, FEATURES);
    tw_value *w = array(&b, "fc", "weight", shape, shape, tw_init_fan_in(FEATURES));
    tw_value *bias =
        array(&b, "fc", "bias", TW_SHAPE(outputs), TW_SHAPE(outputs), tw_init_fan_in(FEATURES));
    return tw_cast(g, tw_linear(g, h, w, bias), TW_F32);
}

const tw_net tw_net_inception = {
    .kind = {"inception", "Inception-v3 of the Frechet inception distance, for features", fields,
             sizeof fields / sizeof *fields, sizeof(inception_config)},
    .check = check,
    .build = build,
    .logits = true,
    .any_extent = true,
};
