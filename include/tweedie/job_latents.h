/* Jobs over the rows of a dataset by an autoencoder: the latents of samples, samples of latents,
 * and how well the one becomes the other again. As tweedie/job_rows.h: parts, the same bits on any
 * number of ranks, and what is missing is gone on with. */
#ifndef TWEEDIE_JOB_LATENTS_H
#define TWEEDIE_JOB_LATENTS_H

#include "tweedie/job_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_latents_summary {
    tw_row_job_result rows;
    int64_t height, width, channels; /* of what was made */
    double scale;                    /* encoding: the latents' standard deviation, which is one in
                                        model units (the published scaling factor is 1 / scale) */
    /* Reconstructing, means over rows; NaN where OUT was there already: */
    double psnr;         /* dB: of bytes against 255, of other data against 2 model units */
    double ssim;         /* NaN of samples below 11 x 11 */
    double kl;           /* nats of a latent against N(0, 1); NaN of codes */
    int64_t codes, used; /* of the network, and how many of them the rows used; 0: it has none */
    double perplexity;   /* exp of the entropy of how often each is used; 0: it has none */
} tw_latents_summary;

/* The latent of each row, the encoder's mean: a dataset of float32 images, with the data's labels
 * and, where all rows were asked for, splits. Its scale makes the variance of all numbers of the
 * rows one in model units (Rombach et al. 2022, appendix G). Collective: all ranks get the same
 * status.
 * @param moments  with the log variance of each number beside its mean, so that training can sample
 *                 latents anew at each visit; the variance is then that of such samples: of the
 *                 means, plus the mean of the variances
 * @return as tw_likelihood_job; TW_ECONFIG for a network that is no autoencoder, or moments of one
 * with codes */
tw_status tw_encode_data_job(const tw_comm *comm, const tw_row_job_options *options, bool moments,
                             tw_latents_summary *out);

/* The sample of each row of a dataset of this autoencoder's latents. Collective.
 * @return TW_EDATA for latents of other weights */
tw_status tw_decode_data_job(const tw_comm *comm, const tw_row_job_options *options,
                             tw_latents_summary *out);

/* The reconstruction of each row, with /psnr, /ssim and /kl beside it. Collective.
 * @param grid        a PNG of pairs, sample and reconstruction; NULL or "": none
 * @param grid_count  pairs in it */
tw_status tw_reconstruct_job(const tw_comm *comm, const tw_row_job_options *options,
                             const char *grid, int64_t grid_count, tw_latents_summary *out);

#ifdef __cplusplus
}
#endif

#endif
