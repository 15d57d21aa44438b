/* A frozen encoder: what turns samples of an autoencoder into its latents, bitwise as `tweedie
 * encode-data` does. */
#ifndef JOB_ENCODER_H
#define JOB_ENCODER_H

#include "run/run_config.h"
#include "tweedie/restore.h"

typedef struct latent_encoder {
    tw_restored *network; /* the autoencoder */
    tw_config *config;
    tw_run_config run;
    tw_precision precision;
    tw_model_codec *codec;
    int64_t batch, numbers; /* of the plan; of a latent */
    tw_dataset_spec
        latents;  /* what encode-data would say of them; a scale of one until it is set */
    float *units; /* its offset and scale */
    void *stored; /* [batch] samples */
    float *x;     /* the same in the network's units */
} latent_encoder;

/* The settings of encoding: the autoencoder's own unless assigned. @param[out] batch  of the plan
 */
tw_status latent_encoder_settings(tw_config **config, tw_run_config *run, int64_t *batch,
                                  const tw_restored *network, int assignment_count,
                                  char *const *assignments);

/* What latents of a network are: kind and shape. */
tw_dataset_spec latent_encoder_spec(const tw_model *m);

/* Reads the autoencoder and checks that it is one, of such data. Collective on `comm`.
 * @param path  RUN, checkpoint or weights file
 * @param data  what is to be encoded, from the file `data_path`
 * @return TW_ECONFIG for what is no autoencoder, or of other samples */
tw_status latent_encoder_open(latent_encoder *e, const tw_comm *comm, const char *path,
                              const tw_dataset_spec *data, const char *data_path);
/* Not collective. */
tw_status latent_encoder_plan(latent_encoder *e);

/* @param n                  any number, in batches of the plan
 * @param x                  [n], the network's units
 * @param[out] mean          [n][numbers], stored values
 * @param[out] log_variance  the same, or NULL */
void latent_encoder_run(latent_encoder *e, int64_t n, const float *x, float *mean,
                        float *log_variance);
/* The latents of samples first … first + count − 1 of data's split. Not collective.
 * @param[out] labels  [count], or NULL */
tw_status latent_encoder_read(latent_encoder *e, tw_dataset *data, int64_t first, int64_t count,
                              float *mean, float *log_variance, int32_t *labels);

/* From now on so much is one in model units. */
void latent_encoder_set_scale(latent_encoder *e, double scale);
double latent_encoder_bytes(const latent_encoder *e);
void latent_encoder_free(latent_encoder *e);

#endif
