/* The decoder of a model of latents: what turns its samples into those of the autoencoder. */
#ifndef JOB_DECODER_H
#define JOB_DECODER_H

#include "tweedie/inverse.h"
#include "tweedie/restore.h"

typedef struct latent_decoder {
    tw_restored *network; /* the autoencoder; NULL: nothing is decoded */
    tw_model_codec *codec;
    const tw_dataset_spec *latents; /* borrowed */
    float *z;                       /* [batch][numbers of a latent] */
    int64_t batch;
    tw_map map; /* of model units of latents to those of samples; after latent_decoder_plan_map */
} latent_decoder;

/* Reads the autoencoder. Collective on `comm` (NULL: this process).
 * @param path  RUN, checkpoint or weights file */
tw_status latent_decoder_open(latent_decoder *d, const tw_comm *comm, const char *path);

/* Whether the latents are the autoencoder's; plans. Not collective.
 * @param latents  what the model's samples are, which must outlive the decoder
 * @return TW_ECONFIG where they are of other weights, or no latents */
tw_status latent_decoder_plan(latent_decoder *d, const tw_dataset_spec *latents, int64_t batch,
                              tw_precision precision, tw_convolution convolution);

/* The same, and d->map, with the decoder's derivative. Of large samples fewer are decoded at a time
 * than `batch`, which changes no number. */
tw_status latent_decoder_plan_map(latent_decoder *d, const tw_dataset_spec *latents, int64_t batch,
                                  tw_precision precision, tw_convolution convolution);

/* @param x         [n][numbers of a latent], the model units of latents
 * @param[out] out  [n][numbers of a sample], the model units of samples */
void latent_decoder_run(latent_decoder *d, int64_t n, const float *x, float *out);

void latent_decoder_free(latent_decoder *d);

#endif
