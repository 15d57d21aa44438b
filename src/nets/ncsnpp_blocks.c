/* The layers and blocks of DDPM++ and NCSN++. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nets/ncsnpp.h"

static const double eps = 1e-6;

/* ---- published names: score_sde's flat list of modules, EDM's tree ---- */

void ncsnpp_module(ncsnpp *b, const char *way, int64_t level, const char *name)
{
    const long long side = b->height >> level;
    snprintf(b->module, sizeof b->module, "%s.%lldx%lld_%s", way, side, side, name);
}

void ncsnpp_module_end(ncsnpp *b)
{
    if (b->names) b->names->module++;
}

/* "all_modules.N.INNER.LEAF" or "model.MODULE.INNER.LEAF" for our parameter PATH.LEAF; neither
 * INNER nor its dot where it is empty. */
static void publish(const ncsnpp *b, const char *inner, const char *path, const char *leaf,
                    const char *published_leaf, tw_published entry)
{
    if (!b->names || !inner) return;
    const char *dot = *inner ? "." : "";
    int n;
    if (b->c->library == NCSNPP_EDM)
        n = snprintf(entry.name, sizeof entry.name, "model.%s%s%s.%s", b->module, dot, inner,
                     published_leaf);
    else
        n = snprintf(entry.name, sizeof entry.name, "all_modules.%d%s%s.%s", b->names->module, dot,
                     inner, published_leaf);
    const int k = snprintf(entry.param, sizeof entry.param, "%s.%s", path, leaf);
    if (n >= (int)sizeof entry.name || k >= (int)sizeof entry.param)
        tw_graph_fail(b->g, TW_EINTERNAL, "%s: the name is too long", path);
    tw_publish_entry(b->names, b->g, &entry);
}

static const char *inner_of(const ncsnpp *b, ncsnpp_name name)
{
    return b->c->library == NCSNPP_EDM ? name.edm : name.score_sde;
}

static void publish_pair(const ncsnpp *b, ncsnpp_name name, const char *path, tw_shape weight)
{
    const char *inner = inner_of(b, name);
    const bool nin = inner && strncmp(inner, "NIN", 3) == 0;
    tw_published w = {.shape = weight}, bias = {.shape = TW_SHAPE(weight.dims[0])};
    if (nin) {
        w.shape = TW_SHAPE(weight.dims[1], weight.dims[0]);
        w.transposed = true;
    }
    publish(b, inner, path, "weight", nin ? "W" : "weight", w);
    publish(b, inner, path, "bias", nin ? "b" : "bias", bias);
}

/* Queries, keys and values are one convolution of ours; score_sde has three, and EDM one whose
 * channels are q, k and v of the first, q, k and v of the second, … */
static void publish_qkv(const ncsnpp *b, const char *path, int64_t c)
{
    if (b->c->library == NCSNPP_EDM) {
        publish(b, "qkv", path, "weight", "weight",
                (tw_published){.shape = TW_SHAPE(3 * c, c, 1, 1), .parts = 3, .block = 1});
        publish(b, "qkv", path, "bias", "bias",
                (tw_published){.shape = TW_SHAPE(3 * c), .parts = 3, .block = 1});
        return;
    }
    for (int k = 0; k < 3; k++) {
        const char *const inner[3] = {"NIN_0", "NIN_1", "NIN_2"};
        publish(b, inner[k], path, "weight", "W",
                (tw_published){.shape = TW_SHAPE(c, c), .first = k * c, .transposed = true});
        publish(b, inner[k], path, "bias", "b",
                (tw_published){.shape = TW_SHAPE(c), .first = k * c});
    }
}

/* ---- layers ---- */

static tw_value *param(const ncsnpp *b, const char *path, const char *leaf, tw_shape shape,
                       tw_init init)
{
    char name[TW_NAME_MAX + 16];
    snprintf(name, sizeof name, "%s.%s", path, leaf);
    return tw_param(b->g, name, shape, init);
}

tw_value *ncsnpp_conv(ncsnpp *b, const char *path, ncsnpp_name name, tw_value *x, int64_t out,
                      int64_t kernel, double scale, const tw_conv_geometry *geometry)
{
    const int64_t in = ncsnpp_channels(x), taps = kernel * kernel;
    const tw_conv_geometry same = tw_conv_square(1, kernel / 2, kernel / 2);
    const tw_shape shape = TW_SHAPE(out, in, kernel, kernel);
    publish_pair(b, name, path, shape);
    tw_value *w =
        param(b, path, "weight", shape, tw_init_variance_scaling(scale, in * taps, out * taps));
    return tw_conv(b->g, x, w, param(b, path, "bias", TW_SHAPE(out), tw_init_zeros),
                   geometry ? geometry : &same);
}

tw_value *ncsnpp_linear(ncsnpp *b, const char *path, ncsnpp_name name, tw_value *x, int64_t out)
{
    publish_pair(b, name, path, TW_SHAPE(out, ncsnpp_channels(x)));
    return tw_layer_linear(b->g, path, x, out, tw_init_variance_scaling(1, ncsnpp_channels(x), out),
                           tw_init_zeros);
}

tw_value *ncsnpp_norm(ncsnpp *b, const char *path, ncsnpp_name name, tw_value *x)
{
    const int64_t c = ncsnpp_channels(x), groups = c / 4 < 32 ? c / 4 : 32;
    if (!x) return NULL;
    if (groups < 1 || c % groups)
        return tw_graph_fail(b->g, TW_ECONFIG,
                             "network.base, network.mult: a normalisation meets %lld channels, "
                             "which are to be %lld groups; widths that are multiples of 128, or of "
                             "4 and at most 128, were expected",
                             (long long)c, (long long)groups);
    const char *inner = inner_of(b, name);
    publish(b, inner, path, "weight", "weight", (tw_published){.shape = TW_SHAPE(c)});
    publish(b, inner, path, "bias", "bias", (tw_published){.shape = TW_SHAPE(c)});
    return tw_layer_group_norm(b->g, path, x, groups, eps);
}

tw_value *ncsnpp_sum(ncsnpp *b, tw_value *x, tw_value *y)
{
    tw_value *sum = tw_add(b->g, x, y);
    return b->c->skip_rescale ? tw_affine(b->g, sum, sqrt(0.5), 0) : sum;
}

/* ---- resampling ---- */

/* The filter's taps with the sum 1, or two equal ones where there is none. */
static tw_fir_geometry filter(const ncsnpp_config *c, double gain)
{
    tw_fir_geometry f = {.up = 1, .down = 1, .taps = 2, .tap = {0.5 * gain, 0.5 * gain}};
    double sum = 0;
    if (!c->fir) return f;
    f.taps = c->fir_kernel.count;
    for (int64_t k = 0; k < f.taps; k++) sum += c->fir_kernel.values[k];
    for (int64_t k = 0; k < f.taps && k < 8; k++) f.tap[k] = c->fir_kernel.values[k] / sum * gain;
    return f;
}

/* With K taps an image of extent X is padded by K − 2 zeros in all and so keeps 2 X or X / 2; of an
 * odd number the larger half is in front. */
tw_value *ncsnpp_resampled(ncsnpp *b, tw_value *x, ncsnpp_resample way)
{
    if (way == NCSNPP_SAME) return x;
    if (!b->c->fir)
        return way == NCSNPP_UP ? tw_upsample_nearest(b->g, x, 2) : tw_average_pool(b->g, x, 2);
    tw_fir_geometry f = filter(b->c, way == NCSNPP_UP ? 2 : 1);
    const int64_t pad = f.taps - 2;
    f.before = (pad + 1) / 2 + (way == NCSNPP_UP);
    f.after = pad - (f.before - (way == NCSNPP_UP));
    if (way == NCSNPP_UP)
        f.up = 2;
    else
        f.down = 2;
    return tw_fir(b->g, x, &f);
}

/* Down, the filter leaves the one position more that a convolution of stride 2 without padding
 * wants; up, one more at each end. So the borders are those of a single padding in front, in
 * whichever order filter and convolution come: the two are linear, and nothing between them is cut
 * off. */
tw_value *ncsnpp_resampled_conv(ncsnpp *b, const char *path, const char *edm, tw_value *x,
                                int64_t out, ncsnpp_resample way)
{
    const bool up = way == NCSNPP_UP, fir = b->c->fir || b->c->library == NCSNPP_EDM;
    const ncsnpp_name name = {fir ? "Conv2d_0" : "Conv_0", edm};
    if (fir) {
        tw_fir_geometry f = filter(b->c, up ? 2 : 1);
        const tw_conv_geometry bare = tw_conv_square(up ? 1 : 2, 0, 0);
        f.up = up ? 2 : 1;
        f.before = up ? (f.taps + 3) / 2 : (f.taps + 1) / 2;
        f.after = up ? f.taps + 1 - f.before : f.taps - f.before;
        return ncsnpp_conv(b, path, name, tw_fir(b->g, x, &f), out, 3, 1, &bare);
    }
    const tw_conv_geometry halve = tw_conv_square(2, 0, 1);
    if (!up) return ncsnpp_conv(b, path, name, x, out, 3, 1, &halve);
    return ncsnpp_conv(b, path, name, tw_upsample_nearest(b->g, x, 2), out, 3, 1, NULL);
}

/* ---- blocks ---- */

/* [N, C] as [N, 1, 1, C], to be added to every position. */
static tw_value *everywhere(tw_graph *g, tw_value *e)
{
    return e ? tw_reshape(g, e, TW_SHAPE(e->shape.dims[0], 1, 1, e->shape.dims[1])) : NULL;
}

/* The shortcut is a 1x1 convolution where something changes: BigGAN's also where resolution alone
 * does, DDPM's a NIN, whose weights begin smaller. */
static tw_value *shortcut(ncsnpp *b, const char *path, tw_value *x, int64_t out, bool resampled)
{
    const bool biggan = b->c->resblock == NCSNPP_BIGGAN;
    if (ncsnpp_channels(x) == out && !resampled) return x;
    return ncsnpp_conv(b, path, (ncsnpp_name){biggan ? "Conv_2" : "NIN_0", "skip"}, x, out, 1,
                       biggan ? 1 : 0.1, NULL);
}

/* Normalised and activated at the old resolution, then resampled, beside x as it is. */
tw_value *ncsnpp_residual(ncsnpp *b, const char *path, tw_value *x, int64_t out,
                          ncsnpp_resample way)
{
    tw_graph *g = b->g;
    char p[6][TW_NAME_MAX];
    static const char *const leaf[6] = {"norm1", "conv1", "time", "norm2", "conv2", "shortcut"};
    for (int k = 0; k < 6; k++) snprintf(p[k], sizeof p[k], "%s.%s", path, leaf[k]);
    tw_value *h = tw_silu(g, ncsnpp_norm(b, p[0], (ncsnpp_name){"GroupNorm_0", "norm0"}, x));
    h = ncsnpp_resampled(b, h, way);
    h = ncsnpp_conv(b, p[1], (ncsnpp_name){"Conv_0", "conv0"}, h, out, 3, 1, NULL);
    tw_value *e = ncsnpp_linear(b, p[2], (ncsnpp_name){"Dense_0", "affine"}, b->time, out);
    h = tw_add(g, h, everywhere(g, e));
    h = tw_silu(g, ncsnpp_norm(b, p[3], (ncsnpp_name){"GroupNorm_1", "norm1"}, h));
    h = tw_dropout(g, h, b->c->dropout);
    h = ncsnpp_conv(b, p[4], (ncsnpp_name){"Conv_1", "conv1"}, h, out, 3, b->c->init_scale, NULL);
    x = shortcut(b, p[5], ncsnpp_resampled(b, x, way), out, way != NCSNPP_SAME);
    ncsnpp_module_end(b);
    return ncsnpp_sum(b, h, x);
}

/* One head over all positions; q, k and v are one 1x1 convolution of 3 C channels. */
tw_value *ncsnpp_attention(ncsnpp *b, const char *path, tw_value *x)
{
    tw_graph *g = b->g;
    char p[3][TW_NAME_MAX];
    static const char *const leaf[3] = {"norm", "qkv", "proj"};
    for (int k = 0; k < 3; k++) snprintf(p[k], sizeof p[k], "%s.%s", path, leaf[k]);
    const int64_t c = ncsnpp_channels(x);
    const tw_conv_geometry pointwise = tw_conv_square(1, 0, 0);
    tw_value *h = ncsnpp_norm(b, p[0], (ncsnpp_name){"GroupNorm_0", "norm2"}, x);
    publish_qkv(b, p[1], c);
    tw_value *w =
        param(b, p[1], "weight", TW_SHAPE(3 * c, c, 1, 1), tw_init_variance_scaling(0.1, c, c));
    h = tw_conv(g, h, w, param(b, p[1], "bias", TW_SHAPE(3 * c), tw_init_zeros), &pointwise);
    h = tw_attention(g, h, 1, 1 / sqrt((double)c));
    h = ncsnpp_conv(b, p[2], (ncsnpp_name){"NIN_3", "proj"}, h, c, 1, b->c->init_scale, NULL);
    ncsnpp_module_end(b);
    return ncsnpp_sum(b, h, x);
}
