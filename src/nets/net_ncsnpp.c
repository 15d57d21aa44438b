/* DDPM++ and NCSN++ (Song et al. 2021, appendix H), and the same networks as EDM's SongUNet (Karras
 * et al. 2022, appendix F.6).
 *
 * DDPM's U-Net with: BigGAN's residual blocks, which resample between normalisation and
 * convolution; resampling by a filter (1, 3, 3, 1); every sum of a skip connection over √2; and
 * beside the way down a pyramid of the image made smaller, beside the way up one of the output made
 * larger. An input pyramid is joined to the features after each halving: by a 1x1 convolution of
 * the small image, added or concatenated (input_skip), or as a chain of filtered convolutions of
 * its own that the features are added to (residual). An output pyramid sums what each resolution
 * says of the output (output_skip), or is such a chain upwards (residual).
 *
 * `library` says whose names the parameters have, and two things that go with them: Fourier
 * features are of ln σ in score_sde, of what the prediction says of the time in EDM; and EDM's
 * resampling with a convolution filters even where the filter is (1, 1).
 *
 * Initial weights: variance scaling (fan_avg, uniform), times init_scale in the last convolution of
 * a block, of an attention and of the network; EDM's "Xavier uniform times 1e-5" is the same for
 * init_scale 0, and its √0.2 for the joint convolution of q, k and v is score_sde's 0.1 for each.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nets/ncsnpp.h"

enum { LEVELS_MAX = 10, BLOCKS_MAX = 16, SKIPS_MAX = LEVELS_MAX * (BLOCKS_MAX + 1) + 1 };

static const tw_config_field fields[] = {
    {NULL, "base", TW_CONFIG_INT64, offsetof(ncsnpp_config, base), "128", 4, 4096, .fixed = true,
     .help = "channels of the first level"},
    {NULL, "mult", TW_CONFIG_INTS, offsetof(ncsnpp_config, mult), "1, 2, 2, 2", 1, 64,
     .fixed = true, .help = "channels of each level, in units of base"},
    {NULL, "blocks", TW_CONFIG_INT64, offsetof(ncsnpp_config, blocks), "4", 1, BLOCKS_MAX,
     .fixed = true, .help = "residual blocks of a level"},
    {NULL, "attention", TW_CONFIG_INTS, offsetof(ncsnpp_config, attention), "16", 1, 4096,
     .fixed = true,
     .help = "heights at which blocks are followed by attention; the middle always has it"},
    {NULL, "dropout", TW_CONFIG_DOUBLE, offsetof(ncsnpp_config, dropout), "0.1", 0, 0.95,
     .fixed = true, .help = "rate in the blocks"},
    {NULL, "resblock", TW_CONFIG_CHOICE, offsetof(ncsnpp_config, resblock), "biggan",
     .choices = "biggan|ddpm", .fixed = true,
     .help = "residual blocks: BigGAN's resample themselves, DDPM's have layers between them"},
    {NULL, "resamp_with_conv", TW_CONFIG_BOOL, offsetof(ncsnpp_config, resamp_with_conv), "yes",
     .fixed = true, .help = "with DDPM's blocks: a 3x3 convolution where the resolution changes"},
    {NULL, "fir", TW_CONFIG_BOOL, offsetof(ncsnpp_config, fir), "no", .fixed = true,
     .help = "resample by a filter; else by nearest neighbours and means"},
    {NULL, "fir_kernel", TW_CONFIG_DOUBLES, offsetof(ncsnpp_config, fir_kernel), "1, 3, 3, 1",
     .fixed = true, .help = "the filter: 1 to 8 symmetric weights, normalised to the sum 1"},
    {NULL, "skip_rescale", TW_CONFIG_BOOL, offsetof(ncsnpp_config, skip_rescale), "yes",
     .fixed = true, .help = "divide sums of skip connections by the square root of 2"},
    {NULL, "progressive_input", TW_CONFIG_CHOICE, offsetof(ncsnpp_config, progressive_input),
     "none", .choices = "none|input_skip|residual", .fixed = true,
     .help = "how smaller copies of the input join the way down"},
    {NULL, "progressive", TW_CONFIG_CHOICE, offsetof(ncsnpp_config, progressive), "none",
     .choices = "none|output_skip|residual", .fixed = true,
     .help = "how the output grows along the way up"},
    {NULL, "progressive_combine", TW_CONFIG_CHOICE, offsetof(ncsnpp_config, combine), "sum",
     .choices = "sum|cat", .fixed = true, .help = "how input_skip joins: added or concatenated"},
    {NULL, "embedding", TW_CONFIG_CHOICE, offsetof(ncsnpp_config, embedding), "positional",
     .choices = "positional|fourier", .fixed = true,
     .help = "of the time: sinusoidal, or random Fourier features"},
    {NULL, "fourier_scale", TW_CONFIG_DOUBLE, offsetof(ncsnpp_config, fourier_scale), "16", 0, 1e4,
     .fixed = true, .help = "standard deviation of the Fourier features' frequencies"},
    {NULL, "sigma_unit", TW_CONFIG_DOUBLE, offsetof(ncsnpp_config, sigma_unit), "1",
     TW_CONFIG_ABOVE_ZERO, 1e6, .fixed = true,
     .help = "Fourier features are of ln(sigma / unit): 2 for weights of data in [0, 1]"},
    {NULL, "channel_mult_noise", TW_CONFIG_INT64, offsetof(ncsnpp_config, channel_mult_noise), "0",
     0, 64, .fixed = true,
     .help = "width of the embedding, in units of base; 0: 1, and 2 of Fourier features"},
    {NULL, "scale_by_sigma", TW_CONFIG_BOOL, offsetof(ncsnpp_config, scale_by_sigma), "no",
     .fixed = true, .help = "divide the output by the noise level"},
    {NULL, "centered", TW_CONFIG_BOOL, offsetof(ncsnpp_config, centered), "yes", .fixed = true,
     .help = "the data lie in [-1, 1]; else in [0, 1], and the network takes 2 x - 1"},
    {NULL, "init_scale", TW_CONFIG_DOUBLE, offsetof(ncsnpp_config, init_scale), "0", 0, 1,
     .fixed = true, .help = "initial weights of last convolutions; 0: nearly none"},
    {NULL, "augment_labels", TW_CONFIG_INT64, offsetof(ncsnpp_config, augment_labels), "0", 0, 64,
     .fixed = true, .help = "numbers that say how a sample was augmented (data.augment = edm: 9)"},
    {NULL, "library", TW_CONFIG_CHOICE, offsetof(ncsnpp_config, library), "score_sde",
     .choices = "score_sde|edm", .fixed = true,
     .help = "whose parameter names; Fourier features of log sigma, or of EDM's c_noise"},
};

/* ---- what can be built ---- */

static tw_status check_filter(const tw_config_doubles *k)
{
    double sum = 0;
    for (int64_t i = 0; i < k->count; i++) {
        if (k->values[i] != k->values[k->count - 1 - i])
            return tw_error_set(TW_ECONFIG, "network.fir_kernel: must be symmetric");
        sum += k->values[i];
    }
    if (k->count < 1 || k->count > 8)
        return tw_error_set(TW_ECONFIG, "network.fir_kernel: %lld weights; 1 to 8 were expected",
                            (long long)k->count);
    if (fabs(sum) < 1e-6)
        return tw_error_set(TW_ECONFIG, "network.fir_kernel: the weights sum to zero");
    return TW_OK;
}

/* What EDM's SongUNet has no name for. */
static tw_status check_edm(const ncsnpp_config *c)
{
    static const char *const which = "network.library = edm";
    if (c->resblock != NCSNPP_BIGGAN)
        return tw_error_set(TW_ECONFIG, "network.resblock: %s has biggan alone", which);
    if (!c->skip_rescale)
        return tw_error_set(TW_ECONFIG, "network.skip_rescale: %s always rescales", which);
    if (c->progressive == NCSNPP_RESIDUAL)
        return tw_error_set(TW_ECONFIG, "network.progressive: %s has none and output_skip", which);
    if (c->progressive_input == NCSNPP_SKIP && c->combine == NCSNPP_CAT)
        return tw_error_set(TW_ECONFIG, "network.progressive_combine: %s has sum alone", which);
    return TW_OK;
}

static int64_t multiple(const void *config)
{
    const int64_t levels = ((const ncsnpp_config *)config)->mult.count;
    return levels >= 1 && levels <= LEVELS_MAX ? INT64_C(1) << (levels - 1) : 1;
}

static int64_t augment_labels(const void *config)
{
    return ((const ncsnpp_config *)config)->augment_labels;
}

static tw_status check(const void *config, tw_shape sample)
{
    const ncsnpp_config *c = config;
    if (sample.rank != 3)
        return tw_error_set(TW_ECONFIG, "network.kind: ncsnpp wants images; the data are %s",
                            sample.rank == 1 ? "points" : "no images");
    if (c->mult.count < 1 || c->mult.count > LEVELS_MAX)
        return tw_error_set(TW_ECONFIG, "network.mult: 1 to %d levels, not %lld", LEVELS_MAX,
                            (long long)c->mult.count);
    const int64_t factor = multiple(config);
    if (sample.dims[0] % factor || sample.dims[1] % factor)
        return tw_error_set(TW_ECONFIG,
                            "network.mult: %lld levels halve the image %lld times, and %lld x %lld "
                            "is no multiple of %lld (network.pad pads it)",
                            (long long)c->mult.count, (long long)c->mult.count - 1,
                            (long long)sample.dims[0], (long long)sample.dims[1],
                            (long long)factor);
    if (c->base % 4)
        return tw_error_set(TW_ECONFIG, "network.base: must be a multiple of 4, is %lld",
                            (long long)c->base);
    if (c->library == NCSNPP_EDM) {
        const tw_status st = check_edm(c);
        if (st != TW_OK) return st;
    }
    return c->fir ? check_filter(&c->fir_kernel) : TW_OK;
}

/* ---- the network ---- */

static bool attends(const ncsnpp *b, const tw_value *x)
{
    for (int64_t k = 0; x && k < b->c->attention.count; k++)
        if (b->c->attention.values[k] == x->shape.dims[1]) return true;
    return false;
}

static int64_t noise_channels(const ncsnpp_config *c)
{
    const int64_t usual = c->embedding == NCSNPP_FOURIER ? 2 : 1;
    return c->base * (c->channel_mult_noise ? c->channel_mult_noise : usual);
}

static tw_value *fourier(ncsnpp *b, const tw_net_inputs *in)
{
    const bool edm = b->c->library == NCSNPP_EDM;
    const tw_shape shape = TW_SHAPE(noise_channels(b->c) / 2);
    tw_published w = {.shape = shape, .param = "time.frequencies", .buffer = edm};
    const tw_init normal = {.kind = TW_INIT_NORMAL, .std = b->c->fourier_scale};
    snprintf(w.name, sizeof w.name, edm ? "model.map_noise.freqs" : "all_modules.0.W");
    tw_publish_entry(b->names, b->g, &w);
    ncsnpp_module_end(b);
    tw_value *told = edm ? in->t : in->log_sigma;
    if (!edm && b->c->sigma_unit != 1) told = tw_affine(b->g, told, 1, -log(b->c->sigma_unit));
    return tw_embed_fourier(b->g, told, tw_constant(b->g, w.param, shape, normal));
}

/* A linear layer of the class as a one-hot vector times √classes; none is the zero vector. */
static tw_value *add_class(ncsnpp *b, const tw_net_inputs *in, tw_value *e)
{
    const int64_t rows = in->classes - in->unlabelled, width = ncsnpp_channels(e);
    const tw_init xavier = tw_init_variance_scaling(1, rows, width);
    if (!in->label) return e;
    if (b->c->library == NCSNPP_EDM) {
        tw_publish(b->names, b->g, "model.map_label.weight", "class.weight", TW_SHAPE(width, rows),
                   0, true);
        tw_publish(b->names, b->g, "model.map_label.bias", "class.bias", TW_SHAPE(width), 0, false);
    }
    tw_value *row = tw_embed_table(
        b->g, tw_param(b->g, "class.weight", TW_SHAPE(rows, width), xavier), in->label);
    e = tw_add(b->g, e, tw_affine(b->g, row, sqrt((double)rows), 0));
    return tw_add(b->g, e, tw_param(b->g, "class.bias", TW_SHAPE(width), tw_init_zeros));
}

/* A linear layer without constant: what was not augmented adds nothing. */
static tw_value *add_augmentation(ncsnpp *b, const tw_net_inputs *in, tw_value *e)
{
    const int64_t width = ncsnpp_channels(e), labels = b->c->augment_labels;
    if (!in->augment || !e) return e;
    if (b->c->library == NCSNPP_EDM)
        tw_publish(b->names, b->g, "model.map_augment.weight", "augment.weight",
                   TW_SHAPE(width, labels), 0, false);
    tw_value *w = tw_param(b->g, "augment.weight", TW_SHAPE(width, labels),
                           tw_init_variance_scaling(1, labels, width));
    tw_value *told = tw_linear(b->g, tw_cast(b->g, in->augment, TW_ACT), w, NULL);
    return tw_add(b->g, e, tw_cast(b->g, told, TW_F32));
}

static void embed_time(ncsnpp *b, const tw_net_inputs *in)
{
    const int64_t width = 4 * b->c->base;
    tw_value *e = b->c->embedding == NCSNPP_FOURIER
                      ? fourier(b, in)
                      : tw_embed_sinusoidal(b->g, in->t, noise_channels(b->c), 10000);
    e = add_augmentation(b, in, add_class(b, in, e));
    snprintf(b->module, sizeof b->module, "map_layer0");
    e = tw_silu(b->g, ncsnpp_linear(b, "time.linear1", (ncsnpp_name){"", ""},
                                    tw_cast(b->g, e, TW_ACT), width));
    ncsnpp_module_end(b);
    snprintf(b->module, sizeof b->module, "map_layer1");
    b->time = tw_silu(b->g, ncsnpp_linear(b, "time.linear2", (ncsnpp_name){"", ""}, e, width));
    ncsnpp_module_end(b);
}

/* To half or twice the resolution, between two levels. */
static tw_value *change(ncsnpp *b, const char *path, tw_value *h, ncsnpp_resample way)
{
    if (b->c->resblock == NCSNPP_BIGGAN)
        return ncsnpp_residual(b, path, h, ncsnpp_channels(h), way);
    h = b->c->resamp_with_conv ? ncsnpp_resampled_conv(b, path, NULL, h, ncsnpp_channels(h), way)
                               : ncsnpp_resampled(b, h, way);
    ncsnpp_module_end(b);
    return h;
}

/* The input pyramid, one step down, and h with it. */
static tw_value *join_input(ncsnpp *b, int64_t level, tw_value *h, tw_value **pyramid)
{
    char path[TW_NAME_MAX];
    snprintf(path, sizeof path, "down.%d.pyramid", (int)level);
    if (b->c->progressive_input == NCSNPP_NONE) return h;
    if (b->c->progressive_input == NCSNPP_RESIDUAL) {
        ncsnpp_module(b, "enc", level + 1, "aux_residual");
        tw_value *p = ncsnpp_resampled_conv(b, path, "", *pyramid, ncsnpp_channels(h), NCSNPP_DOWN);
        ncsnpp_module_end(b);
        return *pyramid = ncsnpp_sum(b, p, h);
    }
    *pyramid = ncsnpp_resampled(b, *pyramid, NCSNPP_DOWN);
    ncsnpp_module_end(b);
    ncsnpp_module(b, "enc", level + 1, "aux_skip");
    tw_value *p = ncsnpp_conv(b, path, (ncsnpp_name){"Conv_0", ""}, tw_cast(b->g, *pyramid, TW_ACT),
                              ncsnpp_channels(h), 1, 1, NULL);
    ncsnpp_module_end(b);
    return b->c->combine == NCSNPP_CAT ? tw_concat(b->g, p, h) : tw_add(b->g, p, h);
}

static tw_value *way_down(ncsnpp *b, tw_value *x, tw_value **skips, int *n)
{
    char path[TW_NAME_MAX], name[32];
    const bool residual = b->c->progressive_input == NCSNPP_RESIDUAL;
    tw_value *pyramid = residual ? tw_cast(b->g, x, TW_ACT) : x; /* small images stay in f32 */
    ncsnpp_module(b, "enc", 0, "conv");
    tw_value *h = ncsnpp_conv(b, "in", (ncsnpp_name){"", ""}, tw_cast(b->g, x, TW_ACT), b->c->base,
                              3, 1, NULL);
    ncsnpp_module_end(b);
    skips[(*n)++] = h;
    for (int64_t level = 0; level < b->c->mult.count; level++) {
        for (int64_t k = 0; k < b->c->blocks; k++) {
            snprintf(name, sizeof name, "block%d", (int)k);
            ncsnpp_module(b, "enc", level, name);
            snprintf(path, sizeof path, "down.%d.res%d", (int)level, (int)k);
            h = ncsnpp_residual(b, path, h, b->c->base * b->c->mult.values[level], NCSNPP_SAME);
            snprintf(path, sizeof path, "down.%d.attn%d", (int)level, (int)k);
            if (attends(b, h)) h = ncsnpp_attention(b, path, h);
            skips[(*n)++] = h;
        }
        if (level == b->c->mult.count - 1) break;
        ncsnpp_module(b, "enc", level + 1, "down");
        snprintf(path, sizeof path, "down.%d.downsample", (int)level);
        h = join_input(b, level, change(b, path, h, NCSNPP_DOWN), &pyramid);
        skips[(*n)++] = h;
    }
    return h;
}

static tw_value *middle(ncsnpp *b, tw_value *h)
{
    const int64_t last = b->c->mult.count - 1;
    ncsnpp_module(b, "dec", last, "in0");
    h = ncsnpp_residual(b, "mid.res0", h, ncsnpp_channels(h), NCSNPP_SAME);
    h = ncsnpp_attention(b, "mid.attn", h);
    ncsnpp_module(b, "dec", last, "in1");
    return ncsnpp_residual(b, "mid.res1", h, ncsnpp_channels(h), NCSNPP_SAME);
}

/* Normalisation, SiLU, and a convolution to `out` channels; EDM's "aux" layers of a level. */
static tw_value *head(ncsnpp *b, const char *path, int64_t level, tw_value *h, int64_t out,
                      double scale)
{
    char p[TW_NAME_MAX + 8];
    ncsnpp_module(b, "dec", level, "aux_norm");
    snprintf(p, sizeof p, "%s.norm", path);
    h = tw_silu(b->g, ncsnpp_norm(b, p, (ncsnpp_name){"", ""}, h));
    ncsnpp_module_end(b);
    ncsnpp_module(b, "dec", level, "aux_conv");
    snprintf(p, sizeof p, "%s.conv", path);
    h = ncsnpp_conv(b, p, (ncsnpp_name){"", ""}, h, out, 3, scale, NULL);
    ncsnpp_module_end(b);
    return h;
}

/* The output pyramid, one step up, and what goes on from here. It is made of few channels and many
 * sums, so output_skip's stays in f32. */
static tw_value *join_output(ncsnpp *b, int64_t level, tw_value *h, int64_t outputs,
                             tw_value **pyramid)
{
    char path[TW_NAME_MAX];
    const bool first = level == b->c->mult.count - 1;
    if (b->c->progressive == NCSNPP_NONE) return h;
    snprintf(path, sizeof path, "up.%d.pyramid", (int)level);
    if (b->c->progressive == NCSNPP_SKIP) {
        if (!first) {
            *pyramid = ncsnpp_resampled(b, *pyramid, NCSNPP_UP);
            ncsnpp_module_end(b);
        }
        tw_value *y = tw_cast(b->g, head(b, path, level, h, outputs, b->c->init_scale), TW_F32);
        *pyramid = first ? y : tw_add(b->g, *pyramid, y);
        return h;
    }
    if (first) {
        *pyramid = head(b, path, level, h, ncsnpp_channels(h), 1);
        return h;
    }
    tw_value *p = ncsnpp_resampled_conv(b, path, NULL, *pyramid, ncsnpp_channels(h), NCSNPP_UP);
    ncsnpp_module_end(b);
    return *pyramid = ncsnpp_sum(b, p, h);
}

static tw_value *way_up(ncsnpp *b, tw_value *h, tw_value **skips, int n, int64_t outputs)
{
    char path[TW_NAME_MAX], name[32];
    tw_value *pyramid = NULL;
    for (int64_t level = b->c->mult.count - 1; level >= 0; level--) {
        for (int64_t k = 0; k <= b->c->blocks; k++) {
            snprintf(name, sizeof name, "block%d", (int)k);
            ncsnpp_module(b, "dec", level, name);
            snprintf(path, sizeof path, "up.%d.res%d", (int)level, (int)k);
            h = ncsnpp_residual(b, path, tw_concat(b->g, h, skips[--n]),
                                b->c->base * b->c->mult.values[level], NCSNPP_SAME);
        }
        snprintf(path, sizeof path, "up.%d.attn", (int)level);
        if (attends(b, h)) h = ncsnpp_attention(b, path, h);
        h = join_output(b, level, h, outputs, &pyramid);
        if (level == 0) break;
        ncsnpp_module(b, "dec", level - 1, "up");
        snprintf(path, sizeof path, "up.%d.upsample", (int)level);
        h = change(b, path, h, NCSNPP_UP);
    }
    return b->c->progressive == NCSNPP_SKIP
               ? pyramid
               : tw_cast(b->g, head(b, "out", 0, h, outputs, b->c->init_scale), TW_F32);
}

/* y / σ, a number for each sample. */
static tw_value *over_sigma(tw_graph *g, tw_value *y, tw_value *log_sigma)
{
    if (!y) return NULL;
    tw_value *factor = tw_exp(g, tw_affine(g, log_sigma, -1, 0));
    return tw_mul(g, y, tw_reshape(g, factor, TW_SHAPE(y->shape.dims[0], 1, 1, 1)));
}

static tw_value *build(tw_graph *g, const void *config, const tw_net_inputs *in)
{
    const ncsnpp_config *c = config;
    ncsnpp b = {.g = g, .c = c, .height = in->sample.dims[0], .names = in->reference_names};
    tw_value *skips[SKIPS_MAX] = {0};
    int n = 0;
    embed_time(&b, in);
    tw_value *x = c->centered ? in->x : tw_affine(g, in->x, 2, -1);
    tw_value *h = middle(&b, way_down(&b, x, skips, &n));
    h = way_up(&b, h, skips, n, in->outputs);
    return c->scale_by_sigma ? over_sigma(g, h, in->log_sigma) : h;
}

const tw_net tw_net_ncsnpp = {
    .kind = {"ncsnpp", "DDPM++ and NCSN++, also as EDM has them", fields,
             sizeof fields / sizeof *fields, sizeof(ncsnpp_config)},
    .check = check,
    .multiple = multiple,
    .augment_labels = augment_labels,
    .build = build,
};
