/* What the parts of net_ncsnpp.c share: its configuration, its builder, and its blocks. */
#ifndef NETS_NCSNPP_H
#define NETS_NCSNPP_H

#include "tweedie/net.h"

/* Whose published names the parameters have, and what goes with them. */
typedef enum ncsnpp_library { NCSNPP_SCORE_SDE, NCSNPP_EDM } ncsnpp_library;
typedef enum ncsnpp_block { NCSNPP_BIGGAN, NCSNPP_DDPM } ncsnpp_block;
typedef enum ncsnpp_embedding { NCSNPP_POSITIONAL, NCSNPP_FOURIER } ncsnpp_embedding;
typedef enum ncsnpp_pyramid { NCSNPP_NONE, NCSNPP_SKIP, NCSNPP_RESIDUAL } ncsnpp_pyramid;
typedef enum ncsnpp_combine { NCSNPP_SUM, NCSNPP_CAT } ncsnpp_combine;
typedef enum ncsnpp_resample { NCSNPP_SAME, NCSNPP_UP, NCSNPP_DOWN } ncsnpp_resample;

typedef struct ncsnpp_config {
    int64_t base, blocks, channel_mult_noise, augment_labels;
    tw_config_ints mult, attention;
    tw_config_doubles fir_kernel;
    double dropout, fourier_scale, sigma_unit, init_scale;
    int library, resblock, embedding, progressive, progressive_input, combine;
    bool fir, resamp_with_conv, skip_rescale, scale_by_sigma, centered;
} ncsnpp_config;

/* What the layers of one network share. */
typedef struct ncsnpp {
    tw_graph *g;
    const ncsnpp_config *c;
    tw_value *time; /* silu(embedding) [N, 4 base] */
    int64_t height; /* of the images */
    tw_reference_names *names;
    char module[64]; /* EDM's name of the module that is being built */
} ncsnpp;

/* A layer's name within its module, in each library. NULL: it has none there. */
typedef struct ncsnpp_name {
    const char *score_sde, *edm;
} ncsnpp_name;

/* Begins a module: EDM's name of it for `level`, "enc.32x32_NAME". */
void ncsnpp_module(ncsnpp *b, const char *way, int64_t level, const char *name);
/* Ends one of score_sde's flat list of modules. */
void ncsnpp_module_end(ncsnpp *b);

/* ---- layers: parameters PATH.weight and PATH.bias ---- */

/* kernel x kernel, the extent kept where geometry is NULL. Published as a NIN, [in, out], where
 * score_sde's name begins so. */
tw_value *ncsnpp_conv(ncsnpp *b, const char *path, ncsnpp_name name, tw_value *x, int64_t out,
                      int64_t kernel, double scale, const tw_conv_geometry *geometry);
tw_value *ncsnpp_linear(ncsnpp *b, const char *path, ncsnpp_name name, tw_value *x, int64_t out);
/* min(C / 4, 32) groups. */
tw_value *ncsnpp_norm(ncsnpp *b, const char *path, ncsnpp_name name, tw_value *x);

/* a + b, over √2 where skips are rescaled. */
tw_value *ncsnpp_sum(ncsnpp *b, tw_value *x, tw_value *y);

/* ---- resampling ---- */

/* By the filter, or nearest neighbours and means of 2 x 2. */
tw_value *ncsnpp_resampled(ncsnpp *b, tw_value *x, ncsnpp_resample way);
/* The same with a 3 x 3 convolution: filter and convolution see the image padded once. */
tw_value *ncsnpp_resampled_conv(ncsnpp *b, const char *path, const char *edm, tw_value *x,
                                int64_t out, ncsnpp_resample way);

/* ---- blocks ---- */

tw_value *ncsnpp_residual(ncsnpp *b, const char *path, tw_value *x, int64_t out,
                          ncsnpp_resample way);
tw_value *ncsnpp_attention(ncsnpp *b, const char *path, tw_value *x);

static inline int64_t ncsnpp_channels(const tw_value *x)
{
    return x ? tw_shape_channels(x->shape) : 1;
}

#endif
