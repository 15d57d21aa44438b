/* A picture of the data, which grids of samples are compared with. */
#ifndef TW_TRAIN_PREVIEW_DATA_H
#define TW_TRAIN_PREVIEW_DATA_H

#include "job/decoder.h"
#include "train/trainer.h"

/* Rank zero: writes RUN/samples/data.png, as many of the data as a grid has samples, where it is
 * not there. What fails is told and lost.
 * @param decoder  of latents, as of samples; its codec NULL: none
 * @param decoded  room for a grid of what it decodes */
void preview_write_data(const tw_trainer *t, latent_decoder *decoder, float *decoded);

#endif
