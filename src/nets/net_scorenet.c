/* The small score network of Song's tutorial "Generative modeling by estimating gradients of the
 * data distribution" for MNIST: a U-Net whose convolutions have no padding, so that the way up
 * takes transposed ones back to the extents of the way down.
 *
 * A time embedding e = silu(W [sin 2πωt ‖ cos 2πωt]) with frozen ω ~ N(0, scale²). Way down: four
 * convolutions of 3 x 3, the last three of stride 2, each followed by + Dense(e), group
 * normalisation and SiLU. Way up: transposed convolutions of the deepest, then of what came so far
 * beside the way down's output of that extent. The output is divided by σ(t). On a torus a
 * convolution keeps the extents, or halves them. */
#include <stdio.h>
#include <string.h>

#include "tweedie/net.h"

enum { DEPTH = 4, KERNEL = 3, FIRST_GROUPS = 4 };

typedef struct scorenet_config {
    tw_config_ints channels;
    int64_t embed, groups;
    double frequency_scale, time_scale;
} scorenet_config;

static const tw_config_field fields[] = {
    {NULL, "channels", TW_CONFIG_INTS, offsetof(scorenet_config, channels), "32, 64, 128, 256", 1,
     65536, .fixed = true, .help = "channels of the four convolutions of the way down"},
    {NULL, "embed", TW_CONFIG_INT64, offsetof(scorenet_config, embed), "256", 2, 65536,
     .fixed = true, .help = "numbers of the time embedding"},
    {NULL, "groups", TW_CONFIG_INT64, offsetof(scorenet_config, groups), "32", 1, 1024,
     .fixed = true, .help = "groups of the normalisations, but of the first, which has 4"},
    {NULL, "frequency_scale", TW_CONFIG_DOUBLE, offsetof(scorenet_config, frequency_scale), "30",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true,
     .help = "deviation of the frequencies of the time embedding, for times in 0 to 1"},
    {NULL, "time_scale", TW_CONFIG_DOUBLE, offsetof(scorenet_config, time_scale), "1",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true,
     .help = "factor that brings the times of the process to 0 to 1 (1/999 where the network is "
             "told 999 t)"},
};

static const double eps = 1e-5;

/* What the layers of one network share. */
typedef struct builder {
    tw_graph *g;
    const scorenet_config *c;
    tw_value *time; /* [N, embed] */
    tw_reference_names *reference_names;
} builder;

/* Extent after convolution k. */
static int64_t extent_after(int64_t extent, int k)
{
    return extent < KERNEL ? 0 : (extent - KERNEL) / (k ? 2 : 1) + 1;
}

static tw_status check_shape(tw_shape sample)
{
    if (sample.rank != 3)
        return tw_error_set(TW_ECONFIG,
                            "network.kind: scorenet wants images [height, width, channels]");
    for (int d = 0; d < 2; d++) {
        int64_t extent = sample.dims[d];
        for (int k = 0; k < DEPTH; k++) extent = extent_after(extent, k);
        if (extent < 1)
            return tw_error_set(TW_ECONFIG,
                                "network.kind: four convolutions without padding leave nothing of "
                                "an image of %lld x %lld; scorenet wants 17 x 17 or more",
                                (long long)sample.dims[0], (long long)sample.dims[1]);
    }
    return TW_OK;
}

static tw_status check(const void *config, tw_shape sample)
{
    tw_status st = TW_OK;
    const scorenet_config *c = config;
    TW_TRY(check_shape(sample));
    TW_CHECK(c->channels.count == DEPTH, TW_ECONFIG, "network.channels: %d numbers, not %lld",
             DEPTH, (long long)c->channels.count);
    TW_CHECK(c->embed % 2 == 0, TW_ECONFIG, "network.embed: must be even, is %lld",
             (long long)c->embed);
    TW_CHECK(c->channels.values[0] % FIRST_GROUPS == 0, TW_ECONFIG,
             "network.channels: the first must be a multiple of %d, and is %lld", FIRST_GROUPS,
             (long long)c->channels.values[0]);
    for (int k = 0; k < DEPTH; k++)
        TW_CHECK(c->channels.values[k] % c->groups == 0, TW_ECONFIG,
                 "network.groups: %lld does not divide the %lld channels of convolution %d",
                 (long long)c->groups, (long long)c->channels.values[k], k + 1);
done:
    return st;
}

/* ---- layers ---- */

static tw_conv_geometry geometry_of(const tw_graph *g, int k)
{
    const int64_t border = tw_graph_padding(g) == TW_PAD_CIRCULAR ? KERNEL / 2 : 0;
    return tw_conv_square(k ? 2 : 1, border, border);
}

static int64_t channels(const tw_value *x)
{
    return x ? tw_shape_channels(x->shape) : 1;
}

/* A parameter PATH.LEAF, published as PUBLISHED.LEAF. */
static tw_value *param(const builder *b, const char *path, const char *published, const char *leaf,
                       tw_shape shape, tw_init init)
{
    char ours[TW_NAME_MAX + 16], theirs[TW_NAME_MAX + 16];
    snprintf(ours, sizeof ours, "%s.%s", path, leaf);
    snprintf(theirs, sizeof theirs, "%s.%s", published, leaf);
    tw_publish(b->reference_names, b->g, theirs, ours, shape, 0, false);
    return tw_param(b->g, ours, shape, init);
}

static tw_value *linear(const builder *b, const char *path, const char *published, tw_value *x,
                        int64_t out)
{
    const int64_t in = channels(x);
    const tw_init init = tw_init_fan_in(in);
    tw_value *w = param(b, path, published, "weight", TW_SHAPE(out, in), init);
    return tw_linear(b->g, x, w, param(b, path, published, "bias", TW_SHAPE(out), init));
}

/* + Dense(e) at every position, normalised, SiLU: what follows convolution `name`. */
static tw_value *settle(const builder *b, const char *dense, const char *norm, tw_value *h,
                        int64_t groups)
{
    char published[TW_NAME_MAX];
    const int64_t c = channels(h);
    snprintf(published, sizeof published, "%s.dense", dense);
    tw_value *e = linear(b, dense, published, b->time, c);
    if (e) h = tw_add(b->g, h, tw_reshape(b->g, e, TW_SHAPE(e->shape.dims[0], 1, 1, c)));
    tw_value *gamma = param(b, norm, norm, "weight", TW_SHAPE(c), tw_init_ones);
    h = tw_group_norm(b->g, h, gamma, param(b, norm, norm, "bias", TW_SHAPE(c), tw_init_zeros),
                      groups, eps);
    return tw_silu(b->g, h);
}

static tw_value *down(const builder *b, int k, tw_value *x)
{
    const int64_t in = channels(x), out = b->c->channels.values[k];
    const tw_conv_geometry geometry = geometry_of(b->g, k);
    char name[3][TW_NAME_MAX];
    static const char *const kind[3] = {"conv", "dense", "gnorm"};
    for (int i = 0; i < 3; i++) snprintf(name[i], sizeof name[i], "%s%d", kind[i], k + 1);
    tw_value *w = param(b, name[0], name[0], "weight", TW_SHAPE(out, in, KERNEL, KERNEL),
                        tw_init_fan_in(in * KERNEL * KERNEL));
    return settle(b, name[1], name[2], tw_conv(b->g, x, w, NULL, &geometry),
                  k ? b->c->groups : FIRST_GROUPS);
}

/* To `out` channels and the extents of x before convolution k. PyTorch takes the output's channels
 * for a transposed convolution's fan-in. */
static tw_value *up(const builder *b, int k, tw_value *h, int64_t out, const int64_t *extent)
{
    const tw_conv_geometry geometry = geometry_of(b->g, k);
    const tw_init init = tw_init_fan_in(out * KERNEL * KERNEL);
    char name[3][TW_NAME_MAX];
    snprintf(name[0], sizeof name[0], "tconv%d", k + 1);
    snprintf(name[1], sizeof name[1], "dense%d", 2 * DEPTH - k);
    snprintf(name[2], sizeof name[2], "tgnorm%d", k + 1);
    tw_value *w =
        param(b, name[0], name[0], "weight", TW_SHAPE(channels(h), out, KERNEL, KERNEL), init);
    tw_value *bias = k ? NULL : param(b, name[0], name[0], "bias", TW_SHAPE(out), init);
    h = tw_conv_transposed(b->g, h, w, bias, &geometry, extent);
    return k ? settle(b, name[1], name[2], h, b->c->groups) : h;
}

/* ---- the network ---- */

static void embed_time(builder *b, tw_value *t)
{
    const tw_shape shape = TW_SHAPE(b->c->embed / 2);
    const tw_init normal = {.kind = TW_INIT_NORMAL, .std = b->c->frequency_scale};
    tw_graph *g = b->g;
    if (b->c->time_scale != 1) t = tw_affine(g, t, b->c->time_scale, 0);
    tw_publish(b->reference_names, g, "embed.0.W", "time.frequencies", shape, 0, false);
    tw_value *e = tw_embed_fourier(g, t, tw_constant(g, "time.frequencies", shape, normal));
    b->time = tw_silu(g, linear(b, "time.linear", "embed.1", tw_cast(g, e, TW_ACT), b->c->embed));
}

static tw_value *by_sigma(tw_graph *g, tw_value *y, tw_value *log_sigma)
{
    if (!y || !log_sigma) return NULL;
    tw_value *factor = tw_exp(g, tw_affine(g, log_sigma, -1, 0));
    return tw_mul(g, y, tw_reshape(g, factor, TW_SHAPE(y->shape.dims[0], 1, 1, 1)));
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const scorenet_config *c = config;
    builder b = {.g = g, .c = c, .reference_names = in->reference_names};
    tw_value *levels[DEPTH], *h = tw_cast(g, in->x, TW_ACT);
    embed_time(&b, in->t);
    for (int k = 0; k < DEPTH; k++) levels[k] = h = down(&b, k, h);
    for (int k = DEPTH - 1; k >= 0 && h; k--) {
        const int64_t out = k ? c->channels.values[k - 1] : in->outputs;
        if (k < DEPTH - 1) h = tw_concat(g, h, levels[k]);
        h = up(&b, k, h, out, k ? levels[k - 1]->shape.dims + 1 : in->sample.dims);
    }
    return by_sigma(g, tw_cast(g, h, TW_F32), in->log_sigma);
}

const tw_net tw_net_scorenet = {
    .kind = {"scorenet", "the score network of Song's MNIST tutorial", fields,
             sizeof fields / sizeof *fields, sizeof(scorenet_config)},
    .check = check,
    .build = build,
};
