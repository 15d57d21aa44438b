/* The blocks that U-Nets share. */
#include "nets/unet_blocks.h"

#include <math.h>
#include <stdio.h>

enum { NAME_SIZE = TW_NAME_MAX + 32 };

int64_t tw_unet_channels(const tw_value *x)
{
    return x ? tw_shape_channels(x->shape) : 1;
}

bool tw_unet_listed(const tw_config_ints *list, int64_t value)
{
    for (int64_t k = 0; k < list->count; k++)
        if (list->values[k] == value) return true;
    return false;
}

/* ---- published names ---- */

static void publish(const tw_unet *u, const char *published, const char *path, const char *leaf,
                    tw_shape shape, int64_t first)
{
    char name[NAME_SIZE], ours[NAME_SIZE];
    if (!u->reference_names || !published) return;
    snprintf(name, sizeof name, "%s.%s", published, leaf);
    snprintf(ours, sizeof ours, "%s.%s", path, leaf);
    tw_publish(u->reference_names, u->g, name, ours, shape, first, false);
}

static void publish_pair(const tw_unet *u, const char *published, const char *path, tw_shape weight,
                         int64_t first)
{
    publish(u, published, path, "weight", weight, first);
    publish(u, published, path, "bias", TW_SHAPE(weight.dims[0]), first);
}

/* PREFIX.LEAF, in `out`. */
static const char *under(char out[NAME_SIZE], const char *prefix, const char *leaf)
{
    snprintf(out, NAME_SIZE, "%.95s.%.31s", prefix, leaf);
    return out;
}

/* ---- layers ---- */

static tw_value *param(const tw_unet *u, const char *path, const char *leaf, tw_shape shape,
                       tw_init init)
{
    char name[NAME_SIZE];
    return tw_param(u->g, under(name, path, leaf), shape, init);
}

static tw_value *conv(const tw_unet *u, const char *path, tw_value *x, tw_shape w,
                      const tw_conv_geometry *geometry, bool zero)
{
    const tw_init init = zero ? tw_init_zeros : tw_init_fan_in(tw_shape_count(w) / w.dims[0]);
    tw_value *weight = param(u, path, "weight", w, init);
    return tw_conv(u->g, x, weight, param(u, path, "bias", TW_SHAPE(w.dims[0]), init), geometry);
}

tw_value *tw_unet_conv(const tw_unet *u, const char *path, const char *published, tw_value *x,
                       int64_t out, int64_t kernel, int64_t stride, int64_t padding, bool zero)
{
    if (!x) return NULL;
    const tw_shape w = tw_layer_kernel(x, out, kernel);
    const tw_conv_geometry geometry =
        tw_conv_square(stride, padding < 0 ? 0 : padding, padding < 0 ? -padding : padding);
    publish_pair(u, published, path, w, 0);
    return conv(u, path, x, w, &geometry, zero);
}

tw_value *tw_unet_linear(const tw_unet *u, const char *path, const char *published, tw_value *x,
                         int64_t out)
{
    const tw_init init = tw_init_fan_in(tw_unet_channels(x));
    publish_pair(u, published, path, TW_SHAPE(out, tw_unet_channels(x)), 0);
    return tw_layer_linear(u->g, path, x, out, init, init);
}

tw_value *tw_unet_norm(const tw_unet *u, const char *path, const char *published, tw_value *x)
{
    publish_pair(u, published, path, TW_SHAPE(tw_unet_channels(x)), 0);
    return tw_layer_group_norm(u->g, path, x, u->groups, u->eps);
}

/* ---- the residual block ---- */

static tw_value *resampled(tw_graph *g, tw_value *x, tw_unet_resample how)
{
    if (how == TW_UNET_SAME) return x;
    return how == TW_UNET_UP ? tw_upsample_nearest(g, x, 2) : tw_average_pool(g, x, 2);
}

/* GN(h) (1 + scale) + shift, as a normalisation whose gamma and beta are each sample's own: gamma
 * (1 + scale) and beta (1 + scale) + shift. */
static tw_value *norm_scale_shift(const tw_unet *u, const char *path, const char *published,
                                  tw_value *h, tw_value *e)
{
    tw_graph *g = u->g;
    const int64_t c = tw_unet_channels(h);
    publish_pair(u, published, path, TW_SHAPE(c), 0);
    tw_value *gamma = param(u, path, "weight", TW_SHAPE(c), tw_init_ones);
    tw_value *beta = param(u, path, "bias", TW_SHAPE(c), tw_init_zeros);
    e = tw_cast(g, e, TW_F32);
    tw_value *scale = tw_affine(g, tw_slice(g, e, 0, c), 1, 1);
    beta = tw_add(g, tw_mul(g, scale, beta), tw_slice(g, e, c, c));
    return tw_group_norm(g, h, tw_mul(g, scale, gamma), beta, u->groups, u->eps);
}

/* h + e, e [N, C] at every position. */
static tw_value *add_everywhere(tw_graph *g, tw_value *h, tw_value *e)
{
    if (!h || !e) return NULL;
    tw_shape s = {.rank = h->shape.rank, .dims = {e->shape.dims[0], 1, 1, 1, 1}};
    s.dims[s.rank - 1] = e->shape.dims[1];
    return tw_add(g, h, tw_reshape(g, e, s));
}

static tw_value *rescaled(const tw_unet *u, tw_value *x)
{
    return u->rescale == 1 ? x : tw_affine(u->g, x, 1 / u->rescale, 0);
}

/* GN2 of h and the embedding, of a block whose h has its channels. */
static tw_value *embedded_norm(const tw_unet *u, const char *path, const char *published,
                               tw_value *h)
{
    const tw_unet_names *n = u->names;
    const int64_t c = tw_unet_channels(h);
    char p[NAME_SIZE], q[NAME_SIZE];
    tw_value *e = NULL;
    if (!u->timeless)
        e = tw_unet_linear(u, under(p, path, "time"), under(q, published, n->emb), u->emb,
                           u->scale_shift ? 2 * c : c);
    under(p, path, "norm2");
    under(q, published, n->norm2);
    if (u->scale_shift) return norm_scale_shift(u, p, q, h, e);
    return tw_unet_norm(u, p, q, u->timeless ? h : add_everywhere(u->g, h, e));
}

tw_value *tw_unet_residual(const tw_unet *u, const char *path, const char *published, tw_value *x,
                           int64_t out, tw_unet_resample resample)
{
    tw_graph *g = u->g;
    const tw_unet_names *n = u->names;
    char p[NAME_SIZE], q[NAME_SIZE];
    tw_value *h =
        tw_silu(g, tw_unet_norm(u, under(p, path, "norm1"), under(q, published, n->norm1), x));
    h = resampled(g, h, resample);
    x = resampled(g, x, resample);
    h = tw_unet_conv(u, under(p, path, "conv1"), under(q, published, n->conv1), h, out, 3, 1, 1,
                     false);
    h = embedded_norm(u, path, published, h);
    h = tw_dropout(g, tw_silu(g, h), u->dropout);
    h = tw_unet_conv(u, under(p, path, "conv2"), under(q, published, n->conv2), h, out, 3, 1, 1,
                     u->zero);
    if (tw_unet_channels(x) != out)
        x = tw_unet_conv(u, under(p, path, "shortcut"), under(q, published, n->shortcut), x, out, 1,
                         1, 0, false);
    return rescaled(u, tw_add(g, h, x));
}

/* ---- attention ---- */

/* A 1x1 convolution, published over a line of positions or as a linear layer, in `parts` slices. */
static tw_value *pointwise(const tw_unet *u, const char *path, const char *published,
                           const char *const *names, int parts, tw_value *x, int64_t out, bool zero)
{
    char q[NAME_SIZE];
    if (!x) return NULL;
    const tw_conv_geometry geometry = tw_conv_square(1, 0, 0);
    const int64_t rows = out / parts;
    tw_shape w = TW_SHAPE(rows, tw_unet_channels(x), 1);
    if (!u->names->conv1d) w.rank = 2;
    for (int k = 0; k < parts; k++)
        publish_pair(u, under(q, published, names[k]), path, w, k * rows);
    return conv(u, path, x, tw_layer_kernel(x, out, 1), &geometry, zero);
}

tw_value *tw_unet_attention(const tw_unet *u, const char *path, const char *published, tw_value *x,
                            int64_t heads, bool normalised)
{
    tw_graph *g = u->g;
    const tw_unet_names *n = u->names;
    const int64_t c = tw_unet_channels(x);
    char p[NAME_SIZE], q[NAME_SIZE];
    tw_value *h = x;
    if (normalised) h = tw_unet_norm(u, under(p, path, "norm"), under(q, published, n->norm), h);
    h = pointwise(u, under(p, path, "qkv"), published, (const char *const[]){n->q, n->k, n->v},
                  n->k ? 3 : 1, h, 3 * c, false);
    h = tw_attention_ordered(g, h, heads, 1 / sqrt((double)(c / heads)), u->order);
    h = pointwise(u, under(p, path, "proj"), published, &n->proj, 1, h, c, u->zero);
    return rescaled(u, tw_add(g, h, x));
}

/* ---- checks ---- */

tw_status tw_unet_check(tw_shape sample, int64_t levels, const char *levels_key)
{
    const int64_t factor = INT64_C(1) << (levels - 1);
    char text[64];
    if (sample.rank < 2 || sample.rank > 4)
        return tw_error_set(TW_ECONFIG,
                            "network.kind: a U-Net is for signals, images and volumes, and the "
                            "data are points");
    for (int d = 0; d < sample.rank - 1; d++)
        if (sample.dims[d] % factor)
            return tw_error_set(
                TW_ECONFIG,
                "%s: %lld levels halve each side %lld times, and the sides of %s "
                "are no multiples of %lld (network.pad = reflect or zero pads them)",
                levels_key, (long long)levels, (long long)levels - 1, tw_shape_text(sample, text),
                (long long)factor);
    return TW_OK;
}

tw_status tw_unet_check_groups(int64_t groups, int64_t channels)
{
    if (channels % groups == 0) return TW_OK;
    return tw_error_set(TW_ECONFIG,
                        "network.groups: %lld does not divide the %lld channels of a level",
                        (long long)groups, (long long)channels);
}
