/* What the U-Net and the classifier of improved-diffusion and guided-diffusion share: keys, time
 * and class embedding, the way down and the middle. */
#ifndef TW_NETS_ADM_H
#define TW_NETS_ADM_H

#include <stddef.h>

#include "nets/unet_blocks.h"

enum { TW_ADM_LEVELS_MAX = 8, TW_ADM_SKIPS_MAX = TW_ADM_LEVELS_MAX * 9 + 1 };

typedef struct tw_adm_config {
    int64_t base, blocks, groups, heads, head_channels, heads_up;
    tw_config_doubles mult;
    tw_config_ints attention;
    double dropout;
    int order;
    bool scale_shift, resblock_updown, conv_resample;
} tw_adm_config;

/* The rows of a network's table of keys; its struct begins with a tw_adm_config. */
#define TW_ADM_FIELDS                                                                              \
    {NULL,                                                                                         \
     "base",                                                                                       \
     TW_CONFIG_INT64,                                                                              \
     offsetof(tw_adm_config, base),                                                                \
     "128",                                                                                        \
     2,                                                                                            \
     4096,                                                                                         \
     .fixed = true,                                                                                \
     .help = "channels of the first level, times mult"},                                           \
        {NULL,                                                                                     \
         "mult",                                                                                   \
         TW_CONFIG_DOUBLES,                                                                        \
         offsetof(tw_adm_config, mult),                                                            \
         "1, 2, 2, 2",                                                                             \
         0.01,                                                                                     \
         64,                                                                                       \
         .fixed = true,                                                                            \
         .help = "channels of each level, in units of base"},                                      \
        {NULL, "blocks", TW_CONFIG_INT64, offsetof(tw_adm_config, blocks),     "2",                \
         1,    8,        .fixed = true,   .help = "residual blocks of a level"},                   \
        {NULL,                                                                                     \
         "attention_downsample",                                                                   \
         TW_CONFIG_INTS,                                                                           \
         offsetof(tw_adm_config, attention),                                                       \
         "2, 4",                                                                                   \
         1,                                                                                        \
         4096,                                                                                     \
         .fixed = true,                                                                            \
         .help = "factors of downsampling at which blocks are followed by attention; the middle "  \
                 "always has it"},                                                                 \
        {NULL, "heads", TW_CONFIG_INT64, offsetof(tw_adm_config, heads), "4",                      \
         1,    1024,    .fixed = true,   .help = "heads of attention"},                            \
        {NULL,                                                                                     \
         "head_channels",                                                                          \
         TW_CONFIG_INT64,                                                                          \
         offsetof(tw_adm_config, head_channels),                                                   \
         "0",                                                                                      \
         0,                                                                                        \
         4096,                                                                                     \
         .fixed = true,                                                                            \
         .help = "channels of a head, instead of heads; 0: heads counts"},                         \
        {NULL,                                                                                     \
         "heads_up",                                                                               \
         TW_CONFIG_INT64,                                                                          \
         offsetof(tw_adm_config, heads_up),                                                        \
         "0",                                                                                      \
         0,                                                                                        \
         1024,                                                                                     \
         .fixed = true,                                                                            \
         .help = "heads on the way up; 0: as on the way down"},                                    \
        {NULL,                                                                                     \
         "attention_order",                                                                        \
         TW_CONFIG_CHOICE,                                                                         \
         offsetof(tw_adm_config, order),                                                           \
         "legacy",                                                                                 \
         .choices = "new|legacy",                                                                  \
         .fixed = true,                                                                            \
         .help = "q, k, v along the channels: heads in front (legacy) or within each (new)"},      \
        {NULL,                                                                                     \
         "scale_shift",                                                                            \
         TW_CONFIG_BOOL,                                                                           \
         offsetof(tw_adm_config, scale_shift),                                                     \
         "yes",                                                                                    \
         .fixed = true,                                                                            \
         .help = "the embedding scales and shifts normalised features; no: added"},                \
        {NULL,                                                                                     \
         "resblock_updown",                                                                        \
         TW_CONFIG_BOOL,                                                                           \
         offsetof(tw_adm_config, resblock_updown),                                                 \
         "no",                                                                                     \
         .fixed = true,                                                                            \
         .help = "residual blocks change the resolution"},                                         \
        {NULL,                                                                                     \
         "conv_resample",                                                                          \
         TW_CONFIG_BOOL,                                                                           \
         offsetof(tw_adm_config, conv_resample),                                                   \
         "yes",                                                                                    \
         .fixed = true,                                                                            \
         .help = "where they do not: convolutions resample; no: means and repetition"},            \
        {NULL, "dropout", TW_CONFIG_DOUBLE, offsetof(tw_adm_config, dropout), "0",                 \
         0,    0.95,      .fixed = true,    .help = "rate in the blocks"},                         \
    {                                                                                              \
        NULL, "groups", TW_CONFIG_INT64, offsetof(tw_adm_config, groups), "32", 1, 1024,           \
            .fixed = true, .help = "groups of the normalisations"                                  \
    }

/* A network that is being built. */
typedef struct tw_adm {
    tw_unet u;
    const tw_adm_config *c;
    tw_value *skips[TW_ADM_SKIPS_MAX]; /* outputs of the blocks of the way down */
    int count;
} tw_adm;

tw_status tw_adm_check(const tw_adm_config *c, tw_shape sample);
int64_t tw_adm_multiple(const void *config);

/* Channels of a level, and heads of an attention of so many channels. */
int64_t tw_adm_level_channels(const tw_adm_config *c, int64_t level);
int64_t tw_adm_heads(const tw_adm_config *c, int64_t channels, bool up);

/* Embeds time and class, and goes down and through the middle.
 * @return the middle's output */
tw_value *tw_adm_encode(tw_adm *a, tw_graph *g, const tw_adm_config *c, const tw_net_inputs *in);

#endif
