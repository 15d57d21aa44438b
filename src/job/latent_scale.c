/* Sums of blocks, and what follows from them. */
#include "job/latent_scale.h"

#include <math.h>

void latent_sums_add(latent_sums *s, int64_t n, const float *mean, const float *log_variance)
{
    for (int64_t k = 0; k < n; k++) {
        s->values += (double)mean[k];
        s->squares += (double)mean[k] * (double)mean[k];
        if (log_variance) s->variances += exp(fmin(fmax((double)log_variance[k], -30), 20));
    }
}

void latent_scale_add_block(latent_scale *s, int64_t rows, const latent_sums *block)
{
    s->all.values += block->values;
    s->all.squares += block->squares;
    s->all.variances += block->variances;
    s->rows += rows;
}

void latent_scale_add(latent_scale *s, int64_t rows, const float *mean, const float *log_variance)
{
    while (rows > 0) {
        const int64_t room = LATENT_SCALE_ROWS - s->block_rows, n = rows < room ? rows : room;
        latent_sums_add(&s->block, n * s->numbers, mean, log_variance);
        s->block_rows += n;
        rows -= n;
        mean += n * s->numbers;
        if (log_variance) log_variance += n * s->numbers;
        if (s->block_rows < LATENT_SCALE_ROWS) continue;
        latent_scale_add_block(s, s->block_rows, &s->block);
        s->block = (latent_sums){0};
        s->block_rows = 0;
    }
}

tw_status latent_scale_get(double *out, const latent_scale *s, const char *weights)
{
    tw_status st = TW_OK;
    latent_scale whole = *s;
    latent_scale_add_block(&whole, s->block_rows, &s->block);
    const double count = (double)(whole.rows * whole.numbers), mean = whole.all.values / count,
                 variance = whole.all.squares / count - mean * mean + whole.all.variances / count;
    TW_CHECK(variance > 0, TW_EDATA,
             "%s: all numbers of its latents are %g: the autoencoder has learned nothing", weights,
             mean);
    *out = sqrt(variance);
done:
    return st;
}
