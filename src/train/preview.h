/* What the files of previews share. */
#ifndef TW_TRAIN_PREVIEW_H
#define TW_TRAIN_PREVIEW_H

#include "job/decoder.h"
#include "train/quality.h"
#include "train/trainer.h"

struct tw_preview {
    const tw_trainer *t;
    tw_config *config; /* that the run's texts are borrowed from */
    tw_run_config run; /* a model and an objective of its own */
    tw_model *model;   /* the run's */
    int64_t copied;    /* the step whose average the model holds; -1: none */
    tw_objective *objective;
    tw_dataset *data;      /* the validation split, or NULL */
    float *x0, *condition; /* condition: of conditional models */
    int32_t *label;
    int64_t codes; /* of an autoencoder that validates; 0: it has none */
    double *uses;  /* [codes]: how often the validation split takes each */
    int32_t *list; /* of sample.class, where that is a file */
    tw_model_score *score;
    tw_guided *guided; /* or NULL */
    tw_sampler *sampler;
    tw_quality *quality;      /* or NULL */
    latent_decoder decoder;   /* of a model of latents whose sample.decode says so */
    tw_model_codec *codec;    /* of an autoencoder, whose grid is pairs; else NULL */
    float *latents, *decoded; /* rank zero: latents of a pair's samples; a grid decoded */
    float *given;             /* what the samples of a grid are conditioned on, or NULL */
    float *samples;           /* rank zero */
};

/* Copies the first average into the model, where it is not there yet. Collective. */
tw_status preview_copy_ema(tw_preview *p);
/* What samples follow: the model's score, guided where the run says so. */
const tw_score *preview_score(const tw_preview *p);

/* preview_grid.c */
tw_status preview_plan_grid(tw_preview *p);

#endif
