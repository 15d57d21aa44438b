/* The networks of score_sde, read from the shapes of their tensors: both its versions, in PyTorch
 * (a flat list of modules) and in JAX (modules numbered for each class). */
#ifndef WEIGHTS_SDE_SHAPES_H
#define WEIGHTS_SDE_SHAPES_H

#include "weights/system.h"

enum { SDE_BLOCKS_MAX = 512, SDE_LEVELS_MAX = 10 };

typedef struct sde_block {
    int64_t in, out;
    bool nin, conv; /* its shortcut: DDPM's, or that of BigGAN's block */
    bool attends;   /* attention follows; of JAX's it is not known here */
} sde_block;

/* What the tensors say. */
typedef struct sde_facts {
    int64_t base, channels;
    bool fourier;
    sde_block blocks[SDE_BLOCKS_MAX];
    int block_count;
    int attention_count;
    int64_t attention_channels;  /* of the first */
    bool attention_placed;       /* blocks[].attends are known */
    int resamplings;             /* layers of a 3x3 convolution between blocks */
    int joins, join_rows;        /* 1x1 convolutions of an input pyramid, channels of the first */
    int chains;                  /* filtered convolutions of residual pyramids */
    int first_chain, last_chain; /* blocks before them */
    int heads;                   /* normalisation and convolution to an output */
    double sigma_min, sigma_max; /* 0: not said */
} sde_facts;

/* Writes network, process and samples as a configuration, and a line for people.
 * @return TW_EDATA where they are of none of the networks */
tw_status sde_configure(tw_found *out, const sde_facts *f);

#endif
