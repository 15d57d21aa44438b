/* The standard deviation of latents, which is one in model units (Rombach et al. 2022, appendix G):
 * of the means, or of what is sampled from the moments, whose variance is that of the means plus
 * the mean of the variances.
 *
 * Rows are added up in blocks counted from the first row, and the sums of blocks in their order, so
 * ranks that share the blocks find the same bits as one process that sees all rows. */
#ifndef JOB_LATENT_SCALE_H
#define JOB_LATENT_SCALE_H

#include <stdint.h>

#include "tweedie/status.h"

enum { LATENT_SCALE_ROWS = 64 }; /* of a block; part of the reproducibility of every scale */

/* Over the numbers of some rows. */
typedef struct latent_sums {
    double values, squares, variances;
} latent_sums;

/* @param log_variance  [n], clamped as in training; NULL: the means are what there is */
void latent_sums_add(latent_sums *s, int64_t n, const float *mean, const float *log_variance);

typedef struct latent_scale {
    int64_t numbers;          /* of a row; set by the caller, the rest begins with zeros */
    latent_sums all, block;   /* of the blocks that are whole; of the one that is not */
    int64_t rows, block_rows; /* rows in all; in block */
} latent_scale;

/* The rows that follow. */
void latent_scale_add(latent_scale *s, int64_t rows, const float *mean, const float *log_variance);
/* The block that follows, of LATENT_SCALE_ROWS rows unless it is the last. */
void latent_scale_add_block(latent_scale *s, int64_t rows, const latent_sums *block);

/* @param weights  names the autoencoder in the message
 * @return TW_EDATA where all numbers are the same */
tw_status latent_scale_get(double *out, const latent_scale *s, const char *weights);

#endif
